// SPDX-License-Identifier: Apache-2.0

import Ledger
import TestSupport
import Testing
import Units

@Suite struct UsageSumsTests {
    private func sums(
        by columns: [UsageColumn] = [.tenant, .model], from: Int64 = 0, to: Int64 = .max
    ) -> UsageSums {
        UsageSums(
            by: columns, from: WallTime(nanoseconds: from), to: WallTime(nanoseconds: to))
    }

    private func add(_ entry: LedgerEntry, to sums: inout UsageSums) -> UsageSums.Outcome {
        let bytes = Array(line(entry).dropLast())
        return unsafe sums.add(bytes.span.bytes)
    }

    @Test func sumsAreExact() {
        var sums = sums()
        var entry = someEntry()
        entry.cost = Money(tokens: 1, perMillion: 0.1)
        for number in 1...1_000 {
            entry.number = UInt64(number)
            #expect(add(entry, to: &sums) == .counted)
        }
        let row = sums.rows[0]
        #expect(sums.rows.count == 1)
        #expect(row.requests == 1_000 && row.input == 100_000 && row.cachedInput == 60_000)
        #expect(row.output == 20_000 && row.reasoning == 5_000)
        // A thousand times a ten-millionth, which no double is.
        #expect(row.cost.text == "0.0001")
    }

    @Test func twoCurrenciesAreTwoRows() {
        var sums = sums()
        var entry = someEntry()
        _ = add(entry, to: &sums)
        entry.number = 8
        entry.currency = "EUR"
        _ = add(entry, to: &sums)
        #expect(sums.rows.map(\.currency) == ["EUR", "USD"])
    }

    @Test func anEntryCountsOnceHoweverOftenItStandsThere() {
        var sums = sums()
        #expect(add(someEntry(), to: &sums) == .counted)
        #expect(add(someEntry(), to: &sums) == .repeated)
        var other = someEntry()
        other.gateway = 1
        #expect(add(other, to: &sums) == .counted)
        #expect(sums.rows[0].requests == 2 && sums.repeated == 1)
    }

    @Test func timesAreFromTheFirstOnAndBeforeTheLast() {
        let at = someEntry().time.nanoseconds
        for (from, to, expected) in [
            (at, at + 1_000, UsageSums.Outcome.counted), (at + 1_000, .max, .outside),
            (0, at, .outside),
        ] {
            var sums = sums(from: from, to: to)
            #expect(add(someEntry(), to: &sums) == expected)
        }
    }

    @Test func brokenLinesAreCounted() {
        var sums = sums()
        let torn = Array(line(someEntry()).dropLast(9))
        #expect(unsafe sums.add(torn.span.bytes) == .broken)
        #expect(sums.broken == 1 && sums.rows.isEmpty)
    }

    @Test func rowsAreByWhatWasAskedForAndInOrder() {
        var sums = sums(by: [.day, .key])
        for (number, key) in [(1, "b"), (2, "a"), (3, "b")] {
            var entry = someEntry(number: UInt64(number))
            entry.key = key
            _ = add(entry, to: &sums)
        }
        #expect(sums.rows.map(\.values) == [["2026-11-28", "a"], ["2026-11-28", "b"]])
        #expect(sums.rows.map(\.requests) == [1, 2])
    }

    @Test(arguments: 0..<50)
    func numbersInAnyOrderAreSeenOnce(seed: Int) {
        var random = SplitMix64(seed: UInt64(seed))
        var seen = SeenNumbers()
        var known: Set<UInt64> = []
        for _ in 0..<400 {
            let number = 1 + random.next() % 120
            let isNew = known.insert(number).inserted
            #expect(seen.take(number, of: 5) == (isNew ? .new : .repeated), "seed \(seed)")
        }
    }
}

@Suite struct MoneyTests {
    @Test(arguments: [
        (0, "0"), (1, "0.000000000001"), (1_000_000_000_000, "1"),
        (1_500_000_000_000, "1.5"), (123_456_789_012_345, "123.456789012345"),
    ])
    func itsTextIsExactAndReadBack(picos: Int, text: String) {
        let money = Money(picos: Int128(picos))
        #expect(money.text == text)
        #expect(Money(text.utf8) == money)
    }

    @Test(arguments: ["", ".5", "1.", "-1", "1e5", "1.0000000000001", "1x", "9999999999999999999"])
    func otherTextsAreNone(text: String) { #expect(Money(text.utf8) == nil) }

    @Test func aPriceCountsToItsSixthDecimal() {
        #expect(Money(tokens: 3, perMillion: 0.10).text == "0.0000003")
        #expect(Money(tokens: 1_000_000, perMillion: 2.5).text == "2.5")
        #expect(Money(tokens: 10, perMillion: 0.000001).text == "0.00000000001")
    }
}

@Suite struct LedgerTimeTests {
    @Test(arguments: [
        ("2026-11-28T19:05:01.123456Z", 1_795_892_701_123_456),
        ("1970-01-01T00:00:00.000000Z", 0), ("2000-02-29T23:59:59.999999Z", 951_868_799_999_999),
        ("2199-12-31T00:00:00.000000Z", 7_258_032_000_000_000),
    ])
    func timesAreWrittenAndRead(text: String, micros: Int64) {
        let time = WallTime(nanoseconds: micros * 1_000)
        #expect(LedgerTime.text(time) == text)
        #expect(LedgerTime.parse(text) == time)
    }

    @Test(arguments: [
        ("2026-11-28", "2026-11-28T00:00:00.000000Z"),
        ("2026-11-28T19:05:01Z", "2026-11-28T19:05:01.000000Z"),
        ("2026-11-28 19:05:01.5Z", "2026-11-28T19:05:01.500000Z"),
        ("2026-11-28T19:05:01+02:00", "2026-11-28T17:05:01.000000Z"),
        ("2026-11-28T23:05:01-01:30", "2026-11-29T00:35:01.000000Z"),
    ])
    func otherSpellingsAreReadToo(text: String, meant: String) {
        #expect(LedgerTime.parse(text).map { LedgerTime.text($0) } == meant)
    }

    @Test(arguments: [
        "", "yesterday", "2026-02-29", "2026-13-01", "2026-1-1", "2026-11-31",
        "2026-11-28T24:00:00Z", "2026-11-28T10:00:00", "2026-11-28T10:00Z",
        "2026-11-28T10:00:00Zx", "1969-12-31", "2200-01-01",
    ])
    func whatIsNoTimeIsNone(text: String) { #expect(LedgerTime.parse(text) == nil) }

    @Test func fullFilesAreFoundAmongOthersAndInOrder() {
        let names = [
            "usage", "usage.20261128T190501.000002Z", "usage.20261128T190501.000001Z.10",
            "usage.20261128T190501.000001Z.2", "usage.20261128T190501.000001Z", "usage.lock",
            "usage.old", "usage.20261128T190501.000001Z.gz", "usage2.20261128T190501.000001Z",
        ]
        #expect(
            LedgerNames.full("usage", among: names) == [
                "usage.20261128T190501.000001Z", "usage.20261128T190501.000001Z.2",
                "usage.20261128T190501.000001Z.10", "usage.20261128T190501.000002Z",
            ])
    }
}
