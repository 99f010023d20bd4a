// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Dialects
import EventLoop
import Policy
import Transport
import Units
import Wire

/// What is kept of one endpoint between its probes.
struct Probe {
    let endpoint: EndpointID
    var addresses: [SocketAddress]
    /// The kept connection.
    var client: SlabKey?
    /// When its last answer came.
    var keptSince = Instant(nanoseconds: 0)
    /// A kept connection ended under a question of this probe, which was asked once more.
    var wasAskedAgain = false
    /// The one timer of this endpoint: of the probe under way, or of the next.
    var timer: TimerKey?
    /// Which request of the plan is under way; nil between probes.
    var step: Int?
    /// The engine has answered this probe's question about its health.
    var isAlive = false
    /// It was asked how full it is in this probe.
    var isLoadAsked = false
    let body = ByteBufferBox()
    var metrics: EngineMetrics?
    /// Of the last probe that brought any.
    var last: EngineMetrics?
    var startedAt = Instant(nanoseconds: 0)
    /// What was not answered well in this probe, and did not end it.
    var flaw: String?
    /// How long the last probe took.
    var took: Duration?
    var lastFault: String?
    var failures = 0
    /// The log has said that its account and its reports differ.
    var hasLedgerAlert = false
    /// The wheel will come back to it. Not so once its endpoint has left the configuration.
    var isPlanned = false

    init(endpoint: EndpointID, addresses: [SocketAddress]) {
        self.endpoint = endpoint
        self.addresses = addresses
    }
}

/// A buffer that an array can hold.
final class ByteBufferBox {
    private var buffer = ByteBuffer()
    var count: Int { buffer.count }
    var readable: UnsafeRawBufferPointer { unsafe buffer.readable }
    func append(_ bytes: UnsafeRawBufferPointer) { unsafe buffer.append(bytes) }
    func removeAll() { buffer.removeAll() }
}

/// Asks every endpoint how it is, then how full, at a fixed interval.
///
/// Life and load are two things: an engine that answers for its health but not for its metrics
/// stays in rotation, with a reading that grows old. Only a failed health question counts against
/// it.
extension Control {
    func prepareProbes() {
        for endpoint in policy.endpoints.dropFirst(probes.count) {
            probes.append(
                Probe(
                    endpoint: endpoint.id,
                    addresses: SocketAddress(endpoint.address).map { [$0] } ?? []))
        }
        for endpoint in policy.endpoints where !endpoint.removed {
            guard !probes[endpoint.id.index].isPlanned else { continue }
            probes[endpoint.id.index].isPlanned = true
            schedule(endpoint.id.index, at: loop.now)
        }
    }

    private func schedule(_ place: Int, at instant: Instant) {
        if let timer = probes[place].timer { loop.cancel(timer) }
        probes[place].timer = loop.schedule(
            Token(kind: Kind.probe, key: SlabKey(raw: UInt64(place))), at: instant)
    }

    private func family(_ place: Int) -> EngineFamily {
        policy.pools[policy.endpoints[place].pool.index].engine.family
    }

    /// The wheel says that it is an endpoint's turn, or that its probe takes too long.
    func probeDue(_ place: Int) {
        guard place < probes.count else { return }
        probes[place].timer = nil
        guard !policy.endpoints[place].removed else { return retire(place) }
        if probes[place].step != nil {
            return failed(place, "no answer within \(policy.upstream.scrapeTimeout)")
        }
        probes[place].startedAt = loop.now
        probes[place].metrics = nil
        probes[place].isAlive = false
        probes[place].isLoadAsked = false
        probes[place].wasAskedAgain = false
        probes[place].flaw = nil
        probes[place].step = 0
        schedule(place, at: loop.now + policy.upstream.scrapeTimeout)
        ask(place)
    }

    /// The endpoint has left the configuration.
    private func retire(_ place: Int) {
        probes[place].step = nil
        probes[place].isPlanned = false
        dropKept(place)
    }

    private func ask(_ place: Int) {
        guard let number = probes[place].step else { return }
        let step = ProbeStep.plan(family(place))[number]
        guard let client = connection(place, port: step.port) else {
            return failed(place, "cannot connect", .refused)
        }
        // What the engine tells is no older than its question. Of several the first counts.
        if step.subject.tellsLoad, !probes[place].isLoadAsked {
            probes[place].isLoadAsked = true
            decide(.probing(probes[place].endpoint))
        }
        probes[place].body.removeAll()
        fields.removeAll()
        fields.append("User-Agent: penstock\r\nAccept: */*\r\n")
        if let key = policy.pools[policy.endpoints[place].pool.index].key {
            fields.append("Authorization: Bearer \(key.revealed)\r\n")
        }
        unsafe client.request(
            method: .get,
            target: UnsafeRawBufferPointer(
                start: step.path.utf8Start, count: step.path.utf8CodeUnitCount),
            authority: policy.endpoints[place].authority, fields: fields,
            body: UnsafeRawBufferPointer(start: nil, count: 0))
        pump(client)
    }

    /// The kept connection, unless it is as old as its engine may let it become, or a new one.
    /// Another port has its own, which is not kept.
    private func connection(_ place: Int, port: UInt16?) -> HTTP1ClientConnection? {
        let kept = probes[place].client.flatMap { clients[$0] }
        if port == nil, let kept, kept.isReusable,
            loop.now - probes[place].keptSince <= policy.upstream.idleTimeout
        {
            return kept
        }
        dropKept(place)
        guard let key = clients.nextKey, var address = probes[place].addresses.first else {
            return nil
        }
        // Ports of their own for metrics are in clear, with TLS at the other too.
        var security = shared.security.engine(probes[place].endpoint, policy)
        if let port {
            guard let other = SocketAddress(ip: address.host, port: port) else { return nil }
            address = other
            security = ClientSecurity.none
        }
        guard let security else { return nil }
        let client = try? HTTP1ClientConnection(
            key: key, destination: place, token: Token(kind: Kind.client, key: key),
            address: address, security: security, limits: ClientLimits(policy.upstream),
            loop: loop)
        if let client { _ = clients.insert(client) }
        probes[place].client = client?.key
        return client
    }

    /// Drives a probe's connection until it has nothing more to say.
    func pump(_ client: HTTP1ClientConnection) {
        let place = client.destination
        while true {
            switch unsafe client.next() {
            case .none: return
            case .connected, .head: continue
            case .payload(let bytes):
                unsafe probes[place].body.append(bytes)
                if probes[place].body.count > policy.upstream.maxScrape.count {
                    forget(client, place)
                    return failed(place, "an answer over \(policy.upstream.maxScrape)")
                }
            case .end:
                let status = client.status
                probes[place].keptSince = loop.now
                if !client.isReusable { forget(client, place) }
                return answered(place, status)
            case .fault(let fault):
                let isStale = client.wasReused && client.isUnanswered && Self.isEnd(fault)
                forget(client, place)
                guard isStale, probes[place].step != nil, !probes[place].wasAskedAgain else {
                    return failed(place, "\(fault)", kind(of: fault, place))
                }
                // The engine closed a kept connection while the question was under way to it.
                probes[place].wasAskedAgain = true
                return ask(place)
            case .closed: return forget(client, place)
            }
        }
    }

    private func forget(_ client: HTTP1ClientConnection, _ place: Int) {
        clients.remove(client.key)
        client.close()
        if probes[place].client == client.key { probes[place].client = nil }
    }

    private func dropKept(_ place: Int) {
        if let client = probes[place].client.flatMap({ clients[$0] }) { forget(client, place) }
    }

    private func answered(_ place: Int, _ status: Int) {
        guard let number = probes[place].step else { return }
        let plan = ProbeStep.plan(family(place))
        switch plan[number].subject {
        case .health, .olderHealth:
            let isMissing =
                status == 404
                && plan.dropFirst(number + 1).contains {
                    $0.subject == .olderHealth
                }
            if status == 200 {
                probes[place].isAlive = true
            } else if !isMissing {
                return failed(place, "health answered \(status)", .unwell)
            }
        case .metrics:
            guard status == 200 else {
                // llama-server shows its slots by default, its metrics only when told to.
                probes[place].flaw = "metrics answered \(status)"
                break
            }
            probes[place].metrics = EngineMetrics(
                scrape: unsafe probes[place].body.readable.bytes, of: family(place))
        case .slots:
            guard status == 200,
                let slots = SlotLoad(answer: unsafe probes[place].body.readable.bytes)
            else {
                probes[place].flaw = "slots answered \(status), and tell no load"
                break
            }
            var metrics = probes[place].metrics ?? EngineMetrics()
            slots.complete(
                &metrics,
                unifiedContext: policy.pools[policy.endpoints[place].pool.index].kvTokens)
            probes[place].metrics = metrics
        }
        advance(place, plan)
    }

    private func advance(_ place: Int, _ plan: [ProbeStep]) {
        var next = (probes[place].step ?? 0) + 1
        while next < plan.count, plan[next].subject == .olderHealth, probes[place].isAlive {
            next += 1
        }
        if next < plan.count {
            probes[place].step = next
            return ask(place)
        }
        finish(place, fault: probes[place].flaw)
    }

    private func finish(_ place: Int, fault: String?) {
        probes[place].step = nil
        probes[place].took = loop.now - probes[place].startedAt
        note(place, fault)
        if let metrics = probes[place].metrics { probes[place].last = metrics }
        decide(.probed(probes[place].endpoint, probes[place].metrics.map(reading)))
        noteLedger(place)
        let next = probes[place].startedAt + policy.upstream.scrapeInterval
        if next - loop.now > policy.upstream.idleTimeout { dropKept(place) }
        schedule(place, at: next)
    }

    private func reading(_ metrics: EngineMetrics) -> EngineReading {
        let used: Tokens? =
            if let tokens = metrics.kvUsedTokens {
                tokens
            } else if let usage = metrics.kvUsage, let capacity = metrics.kvCapacityTokens {
                Tokens(Int(usage * Double(capacity.count)))
            } else {
                nil
            }
        return EngineReading(
            usedTokens: used, usage: metrics.kvUsage, capacityTokens: metrics.kvCapacityTokens,
            running: metrics.running ?? 0, waiting: metrics.waiting ?? 0,
            isSleeping: metrics.isSleeping ?? false)
    }

    private func kind(of fault: ClientFault, _ place: Int) -> ProbeFailure {
        guard case .connect(let reason) = fault else { return .unanswered }
        return reason == .connectRefused && family(place).desertsAnswers ? .deserted : .refused
    }

    private static func isEnd(_ fault: ClientFault) -> Bool {
        fault == .closedEarly || fault == .reset
    }

    /// One question was not answered well.
    private func failed(
        _ place: Int, _ fault: String, _ kind: ProbeFailure = .unanswered
    ) {
        guard probes[place].step != nil else { return }
        dropKept(place)
        if probes[place].isAlive { return finish(place, fault: fault) }
        probes[place].step = nil
        probes[place].failures += 1
        note(place, fault)
        decide(.probeFailed(probes[place].endpoint, kind))
        schedule(place, at: loop.now + policy.upstream.scrapeInterval)
    }

    /// The log has a line when an engine's reports and its account differ for long, and when they
    /// do not any more.
    private func noteLedger(_ place: Int) {
        let error = ledgerError(of: probes[place].endpoint)
        guard error.isAlerting != probes[place].hasLedgerAlert else { return }
        probes[place].hasLedgerAlert = error.isAlerting
        let name = policy.endpoints[place].authority
        guard error.isAlerting, let share = error.share else {
            return shared.log.write("kv ledger \(name): agrees with the engine again")
        }
        let percent = Int((abs(share) * 100).rounded())
        shared.log.write(
            share > 0
                ? "kv ledger \(name): the engine holds \(percent) % of its cache more than is "
                    + "accounted for: others send to it, or prompts are longer than estimated"
                : "kv ledger \(name): the engine holds \(percent) % of its cache less than is "
                    + "accounted for: prompts are shorter than estimated, or share more")
    }

    /// The log has a line for every new fault and for the recovery, not for every probe.
    private func note(_ place: Int, _ fault: String?) {
        let name = policy.endpoints[place].authority
        if let fault, probes[place].lastFault != fault {
            shared.log.write("probe \(name): \(fault)")
        } else if fault == nil, probes[place].lastFault != nil {
            shared.log.write("probe \(name): answers again")
            probes[place].failures = 0
        }
        probes[place].lastFault = fault
    }
}
