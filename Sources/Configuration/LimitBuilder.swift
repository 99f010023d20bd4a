// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Section {
    /// The limits that stand in this mapping.
    var limits: [Limit] {
        let zone = text("time_zone").map { ZoneReader.offsets($0) } ?? .utc
        let calendar = self["calendar"].map { _ in Set(texts("calendar").map(\.text)) }
        var limits = LimitKind.allCases.compactMap { kind -> Limit? in
            amount(of: kind).map { amount in
                Limit(
                    kind: kind, amount: amount,
                    isCalendar: kind.window.map { window in
                        calendar?.contains(window.word) ?? window.isCalendarByDefault
                    }, zone: zone)
            }
        }
        // Zones mean nothing to what slides: left out, so that equal limits are equal.
        for place in limits.indices where !limits[place].isCalendar { limits[place].zone = .utc }
        for quantity in LimitQuantity.allCases {
            guard let burst = burst(of: quantity),
                let place = limits.firstIndex(where: {
                    $0.kind.quantity == quantity && !$0.isCalendar
                })
            else { continue }
            limits[place].burst = burst
        }
        return limits
    }

    func amount(of kind: LimitKind) -> Double? { number(kind.rawValue) }

    func burst(of quantity: LimitQuantity) -> Double? {
        section("burst")?.number(quantity.word)
    }

    private func number(_ name: String) -> Double? {
        decimal(name) ?? integer(name).map { Double($0) }
    }
}
