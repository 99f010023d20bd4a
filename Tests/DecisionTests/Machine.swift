// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Decision
import Policy
import Scheduling
import Testing
import Units

/// Where a decider stands that is looked at through copies of what has it.
final class DeciderBox {
    var decider: Decider

    init(_ decider: consuming Decider) { self.decider = decider }
}

/// A decider, its time, and what a rim would know of it.
struct Machine {
    private let box: DeciderBox
    var decider: Decider {
        _read { yield box.decider }
    }
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// What followed from the last event.
    private(set) var actions: [Action] = []
    private var requests = 0
    private let remake: () -> Machine
    /// All that has happened.
    private var events: [(event: Event, at: Instant)] = []

    init(
        _ plan: Plan, limit: Int = 10_000, seed: UInt64 = 1, sharing: SharingPolicy? = nil
    ) {
        remake = { Machine(plan, limit: limit, seed: seed, sharing: sharing) }
        box = DeciderBox(
            Decider(policy: plan.policy, limit: limit, seed: seed, sharing: sharing))
    }

    /// Another one to which the same has happened.
    var twin: Machine {
        var twin = remake()
        for (event, at) in events {
            twin.wait(until: at)
            twin.handle(event)
        }
        twin.wait(until: now)
        twin.requests = requests
        return twin
    }

    /// Time passes, and nothing else.
    mutating func wait(until instant: Instant) { now = max(now, instant) }

    @discardableResult
    mutating func handle(_ event: Event) -> [Action] {
        actions.removeAll()
        events.append((event, now))
        box.decider.handle(event, now: now, into: &actions)
        return actions
    }

    /// Time passes, and queues are looked through.
    @discardableResult
    mutating func pass(_ span: Duration) -> [Action] {
        now = now + span
        return handle(.ticked)
    }

    /// A request with its ticket and what was decided about it at once.
    struct Sent {
        let request: RequestID
        let ticket: Ticket
        let answer: Action

        var isForwarded: Bool { endpoint != nil }
        var endpoint: EndpointID? {
            if case .forward(_, let endpoint, _) = answer { return endpoint }
            return nil
        }
        var bound: Tokens? {
            if case .forward(_, _, let bound) = answer { return bound }
            return nil
        }
        var isQueued: Bool { answer == .queued(request) }
        var refusal: Refusal? { answer.refusal }
    }

    mutating func nextRequest() -> RequestID {
        requests += 1
        return RequestID(raw: UInt64(requests))
    }

    /// Only the arrival: the ticket that waits for its budget, or a refusal.
    mutating func arrive(_ arrival: Arrival) throws -> (RequestID, Ticket, BudgetAsk) {
        let request = nextRequest()
        guard
            case .reserve(request, let ticket, let ask)? = handle(.arrived(request, arrival)).first,
            actions.count == 1
        else { throw Unexpected(actions: actions) }
        return (request, ticket, ask)
    }

    /// An arrival whose budget is granted.
    @discardableResult
    mutating func send(_ arrival: Arrival) throws -> Sent {
        let (request, ticket, _) = try arrive(arrival)
        guard let answer = handle(.budgeted(ticket, .reserved)).first, actions.count == 1 else {
            throw Unexpected(actions: actions)
        }
        return Sent(request: request, ticket: ticket, answer: answer)
    }

    /// The same for a request of so many prompt and output tokens, all of which come.
    @discardableResult
    mutating func send(
        input: Int, output: Int = 1, trafficClass: Int = 0, deadline: Duration? = nil
    ) throws -> Sent {
        try send(
            Arrival(
                tenant: TenantID(0), model: ModelID(1), trafficClass: ClassID(trafficClass),
                input: Tokens(input), bound: Tokens(output), isForced: true,
                deadline: deadline.map { now + $0 } ?? .distantFuture))
    }

    @discardableResult
    mutating func end(_ sent: Sent, output: Int = 0) -> [Action] {
        handle(
            .ended(
                sent.ticket,
                Ending(output: Tokens(output), generating: .seconds(1), isComplete: output > 0)))
    }

    @discardableResult
    mutating func scrape(
        _ endpoint: Int, used: Int, of capacity: Int? = nil, isSleeping: Bool = false
    ) -> [Action] {
        handle(
            .probed(
                EndpointID(endpoint),
                EngineReading(
                    usedTokens: Tokens(used), capacityTokens: capacity.map { Tokens($0) },
                    running: 0, waiting: 0, isSleeping: isSleeping)))
    }

    func state(_ endpoint: Int) -> EndpointState { decider.state(of: EndpointID(endpoint)) }

    func trace(_ number: UInt64) -> DecisionTrace? { decider.trace(number) }

    func share(of endpoint: EndpointID, now: Instant) -> Double? {
        decider.share(of: endpoint, now: now)
    }

    func isAvailable(_ endpoint: Int) -> Bool { state(endpoint).isAvailable }

    /// Something of each endpoint.
    func states<Value>(_ value: (borrowing EndpointState) -> Value) -> [Value] {
        let states = decider.endpointStates
        return states.indices.map { value(states[$0]) }
    }

    /// Nothing is held for anybody.
    var isAtRest: Bool {
        decider.open == 0 && decider.waiting == 0 && decider.keptPrefixes == 0
            && states { $0.ledger.sequences }.allSatisfy { $0 == 0 }
            && states { $0.ledger.resident + $0.ledger.expectedRest + $0.ledger.prefilling }
                .allSatisfy { $0 == .zero }
            && states { $0.committed }.allSatisfy { $0 == .zero }
            && decider.policy.classes.allSatisfy {
                let queue = decider.queue(of: $0.id)
                return queue.isEmpty && queue.count == 0 && queue.tokens == .zero
                    && queue.needs == .zero
            }
    }

    struct Unexpected: Error {
        let actions: [Action]
    }
}

extension Action {
    var refusal: Refusal? {
        if case .refuse(_, let refusal) = self { return refusal }
        return nil
    }
}
