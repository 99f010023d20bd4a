// SPDX-License-Identifier: Apache-2.0

public import Admission
public import EventLoop
public import Policy
public import Scheduling
public import Units

/// What came of an exchange.
public enum SharingOutcome: Sendable {
    case answered(number: Int, SharedEndpoint.Reply, reports: [PeerReport]?)
    /// Nobody will answer it.
    case failed(number: Int)
}

/// One process's way to the Redis through which gateways share endpoints: a connection of its own,
/// on the loop of the thread that has it, so that a late answer here disturbs no budget.
///
/// The owner gives it readiness and time, lets it send once a turn, and takes the outcomes. What is
/// asked while Redis is away fails at once.
public final class RedisSharing {
    /// Exchanges without a reply: a beat's worth, and a claim of each of some hundred pools.
    static let window = 512

    private let link: RedisWay
    private let gateway: String
    private let lease: Duration
    private var names: SharingNames
    private var outcomes: [SharingOutcome] = []
    private var events: [LinkEvent] = []

    /// `tokenKind`: the owner's kind for its events. `gateway`: of this process, by chance.
    public init(
        shared: RedisShared, sharing: SharedStorePolicy, policy: Policy, gateway: GatewayID,
        poller: Poller, tokenKind: UInt8
    ) {
        link = RedisWay(
            shared: shared, poller: poller, tokenKind: tokenKind, seed: gateway.raw,
            role: .sharing)
        self.gateway = SharingNames.hexadecimal(gateway.raw)
        lease = sharing.lease
        names = SharingNames(policy)
    }

    /// For tests: from now on the script takes this time for Redis's own.
    public func replaceClock(by time: WallTime) { link.replaceClock(by: time) }

    /// A new configuration is in force.
    public func configure(_ policy: Policy) { names = SharingNames(policy) }

    /// Connected, and able to answer.
    public var isUp: Bool { link.isUp }

    /// When `tick` wants to be called at the latest.
    public var nextDeadline: Instant? { link.nextDeadline }

    /// Sends it with the next flush, or fails.
    public func exchange(
        number: Int, _ endpoint: EndpointID, _ ask: SharedEndpoint.Ask, _ report: GatewayReport?,
        now: Instant
    ) {
        guard link.isUp, link.tasksInFlight < Self.window, let word = names.word(endpoint) else {
            outcomes.append(.failed(number: number))
            return
        }
        let run = SharingRun(
            number: number, endpoint: word, gateway: gateway, lease: lease,
            account: SharingText.text(of: ask.account),
            want: ask.want.map { SharingText.text(of: $0) } ?? "",
            slack: max(0, ask.slack.count), easy: max(0, ask.easy.count),
            report: report.map { SharingText.text(of: $0, names) } ?? "")
        link.send(.exchange(run), now: now)
    }

    /// Takes an event of the poller with this one's kind of token.
    public func ready(_ token: Token, _ readiness: Readiness, now: Instant) {
        link.ready(token, readiness, now: now)
        takeEvents()
    }

    /// Does what time brings; first right after the start.
    public func tick(now: Instant) {
        link.tick(now: now)
        takeEvents()
    }

    /// Sends what this turn has written: once a turn, at its end.
    public func flush(now: Instant) {
        link.flush(now: now)
        takeEvents()
    }

    /// What has come since the last time.
    public func drain(into taken: inout [SharingOutcome]) {
        taken.append(contentsOf: outcomes)
        outcomes.removeAll(keepingCapacity: true)
    }

    private func takeEvents() {
        link.takeEvents(into: &events)
        for event in events {
            switch event {
            case .up: break
            case .answered(let task, let reply, _): take(reply, to: task)
            case .refused(let task, _): fail(task)
            case .lost(_, let tasks): for task in tasks { fail(task) }
            case .undelivered(_, let task): fail(task)
            case .redirected, .between, .sentAgain: break
            }
        }
        events.removeAll(keepingCapacity: true)
    }

    private func take(_ reply: ScriptReply, to task: ScriptRun) {
        guard case .exchange(let run) = task, case .exchanged(let text) = reply,
            let (answer, reports) = SharingText.reply(
                text, hasReports: !run.report.isEmpty, names)
        else { return fail(task) }
        outcomes.append(.answered(number: run.number, answer, reports: reports))
    }

    private func fail(_ task: ScriptRun) {
        if case .exchange(let run) = task { outcomes.append(.failed(number: run.number)) }
    }
}

@available(*, unavailable)
extension RedisSharing: Sendable {}
