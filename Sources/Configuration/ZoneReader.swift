// SPDX-License-Identifier: Apache-2.0

import Foundation
import Policy

/// Reads time zones by their IANA names, out of the data that Foundation brings along.
enum ZoneReader {
    /// From 2020 to 2060, in seconds since 1970.
    private static let first = 1_577_836_800.0
    private static let last = 2_840_140_800.0

    static func isZone(_ name: String) -> Bool {
        name == "UTC" || (name.contains("/") && TimeZone(identifier: name) != nil)
    }

    static let names = ["UTC"] + TimeZone.knownTimeZoneIdentifiers

    /// When the zone's clocks change, and to what; UTC for one that there is not.
    static func offsets(_ name: String) -> ZoneOffsets {
        guard name != "UTC", let zone = TimeZone(identifier: name) else { return .utc }
        // `Date` only as a unit: no clock is read.
        var moment = Date.init(timeIntervalSince1970: first)
        let start = Int64(zone.secondsFromGMT(for: moment))
        var offset = start
        var changes: [ZoneOffsets.Change] = []
        while let next = zone.nextDaylightSavingTimeTransition(after: moment), next > moment,
            next.timeIntervalSince1970 < last
        {
            moment = next
            let after = Int64(zone.secondsFromGMT(for: next))
            if after != offset {
                let at = Int64(next.timeIntervalSince1970.rounded())
                changes.append(ZoneOffsets.Change(at: at, offset: after))
            }
            offset = after
        }
        return ZoneOffsets(first: start, changes: changes)
    }
}
