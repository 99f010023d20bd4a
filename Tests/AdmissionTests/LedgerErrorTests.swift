// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

private func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

@Suite("EndpointLedger: what an engine lacks, and what it has beyond the account")
struct LedgerErrorTests {
    private var ledger = EndpointLedger(
        configuredCapacity: Tokens(100_000), staleAfter: .seconds(3))

    /// Sequences of 1,000 tokens that are in the cache.
    private mutating func begin(_ count: Int) {
        for _ in 0..<count {
            ledger.admit(input: Tokens(1_000), expectedOutput: .zero)
            ledger.firstToken(input: Tokens(1_000))
        }
    }

    private mutating func end(_ count: Int) {
        for _ in 0..<count {
            ledger.release(resident: Tokens(1_000), rest: .zero, prefilling: .zero)
        }
    }

    private mutating func read(_ used: Int, running: Int? = nil, at seconds: Double) {
        ledger.asked()
        ledger.read(
            EngineReading(
                usedTokens: Tokens(used), capacityTokens: nil,
                running: running ?? ledger.sequences, waiting: 0), now: at(seconds))
    }

    @Test("what lacks for long is given back slowly, and never more than lacks")
    mutating func givesBack() {
        begin(50)
        read(40_000, at: 0)
        #expect(ledger.givenBack == .zero)
        read(40_000, at: 1)
        #expect(ledger.givenBack > .zero && ledger.givenBack < Tokens(500))
        for second in 2...300 {
            let before = ledger.givenBack
            read(40_000, at: Double(second))
            #expect(ledger.givenBack >= before && ledger.givenBack <= Tokens(10_000))
        }
        #expect(ledger.givenBack > Tokens(9_500))
        #expect(ledger.projection == Tokens(50_000) - ledger.givenBack)
        #expect(
            ledger.share(holding: Tokens(50_000), now: at(300))
                == Double((Tokens(50_000) - ledger.givenBack).count) / 100_000)
    }

    @Test("no more than a fifth of the capacity is given back")
    mutating func isClipped() {
        begin(80)
        for second in 0...1_000 { read(10_000, at: Double(second)) }
        #expect(ledger.givenBack <= Tokens(20_000))
        #expect(ledger.givenBack > Tokens(19_000))
    }

    @Test("one reading that shows all of it there takes all back at once")
    mutating func takesBack() {
        begin(50)
        for second in 0...100 { read(40_000, at: Double(second)) }
        read(50_000, at: 101)
        #expect(ledger.givenBack == .zero)
    }

    @Test("others that come while some is given back are counted once, and in full")
    mutating func others() {
        begin(50)
        for second in 0...200 { read(40_000, at: Double(second)) }
        // Of 50,000 own tokens 40,000 are there, and now 15,000 of somebody else.
        read(55_000, at: 201)
        #expect(ledger.givenBack == .zero)
        #expect(ledger.projection >= Tokens(55_000) - Tokens(16 * 50))
        #expect(ledger.projection <= Tokens(55_000))
    }

    @Test("what has left since gives nothing back, and newcomers have nothing yet")
    mutating func follows() {
        begin(50)
        for second in 0...200 { read(40_000, at: Double(second)) }
        let before = ledger.givenBack
        begin(30)
        #expect(ledger.givenBack == before)
        end(40)
        let share = Double(ledger.givenBack.count) / Double(before.count)
        #expect(abs(share - 0.2) < 0.01)
        end(40)
        #expect(ledger.givenBack == .zero)
        #expect(ledger.projection == .zero)
    }

    @Test("metrics that are older than our streams, and a cache that is full, give nothing back")
    mutating func unsound() {
        begin(50)
        for second in 0...100 { read(20_000, running: 20, at: Double(second)) }
        #expect(ledger.givenBack == .zero)
        begin(50)
        for second in 101...200 { read(90_000, at: Double(second)) }
        #expect(ledger.givenBack == .zero)
    }

    @Test("a ledger that is told to keeps its account")
    mutating func keeps() {
        ledger.givesBack = false
        begin(50)
        for second in 0...100 { read(40_000, at: Double(second)) }
        #expect(ledger.projection == Tokens(50_000))
    }

    @Test("an error of a tenth of the capacity for half a minute is worth a word, shorter ones not")
    mutating func alerts() {
        begin(10)
        read(10_000, at: 0)
        #expect(ledger.error.share == 0)
        for second in 1...20 { read(40_000, at: Double(second)) }
        #expect(ledger.error.share ?? 0 > 0.1)
        #expect(!ledger.error.isAlerting)
        for second in 21...60 { read(40_000, at: Double(second)) }
        #expect(ledger.error.isAlerting)
        #expect(abs((ledger.error.share ?? 0) - 0.3) < 0.02)
        for second in 61...120 { read(10_000, at: Double(second)) }
        #expect(!ledger.error.isAlerting)
    }

    @Test("an account that is too large is worth a word too")
    mutating func alertsBelow() {
        begin(50)
        for second in 0...100 { read(30_000, at: Double(second)) }
        #expect(ledger.error.isAlerting)
        #expect(ledger.error.share ?? 0 < -0.15)
    }

    @Test(
        "after a reading no less is believed to be held than it showed",
        arguments: 0..<100 as Range<UInt64>)
    func isSafe(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var ledger = EndpointLedger(
            configuredCapacity: Tokens(100_000), staleAfter: .seconds(3))
        var (open, now) = (0, 0.0)
        for _ in 0..<300 {
            if random.next() % 2 == 0 || open == 0 {
                ledger.admit(input: Tokens(1_000), expectedOutput: .zero)
                ledger.firstToken(input: Tokens(1_000))
                open += 1
            } else {
                ledger.release(resident: Tokens(1_000), rest: .zero, prefilling: .zero)
                open -= 1
            }
            now += random.unit() * 20
            let used = Int(random.next() % 100_000)
            ledger.asked()
            ledger.read(
                EngineReading(
                    usedTokens: Tokens(used), capacityTokens: nil, running: open, waiting: 0),
                now: at(now))
            let least = min(used - 16 * open, 100_000)
            guard ledger.projection.count >= least, ledger.givenBack <= Tokens(20_000),
                ledger.others == .zero || ledger.givenBack == .zero
            else {
                Issue.record("seed \(seed): \(ledger.projection) of \(used)")
                return
            }
        }
    }
}
