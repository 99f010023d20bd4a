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
    var addresses: [SocketAddress] = []
    /// The kept connection.
    var client: SlabKey?
    /// Which request of the plan is under way; nil between probes.
    var step: Int?
    var body = ByteBufferBox()
    var metrics = EngineMetrics()
    /// Of the last probe that was answered whole.
    var last: EngineMetrics?
    var startedAt = Instant(nanoseconds: 0)
    var deadline = Instant.distantFuture
    /// How long the last probe took.
    var took: Duration?
    var lastFault: String?
    var failures = 0

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

/// Asks every endpoint, one request after the other, how it is: health, then metrics.
extension Control {
    func prepareProbes() {
        for endpoint in policy.endpoints.dropFirst(probes.count) {
            var addresses: [SocketAddress] = []
            if let fixed = SocketAddress(endpoint.address) { addresses = [fixed] }
            probes.append(Probe(endpoint: endpoint.id, addresses: addresses))
            schedule(endpoint.id.index, at: loop.now)
        }
    }

    private func schedule(_ place: Int, at instant: Instant) {
        _ = loop.schedule(
            Token(kind: Kind.probe, key: SlabKey(raw: UInt64(place))), at: instant)
    }

    private func plan(_ place: Int) -> [ProbeStep] {
        let endpoint = policy.endpoints[place]
        return EngineMetrics.probePlan(for: policy.pools[endpoint.pool.index].engine.rawValue)
    }

    /// The wheel says that it is an endpoint's turn, or that its probe takes too long.
    func probeDue(_ place: Int) {
        guard place < probes.count, !policy.endpoints[place].removed else { return }
        if probes[place].step != nil {
            if loop.now < probes[place].deadline {
                return schedule(place, at: probes[place].deadline)
            }
            return probeFailed(place, "no answer within \(policy.upstream.scrapeTimeout)")
        }
        probes[place].startedAt = loop.now
        probes[place].deadline = loop.now + policy.upstream.scrapeTimeout
        probes[place].metrics = EngineMetrics()
        probes[place].step = 0
        schedule(place, at: probes[place].deadline)
        ask(place)
    }

    private func ask(_ place: Int) {
        guard let step = probes[place].step else { return }
        let client: HTTP1ClientConnection
        if let kept = probes[place].client.flatMap({ clients[$0] }), kept.isReusable {
            client = kept
        } else if let fresh = dial(place) {
            client = fresh
            probes[place].client = fresh.key
        } else {
            return probeFailed(place, "cannot connect")
        }
        probes[place].body.removeAll()
        var path = plan(place)[step].path
        fields.removeAll()
        fields.append("User-Agent: penstock\r\nAccept: */*\r\n")
        if let key = policy.pools[policy.endpoints[place].pool.index].key {
            fields.append("Authorization: Bearer \(key.revealed)\r\n")
        }
        path.withUTF8 { path in
            unsafe client.request(
                method: .get, target: UnsafeRawBufferPointer(path),
                authority: policy.endpoints[place].authority, fields: fields,
                body: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        pump(client)
    }

    private func dial(_ place: Int) -> HTTP1ClientConnection? {
        guard let key = clients.nextKey, let address = probes[place].addresses.first else {
            return nil
        }
        let client = try? HTTP1ClientConnection(
            key: key, destination: place, token: Token(kind: Kind.client, key: key),
            address: address, limits: ClientLimits(policy.upstream), loop: loop)
        if let client { _ = clients.insert(client) }
        return client
    }

    func pump(_ client: HTTP1ClientConnection) {
        let place = client.destination
        while true {
            switch unsafe client.next() {
            case .none: return
            case .connected, .head: continue
            case .payload(let bytes):
                unsafe probes[place].body.append(bytes)
                if probes[place].body.count > policy.upstream.maxScrape.count {
                    return probeFailed(place, "an answer over \(policy.upstream.maxScrape)")
                }
            case .end:
                let status = client.status
                if !client.isReusable { forget(client, place) }
                return answered(place, status)
            case .fault(let fault):
                forget(client, place)
                if probes[place].step != nil { probeFailed(place, "\(fault)") }
                return
            case .closed: return forget(client, place)
            }
        }
    }

    private func forget(_ client: HTTP1ClientConnection, _ place: Int) {
        clients.remove(client.key)
        client.close()
        if probes[place].client == client.key { probes[place].client = nil }
    }

    private func answered(_ place: Int, _ status: Int) {
        guard let step = probes[place].step else { return }
        let plan = self.plan(place)
        if let fault = plan[step].judge(
            status: status, body: unsafe probes[place].body.readable.bytes,
            into: &probes[place].metrics)
        {
            return probeFailed(place, fault)
        }
        if step + 1 < plan.count {
            probes[place].step = step + 1
            return ask(place)
        }
        probes[place].step = nil
        probes[place].took = loop.now - probes[place].startedAt
        probes[place].lastFault = nil
        probes[place].failures = 0
        probes[place].last = probes[place].metrics
        decide(.probed(probes[place].endpoint, reading(probes[place].metrics)))
        schedule(place, at: probes[place].startedAt + policy.upstream.scrapeInterval)
    }

    private func reading(_ metrics: EngineMetrics) -> EngineReading? {
        guard metrics.hasAny else { return nil }
        return EngineReading(
            usedTokens: metrics.usedTokens, capacityTokens: metrics.capacityTokens,
            running: metrics.running ?? 0, waiting: metrics.waiting ?? 0,
            isSleeping: metrics.isSleeping ?? false)
    }

    private func probeFailed(_ place: Int, _ fault: String) {
        probes[place].step = nil
        probes[place].failures += 1
        if probes[place].lastFault != fault {
            shared.log.write("probe: \(policy.endpoints[place].authority): \(fault)")
        }
        probes[place].lastFault = fault
        if let client = probes[place].client.flatMap({ clients[$0] }) { forget(client, place) }
        decide(.probeFailed(probes[place].endpoint))
        schedule(place, at: loop.now + policy.upstream.scrapeInterval)
    }
}
