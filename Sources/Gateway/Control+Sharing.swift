// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Store
import Transport
import Units

/// The control thread's part of what gateways share: it tells the store what the machine wants
/// told, and brings the answers back. A request that waits for that waits for a round trip and two
/// mailboxes.
extension Control {
    func makeSharing() {
        guard let redis = shared.redis, let sharing = redis.policy.sharing else { return }
        self.sharing = RedisSharing(
            shared: redis, sharing: sharing, policy: policy,
            gateway: GatewayID(raw: shared.nonce), poller: loop.poller, tokenKind: Kind.sharing)
    }

    /// How long a turn may sleep for the others' sake.
    var sharingPatience: Duration {
        guard let sharing else { return .infinite }
        let due = min(sharingAt, sharing.nextDeadline ?? .distantFuture)
        return max(.zero, due - loop.now)
    }

    func exchange(_ ask: ExchangeAsk) {
        sharing?.exchange(
            number: ask.number, ask.endpoint, ask.ask, ask.report, now: loop.now)
    }

    /// Once a turn: what is due, what was answered, and what is to be sent. An answer may bring the
    /// next claim, so sending comes last.
    func driveSharing() {
        guard let sharing else { return }
        if let due = sharing.nextDeadline, due <= loop.now { sharing.tick(now: loop.now) }
        if loop.now >= sharingAt {
            sharingAt = loop.now + SharingPolicy.beat
            decide(.sharingDue)
            // What was heard last holds while the store is away.
            if let status = sharingStatus(), status.store == .there {
                shared.redis?.noteReplicas(status.peers + 1, now: loop.now)
            }
        }
        // Each answer brings one exchange at most.
        for _ in 0..<8 {
            takeOutcomes(of: sharing)
            sharing.flush(now: loop.now)
        }
    }

    private func takeOutcomes(of sharing: RedisSharing) {
        sharing.drain(into: &sharingOutcomes)
        guard !sharingOutcomes.isEmpty else { return }
        let outcomes = sharingOutcomes
        sharingOutcomes.removeAll(keepingCapacity: true)
        for outcome in outcomes {
            switch outcome {
            case .answered(let number, let reply, let reports):
                decide(.exchanged(ExchangeAnswer(number: number, reply: reply, reports: reports)))
            case .failed(let number): decide(.exchangeFailed(number: number))
            }
        }
    }
}
