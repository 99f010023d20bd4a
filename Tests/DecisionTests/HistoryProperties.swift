// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Routing
import Scheduling
import Testing
import Units

@Suite("Histories")
struct HistoryProperties {
    @Test(
        "every request has one answer, bounds hold, and all that was held comes back",
        arguments: 0..<150 as Range<UInt64>)
    func histories(seed: UInt64) {
        var history = History(seed: seed)
        for _ in 0..<600 {
            history.step()
            if let fault = history.fault {
                Issue.record("seed \(seed), step \(history.steps): \(fault)")
                return
            }
        }
        history.endAll()
        #expect(history.fault == nil)
        #expect(history.machine.isAtRest)
        let turnover = history.machine.states { $0.turnover }
        #expect(turnover.allSatisfy { $0 == 0 })
    }

    @Test("noting what decided changes no decision", arguments: 0..<40 as Range<UInt64>)
    func traces(seed: UInt64) {
        var (plain, noted) = (History(seed: seed), History(seed: seed, requestHistory: 20))
        var found = 0
        for _ in 0..<600 {
            plain.step()
            noted.step()
            guard plain.machine.actions == noted.machine.actions else {
                Issue.record("seed \(seed), step \(plain.steps)")
                return
            }
            if noted.machine.trace(noted.traces) != nil { found += 1 }
        }
        #expect(found > 300)
    }

    @Test("the same events bring the same actions", arguments: 0..<10 as Range<UInt64>)
    func determinism(seed: UInt64) {
        var (left, right) = (History(seed: seed), History(seed: seed))
        for _ in 0..<600 {
            left.step()
            right.step()
            guard left.machine.actions == right.machine.actions else {
                Issue.record("seed \(seed), step \(left.steps)")
                return
            }
        }
        #expect(!left.refused.isEmpty)
    }
}

/// A random history, checked at every step against what a rim may rely on.
struct History {
    private enum Stage: Equatable {
        case budgeting
        case queued
        case forwarded(EndpointID)
        case refused
    }
    private struct Request {
        let id: RequestID
        let ticket: Ticket
        let trafficClass: Int
        var stage = Stage.budgeting
        var output = 0
    }

    private(set) var machine: Machine
    private(set) var steps = 0
    /// Arrivals so far, each of which has its number.
    private(set) var traces: UInt64 = 0
    /// What went wrong first.
    private(set) var fault: String?
    private(set) var refused: [Refusal] = []
    private var plan: Plan
    private var open: [Request] = []
    private var random: SplitMix64
    private var draining: Set<Int> = []
    private let limit = 60

    init(seed: UInt64, requestHistory: Int = 0) {
        random = SplitMix64(seed: seed)
        var plan = Plan(endpoints: 3, kv: seed % 5 == 0 ? nil : 10_000, maxWait: .seconds(1))
        plan.addPool(endpoints: 2, kv: 20_000)
        plan.addClass(throttleAt: 0.6, rejectAt: 0.8, maxRequests: 5, maxWait: .seconds(3))
        plan.addClass(pool: 1, maxRequests: 10, maxTokens: 20_000, maxWait: .milliseconds(50))
        plan.requestHistory = requestHistory
        if seed % 3 == 1 {
            plan.classes[0].clamp = ClampPolicy(
                prefillQueue: Tokens(1_500), prefillMaxTokens: Tokens(80))
            plan.tenants[0].limits.minCompletionTokens = Tokens(100)
        }
        if seed % 4 == 2 {
            plan.classes[0].caps = CapPolicy(maxPrompt: Tokens(800), maxEstimated: Tokens(1_500))
            plan.classes[1].caps = CapPolicy(maxPrompt: Tokens(1_800))
            for place in plan.pools.indices { plan.pools[place].models = [ModelID(0), ModelID(1)] }
            plan.tenants[1].classes = [ClassID(0), ClassID(1), ClassID(2)]
            plan.tenants[1].limits = TenantLimits(overCap: .batch)
        }
        if seed % 5 == 3 {
            plan.gpus = [
                GPUPolicy(
                    name: "a", endpoints: [EndpointID(0), EndpointID(3)],
                    maxTokensInFlight: Tokens(7_000)),
                GPUPolicy(
                    name: "b", endpoints: [EndpointID(1), EndpointID(2), EndpointID(4)],
                    maxTokensInFlight: Tokens(12_000)),
            ]
        }
        self.plan = plan
        machine = Machine(plan, limit: limit, seed: seed)
    }

    private mutating func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    private mutating func fail(_ text: String) {
        if fault == nil { fault = text }
    }

    // MARK: events

    mutating func step() {
        steps += 1
        switch draw(100) {
        case 0..<30: arrive()
        case 30..<50: budget()
        case 50..<65: stream()
        case 65..<78: end()
        case 78..<82: bounce()
        case 82..<92: probe()
        case 92..<94: drain()
        case 94..<96: reload()
        default: pass()
        }
        check()
    }

    /// Ends everything, in any order.
    mutating func endAll() {
        while !open.isEmpty { end() }
        check()
    }

    private mutating func handle(_ event: Event) {
        machine.handle(event)
        takeAll()
    }

    private mutating func takeAll() {
        for action in machine.actions { take(action) }
        checkForwards()
    }

    private mutating func arrive() {
        let id = machine.nextRequest()
        var arrival = Arrival(
            tenant: TenantID(draw(2)), model: ModelID(draw(2)), trafficClass: ClassID(draw(3)),
            input: Tokens(1 + draw(draw(10) == 0 ? 20_000 : 2_000)),
            bound: draw(3) == 0 ? nil : Tokens(draw(1_000)), choices: 1 + draw(3),
            isForced: draw(4) == 0, isOutputless: draw(10) == 0, isStreamed: draw(3) > 0,
            prefix: prefix(),
            deadline: draw(3) == 0
                ? machine.now + .milliseconds(draw(2_000)) : .distantFuture)
        traces += 1
        arrival.trace = traces
        machine.handle(.arrived(id, arrival))
        var actions = machine.actions[...]
        var trafficClass = arrival.trafficClass.index
        if case .deferred(id, let other)? = actions.first {
            trafficClass = other.index
            actions = actions.dropFirst()
            if plan.classes[trafficClass].removed { fail("deferred to a class that is gone") }
        }
        guard actions.count == 1, let action = actions.first, action.request == id else {
            return fail("an arrival is answered with one action, not \(machine.actions)")
        }
        if case .reserve(_, let ticket, _) = action {
            open.append(Request(id: id, ticket: ticket, trafficClass: trafficClass))
        } else {
            check(action.refusal)
        }
    }

    /// Some begin alike, some have no whole block.
    private mutating func prefix() -> PromptPrefix {
        let own = draw(6)
        let blocks = (0..<own).map { UInt64(1 + draw(2) + 10 * $0) }
        return PromptPrefix(blocks: blocks, textBytes: own * 512 + draw(512))
    }

    private mutating func pick(_ isMeant: (Stage) -> Bool) -> Int? {
        let found = open.indices.filter { isMeant(open[$0].stage) }
        return found.isEmpty ? nil : found[draw(found.count)]
    }

    private mutating func budget() {
        guard let place = pick({ $0 == .budgeting }) else { return }
        let verdicts: [BudgetVerdict] = [
            .refused(
                .tokensPerMinute, limit: 1, used: 1, requested: 1,
                wait: .milliseconds(draw(100_000))),
            .neverFits(.tokensPerDay, limit: 1, requested: 2),
            .unavailable(retryAfter: .seconds(1)),
        ]
        let verdict = draw(8) == 0 ? verdicts[draw(3)] : .reserved
        handle(.budgeted(open[place].ticket, verdict))
        if open[place].stage == .budgeting { fail("a verdict was not followed by an answer") }
    }

    private mutating func stream() {
        let isForwarded: (Stage) -> Bool = { if case .forwarded = $0 { true } else { false } }
        guard let place = pick(isForwarded) else { return }
        open[place].output += draw(100)
        handle(.streamed(open[place].ticket, output: Tokens(open[place].output)))
    }

    private mutating func end() {
        guard let place = pick({ _ in true }) else { return }
        let request = open.remove(at: place)
        let isForwarded = if case .forwarded = request.stage { true } else { false }
        handle(
            .ended(
                request.ticket,
                Ending(
                    output: Tokens(request.output), generating: .milliseconds(draw(5_000)),
                    isComplete: isForwarded && draw(3) > 0,
                    isEngineFault: isForwarded && draw(20) == 0)))
    }

    private mutating func bounce() {
        let isForwarded: (Stage) -> Bool = { if case .forwarded = $0 { true } else { false } }
        guard let place = pick(isForwarded) else { return }
        open[place].output = 0
        open[place].stage = .budgeting
        handle(.bounced(open[place].ticket))
        if open[place].stage == .budgeting { fail("a bounced request got no answer") }
    }

    private mutating func probe() {
        let endpoint = EndpointID(draw(plan.endpoints.count))
        switch draw(6) {
        case 0: handle(.probeFailed(endpoint, [.refused, .unwell, .unanswered][draw(3)]))
        case 1: handle(.probed(endpoint, nil))
        case 2: handle(.probing(endpoint))
        default:
            machine.scrape(
                endpoint.index, used: draw(9_500), of: draw(4) == 0 ? 5_000 + draw(20_000) : nil,
                isSleeping: draw(10) == 0)
            takeAll()
        }
    }

    private mutating func drain() {
        let endpoint = draw(plan.endpoints.count)
        if draining.remove(endpoint) == nil { draining.insert(endpoint) }
        handle(.drained(EndpointID(endpoint), draining.contains(endpoint)))
    }

    private mutating func reload() {
        switch draw(6) {
        case 0: plan.addEndpoint(to: PoolID(draw(2)))
        case 1:
            let present = plan.endpoints.filter { !$0.removed }
            if let endpoint = present.first { plan.remove(endpoint: endpoint.id.index) }
        case 2:
            let gone = plan.endpoints.filter(\.removed)
            if let endpoint = gone.last { plan.restore(endpoint: endpoint.id.index) }
        case 3: plan.classes[2].removed.toggle()
        case 4: plan.classes[0].throttleAt = 0.5 + 0.1 * Double(draw(4))
        default: plan.classes[2].pool = PoolID(draw(2))
        }
        plan.generation += 1
        handle(.reconfigured(plan.policy))
    }

    private mutating func pass() {
        machine.pass(.milliseconds(draw(400)))
        takeAll()
    }

    // MARK: what has to hold

    private mutating func take(_ action: Action) {
        guard let place = open.firstIndex(where: { $0.id == action.request }) else {
            return fail("\(action) speaks of a request that is over")
        }
        switch (action, open[place].stage) {
        case (.reserve, _): fail("a reservation was asked for twice")
        case (.queued, .budgeting): open[place].stage = .queued
        case (.forward(_, let endpoint, _), .budgeting), (.forward(_, let endpoint, _), .queued):
            open[place].stage = .forwarded(endpoint)
        case (.refuse(_, let refusal), .budgeting), (.refuse(_, let refusal), .queued):
            open[place].stage = .refused
            check(refusal)
        default: fail("\(action) for a request that is \(open[place].stage)")
        }
    }

    /// What an event forwards goes to endpoints that are in rotation, and stays under the threshold
    /// of its class: of several to one endpoint the last one's is what the endpoint shows.
    private mutating func checkForwards() {
        var seen: Set<EndpointID> = []
        for action in machine.actions.reversed() {
            guard case .forward(let id, let endpoint, _) = action,
                let request = open.first(where: { $0.id == id })
            else { continue }
            let state = machine.decider.state(of: endpoint)
            if !state.isAvailable { fail("forwarded to an endpoint that is out") }
            if plan.endpoints[endpoint.index].removed { fail("forwarded to a removed endpoint") }
            checkGPU(of: endpoint)
            let clamps = plan.classes[request.trafficClass].clamp?.underPressure ?? false
            let limit =
                clamps
                ? plan.classes[request.trafficClass].rejectAt
                : plan.classes[request.trafficClass].throttleAt
            guard seen.insert(endpoint).inserted,
                let share = machine.share(of: endpoint, now: machine.now)
            else { continue }
            // One that is too large for the threshold may have an endpoint to itself.
            let isAlone =
                state.ledger.sequences == 1 && state.ledger.isFreeOfOthers
                && share <= EndpointLedger.aloneLimit + 0.02
            if share > limit + 1e-9, !isAlone {
                fail("admitted to \(share) where \(limit) is allowed")
            }
        }
    }

    /// Nothing is forwarded that takes a GPU over its budget.
    private mutating func checkGPU(of endpoint: EndpointID) {
        guard let gpu = plan.gpus.firstIndex(where: { $0.endpoints.contains(endpoint) }) else {
            return
        }
        let found = machine.decider.tokensInFlight(onGPU: gpu)
        let most = plan.gpus[gpu].maxTokensInFlight
        if found > most { fail("\(found) in flight where \(most) are allowed") }
    }

    private mutating func check(_ refusal: Refusal?) {
        guard let refusal else { return fail("neither a reservation nor a refusal") }
        refused.append(refusal)
        if refusal.reason.isThrottle {
            guard let wait = refusal.retryAfter, wait >= .milliseconds(1) else {
                return fail("\(refusal.reason) tells no wait")
            }
            if wait > .seconds(60), !refusal.isFinal { fail("a retry after \(wait) is no use") }
        } else if refusal.retryAfter != nil {
            fail("\(refusal.reason) tells a wait")
        }
    }

    private mutating func check() {
        if machine.decider.open > limit { fail("more than \(limit) are open") }
        let known = machine.decider.open
        if known != open.count { fail("\(known) open, \(open.count) known") }
        let waiting = open.filter { $0.stage == .queued }.count
        let queued = machine.decider.waiting
        if queued != waiting { fail("\(queued) wait, \(waiting) known") }
        for trafficClass in plan.classes {
            let queue = machine.decider.queue(of: trafficClass.id)
            let own = open.filter {
                $0.stage == .queued && $0.trafficClass == trafficClass.id.index
            }.count
            if queue.count != own { fail("\(queue.count) queued, \(own) known") }
            if queue.count > trafficClass.queue.maxRequests { fail("too many wait") }
            if queue.tokens > trafficClass.queue.maxTokens { fail("too much waits") }
        }
        for endpoint in plan.endpoints {
            let sequences = open.filter { $0.stage == .forwarded(endpoint.id) }.count
            let known = machine.decider.state(of: endpoint.id).ledger.sequences
            if known != sequences { fail("\(known) at an endpoint, \(sequences) known") }
        }
    }
}
