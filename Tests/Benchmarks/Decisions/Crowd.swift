// SPDX-License-Identifier: Apache-2.0

import Decision
import EventLoop
import Policy
import Routing
import Units

/// What a crowd is measured with.
struct Case {
    var name: String
    var endpoints = 256
    var queued = 10_000
    /// Prompts begin with one of so many texts of 6,000 tokens; zero: nothing is known of them.
    var groups = 0
    var targets: TargetPolicy?
    var maxWait = Duration.seconds(3_600)
}

/// A decider with full endpoints and a long queue in front of it, and clients that stay as many:
/// for each that ends one comes.
struct Crowd: ~Copyable {
    enum Kind: String, CaseIterable {
        case arrived, budgeted, streamed, ended, ticked
    }

    private struct Running {
        var ticket: Ticket
        var made = 0
        let output: Int
    }

    private let of: Case
    private var decider: Decider
    private var now = Instant(nanoseconds: 0)
    private var random = SplitMix64(seed: 7)
    private var actions: [Action] = []
    private var requests = 0
    private var tickets: [UInt64: Ticket] = [:]
    private var outputs: [UInt64: Int] = [:]
    private var running: [Running] = []
    /// Nanoseconds of each event, by kind.
    private(set) var spent: [Kind: [Int64]] = [:]

    private static let tenants = 100
    private static let output = 300

    init(_ of: Case) {
        self.of = of
        decider = Decider(policy: Self.policy(of), limit: 200_000, seed: 1)
        fill()
        spent = [:]
    }

    var waiting: Int { decider.waiting }
    var open: Int { running.count }

    private static func policy(_ of: Case) -> Policy {
        let ids = (0..<of.endpoints).map { EndpointID($0) }
        var queue = QueuePolicy()
        queue.maxRequests = 1_000_000
        queue.maxTokens = Tokens(1 << 50)
        queue.maxWait = of.maxWait
        let model = ModelPolicy(id: ModelID(0), name: "m", contextLength: Tokens(1 << 20))
        return Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(), models: [model],
            pools: [
                PoolPolicy(
                    id: PoolID(0), name: "p", engine: .vllm, endpoints: ids, models: [model.id],
                    kvTokens: Tokens(60_000))
            ],
            endpoints: ids.map {
                EndpointPolicy(
                    id: $0, pool: PoolID(0), address: .ip(host: "192.0.2.1", port: 80),
                    authority: "e\($0.index)")
            },
            classes: [
                ClassPolicy(
                    id: ClassID(0), name: "c", pool: PoolID(0),
                    boundedSlack: ClassPolicy.usualSlack(throttleAt: 0.85), rejectAt: 1e9,
                    queue: queue, targets: of.targets)
            ],
            tenants: (0..<tenants).map {
                TenantPolicy(
                    id: TenantID($0), name: "t\($0)", keys: [], classes: [ClassID(0)],
                    models: [model.id], weight: Double(1 + $0 % 4))
            },
            anonymous: nil, throttleHistory: 0)
    }

    // MARK: events

    private mutating func handle(_ kind: Kind, _ event: Event) {
        let start = MonotonicClock.now()
        decider.handle(event, now: now, into: &actions)
        spent[kind, default: []].append((MonotonicClock.now() - start).nanoseconds)
        for action in actions { perform(action) }
        actions.removeAll(keepingCapacity: true)
    }

    private mutating func perform(_ action: Action) {
        switch action {
        case .reserve(let request, let ticket, _): tickets[request.raw] = ticket
        case .forward(let request, _, _):
            guard let ticket = tickets[request.raw] else { return }
            running.append(
                Running(ticket: ticket, output: outputs[request.raw] ?? Self.output))
        case .refuse(let request, _):
            if let ticket = tickets[request.raw] { gone.append(ticket) }
        default: break
        }
    }

    private var gone: [Ticket] = []

    mutating func arrive() {
        let number = UInt64(requests)
        requests += 1
        outputs[number] = 1 + Int(random.next() % UInt64(2 * Self.output))
        var arrival = Arrival(
            tenant: TenantID(Int(random.next() % UInt64(Self.tenants))), model: ModelID(0),
            trafficClass: ClassID(0), input: Tokens(200 + Int(random.next() % 3_000)),
            bound: Tokens(2_048), prefix: prefix())
        arrival.isStreamed = true
        handle(.arrived, .arrived(RequestID(raw: number), arrival))
        if let ticket = tickets[number] { handle(.budgeted, .budgeted(ticket, .reserved)) }
    }

    private mutating func prefix() -> PromptPrefix {
        guard of.groups > 0 else { return PromptPrefix() }
        let group = 1 + random.next() % UInt64(of.groups)
        let blocks = (0..<48).map { PrefixHash.mix(group, UInt64($0)) }
        let own = (0..<8).map { _ in random.next() }
        return PromptPrefix(blocks: blocks + own, textBytes: 60 * 512)
    }

    /// A stream goes on, or ends.
    mutating func advance() {
        guard !running.isEmpty else { return }
        let place = Int(random.next() % UInt64(running.count))
        running[place].made = min(running[place].made + 10, running[place].output)
        let one = running[place]
        if one.made < one.output {
            return handle(.streamed, .streamed(one.ticket, output: Tokens(one.made)))
        }
        running.swapAt(place, running.count - 1)
        running.removeLast()
        end(one.ticket, output: one.made)
    }

    private mutating func end(_ ticket: Ticket, output: Int) {
        handle(
            .ended,
            .ended(
                ticket,
                Ending(
                    output: Tokens(output), generating: .seconds(1), isComplete: output > 0)))
    }

    /// Half a millisecond of a busy gateway.
    mutating func step() {
        now = now + .microseconds(500)
        for _ in 0..<32 { advance() }
        while waiting < of.queued { arrive() }
        while let ticket = gone.popLast() {
            handle(.ended, .ended(ticket, Ending()))
        }
        if now.nanoseconds % 5_000_000 == 0 { handle(.ticked, .ticked) }
    }

    private mutating func fill() {
        while waiting < of.queued, requests < 100_000 { arrive() }
        for _ in 0..<4_000 { step() }
    }
}
