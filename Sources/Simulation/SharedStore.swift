// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Scheduling
import Units

/// The store that a fleet's gateways share, half a millisecond away from each of them.
struct SharedStore {
    static let oneWay = Duration.microseconds(500)

    private var endpoints: [SharedEndpoint]
    private var reports = SharedReports()
    /// It hears nothing and answers nothing.
    var isLost = false

    init(endpoints count: Int) {
        endpoints = [SharedEndpoint](repeating: SharedEndpoint(), count: count)
    }

    mutating func exchange(
        _ ask: ExchangeAsk, of sharing: SharingPolicy, now: Instant
    ) -> ExchangeAnswer? {
        guard !isLost, ask.endpoint.index < endpoints.count else { return nil }
        let reply = endpoints[ask.endpoint.index].exchange(
            ask.ask, of: sharing.gateway, lease: sharing.lease, now: now)
        let told = ask.report.map {
            reports.exchange($0, of: sharing.gateway, lease: sharing.lease, now: now)
        }
        return ExchangeAnswer(number: ask.number, reply: reply, reports: told)
    }
}

extension Fleet {
    /// Gateways take turns within a beat.
    mutating func planSharing() {
        for gateway in 0..<setup.gateways {
            let phase = SharingPolicy.beat.nanoseconds / Int64(setup.gateways)
            heap.push(
                .sharing(gateway),
                at: Instant(nanoseconds: 0) + Duration(nanoseconds: phase * Int64(gateway)))
        }
    }

    mutating func share(_ gateway: Int) {
        guard !isGatewayLost[gateway] else { return }
        decide(gateway, .sharingDue)
        heap.push(.sharing(gateway), at: now + SharingPolicy.beat)
    }

    mutating func tell(_ gateway: Int, _ ask: ExchangeAsk) {
        let sharing = SharingPolicy(GatewayID(raw: UInt64(gateway)))
        guard let answer = store?.exchange(ask, of: sharing, now: now) else { return }
        heap.push(.answered(gateway, answer), at: now + SharedStore.oneWay)
    }
}
