// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Policy
import Units

/// The budgets of prompt tokens as one who waits sees them.
extension Decider {
    /// A prompt's first token takes so many times what its own tokens take: it shares its steps
    /// with decodes and with other prompts, and long ones attend to more.
    private static let firstTokenFactor = 3.0

    /// How long a request may wait for its turn: the class's wait, and no longer than its first
    /// token can still be in time. One whose prompt takes that long by itself may wait a little all
    /// the same, for an endpoint that is idle.
    func patience(_ entry: Entry) -> Duration {
        let limits = policy.classes[entry.trafficClass.index]
        guard let targets = limits.targets, entry.isStreamed,
            let endpoint = policy.pools[entry.pool.index].endpoints.first
        else { return limits.queue.maxWait }
        let own = endpoints[endpoint.index].prompts.firstToken(after: entry.input).seconds
        let left =
            targets.firstToken.seconds - Self.firstTokenFactor * own - 3
            * targets.betweenTokens.seconds
        return min(
            limits.queue.maxWait, .seconds(max(left, 0.25 * targets.firstToken.seconds)))
    }

    /// Until an endpoint of its pool may take its prompt, those before it served first.
    func promptWait(_ entry: Entry, hasOthersAhead: Bool, now: Instant) -> Duration {
        var least = Duration.infinite
        var left = 0.0
        var perSecond = 0.0
        for id in policy.pools[entry.pool.index].endpoints where gauges[id.index].isAvailable {
            guard endpoints[id.index].prompts.isBounded else { return .zero }
            least = min(least, endpoints[id.index].promptWait(now))
            left += endpoints[id.index].prompts.left(now)
            perSecond += endpoints[id.index].prompts.perSecond
        }
        guard hasOthersAhead, perSecond > 0 else { return least == .infinite ? .zero : least }
        let lacking = Double(promptsAhead(of: entry).count) - left
        return max(least, .seconds(max(0, min(lacking / perSecond, 1e6))))
    }

    /// Between two that come back, so that the prompts of both have their turn; nil where they have
    /// no budget.
    func promptSpacing(_ entry: Entry) -> Duration? {
        var perSecond = 0.0
        for id in policy.pools[entry.pool.index].endpoints where gauges[id.index].isAvailable {
            guard endpoints[id.index].prompts.isBounded else { return nil }
            perSecond += endpoints[id.index].prompts.perSecond
        }
        return perSecond > 0 ? .seconds(Double(entry.input.count) / perSecond) : nil
    }

    /// Prompt tokens of those whose turn at its pool is earlier.
    private func promptsAhead(of entry: Entry) -> Tokens {
        var prompts = Tokens.zero
        for place in order {
            if policy.classes[place].pool == entry.pool { prompts += waitingPrompts[place] }
            if place == entry.trafficClass.index { break }
        }
        return prompts
    }
}
