// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Routing
import Testing
import Units

/// Where prompts go that begin like earlier ones.
struct PrefixTests {
    /// The beginning number `text`, `blocks` long, and a tail of its own.
    private func arrival(
        _ text: UInt64, blocks: Int = 12, tail: UInt64 = 0, model: Int = 1, salt: UInt64 = 0,
        streams: Bool = true
    ) -> Arrival {
        var random = SplitMix64(seed: text)
        var names = (0..<blocks).map { _ in random.next() }
        if tail > 0 { names.append(tail) }
        return Arrival(
            tenant: TenantID(0), model: ModelID(model), trafficClass: ClassID(0),
            input: Tokens(names.count * 128), bound: Tokens(10), isForced: true,
            isStreamed: streams,
            prefix: PromptPrefix(blocks: names, textBytes: names.count * 512).salted(salt))
    }

    private func machine(endpoints: Int = 8, prefixBlocks: Int = 4_096) -> Machine {
        var plan = Plan(endpoints: endpoints, kv: 100_000)
        plan.routing.prefixBlocks = prefixBlocks
        return Machine(plan)
    }

    /// Sends it and lets it have its first token.
    @discardableResult
    private func serve(_ machine: inout Machine, _ arrival: Arrival) throws -> Int? {
        let sent = try machine.send(arrival)
        machine.pass(.milliseconds(100))
        machine.handle(.streamed(sent.ticket, output: Tokens(1)))
        machine.end(sent, output: 10)
        return sent.endpoint?.index
    }

    @Test func aConversationStaysWhereItBegan() throws {
        var machine = machine()
        for text in 1...20 {
            let first = try serve(&machine, arrival(UInt64(text)))
            for turn in 1...5 {
                #expect(try serve(&machine, arrival(UInt64(text), tail: UInt64(turn))) == first)
            }
        }
        #expect(machine.isAtRest)
    }

    @Test func conversationsSpreadOverAllEndpoints() throws {
        var machine = machine()
        var counts = [Int](repeating: 0, count: 8)
        for text in 1...400 {
            if let place = try serve(&machine, arrival(UInt64(text))) { counts[place] += 1 }
        }
        #expect(counts.reduce(0, +) == 400)
        #expect(counts.allSatisfy { $0 > 25 && $0 < 90 })
    }

    @Test func anotherModelOrOtherToolsAreAnotherPrefix() throws {
        var machine = machine()
        var alike = 0
        for text in 1...40 {
            let one = try serve(&machine, arrival(UInt64(text), salt: 1))
            #expect(try serve(&machine, arrival(UInt64(text), salt: 1)) == one)
            if try serve(&machine, arrival(UInt64(text), salt: 2)) == one { alike += 1 }
        }
        #expect(alike < 20)
    }

    /// 1,536 tokens each: the gate of a second is some ten thousand of them.
    @Test func aWarmEndpointWithTooMuchBeforeItIsLeft() throws {
        var machine = machine(endpoints: 2)
        let home = try serve(&machine, arrival(1))
        var places: [Int?] = []
        for request in 0..<60 {
            // None has its first token, and their tails are all different.
            let sent = try machine.send(arrival(1, blocks: 12, tail: UInt64(1_000 + request)))
            places.append(sent.endpoint?.index)
        }
        #expect(places.prefix(3).allSatisfy { $0 == home })
        #expect(places.contains { $0 != home })
    }

    @Test func anEndpointWithoutRoomIsNoHome() throws {
        var machine = machine(endpoints: 2)
        guard let home = try serve(&machine, arrival(1)) else { return #expect(Bool(false)) }
        machine.scrape(home, used: 79_900, of: 100_000)
        let away = try serve(&machine, arrival(1, tail: 7))
        #expect(away == 1 - home)
    }

    @Test func anEndpointThatWasAwayIsColdAgain() throws {
        var machine = machine(endpoints: 2)
        let home = try #require(try serve(&machine, arrival(1)))
        for _ in 0..<3 { machine.handle(.probeFailed(EndpointID(home), .refused)) }
        let other = try #require(try serve(&machine, arrival(1, tail: 3)))
        #expect(other != home)
        machine.scrape(home, used: 0, of: 100_000)
        #expect(machine.isAvailable(home))
        // Both were sent it once; only one of them still has it.
        #expect(try serve(&machine, arrival(1, tail: 4)) == other)
    }

    @Test func withoutAnIndexTheLeastLoadedGetsIt() throws {
        for (blocks, meet) in [(4_096, true), (0, false)] {
            var machine = machine(endpoints: 2, prefixBlocks: blocks)
            let first = try machine.send(arrival(1, streams: false))
            let second = try machine.send(arrival(1, streams: false))
            #expect((first.endpoint == second.endpoint) == meet)
        }
    }

    /// Answers in one piece show no first token, so nothing of them is taken for a backlog.
    @Test func whatIsNotStreamedIsNoBacklog() throws {
        var machine = machine(endpoints: 2)
        let sent = try machine.send(arrival(1, streams: false))
        let place = try #require(sent.endpoint?.index)
        #expect(machine.state(place).committed == .zero)
        machine.end(sent, output: 10)
        let streamed = try machine.send(arrival(1, tail: 9))
        let home = try #require(streamed.endpoint?.index)
        #expect(home == place)
        // Twelve of thirteen blocks are there already.
        #expect(machine.state(home).committed == Tokens(13 * 128 - 12 * 128))
        machine.handle(.streamed(streamed.ticket, output: Tokens(1)))
        #expect(machine.state(home).committed == .zero)
        machine.end(streamed, output: 10)
        #expect(machine.isAtRest)
    }
}
