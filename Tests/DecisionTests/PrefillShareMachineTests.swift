// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Testing
import Units

@Suite("Shares of prompts without targets")
struct PrefillShareMachineTests {
    private func machine(
        endpoints: Int = 1, kv: Int = 1_000_000, phases: PhasePolicy? = PhasePolicy()
    ) -> (Machine, Plan) {
        var plan = Plan(endpoints: endpoints, kv: kv, maxWait: .seconds(60))
        plan.pools[0].phases = phases
        plan.pools[0].prefillTokensPerSecond = 10_000
        return (Machine(plan), plan)
    }

    /// A stream that the prompts of others would make slower.
    private func stream(_ machine: inout Machine) throws {
        let sent = try machine.send(input: 10, output: 10_000)
        machine.handle(.streamed(sent.ticket, output: Tokens(1)))
    }

    private func share(_ machine: Machine, _ endpoint: Int = 0) -> Double {
        machine.state(endpoint).prefillPart ?? -1
    }

    @Test("without `phases` prompts are not bounded, and nothing is told")
    func off() throws {
        var (machine, _) = machine(phases: nil)
        try stream(&machine)
        for _ in 0..<20 { #expect(try machine.send(input: 5_000).isForwarded) }
        #expect(machine.state(0).prefillPart == nil)
    }

    @Test("prompts beside a stream wait for their turn, and the more wait the more they get")
    func grows() throws {
        var (machine, _) = machine()
        try stream(&machine)
        #expect(abs(share(machine) - 0.3) < 1e-9)
        #expect(try machine.send(input: 5_000).isForwarded)
        for _ in 0..<6 {
            #expect(try machine.send(input: 5_000).isQueued)
            machine.pass(.milliseconds(250))
        }
        #expect(share(machine) > 0.45)
        let view = machine.decider.queueView(of: ClassID(0), now: machine.now)
        #expect(view.phase == .prefill)
    }

    @Test("steps are caught up exactly, however long nothing happened")
    func catchesUp() {
        var (slow, _) = machine(kv: 10_000)
        var (quick, _) = machine(kv: 10_000)
        for (used, passes, wanted) in [(9_000, 3, 0.15), (0, 4, 0.25), (0, 40, 0.3)] {
            slow.scrape(0, used: used)
            quick.scrape(0, used: used)
            for _ in 0..<passes { quick.pass(.milliseconds(250)) }
            slow.pass(.milliseconds(250 * passes))
            #expect(abs(share(slow) - wanted) < 1e-9)
            #expect(abs(share(quick) - wanted) < 1e-9)
        }
    }

    @Test("who waits for room takes from prompts, and so does a cache that is nearly full")
    func falls() throws {
        var (machine, _) = machine(kv: 10_000)
        try stream(&machine)
        machine.scrape(0, used: 7_900)
        for _ in 0..<4 {
            #expect(try machine.send(input: 3_000).isQueued)
            machine.pass(.milliseconds(250))
        }
        #expect(share(machine) < 0.2)
        machine.scrape(0, used: 9_000)
        for _ in 0..<10 { machine.pass(.milliseconds(250)) }
        #expect(abs(share(machine) - 0.1) < 1e-9)
    }

    @Test("a reload brings bounds, takes them away, and lets targets tell alone")
    func reload() throws {
        var (machine, plan) = machine(phases: nil)
        try stream(&machine)
        plan.pools[0].phases = PhasePolicy(share: 0.2, least: 0.2, most: 0.2)
        machine.handle(.reconfigured(plan.policy))
        #expect(share(machine) == 0.2)
        for _ in 0..<8 { machine.pass(.milliseconds(250)) }
        #expect(share(machine) == 0.2)
        plan.classes[0].targets = TargetPolicy()
        machine.handle(.reconfigured(plan.policy))
        #expect(share(machine) > 0.5)
        plan.classes[0].targets = nil
        plan.pools[0].phases = nil
        machine.handle(.reconfigured(plan.policy))
        #expect(machine.state(0).prefillPart == nil)
        #expect(try machine.send(input: 500_000).isForwarded)
    }
}
