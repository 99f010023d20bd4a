// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Simulation
import Units

/// A decider before model engines and clients that do as they are told, in virtual time.
///
/// The rim's part is done as the gateway does it: streams are reported ten times a second, engines
/// scraped once, and queues looked through every 5 ms while somebody waits.
struct Fleet {
    /// One client and its request.
    struct Client {
        var input: Int
        var output: Int
        /// What the client says that it will take at most.
        var bound: Int
        var trafficClass = 0
        /// When it was refused, and what it was told each time.
        var refusals: [(at: Instant, told: Duration)] = []
        /// When it came for the first time.
        var cameAt = Instant(nanoseconds: 0)
        var forwardedAt: Instant?
        var firstTokenAt: Instant?
        var endedAt: Instant?
        /// Refused for good: no wait was told, or one longer than clients wait.
        var isTurnedAway = false

        /// Let in when it came back for the first time.
        var wasAdmittedAtFirstReturn: Bool { refusals.count == 1 && forwardedAt != nil }
    }

    private struct Visit {
        let at: Instant
        let client: Int
    }

    private(set) var clients: [Client] = []
    private(set) var now = Instant(nanoseconds: 0)
    private let box: DeciderBox
    var decider: Decider {
        _read { yield box.decider }
    }
    private(set) var engines: [EngineModel]
    /// The largest share of a cache that was ever held.
    private(set) var peak = 0.0
    private let answerAfter: Duration
    /// In descending order of time.
    private var visits: [Visit] = []
    private var tickets: [Ticket?] = []
    private var sequences: [(engine: Int, id: SequenceID)?] = []
    private var reported: [(at: Instant, made: Int)] = []
    /// Per engine and slot: the client that lives there.
    private var tenants: [[Int]]
    private var actions: [Action] = []
    private var events: [EngineEvent] = []
    private var nextScrape: Instant
    private var nextTick = Instant.distantFuture

    /// As many engines as the plan has endpoints, each with the KV tokens of its pool.
    init(_ plan: Plan, profile: EngineProfile, seed: UInt64 = 1) {
        box = DeciderBox(Decider(policy: plan.policy, limit: 20_000, seed: seed))
        engines = plan.endpoints.map { _ in EngineModel(profile) }
        tenants = engines.map { _ in [] }
        nextScrape = Instant(nanoseconds: 300_000_000)
        answerAfter = .milliseconds(20)
    }

    var preemptions: Int { engines.reduce(0) { $0 + $1.counters.preemptions } }

    /// A client that comes at `instant`.
    @discardableResult
    mutating func add(_ client: Client, at instant: Instant) -> Int {
        clients.append(client)
        clients[clients.count - 1].cameAt = instant
        tickets.append(nil)
        sequences.append(nil)
        reported.append((instant, 0))
        visit(clients.count - 1, at: instant)
        return clients.count - 1
    }

    private mutating func visit(_ client: Int, at instant: Instant) {
        let place = visits.firstIndex { $0.at <= instant } ?? visits.count
        visits.insert(Visit(at: instant, client: client), at: place)
    }

    /// Lets time pass until `instant`, or until nothing is left to happen.
    mutating func run(until instant: Instant = .distantFuture) {
        while let next = nextEvent, next <= instant {
            now = max(now, next)
            advanceEngines()
            if now >= nextScrape { scrape() }
            while let visit = visits.last, visit.at <= now {
                visits.removeLast()
                arrive(visit.client)
            }
            if now >= nextTick { decide(.ticked) }
            nextTick = decider.waiting > 0 ? now + .milliseconds(5) : .distantFuture
        }
        if instant != .distantFuture { now = max(now, instant) }
    }

    private var nextEvent: Instant? {
        var next = visits.last?.at
        for engine in engines {
            if let end = engine.nextStepEnd { next = min(next ?? end, end) }
        }
        if nextTick != .distantFuture { next = min(next ?? nextTick, nextTick) }
        return next.map { min($0, nextScrape) }
    }

    // MARK: engines

    private mutating func advanceEngines() {
        for engine in engines.indices {
            advance(engine)
            peak = max(peak, engines[engine].gauges.usage)
        }
    }

    private mutating func advance(_ engine: Int) {
        engines[engine].advance(to: now, into: &events)
        // Whose they are is looked up first: what follows from one may give its slot away.
        let happened = events.map { ($0, tenants[engine][$0.sequence.slot]) }
        events.removeAll(keepingCapacity: true)
        for (event, client) in happened { take(event, client) }
    }

    private mutating func take(_ event: EngineEvent, _ client: Int) {
        switch event {
        case .firstToken(_, let at):
            clients[client].firstTokenAt = at
            report(client, made: 1)
        case .tokens(_, let count, _):
            report(client, made: count)
        case .finished(_, let at):
            clients[client].endedAt = at
            let first = clients[client].firstTokenAt ?? at
            end(
                client,
                Ending(
                    output: Tokens(clients[client].output), generating: at - first,
                    isComplete: true))
        case .admitted, .preempted: break
        }
    }

    private mutating func report(_ client: Int, made: Int) {
        reported[client].made += made
        let isFirst = reported[client].made == made
        guard let ticket = tickets[client],
            isFirst || now - reported[client].at >= .milliseconds(100)
        else { return }
        reported[client].at = now
        decide(.streamed(ticket, output: Tokens(reported[client].made)))
    }

    private mutating func end(_ client: Int, _ ending: Ending) {
        guard let ticket = tickets[client] else { return }
        tickets[client] = nil
        decide(.ended(ticket, ending))
    }

    private mutating func scrape() {
        nextScrape = now + .seconds(1)
        for engine in engines.indices {
            let gauges = engines[engine].gauges
            decide(.probing(EndpointID(engine)))
            decide(
                .probed(
                    EndpointID(engine),
                    EngineReading(
                        usedTokens: Tokens(gauges.usedBlocks * EngineProfile.blockTokens),
                        capacityTokens: engines[engine].profile.kvTokens,
                        running: gauges.running, waiting: gauges.waiting)))
        }
    }

    // MARK: clients

    private mutating func arrive(_ client: Int) {
        let asked = clients[client]
        decide(
            .arrived(
                RequestID(raw: UInt64(client)),
                Arrival(
                    tenant: TenantID(0), model: ModelID(1),
                    trafficClass: ClassID(asked.trafficClass), input: Tokens(asked.input),
                    bound: Tokens(asked.bound))))
    }

    private mutating func decide(_ event: Event) {
        var asked: [Action] = []
        box.decider.handle(event, now: now, into: &asked)
        while let action = asked.popFirst() {
            if case .reserve(let request, let ticket, _) = action {
                tickets[Int(request.raw)] = ticket
                box.decider.handle(.budgeted(ticket, .reserved), now: now, into: &asked)
            } else {
                perform(action, &asked)
            }
        }
    }

    private mutating func perform(_ action: Action, _ more: inout [Action]) {
        switch action {
        case .reserve, .queued, .abandon, .deferred, .exchange: break
        case .forward(let request, let endpoint, _):
            let client = Int(request.raw)
            clients[client].forwardedAt = now
            submit(client, to: endpoint.index)
        case .refuse(let request, let refusal):
            let client = Int(request.raw)
            if let ticket = tickets[client] {
                tickets[client] = nil
                box.decider.handle(.ended(ticket, Ending()), now: now, into: &more)
            }
            guard let told = refusal.retryAfter, !refusal.isFinal else {
                clients[client].isTurnedAway = true
                return
            }
            clients[client].refusals.append((now, told))
            visit(client, at: now + told)
        }
    }

    private mutating func submit(_ client: Int, to engine: Int) {
        let asked = clients[client]
        guard
            let id = try? engines[engine].submit(
                prompt: Tokens(asked.input), output: Tokens(asked.output), now: now, into: &events)
        else {
            // More than the engine can ever hold: it says so at once.
            clients[client].isTurnedAway = true
            return end(client, Ending())
        }
        while tenants[engine].count <= id.slot { tenants[engine].append(-1) }
        tenants[engine][id.slot] = client
        sequences[client] = (engine, id)
        advance(engine)
    }
}

extension EngineEvent {
    fileprivate var sequence: SequenceID {
        switch self {
        case .admitted(let id, _, _), .firstToken(let id, _), .tokens(let id, _, _),
            .preempted(let id, _), .finished(let id, _):
            id
        }
    }
}

extension Array {
    fileprivate mutating func popFirst() -> Element? { isEmpty ? nil : removeFirst() }
}
