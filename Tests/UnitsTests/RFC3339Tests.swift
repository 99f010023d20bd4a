// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("RFC3339")
struct RFC3339Tests {
    @Test(arguments: [
        ("2026-11-28T19:05:01Z", "2026-11-28T19:05:01Z", 1_795_892_701_000_000),
        ("2026-11-28t19:05:01z", "2026-11-28T19:05:01Z", 1_795_892_701_000_000),
        ("2026-11-28T21:05:01.25+02:00", "2026-11-28T19:05:01.250000Z", 1_795_892_701_250_000),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0),
        ("2199-12-31T23:59:59Z", "2199-12-31T23:59:59Z", 7_258_118_399_000_000),
    ])
    func timesAreReadAndWritten(text: String, written: String, micros: Int64) {
        let time = WallTime(nanoseconds: micros * 1_000)
        #expect(RFC3339.time(text) == time)
        #expect(RFC3339.text(time) == written)
        #expect(RFC3339.time(written) == time)
    }

    @Test func timesBeforeTheEpochAreWritten() {
        #expect(RFC3339.text(WallTime(nanoseconds: -1_000_000_000)) == "1969-12-31T23:59:59Z")
    }

    /// A day without a time of day would be a day's difference between two time zones.
    @Test(arguments: [
        "", "2026-11-28", "2026-11-28T19:05Z", "2026-11-28T19:05:01", "2026-02-29T00:00:00Z",
        "2026-11-28T24:00:00Z", "2026-11-28T23:59:60Z", "2026-11-28T19:05:01Z ",
        "2026-11-28T19:05:01.Z", "2026-11-28T19:05:01+0200", "2026-11-28T19:05:01+02:60",
    ])
    func otherTextsAreNoTimes(text: String) { #expect(RFC3339.time(text) == nil) }
}
