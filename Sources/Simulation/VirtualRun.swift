// SPDX-License-Identifier: Apache-2.0

public import Units

/// How the plain baselines choose an engine; ties go to the first.
public enum VirtualRouter: String, Sendable, CaseIterable {
    case roundRobin = "round_robin"
    case leastRequests = "least_requests"
    /// Fewest outstanding tokens.
    case leastTokens = "least_tokens"
}

/// What became of one request of a virtual run.
public struct VirtualOutcome: Sendable, Equatable {
    public enum Fate: Sendable, Equatable {
        case done
        /// It could never fit an engine.
        case dropped
    }
    public var arrival: Instant
    public var output: Tokens
    public var fate: Fate
    /// Without the profile's request overhead.
    public var firstToken: Instant
    public var end: Instant
}

/// A trace replayed against like engines behind a router, in virtual time, open loop.
///
/// Nothing is random: trace, profile and router decide everything. This is the yardstick without a
/// gateway; it finishes runs of decode-only steps at once.
public struct VirtualRun {
    private let trace: Trace
    private let router: VirtualRouter
    private var engines: [EngineModel]
    private var outcomes: [VirtualOutcome] = []
    /// Per engine and slot: the request that lives there.
    private var tenants: [[Int]]
    private var turn = 0
    private var events: [EngineEvent] = []
    private var end = Instant(nanoseconds: 0)

    /// Replays the whole trace. `engines` above zero.
    public static func replay(
        _ trace: Trace, on profile: EngineProfile, engines: Int, router: VirtualRouter
    ) -> VirtualResult {
        var run = VirtualRun(trace, profile, engines, router)
        run.run()
        return VirtualResult(
            profile: profile, span: trace.span, outcomes: run.outcomes,
            engines: run.engines.map(\.counters), end: run.end,
            blocksAreConserved: run.engines.allSatisfy {
                $0.blocksAreConserved && $0.availableBlocks == profile.blocks
            })
    }

    /// Replays the trace in a closed loop: `clients` of them, each sending the next request of the
    /// trace the moment its last one has ended; the trace's times count for nothing. `clients`
    /// above zero.
    public static func closedLoop(
        _ trace: Trace, clients: Int, on profile: EngineProfile
    ) -> VirtualResult {
        var waiting = trace
        for place in waiting.requests.indices { waiting.requests[place].arrival = .zero }
        var run = VirtualRun(waiting, profile, 1, .roundRobin)
        run.runClosed(clients)
        return VirtualResult(
            profile: profile, span: .zero, outcomes: run.outcomes,
            engines: run.engines.map(\.counters), end: run.end,
            blocksAreConserved: run.engines[0].blocksAreConserved)
    }

    /// Requests a second that the engines sustain on this mix: all requests wait at time 0, spread
    /// by tokens; measured between the 10th and the 80th percent of completions. Zero when too few
    /// complete to tell.
    public static func capacity(
        of trace: Trace, on profile: EngineProfile, engines: Int
    ) -> Double {
        var waiting = trace
        for place in waiting.requests.indices { waiting.requests[place].arrival = .zero }
        let result = replay(waiting, on: profile, engines: engines, router: .leastTokens)
        let ends = result.outcomes.filter { $0.fate == .done }.map(\.end).sorted()
        let (from, to) = (ends.count / 10, ends.count * 8 / 10)
        guard to > from, ends[to] > ends[from] else { return 0 }
        return Double(to - from) / (ends[to] - ends[from]).seconds
    }

    private init(
        _ trace: Trace, _ profile: EngineProfile, _ count: Int, _ router: VirtualRouter
    ) {
        invariant(count > 0, "a run has engines")
        self.trace = trace
        self.router = router
        let model = EngineModel(
            profile, prefixUnit: Trace.prefixUnit, maxHeld: max(1, trace.requests.count))
        engines = [EngineModel](repeating: model, count: count)
        tenants = [[Int]](repeating: [], count: count)
        outcomes.reserveCapacity(trace.requests.count)
    }

    private mutating func run() {
        var next = 0
        while true {
            let engine = nextEngine
            let change = engine.flatMap { engines[$0].nextChange }
            if next < trace.requests.count {
                let now = Instant(nanoseconds: 0) + trace.requests[next].arrival
                // What arrives as a step ends may join the next step, as in a real engine's queue.
                if change.map({ now <= $0 }) ?? true {
                    next = arrive(from: next, now: now)
                    continue
                }
            }
            guard let engine, let change else { return }
            advance(engine, to: change)
        }
    }

    private mutating func runClosed(_ clients: Int) {
        let total = trace.requests.count
        for place in 0..<min(clients, total) { submit(place, now: end) }
        advance(0, to: end)
        while let change = engines[0].nextChange {
            engines[0].finish(by: change, into: &events)
            let ended = events.count { if case .finished = $0 { true } else { false } }
            record(0)
            for place in outcomes.count..<min(outcomes.count + ended, total) {
                submit(place, now: change)
            }
            advance(0, to: change)
        }
    }

    /// The engine with the earliest change.
    private var nextEngine: Int? {
        var best: (engine: Int, change: Instant)?
        for place in engines.indices {
            guard let change = engines[place].nextChange else { continue }
            if best.map({ change < $0.change }) ?? true { best = (place, change) }
        }
        return best?.engine
    }

    /// Submits everything that arrives at `now`, then lets idle engines begin; gives the next
    /// request's place.
    private mutating func arrive(from first: Int, now: Instant) -> Int {
        var next = first
        repeat {
            submit(next, now: now)
            next += 1
        } while next < trace.requests.count
            && Instant(nanoseconds: 0) + trace.requests[next].arrival == now
        for place in engines.indices where engines[place].nextChange == nil {
            advance(place, to: now)
        }
        end = max(end, now)
        return next
    }

    private mutating func submit(_ place: Int, now: Instant) {
        let request = trace.requests[place]
        let engine = pick()
        outcomes.append(
            VirtualOutcome(
                arrival: now, output: Tokens(max(1, request.output.count)), fate: .dropped,
                firstToken: now, end: now))
        do {
            let id = try engines[engine].submit(
                prompt: request.prompt, output: request.output, prefixHashes: request.prefixes,
                now: now, into: &events)
            while tenants[engine].count <= id.slot { tenants[engine].append(-1) }
            tenants[engine][id.slot] = place
        } catch {
            // It stays dropped: the table has room for all requests, so it can never fit.
        }
        record(engine)
    }

    private mutating func pick() -> Int {
        switch router {
        case .roundRobin:
            defer { turn = (turn + 1) % engines.count }
            return turn
        case .leastRequests:
            return least { $0.gauges.running + $0.gauges.waiting }
        case .leastTokens:
            return least { $0.outstanding.count }
        }
    }

    private func least(_ load: (EngineModel) -> Int) -> Int {
        var best = 0
        var smallest = Int.max
        for place in engines.indices {
            let load = load(engines[place])
            if load < smallest { (best, smallest) = (place, load) }
        }
        return best
    }

    private mutating func advance(_ engine: Int, to now: Instant) {
        engines[engine].advance(to: now, into: &events)
        record(engine)
    }

    private mutating func record(_ engine: Int) {
        for event in events {
            switch event {
            case .firstToken(let id, let at):
                outcomes[tenants[engine][id.slot]].firstToken = at
            case .finished(let id, let at):
                let place = tenants[engine][id.slot]
                outcomes[place].end = at
                outcomes[place].fate = .done
                end = max(end, at)
            case .admitted, .tokens, .preempted: break
            }
        }
        events.removeAll(keepingCapacity: true)
    }
}
