// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

/// What holds on every history. A failing seed repeats itself.
@Suite("EndpointLedger properties")
struct LedgerProperties {
    private struct Sequence {
        let input: Int
        var made = 0
        var rest: Int
        var hasBegun = false
    }

    /// An endpoint as it is: own sequences, and others that the gateway sees in scrapes only.
    private struct World {
        var ledger = EndpointLedger(
            configuredCapacity: Tokens(1_000_000), staleAfter: .seconds(3))
        var own: [Sequence] = []
        var others = 0
        var now = Instant(nanoseconds: 0)
        var random: SplitMix64

        init(seed: UInt64) { random = SplitMix64(seed: seed) }

        mutating func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

        /// Of the own sequences, what is in the cache.
        var cached: Int { own.reduce(0) { $0 + ($1.hasBegun ? $1.input + $1.made : 0) } }

        mutating func step() {
            now = now + .milliseconds(draw(50))
            switch draw(10) {
            case 0...2: admit()
            case 3...6: grow()
            case 7, 8: end()
            default: break
            }
        }

        mutating func admit() {
            let sequence = Sequence(input: draw(2_000), rest: draw(500))
            ledger.admit(
                input: Tokens(sequence.input), expectedOutput: Tokens(sequence.rest))
            own.append(sequence)
        }

        mutating func grow() {
            guard !own.isEmpty else { return }
            let place = draw(own.count)
            if !own[place].hasBegun {
                own[place].hasBegun = true
                ledger.firstToken(input: Tokens(own[place].input))
            }
            let (tokens, rest) = (1 + draw(20), draw(500))
            ledger.grow(
                by: Tokens(tokens), rest: Tokens(own[place].rest), to: Tokens(rest))
            own[place].made += tokens
            own[place].rest = rest
        }

        mutating func end() {
            guard !own.isEmpty else { return }
            let sequence = own.remove(at: draw(own.count))
            ledger.release(
                resident: Tokens(sequence.input + sequence.made), rest: Tokens(sequence.rest),
                prefilling: Tokens(sequence.hasBegun ? 0 : sequence.input))
        }

        mutating func read(used: Int) {
            ledger.read(
                EngineReading(
                    usedTokens: Tokens(used), capacityTokens: nil, running: 0, waiting: 0),
                now: now)
        }
    }

    @Test(
        "all that was taken comes back, in whatever order it ends",
        arguments: 0..<100 as Range<UInt64>)
    func balance(seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<500 {
            world.step()
            let held = world.own.reduce(0) { $0 + $1.input + $1.made }
            let rest = world.own.reduce(0) { $0 + $1.rest }
            let prompts = world.own.reduce(0) { $0 + ($1.hasBegun ? 0 : $1.input) }
            let isBalanced =
                world.ledger.resident == Tokens(held)
                && world.ledger.expectedRest == Tokens(rest)
                && world.ledger.prefilling == Tokens(prompts)
                && world.ledger.sequences == world.own.count
            guard isBalanced else {
                Issue.record("seed \(seed): \(world.ledger)")
                return
            }
        }
        while !world.own.isEmpty { world.end() }
        #expect(world.ledger.projection == .zero)
        #expect(world.ledger.sequences == 0)
    }

    @Test(
        "an endpoint that is ours alone is never thought to hold anything of others",
        arguments: 0..<100 as Range<UInt64>)
    func alone(seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<200 {
            for _ in 0..<world.draw(20) { world.step() }
            world.ledger.asked()
            let moment = world.draw(10)
            var used = 0
            // The engine looks at some moment between the question and our reading the answer.
            for step in 0..<10 {
                if step == moment { used = world.cached }
                world.step()
            }
            world.read(used: used)
            guard world.ledger.others == .zero else {
                Issue.record("seed \(seed): \(world.ledger.others)")
                return
            }
        }
    }

    @Test(
        "steady others are known to what the own uncertainty allows, and exactly when we are quiet",
        arguments: 0..<100 as Range<UInt64>)
    func steady(seed: UInt64) {
        var world = World(seed: seed)
        let others = 1_000 + world.draw(200_000)
        for _ in 0..<100 {
            for _ in 0..<world.draw(20) { world.step() }
            world.ledger.asked()
            world.read(used: others + world.cached)
            let unsure = world.ledger.prefilling.count + 16 * world.own.count
            let error = world.ledger.others.count - others
            guard error <= 0, error >= -unsure || world.ledger.others == .zero else {
                Issue.record("seed \(seed): \(error) of \(others), \(unsure) unsure")
                return
            }
        }
        while !world.own.isEmpty { world.end() }
        world.ledger.asked()
        world.read(used: others)
        #expect(world.ledger.others == Tokens(others))
        world.ledger.asked()
        world.read(used: 0)
        #expect(world.ledger.projection == .zero)
    }
}
