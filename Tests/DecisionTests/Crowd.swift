// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Routing
import Scheduling
import Testing
import Units

/// A random history under a random configuration, with an account of its own beside the machine's:
/// what each endpoint holds of ours, who waits since when, and what was answered.
struct Crowd {
    enum Stage: Equatable {
        case budgeting
        case queued
        case forwarded(EndpointID)
        case refused
    }
    struct Request {
        let id: RequestID
        let ticket: Ticket
        let arrival: Arrival
        let trafficClass: Int
        var stage = Stage.budgeting
        var output = 0
        var hasToken = false
        /// When its patience ends, once its budget was granted.
        var waitsUntil = Instant.distantFuture
    }

    private(set) var machine: Machine
    private(set) var steps = 0
    /// What went wrong first.
    private(set) var fault: String?
    private(set) var plan: Plan
    private(set) var open: [Request] = []
    private(set) var seen: [String: Int] = [:]
    /// Tickets of requests that are over.
    private var gone: [Ticket] = []
    private var random: SplitMix64
    private var draining: Set<Int> = []
    /// The machine is asked about everything between events, as operators do.
    private let isWatched: Bool

    init(seed: UInt64, isWatched: Bool = false) {
        random = SplitMix64(seed: seed)
        self.isWatched = isWatched
        plan = Plan(endpoints: 0, kv: nil)
        machine = Machine(plan)
        plan = randomPlan()
        machine = Machine(plan, limit: 80, seed: seed)
    }

    private mutating func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    private mutating func odds(_ one: Int) -> Bool { draw(one) == 0 }

    private mutating func fail(_ text: String) {
        if fault == nil { fault = text }
    }

    private mutating func note(_ what: String) { seen[what, default: 0] += 1 }

    // MARK: the configuration

    private mutating func randomPlan() -> Plan {
        var plan = Plan(endpoints: 1 + draw(4), kv: odds(6) ? nil : 4_000 + draw(20_000))
        if odds(2) { plan.addPool(endpoints: 1 + draw(10), kv: 4_000 + draw(8_000)) }
        for place in plan.pools.indices {
            plan.pools[place].models = [ModelID(0), ModelID(1)]
            if odds(2) { plan.pools[place].prefillTokensPerSecond = Double(500 + draw(5_000)) }
        }
        for _ in 0..<draw(3) {
            plan.addClass(
                pool: draw(plan.pools.count), throttleAt: 0.5 + 0.1 * Double(draw(5)),
                rejectAt: odds(3) ? 1e9 : 0.95, maxRequests: 1 + draw(12),
                maxTokens: 2_000 + draw(40_000), maxWait: .milliseconds(20 + draw(4_000)))
        }
        for place in plan.classes.indices { shape(&plan.classes[place]) }
        plan.tenants = (0..<(1 + draw(6))).map { place in
            TenantPolicy(
                id: TenantID(place), name: "tenant\(place)", keys: [],
                classes: plan.classes.map(\.id), models: [ModelID(0), ModelID(1)],
                weight: [0.1, 0.5, 1, 1, 2, 10][draw(6)],
                limits: TenantLimits(
                    maxCompletionTokens: odds(3) ? Tokens(20 + draw(400)) : nil,
                    overCap: odds(2) ? .batch : .reject))
        }
        plan.upstream.unhealthyAfter = 1 + draw(2)
        plan.requestHistory = odds(3) ? 10 : 0
        return plan
    }

    private mutating func shape(_ trafficClass: inout ClassPolicy) {
        if odds(2) {
            trafficClass.targets = TargetPolicy(
                firstToken: .milliseconds(200 + draw(4_000)),
                betweenTokens: .milliseconds(10 + draw(60)))
        }
        if odds(3) {
            trafficClass.clamp = ClampPolicy(
                underPressure: odds(2), prefillQueue: odds(2) ? Tokens(1_000) : nil)
        }
        if odds(3) { trafficClass.caps = CapPolicy(maxPrompt: Tokens(300 + draw(2_000))) }
    }

    // MARK: events

    mutating func step() {
        steps += 1
        switch draw(100) {
        case 0..<30: arrive()
        case 30..<48: budget()
        case 48..<62: stream()
        case 62..<74: end()
        case 74..<78: bounce()
        case 78..<80: late()
        case 80..<89: probe()
        case 89..<91: drain()
        case 91..<93: reload()
        default: pass()
        }
        if isWatched { watch() }
        check()
    }

    /// Ends everything, in any order.
    mutating func endAll() {
        while !open.isEmpty { end() }
        check()
    }

    private mutating func handle(_ event: Event) {
        machine.handle(event)
        for action in machine.actions { take(action) }
    }

    private mutating func arrive() {
        let id = machine.nextRequest()
        var arrival = Arrival(
            tenant: TenantID(draw(plan.tenants.count)), model: ModelID(draw(2)),
            trafficClass: ClassID(draw(plan.classes.count)),
            input: Tokens(1 + draw(odds(10) ? 12_000 : 1_500)),
            bound: odds(3) ? nil : Tokens(draw(800)), choices: 1 + draw(3), isForced: odds(4),
            isOutputless: odds(12), isStreamed: !odds(4), prefix: prefix(),
            deadline: odds(4) ? machine.now + .milliseconds(draw(2_000)) : .distantFuture)
        arrival.trace = UInt64(steps)
        machine.handle(.arrived(id, arrival))
        var actions = machine.actions[...]
        var trafficClass = arrival.trafficClass.index
        if case .deferred(id, let other)? = actions.first {
            trafficClass = other.index
            actions = actions.dropFirst()
            note("deferred")
        }
        guard actions.count == 1, let action = actions.first, action.request == id else {
            return fail("an arrival brought \(machine.actions)")
        }
        if case .reserve(_, let ticket, _) = action {
            if gone.contains(ticket) { fail("a ticket was given twice") }
            open.append(
                Request(id: id, ticket: ticket, arrival: arrival, trafficClass: trafficClass))
        } else if action.refusal == nil {
            fail("neither a reservation nor a refusal: \(action)")
        } else {
            note("refused on arrival")
        }
    }

    private mutating func prefix() -> PromptPrefix {
        let own = draw(5)
        let blocks = (0..<own).map { UInt64(1 + draw(2) + 10 * $0) }
        return PromptPrefix(blocks: blocks, textBytes: own * 512 + draw(512))
    }

    private mutating func pick(_ isMeant: (Stage) -> Bool) -> Int? {
        let found = open.indices.filter { isMeant(open[$0].stage) }
        return found.isEmpty ? nil : found[draw(found.count)]
    }

    private mutating func pickForwarded() -> Int? {
        pick { if case .forwarded = $0 { true } else { false } }
    }

    private mutating func budget() {
        guard let place = pick({ $0 == .budgeting }) else { return }
        if odds(12) {
            handle(.budgeted(open[place].ticket, .unavailable(retryAfter: .seconds(1))))
        } else {
            let longest = plan.classes[open[place].trafficClass].queue.maxWait
            open[place].waitsUntil = min(machine.now + longest, open[place].arrival.deadline)
            handle(.budgeted(open[place].ticket, .reserved))
        }
        if open[place].stage == .budgeting { fail("a verdict was not followed by an answer") }
    }

    private mutating func stream() {
        guard let place = pickForwarded() else { return }
        let more = draw(60)
        open[place].output += more
        open[place].hasToken = open[place].hasToken || more > 0
        handle(.streamed(open[place].ticket, output: Tokens(open[place].output)))
    }

    private mutating func end() {
        guard let place = pick({ _ in true }) else { return }
        let request = open.remove(at: place)
        gone.append(request.ticket)
        if gone.count > 50 { gone.removeFirst() }
        let isForwarded = if case .forwarded = request.stage { true } else { false }
        handle(
            .ended(
                request.ticket,
                Ending(
                    output: Tokens(request.output), generating: .milliseconds(draw(5_000)),
                    isComplete: isForwarded && !odds(3),
                    isEngineFault: isForwarded && odds(20))))
    }

    private mutating func bounce() {
        guard let place = pickForwarded() else { return }
        open[place].output = 0
        open[place].hasToken = false
        open[place].stage = .budgeting
        handle(.bounced(open[place].ticket))
        if open[place].stage == .budgeting { fail("a bounced request got no answer") }
        note("bounced")
    }

    /// What is said of a request that is over finds nobody, whatever it is.
    private mutating func late() {
        guard !gone.isEmpty else { return }
        let ticket = gone[draw(gone.count)]
        let before = machine.states { $0.ledger.resident }
        let events: [Event] = [
            .ended(ticket, Ending(output: Tokens(500), isComplete: true)),
            .streamed(ticket, output: Tokens(5_000)), .bounced(ticket),
            .budgeted(ticket, .reserved),
        ]
        machine.handle(events[draw(events.count)])
        if !machine.actions.isEmpty { fail("a late word brought \(machine.actions)") }
        if machine.states({ $0.ledger.resident }) != before {
            fail("a late word changed a ledger")
        }
        note("late")
    }

    private mutating func probe() {
        let endpoint = EndpointID(draw(plan.endpoints.count))
        switch draw(8) {
        case 0: handle(.probeFailed(endpoint, [.refused, .unwell, .unanswered][draw(3)]))
        case 1: handle(.probeFailed(endpoint, .deserted))
        case 2: handle(.probed(endpoint, nil))
        case 3: handle(.probing(endpoint))
        default:
            handle(
                .probed(
                    endpoint,
                    EngineReading(
                        usedTokens: Tokens(draw(9_000)),
                        capacityTokens: odds(4) ? Tokens(5_000 + draw(20_000)) : nil,
                        running: draw(8), waiting: draw(3), isSleeping: odds(12))))
        }
    }

    private mutating func drain() {
        let endpoint = draw(plan.endpoints.count)
        if draining.remove(endpoint) == nil { draining.insert(endpoint) }
        handle(.drained(EndpointID(endpoint), draining.contains(endpoint)))
    }

    private mutating func reload() {
        let place = draw(plan.classes.count)
        switch draw(8) {
        case 0: plan.addEndpoint(to: PoolID(draw(plan.pools.count)))
        case 1:
            if let endpoint = plan.endpoints.first(where: { !$0.removed }) {
                plan.remove(endpoint: endpoint.id.index)
            }
        case 2:
            if let endpoint = plan.endpoints.last(where: \.removed) {
                plan.restore(endpoint: endpoint.id.index)
            }
        case 3: plan.tenants[draw(plan.tenants.count)].weight = 0.1 + Double(draw(50)) / 10
        case 4: plan.classes[place].pool = PoolID(draw(plan.pools.count))
        case 5: plan.classes[place].queue.maxWait = .milliseconds(20 + draw(4_000))
        case 6:
            var changed = plan.classes[place]
            shape(&changed)
            plan.classes[place] = changed
        default: plan.classes[place].rank = draw(5)
        }
        plan.generation += 1
        handle(.reconfigured(plan.policy))
        note("reloaded")
    }

    /// After it nobody waits whose patience is over.
    private mutating func pass() {
        machine.pass(.milliseconds(draw(500)))
        for action in machine.actions { take(action) }
        for request in open where request.stage == .queued && request.waitsUntil <= machine.now {
            fail("one waits longer than it may")
        }
    }

    /// Looks at all that operators look at.
    private func watch() {
        let now = machine.now
        for trafficClass in plan.classes {
            _ = machine.decider.queueView(of: trafficClass.id, now: now)
            _ = machine.decider.waitingPhase(of: trafficClass.id, now: now)
        }
        for endpoint in plan.endpoints { _ = machine.share(of: endpoint.id, now: now) }
        _ = machine.trace(UInt64(steps))
    }

    // MARK: what has to hold

    private mutating func take(_ action: Action) {
        guard let place = open.firstIndex(where: { $0.id == action.request }) else {
            return fail("\(action) speaks of a request that is over")
        }
        switch (action, open[place].stage) {
        case (.queued, .budgeting):
            open[place].stage = .queued
            note("queued")
        case (.forward(_, let endpoint, _), .budgeting), (.forward(_, let endpoint, _), .queued):
            open[place].stage = .forwarded(endpoint)
            let state = machine.decider.state(of: endpoint)
            if !state.isAvailable { fail("forwarded to an endpoint that is out") }
            note("forwarded")
        case (.refuse(_, let refusal), .budgeting), (.refuse(_, let refusal), .queued):
            open[place].stage = .refused
            note(refusal.reason.code)
        case (.abandon(_, let endpoint), .forwarded(let own)) where own == endpoint:
            note("abandoned")
        default: fail("\(action) for a request that is \(open[place].stage)")
        }
    }

    private mutating func check() {
        let known = machine.decider.open
        if known != open.count { fail("\(known) open, \(open.count) known") }
        for trafficClass in plan.classes {
            let own = open.filter {
                $0.stage == .queued && $0.trafficClass == trafficClass.id.index
            }
            let queue = machine.decider.queue(of: trafficClass.id)
            if queue.count != own.count { fail("\(queue.count) queued, \(own.count) known") }
            if queue.count > trafficClass.queue.maxRequests { fail("too many wait") }
            if queue.tokens > trafficClass.queue.maxTokens { fail("too much waits") }
            if queue.needs < .zero { fail("less than nothing is needed") }
            let waiting = Set(own.map(\.arrival.tenant))
            if queue.fair.waiting > waiting.count { fail("a tenant waits without a request") }
        }
        for endpoint in plan.endpoints { check(endpoint.id) }
        let (input, expected) = (Tokens(1 + steps * 7 % 6_000), Tokens(steps * 13 % 3_000))
        let unsound = machine.decider.unsoundGauge(
            input: input, expected: expected, bound: expected + expected, margin: 0.03,
            now: machine.now)
        if let unsound { fail("a gauge promises what is not so: \(unsound)") }
        if let room = machine.decider.forgottenRoom(now: machine.now) { fail("forgotten: \(room)") }
    }

    /// The machine's account of an endpoint is the sum over those who are there.
    private mutating func check(_ endpoint: EndpointID) {
        let there = open.filter { $0.stage == .forwarded(endpoint) }
        let state = machine.decider.state(of: endpoint)
        let ledger = state.ledger
        let resident = there.reduce(0) { $0 + $1.arrival.input.count + $1.output }
        let prefilling = there.reduce(0) { $0 + ($1.hasToken ? 0 : $1.arrival.input.count) }
        if ledger.sequences != there.count { fail("\(ledger.sequences) there, \(there.count)") }
        // What several prompts begin with is held once.
        let isShared = there.count { !$0.arrival.prefix.blocks.isEmpty } > 1
        if ledger.resident.count > resident || !isShared && ledger.resident.count < resident {
            fail("\(ledger.resident) held, \(resident) known")
        }
        if ledger.prefilling.count != prefilling { fail("\(ledger.prefilling) prefill") }
        if ledger.expectedRest < .zero || ledger.others < .zero || state.committed < .zero
            || state.turnover < 0
        {
            fail("an account is below zero")
        }
    }
}
