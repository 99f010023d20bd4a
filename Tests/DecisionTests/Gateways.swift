// SPDX-License-Identifier: Apache-2.0

import Admission
import Decision
import Policy
import Routing
import Scheduling
import Units

/// Several deciders with one store between them, as the rim would have it: asks and answers take
/// half a millisecond each, and may be lost.
struct Gateways {
    private enum Message {
        case ask(Int, ExchangeAsk)
        case answer(Int, ExchangeAnswer)
    }

    var machines: [Machine]
    var isStoreLost = false
    /// Of so many answers one is lost, by chance; 0: none.
    var losesEvery = 0
    private(set) var forwarded: [(gateway: Int, request: RequestID, endpoint: EndpointID)] = []
    private(set) var refused: [(gateway: Int, refusal: Refusal)] = []
    private(set) var asked = 0
    private(set) var claims = 0
    /// Answers to claims that reached who asked, by gateway and number.
    private(set) var answered: [[Int]]

    private let sharing: [SharingPolicy]
    private var store: [SharedEndpoint]
    private var reports = SharedReports()
    private var messages: [(at: Instant, Message)] = []
    private var beats = 0
    private var random: SplitMix64
    private var isDead: [Bool]
    private(set) var now = Instant(nanoseconds: 1_000_000_000)

    init(_ plan: Plan, count: Int, seed: UInt64 = 1) {
        random = SplitMix64(seed: seed)
        sharing = (0..<count).map { SharingPolicy(GatewayID(raw: UInt64($0))) }
        machines = sharing.enumerated().map {
            Machine(plan, seed: seed &+ UInt64($0), sharing: $1)
        }
        store = plan.endpoints.map { _ in SharedEndpoint() }
        answered = [[Int]](repeating: [], count: count)
        isDead = [Bool](repeating: false, count: count)
    }

    /// What the store has reserved at an endpoint.
    func reserved(_ endpoint: Int) -> Tokens { store[endpoint].reserved(now: now) }

    mutating func kill(_ gateway: Int) { isDead[gateway] = true }

    /// The store has forgotten all, and answers again.
    mutating func restartStore() {
        store = store.map { _ in SharedEndpoint() }
        reports = SharedReports()
        isStoreLost = false
    }

    @discardableResult
    mutating func handle(_ gateway: Int, _ event: Event) -> [Action] {
        machines[gateway].wait(until: now)
        let actions = machines[gateway].handle(event)
        for action in actions {
            switch action {
            case .exchange(let ask):
                asked += 1
                if ask.ask.want != nil { claims += 1 }
                messages.append((now + .microseconds(500), .ask(gateway, ask)))
            case .forward(let request, let endpoint, _):
                forwarded.append((gateway, request, endpoint))
            case .refuse(_, let refusal): refused.append((gateway, refusal))
            case .reserve, .queued, .abandon, .deferred: break
            }
        }
        return actions
    }

    /// A request of so many tokens, all of which come. Four fifths of its prompt are those of
    /// others of its `group`. Its name and ticket.
    @discardableResult
    mutating func send(
        _ gateway: Int, input: Int, output: Int = 1, tenant: Int = 0, group: Int? = nil,
        isForced: Bool = true
    ) throws -> (request: RequestID, ticket: Ticket) {
        machines[gateway].wait(until: now)
        let id = machines[gateway].nextRequest()
        // Names differ from gateway to gateway.
        let request = RequestID(raw: id.raw << 8 | UInt64(gateway))
        let arrival = Arrival(
            tenant: TenantID(tenant), model: ModelID(1), trafficClass: ClassID(0),
            input: Tokens(input), bound: Tokens(output), isForced: isForced,
            prefix: group.map { Self.prefix($0, own: request.raw) } ?? PromptPrefix())
        guard
            case .reserve(request, let ticket, _)? = handle(
                gateway, .arrived(request, arrival)
            ).first
        else { throw Machine.Unexpected(actions: machines[gateway].actions) }
        handle(gateway, .budgeted(ticket, .reserved))
        return (request, ticket)
    }

    /// Ten blocks, of which the leading eight are the group's.
    private static func prefix(_ group: Int, own: UInt64) -> PromptPrefix {
        let blocks = (0..<10).map {
            PrefixHash.mix(UInt64(group) &+ ($0 < 8 ? 0 : own &<< 8), UInt64($0))
        }
        return PromptPrefix(blocks: blocks, textBytes: 10 * 512)
    }

    mutating func end(_ gateway: Int, _ ticket: Ticket) {
        handle(gateway, .ended(ticket, Ending(output: Tokens(1), isComplete: true)))
    }

    func isForwarded(_ request: RequestID) -> Bool {
        forwarded.contains { $0.request == request }
    }

    /// Time passes: beats, looks through queues, messages.
    mutating func pass(_ span: Duration) {
        let until = now + span
        while true {
            let beat =
                Instant(nanoseconds: 1_000_000_000)
                + Duration(nanoseconds: SharingPolicy.beat.nanoseconds * Int64(beats))
            let message = messages.indices.min { messages[$0].at < messages[$1].at }
            let next = min(beat, message.map { messages[$0].at } ?? .distantFuture)
            guard next <= until else { break }
            now = max(now, next)
            if let message, messages[message].at <= beat {
                deliver(messages.remove(at: message).1)
            } else {
                beats += 1
                for gateway in machines.indices where !isDead[gateway] {
                    handle(gateway, .sharingDue)
                    handle(gateway, .ticked)
                }
            }
        }
        now = until
    }

    private mutating func deliver(_ message: Message) {
        switch message {
        case .ask(let gateway, let ask):
            guard !isStoreLost, !isDead[gateway] else { return }
            let lease = sharing[gateway].lease
            let reply = store[ask.endpoint.index].exchange(
                ask.ask, of: sharing[gateway].gateway, lease: lease, now: now)
            let told = ask.report.map {
                reports.exchange($0, of: sharing[gateway].gateway, lease: lease, now: now)
            }
            if losesEvery > 0, random.next() % UInt64(losesEvery) == 0 { return }
            let answer = ExchangeAnswer(number: ask.number, reply: reply, reports: told)
            messages.append((now + .microseconds(500), .answer(gateway, answer)))
        case .answer(let gateway, let answer):
            guard !isDead[gateway] else { return }
            answered[gateway].append(answer.number)
            handle(gateway, .exchanged(answer))
        }
    }
}
