// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

private func reading(used: Int?, usage: Double? = nil, capacity: Int? = nil) -> EngineReading {
    EngineReading(
        usedTokens: used.map { Tokens($0) }, usage: usage,
        capacityTokens: capacity.map { Tokens($0) }, running: 0, waiting: 0)
}

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

@Suite("EndpointLedger: own account and scrapes")
struct EndpointLedgerTests {
    private var ledger = EndpointLedger(
        configuredCapacity: Tokens(100_000), staleAfter: .seconds(3))

    /// A sequence that has been there long enough to be in the cache for certain.
    private mutating func settle(input: Int, rest: Int) {
        ledger.admit(input: Tokens(input), expectedOutput: Tokens(rest))
        ledger.firstToken(input: Tokens(input))
    }

    @Test("a sequence counts with its prompt and half of what it is expected to add")
    mutating func projection() {
        ledger.admit(input: Tokens(1_000), expectedOutput: Tokens(301))
        #expect(ledger.projection == Tokens(1_151))
        #expect(
            EndpointLedger.need(input: Tokens(1_000), expectedOutput: Tokens(301))
                == Tokens(1_151))
        #expect(ledger.prefilling == Tokens(1_000))
        ledger.firstToken(input: Tokens(1_000))
        ledger.grow(by: Tokens(100), rest: Tokens(301), to: Tokens(201))
        #expect(ledger.prefilling == .zero)
        #expect(ledger.projection == Tokens(1_100 + 101))
        ledger.release(resident: Tokens(1_100), rest: Tokens(201), prefilling: .zero)
        #expect(ledger.projection == .zero)
        #expect(ledger.sequences == 0)
    }

    @Test("the need of a request is never less than what it adds to the projection")
    mutating func needIsEnough() {
        for rest in 0..<50 {
            let need = EndpointLedger.need(input: Tokens(10), expectedOutput: Tokens(rest))
            let before = ledger.projection
            ledger.admit(input: Tokens(10), expectedOutput: Tokens(rest))
            #expect(ledger.projection - before <= need)
        }
    }

    @Test("what a scrape shows of own sequences is not counted again")
    mutating func ownIsNotOthers() {
        settle(input: 5_000, rest: 1_000)
        ledger.asked()
        ledger.read(reading(used: 5_000), now: at(1))
        #expect(ledger.others == .zero)
        #expect(ledger.projection == Tokens(5_500))
        // Blocks are handed out whole, and the last tokens are not reported yet.
        ledger.asked()
        ledger.read(reading(used: 5_015), now: at(2))
        #expect(ledger.others == .zero)
    }

    @Test("what a scrape shows beyond own sequences is the others'")
    mutating func others() {
        settle(input: 5_000, rest: 0)
        ledger.asked()
        ledger.read(reading(used: 30_016), now: at(1))
        #expect(ledger.others == Tokens(25_000))
        #expect(ledger.projection == Tokens(30_000))
        // They stay while own sequences come and go between two scrapes.
        settle(input: 2_000, rest: 0)
        #expect(ledger.projection == Tokens(32_000))
        ledger.release(resident: Tokens(5_000), rest: .zero, prefilling: .zero)
        #expect(ledger.projection == Tokens(27_000))
        ledger.asked()
        ledger.read(reading(used: 2_000), now: at(2))
        #expect(ledger.others == .zero)
    }

    @Test("a sequence that ended while the engine was asked is nobody else's")
    mutating func endedMeanwhile() {
        settle(input: 8_000, rest: 0)
        ledger.asked()
        ledger.release(resident: Tokens(8_000), rest: .zero, prefilling: .zero)
        ledger.read(reading(used: 8_000), now: at(1))
        #expect(ledger.others == .zero)
    }

    @Test("without word of the question a reading may be as old as the one before it")
    mutating func unasked() {
        settle(input: 8_000, rest: 0)
        ledger.read(reading(used: 8_000), now: at(1))
        ledger.release(resident: Tokens(8_000), rest: .zero, prefilling: .zero)
        ledger.read(reading(used: 8_000), now: at(2))
        #expect(ledger.others == .zero)
        // Nothing of ours has been there since: now it can only be the others'.
        ledger.read(reading(used: 8_000), now: at(3))
        #expect(ledger.others == Tokens(8_000))
    }

    @Test("a prompt that waits in the engine takes nothing from what the others are known to hold")
    mutating func waitingPrompt() {
        ledger.asked()
        ledger.read(reading(used: 20_000), now: at(1))
        ledger.admit(input: Tokens(5_000), expectedOutput: .zero)
        ledger.asked()
        ledger.read(reading(used: 20_000), now: at(2))
        #expect(ledger.others == Tokens(20_000))
        ledger.firstToken(input: Tokens(5_000))
        ledger.asked()
        ledger.read(reading(used: 25_000), now: at(3))
        #expect(ledger.others == Tokens(20_000))
    }

    @Test("prefixes that own sequences share make the others no debtors")
    mutating func sharedPrefixes() {
        settle(input: 8_000, rest: 0)
        settle(input: 8_000, rest: 0)
        ledger.asked()
        ledger.read(reading(used: 9_000), now: at(1))
        #expect(ledger.others == .zero)
        #expect(ledger.projection == Tokens(16_000))
    }

    @Test("a reading that does not say how full it is changes nothing of that")
    mutating func silentReading() {
        ledger.read(reading(used: 40_000), now: at(1))
        ledger.read(reading(used: nil, capacity: 50_000), now: at(2))
        #expect(ledger.others == Tokens(40_000))
        #expect(ledger.capacity == Tokens(50_000))
        ledger.read(reading(used: nil), now: at(3))
        #expect(ledger.capacity == Tokens(50_000))
        #expect(ledger.readAt == at(3))
    }

    @Test("a share of the cache says as much as tokens do")
    mutating func usage() {
        ledger.read(reading(used: nil, usage: 0.25), now: at(1))
        #expect(ledger.others == Tokens(25_000))
        ledger.read(reading(used: 10_000, usage: 0.9), now: at(2))
        #expect(ledger.others == Tokens(10_000))
    }

    @Test(
        "nonsense from an engine neither stops us nor counts as a capacity",
        arguments: [Double.nan, .infinity, -.infinity, -3, 7])
    mutating func nonsense(usage: Double) {
        ledger.read(reading(used: nil, usage: usage), now: at(1))
        #expect((.zero...Tokens(100_000)).contains(ledger.projection))
        for capacity in [0, -5, Int.max, Int.min] {
            for used in [-1, Int.min, Int.max] {
                ledger.read(reading(used: used, capacity: capacity), now: at(2))
                let share = ledger.share(adding: Tokens(1 << 40), now: at(2))
                #expect(share.map { $0 >= 0 } ?? false)
                #expect(ledger.deficit(of: Tokens(1 << 40), under: 1, now: at(2)) != nil)
            }
        }
        #expect(ledger.capacity == Tokens(1 << 40))
    }

    @Test("an endpoint that was out of sight keeps only the own account")
    mutating func forget() {
        settle(input: 1_000, rest: 100)
        ledger.read(reading(used: 60_000, capacity: 80_000), now: at(1))
        ledger.forgetReadings()
        #expect(ledger.projection == Tokens(1_050))
        #expect(ledger.capacity == Tokens(100_000))
        #expect(ledger.reading == nil && ledger.readAt == nil)
        #expect(ledger.staleness(at(1_000)) == 0)
    }

    @Test("more given back than was taken is a bug that stops the process")
    func overdraft() async {
        await #expect(processExitsWith: .failure) {
            var ledger = EndpointLedger(configuredCapacity: nil, staleAfter: .seconds(1))
            ledger.admit(input: Tokens(10), expectedOutput: Tokens(5))
            ledger.release(resident: Tokens(11), rest: Tokens(5), prefilling: Tokens(10))
        }
        await #expect(processExitsWith: .failure) {
            var ledger = EndpointLedger(configuredCapacity: nil, staleAfter: .seconds(1))
            ledger.admit(input: Tokens(10), expectedOutput: Tokens(5))
            ledger.firstToken(input: Tokens(10))
            ledger.release(resident: Tokens(10), rest: Tokens(5), prefilling: Tokens(10))
        }
    }
}

@Suite("EndpointLedger: capacity and staleness")
struct EndpointCapacityTests {
    private var ledger = EndpointLedger(
        configuredCapacity: Tokens(10_000), staleAfter: .seconds(3))

    @Test("without a capacity there is no share and no deficit")
    func unknown() {
        var ledger = EndpointLedger(configuredCapacity: nil, staleAfter: .seconds(3))
        ledger.admit(input: Tokens(1 << 30), expectedOutput: .zero)
        ledger.read(reading(used: 5, usage: 0.5), now: at(1))
        #expect(ledger.capacity == nil)
        #expect(ledger.share(adding: Tokens(1), now: at(1)) == nil)
        #expect(ledger.deficit(of: Tokens(1), under: 0.5, now: at(1)) == nil)
        ledger.read(reading(used: 5, capacity: 1 << 31), now: at(2))
        #expect(ledger.share(adding: .zero, now: at(2)) == 0.5)
    }

    @Test("what the engine tells goes before what was configured")
    mutating func told() {
        #expect(ledger.capacity == Tokens(10_000))
        ledger.read(reading(used: 0, capacity: 20_000), now: at(1))
        #expect(ledger.capacity == Tokens(20_000))
        ledger.configure(capacity: Tokens(5_000), staleAfter: .seconds(3))
        #expect(ledger.capacity == Tokens(20_000))
        ledger.forgetReadings()
        #expect(ledger.capacity == Tokens(5_000))
    }

    @Test("a request fits when it has no deficit", arguments: 0..<50 as Range<UInt64>)
    mutating func deficit(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let capacity = 1_000 + Int(random.next() % 100_000)
        ledger.read(reading(used: Int(random.next() % 20_000), capacity: capacity), now: at(1))
        for _ in 0..<100 {
            let need = Tokens(Int(random.next() % 50_000))
            let limit = 0.01 + 0.99 * random.unit()
            let now = at(1 + 30 * random.unit())
            let share = try #require(ledger.share(adding: need, now: now))
            let deficit = try #require(ledger.deficit(of: need, under: limit, now: now))
            // Where it is a matter of one token, rounding may go either way.
            if deficit <= Tokens(-1) { #expect(share <= limit) }
            if deficit >= Tokens(1) { #expect(share > limit - 2 / Double(capacity)) }
        }
    }

    @Test("an endpoint whose scrapes stay away is neither full nor empty")
    mutating func stale() {
        ledger.admit(input: Tokens(1_000), expectedOutput: .zero)
        ledger.firstToken(input: Tokens(1_000))
        ledger.asked()
        ledger.read(reading(used: 5_016), now: at(100))
        for (seconds, lost) in [
            (100, 0), (103, 0), (104, 0.01), (110, 0.07), (118, 0.15), (119, 0.15), (9_999, 0.15),
        ] {
            let share = ledger.share(adding: Tokens(500), now: at(Double(seconds)))
            let isAsExpected = share.map { abs($0 - 0.55 - lost) < 1e-9 } ?? false
            #expect(isAsExpected, "after \(seconds) s: \(share ?? -1)")
        }
        ledger.read(reading(used: 5_016), now: at(9_999))
        #expect(ledger.staleness(at(9_999)) == 0)
    }

    @Test("only readings that tell how full it is keep it fresh")
    mutating func freshness() {
        ledger.read(reading(used: 5_000), now: at(1))
        ledger.read(reading(used: nil, capacity: 10_000), now: at(13))
        #expect(abs(ledger.staleness(at(14)) - 0.1) < 1e-9)
    }

    @Test("an endpoint that never told how full it is is never late")
    mutating func neverTold() {
        #expect(ledger.staleness(at(1_000)) == 0)
        ledger.read(reading(used: nil, capacity: 10_000), now: at(1))
        #expect(ledger.staleness(at(1_000)) == 0)
    }

    @Test("a changed patience counts at once")
    mutating func configured() {
        ledger.read(reading(used: 0), now: at(0))
        #expect(ledger.staleness(at(5)) > 0)
        ledger.configure(capacity: nil, staleAfter: .seconds(30))
        #expect(ledger.staleness(at(5)) == 0)
    }
}
