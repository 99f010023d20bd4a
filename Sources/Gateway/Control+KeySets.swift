// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Identity
import Policy
import Transport
import Units
import Wire

/// The keys of issuers: read from files when these change, fetched at an interval and when a token
/// names one that is not known. Whatever fails, the keys that are there stay.
extension Control {
    /// Between two fetches that tokens have asked for, and after one that failed.
    private static let rest = Duration.seconds(10)

    /// A configuration has come into force: what is known of an issuer that stays is kept.
    func prepareKeySets() {
        let before = keySets
        keySets = policy.identity.issuers.map { issuer in
            if let known = before.first(where: { $0.issuer.hasSameKeys(as: issuer) }) {
                var state = KeySetState(issuer, number: known.number)
                state.take(known)
                return state
            }
            nextKeySet += 1
            return KeySetState(issuer, number: nextKeySet)
        }
        for state in before where !keySets.contains(where: { $0.number == state.number }) {
            drop(state.fetch)
        }
        for place in keySets.indices where !keySets[place].isFetched { readFile(place) }
        if !keySets.isEmpty || !before.isEmpty { installKeySets() }
    }

    /// Every turn.
    func driveKeySets() {
        guard !keySets.isEmpty else { return }
        let wanted = shared.identities.takeWanted()
        for place in keySets.indices where keySets[place].isFetched {
            if let fetch = keySets[place].fetch {
                if fetch.deadline <= loop.now {
                    failed(place, "no answer within \(keySets[place].issuer.keys.timeout)")
                }
                continue
            }
            let isWanted = wanted >> UInt64(place) & 1 == 1
            let isRested = keySets[place].triedAt.map { $0 + Self.rest <= loop.now } ?? true
            if keySets[place].nextAt <= loop.now || (isWanted && isRested) { fetch(place) }
        }
    }

    /// Issuers whose keys were not asked for to the end yet.
    var unreadIssuers: [String] {
        keySets.filter { $0.outcomes.succeeded + $0.outcomes.failed == 0 }.map(\.issuer.issuer)
    }

    // MARK: files

    /// With those of certificates.
    func watchKeySets() {
        for place in keySets.indices {
            guard case .file(let path) = keySets[place].issuer.keys.source,
                Files.stamp(path) != keySets[place].stamp
            else { continue }
            readFile(place)
        }
    }

    private func readFile(_ place: Int) {
        guard case .file(let path) = keySets[place].issuer.keys.source else { return }
        keySets[place].stamp = Files.stamp(path)
        do throws(FileFault) {
            took(place, try Files.readFile(path, limit: KeySetState.limit), from: path)
        } catch {
            failed(place, "\(path): \(error)")
        }
    }

    // MARK: fetching

    private func fetch(_ place: Int) {
        guard case .web(let address, _, _) = keySets[place].issuer.keys.source else { return }
        keySets[place].triedAt = loop.now
        keySets[place].fetch = KeySetFetch(
            deadline: loop.now + keySets[place].issuer.keys.timeout)
        switch address {
        case .ip: connect(place, SocketAddress(address))
        case .unix: failed(place, "cannot connect")
        case .name(let host, let port):
            let (control, number) = (shared.control, keySets[place].number)
            let isAsked = resolver.resolve(host, port: port) { outcome in
                control.post(.foundIssuer(number, outcome))
            }
            if !isAsked { failed(place, "cannot resolve \(host)") }
        }
    }

    func found(issuer number: Int, _ outcome: ResolveOutcome) {
        guard let place = keySets.firstIndex(where: { $0.number == number }),
            let fetch = keySets[place].fetch, fetch.client == nil
        else { return }
        guard case .addresses(let all) = outcome else {
            return failed(place, "its host has no address")
        }
        connect(place, all.first)
    }

    private func connect(_ place: Int, _ address: SocketAddress?) {
        let set = keySets[place].issuer.keys
        guard case .web(let named, let authority, let target) = set.source,
            let address, let key = clients.nextKey
        else { return failed(place, "cannot connect") }
        let context: TLSClientContext
        do throws(TLSFault) {
            context = try TLSClientContext(
                TLSClientSetup(authority: set.authority, protocols: [.http1]))
        } catch { return failed(place, "\(error)") }
        guard
            let client = try? HTTP1ClientConnection(
                key: key, destination: keySets[place].number,
                token: Token(kind: Kind.keySet, key: key), address: address,
                security: .tls(context, name: named.host), limits: ClientLimits(policy.upstream),
                loop: loop)
        else { return failed(place, "cannot connect") }
        _ = clients.insert(client)
        keySets[place].fetch?.client = key
        fields.removeAll()
        fields.append("User-Agent: penstock\r\nAccept: application/json\r\n")
        var path = target
        path.withUTF8 { bytes in
            unsafe client.request(
                method: .get, target: UnsafeRawBufferPointer(bytes), authority: authority,
                fields: fields, body: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        pumpKeySet(client)
    }

    /// Drives a fetch until it has nothing more to say.
    func pumpKeySet(_ client: HTTP1ClientConnection) {
        guard let place = keySets.firstIndex(where: { $0.fetch?.client == client.key }) else {
            clients.remove(client.key)
            return client.close()
        }
        while true {
            switch unsafe client.next() {
            case .none: return
            case .connected: continue
            case .head:
                // Where another place is named, it has to be configured.
                guard client.status == 200 else {
                    return failed(place, "answered \(client.status)")
                }
            case .payload(let bytes):
                unsafe keySets[place].fetch?.body.append(contentsOf: bytes)
                guard keySets[place].fetch?.body.count ?? 0 <= KeySetState.limit else {
                    return failed(place, "an answer over \(KeySetState.limit) bytes")
                }
            case .end:
                let body = keySets[place].fetch?.body ?? []
                return took(place, body, from: "what it fetched")
            case .fault(let fault): return failed(place, "\(fault)")
            case .closed: return failed(place, "closed")
            }
        }
    }

    private func drop(_ fetch: KeySetFetch?) {
        guard let client = fetch?.client.flatMap({ clients.remove($0) }) else { return }
        client.close()
    }

    // MARK: what has come of it

    private func took(_ place: Int, _ bytes: [UInt8], from source: String) {
        drop(keySets[place].fetch)
        keySets[place].fetch = nil
        guard bytes != keySets[place].bytes || keySets[place].keys.isEmpty else {
            return succeeded(place)
        }
        guard let keys = KeySetState.usable(bytes, of: keySets[place].issuer) else {
            return failed(place, "\(source) \(KeySetState.noKeys)")
        }
        keySets[place].bytes = bytes
        keySets[place].keys = keys
        shared.log.write(
            "issuer \(keySets[place].issuer.issuer): \(keys.count) "
                + (keys.count == 1 ? "key is in force" : "keys are in force"))
        succeeded(place)
        installKeySets()
    }

    private func succeeded(_ place: Int) {
        keySets[place].readAt = loop.now
        keySets[place].fault = nil
        keySets[place].nextAt = loop.now + keySets[place].issuer.keys.refresh
        keySets[place].outcomes.succeeded += 1
    }

    /// The log has a line for every new fault.
    private func failed(_ place: Int, _ fault: String) {
        drop(keySets[place].fetch)
        keySets[place].fetch = nil
        keySets[place].nextAt = loop.now + min(Self.rest, keySets[place].issuer.keys.refresh)
        keySets[place].outcomes.failed += 1
        guard keySets[place].fault != fault else { return }
        keySets[place].fault = fault
        let stay = keySets[place].keys.isEmpty ? "there are no keys" : "the old keys stay"
        shared.log.write("issuer \(keySets[place].issuer.issuer): \(stay): \(fault)")
    }

    private func installKeySets() {
        shared.identities.install(
            keySets.map { state in
                IssuerKeys.KeySet(
                    issuer: state.issuer.issuer, source: state.issuer.keys.source,
                    keys: state.keys)
            })
    }
}

extension KeySetState {
    /// What is known of the same keys under an earlier configuration.
    fileprivate mutating func take(_ known: KeySetState) {
        bytes = known.bytes
        keys = KeySetState.usable(known.bytes, of: issuer) ?? []
        readAt = known.readAt
        triedAt = known.triedAt
        nextAt = known.nextAt
        fetch = known.fetch
        fault = known.fault
        outcomes = known.outcomes
    }
}

extension IssuerPolicy {
    fileprivate func hasSameKeys(as other: IssuerPolicy) -> Bool {
        issuer == other.issuer && keys.source == other.keys.source
            && keys.authority == other.keys.authority
    }
}
