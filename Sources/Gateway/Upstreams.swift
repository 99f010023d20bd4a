// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Units

/// One worker's ways to the engines: where each endpoint is, and its kept connections, the last
/// used first.
struct Upstreams {
    private var addresses: [[SocketAddress]]
    private var turns: [Int]
    private var idle: [[(client: SlabKey, since: Instant)]]
    /// Connections that have many streams, by endpoint.
    private var multiplexed: [[SlabKey]]
    /// Until when an endpoint's connections rest between two requests.
    private var distrusted: [Instant]

    init(addresses: [[SocketAddress]]) {
        self.addresses = addresses
        distrusted = Array(repeating: Instant(nanoseconds: 0), count: addresses.count)
        turns = Array(repeating: 0, count: addresses.count)
        idle = Array(repeating: [], count: addresses.count)
        multiplexed = Array(repeating: [], count: addresses.count)
    }

    mutating func grow(to count: Int) {
        while addresses.count < count {
            addresses.append([])
            turns.append(0)
            idle.append([])
            multiplexed.append([])
            distrusted.append(Instant(nanoseconds: 0))
        }
    }

    mutating func resolved(_ endpoint: EndpointID, _ found: [SocketAddress]) {
        grow(to: endpoint.index + 1)
        addresses[endpoint.index] = found
    }

    /// The next of the endpoint's addresses in turn; nil when its name has not been resolved.
    mutating func address(of endpoint: EndpointID) -> SocketAddress? {
        guard endpoint.index < addresses.count, !addresses[endpoint.index].isEmpty else {
            return nil
        }
        let all = addresses[endpoint.index]
        turns[endpoint.index] = (turns[endpoint.index] + 1) % all.count
        return all[turns[endpoint.index]]
    }

    /// An engine sent what nobody asked for: for a minute its connections rest between requests.
    ///
    /// Once the next request is under way, nothing tells what an engine sends behind an answer from
    /// the answer to that. Who does so mostly does it soon, and is found out while the connection
    /// rests.
    mutating func distrust(_ endpoint: EndpointID, now: Instant) {
        distrusted[endpoint.index] = now + .seconds(60)
    }

    /// So long the connections of a distrusted engine are not used after an answer.
    private static let rest = Duration.milliseconds(100)

    /// A kept connection that has not been idle for longer than `limit`; older ones are handed out
    /// in `stale` to be closed.
    mutating func take(
        _ endpoint: EndpointID, idleAtMost limit: Duration, now: Instant, stale: inout [SlabKey]
    ) -> SlabKey? {
        let isRested = now >= distrusted[endpoint.index]
        let place = (isRested ? idle[endpoint.index].count : rested(endpoint, now: now)) - 1
        guard place >= 0 else { return nil }
        let kept = idle[endpoint.index].remove(at: place)
        if now - kept.since <= limit { return kept.client }
        // The last used is too old, and so are all before it.
        stale.append(kept.client)
        for older in idle[endpoint.index][..<place] { stale.append(older.client) }
        idle[endpoint.index].removeSubrange(..<place)
        return nil
    }

    /// How many of an endpoint's connections have rested: they stand in front.
    private func rested(_ endpoint: EndpointID, now: Instant) -> Int {
        let resting = idle[endpoint.index].reversed().prefix { now - $0.since < Self.rest }
        return idle[endpoint.index].count - resting.count
    }

    /// Hands out in `stale` every kept connection that has been idle for `limit`; false when none
    /// is left.
    mutating func expire(
        idleAtMost limit: Duration, now: Instant, stale: inout [SlabKey]
    ) -> Bool {
        var isAnyLeft = false
        for endpoint in idle.indices {
            // The longest idle stand in front.
            let young = idle[endpoint].firstIndex { now - $0.since < limit }
            for old in idle[endpoint][..<(young ?? idle[endpoint].count)] {
                stale.append(old.client)
            }
            idle[endpoint].removeSubrange(..<(young ?? idle[endpoint].count))
            isAnyLeft = isAnyLeft || young != nil
        }
        return isAnyLeft
    }

    /// Keeps a connection for later; the one kept longest is handed back when there are too many.
    mutating func keep(
        _ client: SlabKey, to endpoint: EndpointID, atMost limit: Int, now: Instant
    ) -> SlabKey? {
        idle[endpoint.index].append((client, now))
        return idle[endpoint.index].count > limit ? idle[endpoint.index].removeFirst().client : nil
    }

    /// Connections of the endpoint that have many streams, the oldest first.
    func shared(_ endpoint: EndpointID) -> [SlabKey] {
        endpoint.index < multiplexed.count ? multiplexed[endpoint.index] : []
    }

    /// A new one.
    mutating func share(_ client: SlabKey, to endpoint: EndpointID) {
        multiplexed[endpoint.index].append(client)
    }

    /// A kept connection was closed by its engine.
    mutating func forget(_ client: SlabKey, to endpoint: EndpointID) {
        multiplexed[endpoint.index].removeAll { $0 == client }
        idle[endpoint.index].removeAll { $0.client == client }
    }
}
