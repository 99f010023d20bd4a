// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Policy
import Scheduling
import Simulation
import Testing
import Units

/// Class 0 takes prompts of 1,000 tokens and 1,200 in all; classes 1 to 3 stand behind it.
@Suite("Caps of classes")
struct CapTests {
    private func plan(_ overCap: OverCap = .batch, classes: [Int] = [0, 1]) -> Plan {
        var plan = Plan()
        plan.addPool(endpoints: 1, kv: 20_000)
        plan.addClass(pool: 1, maxWait: .seconds(60))
        plan.addClass()
        plan.classes[0].caps = CapPolicy(maxPrompt: Tokens(1_000), maxEstimated: Tokens(1_200))
        for place in plan.pools.indices { plan.pools[place].models = [ModelID(0), ModelID(1)] }
        plan.tenants[0].classes = classes.map { ClassID($0) }
        plan.tenants[0].limits.overCap = overCap
        return plan
    }

    private func asking(_ input: Int, _ output: Int, choices: Int = 1, trafficClass: Int = 0)
        -> Arrival
    {
        Arrival(
            tenant: TenantID(0), model: ModelID(1), trafficClass: ClassID(trafficClass),
            input: Tokens(input), bound: Tokens(output), choices: choices, isForced: true)
    }

    /// The class that it was deferred to; nil where it was not.
    private func deferral(_ machine: inout Machine, _ arrival: Arrival) throws -> Int? {
        let request = machine.nextRequest()
        let actions = machine.handle(.arrived(request, arrival))
        guard case .reserve(request, let ticket, _)? = actions.last else {
            throw Machine.Unexpected(actions: actions)
        }
        machine.handle(.budgeted(ticket, .reserved))
        guard case .deferred(request, let other)? = actions.first else {
            #expect(actions.count == 1)
            return nil
        }
        #expect(actions.count == 2)
        return other.index
    }

    @Test(
        "what is over a cap goes to the next class",
        arguments: [
            (1_000, 200, 1, false), (1_001, 1, 1, true), (1_000, 201, 1, true),
            (1_000, 100, 2, false), (1_000, 101, 2, true),
        ])
    func over(input: Int, output: Int, choices: Int, isOver: Bool) throws {
        var machine = Machine(plan())
        let found = try deferral(&machine, asking(input, output, choices: choices))
        #expect(found == (isOver ? 1 : nil))
    }

    @Test("it is another class's from then on")
    func transferred() throws {
        var machine = Machine(plan())
        _ = try deferral(&machine, asking(5_000, 10))
        // The other class's pool, whose endpoint is the second.
        guard case .forward(_, EndpointID(1), nil)? = machine.actions.first else {
            throw Machine.Unexpected(actions: machine.actions)
        }
        _ = try deferral(&machine, asking(9_000, 10))
        _ = try deferral(&machine, asking(9_000, 10))
        #expect(machine.decider.queue(of: ClassID(1)).count == 1)
        #expect(machine.decider.queue(of: ClassID(0)).isEmpty)
        // By the patience of its own class it would have been refused.
        machine.pass(.seconds(30))
        #expect(machine.decider.queue(of: ClassID(1)).count == 1)
    }

    @Test("a tenant that is configured so gets a no for good")
    func rejected() throws {
        var machine = Machine(plan(.reject))
        let request = machine.nextRequest()
        let refusal = try #require(
            machine.handle(.arrived(request, asking(1_500, 10))).first?.refusal)
        #expect(refusal.reason == .requestExceedsLimit && refusal.retryAfter == nil)
        #expect(refusal.limit == 1_000 && refusal.requested == 1_500)
        let whole = try #require(
            machine.handle(.arrived(request, asking(1_000, 900))).first?.refusal)
        #expect(whole.limit == 1_200 && whole.requested == 1_900)
        #expect(machine.decider.open == 0)
    }

    @Test("so does one without a class behind it that takes the request")
    func nowhere() throws {
        let big = asking(1_500, 10)
        func refusal(_ change: (inout Plan) -> Void) -> RefusalReason? {
            var plan = plan()
            change(&plan)
            var machine = Machine(plan)
            return machine.handle(.arrived(machine.nextRequest(), big)).first?.refusal?.reason
        }
        let no = RefusalReason.requestExceedsLimit
        #expect(refusal { _ in } == nil)
        #expect(refusal { $0.tenants[0].classes = [ClassID(0)] } == no)
        // Only those that stand behind it.
        #expect(refusal { $0.tenants[0].classes = [ClassID(1), ClassID(0)] } == no)
        #expect(refusal { $0.tenants[0].classes = [ClassID(1)] } == no)
        #expect(refusal { $0.pools[1].models = [ModelID(0)] } == no)
        #expect(refusal { $0.classes[1].removed = true } == no)
        #expect(refusal { $0.classes[1].caps = CapPolicy(maxPrompt: Tokens(1_499)) } == no)
        #expect(refusal { $0.classes[1].caps = CapPolicy(maxPrompt: Tokens(1_500)) } == nil)
    }

    @Test("it is the first that takes it, from where the client asked")
    func first() throws {
        var plan = plan(classes: [2, 0, 1])
        plan.classes[1].caps = CapPolicy(maxPrompt: Tokens(2_000))
        plan.addClass()
        plan.tenants[0].classes = [ClassID(2), ClassID(0), ClassID(1), ClassID(3)]
        var machine = Machine(plan)
        #expect(try deferral(&machine, asking(1_500, 10)) == 1)
        #expect(try deferral(&machine, asking(2_500, 10)) == 3)
        #expect(try deferral(&machine, asking(1_500, 10, trafficClass: 2)) == nil)
        #expect(try deferral(&machine, asking(2_500, 10, trafficClass: 1)) == 3)
    }

    @Test("a class without caps takes what its engines can hold")
    func uncapped() throws {
        var plan = plan()
        plan.classes[0].caps = nil
        var machine = Machine(plan)
        #expect(try deferral(&machine, asking(7_000, 10)) == nil)
        plan.classes[0].caps = CapPolicy()
        machine = Machine(plan)
        #expect(try deferral(&machine, asking(7_000, 10)) == nil)
    }

    @Test("what was deferred is never starved by the class that it came in")
    func starved() throws {
        var plan = Plan(endpoints: 1, kv: nil, maxWait: .seconds(2))
        plan.classes[0].throttleAt = 0.85
        plan.classes[0].clamp = ClampPolicy()
        plan.addClass(
            throttleAt: 0.85, maxRequests: 10_000, maxTokens: 1 << 30, maxWait: .seconds(3_600))
        var fleet = Fleet(plan, profile: .fixtureA, seed: 5)
        var random = SplitMix64(seed: 5)
        // Three times what the endpoint can take, for four minutes.
        for place in 0..<4_800 {
            fleet.add(
                Fleet.Client(
                    input: 200 + Int(random.next() % 2_000), output: 150, bound: 150),
                at: Instant(nanoseconds: 0) + .seconds(1 + 0.05 * Double(place)))
        }
        for _ in 0..<400 {
            fleet.add(
                Fleet.Client(input: 3_000, output: 150, bound: 150, trafficClass: 1),
                at: Instant(nanoseconds: 0) + .seconds(1))
        }
        fleet.run(until: Instant(nanoseconds: 0) + .seconds(240))
        #expect(!fleet.decider.queue(of: ClassID(1)).isEmpty)
        var costs = [0, 0]
        for client in fleet.clients where client.forwardedAt != nil {
            costs[client.trafficClass] += client.input + 2 * client.output
        }
        let share = Double(costs[1]) / Double(costs[0] + costs[1])
        #expect(share > 0.045 && share < 0.2, "\(share) of what was dispatched")
    }
}
