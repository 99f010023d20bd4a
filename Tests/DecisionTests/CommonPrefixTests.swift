// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Routing
import Testing
import Units

/// Prompts that begin alike are held once by each endpoint.
@Suite("Common prefixes")
struct CommonPrefixTests {
    /// 2,000 tokens, of which the leading 1,600 are the group's.
    private func request(group: UInt64, output: Int = 100) -> Arrival {
        let blocks = (0..<16).map { PrefixHash.mix(group, UInt64($0)) }
        return Arrival(
            tenant: TenantID(0), model: ModelID(1), trafficClass: ClassID(0), input: Tokens(2_000),
            bound: Tokens(output), isForced: true, isStreamed: true,
            prefix: PromptPrefix(blocks: blocks, textBytes: 20 * 512))
    }

    private func resident(_ machine: Machine) -> [Int] {
        (0..<2).map { machine.state($0).ledger.resident.count }
    }

    @Test("where a beginning is held already, only the rest of a prompt counts")
    func once() throws {
        var machine = Machine(Plan(endpoints: 2, maxWait: .seconds(60)))
        let first = try machine.send(request(group: 1))
        let home = try #require(first.endpoint).index
        var sent = [first]
        // Of 8,000 tokens 2,000 and three times 400: a cache that counted all would take three.
        for _ in 0..<8 { sent.append(try machine.send(request(group: 1))) }
        #expect(sent.allSatisfy { $0.endpoint?.index == home })
        #expect(resident(machine)[home] == 2_000 + 8 * 400)
        // Whoever leaves takes its own; the last one takes all.
        machine.end(sent.removeFirst(), output: 100)
        #expect(resident(machine)[home] == 2_000 + 7 * 400)
        for one in sent { machine.end(one, output: 100) }
        #expect(resident(machine) == [0, 0])
    }

    @Test("all comes back, whoever shares what and leaves when", arguments: 0..<30)
    func comesBack(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        var plan = Plan(endpoints: 2, kv: 30_000, maxWait: .seconds(2))
        plan.routing.prefixBlocks = 16 << random.next() % 5
        var machine = Machine(plan)
        var open: [Machine.Sent] = []
        for _ in 0..<600 {
            machine.pass(.milliseconds(20))
            switch random.next() % 4 {
            case 0, 1:
                open.append(try machine.send(request(group: random.next() % 6)))
            case 2 where !open.isEmpty:
                let gone = open.remove(at: Int(random.next() % UInt64(open.count)))
                machine.end(gone, output: Int(random.next() % 2) * 100)
            default:
                guard !open.isEmpty else { continue }
                let one = open[Int(random.next() % UInt64(open.count))]
                if random.next() % 8 == 0 {
                    machine.handle(.bounced(one.ticket))
                } else {
                    let made = Tokens(Int(1 + random.next() % 100))
                    machine.handle(.streamed(one.ticket, output: made))
                }
            }
            #expect(resident(machine).allSatisfy { $0 >= 0 && $0 <= 30_000 })
        }
        for one in open { machine.end(one, output: 1) }
        #expect(resident(machine) == [0, 0])
        #expect(machine.decider.keptPrefixes == 0)
    }
}
