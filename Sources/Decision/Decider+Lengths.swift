// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
public import Estimation
import Policy
public import Units

/// How long prompts are taken for: what their texts tell, corrected by what engines reported of
/// their tenants' prompts. Everything that is decided or reserved for a prompt counts that.
extension Decider {
    /// What a tenant's estimates for a model are multiplied with by now.
    public func promptRatio(of tenant: TenantID, for model: ModelID) -> Double {
        learnsPrompts ? lengths.ratio(model: model, tenant: tenant) : 1
    }

    /// Tokens that a model's template adds to a chat, beyond what is estimated.
    public func promptAddition(for model: ModelID) -> Double {
        learnsPrompts ? lengths.addition(model: model) : 0
    }

    /// How far a tenant's corrected estimates were off lately; nil where nothing was reported.
    public func promptError(of tenant: TenantID, for model: ModelID) -> EstimateError? {
        lengths.error(model: model, tenant: tenant)
    }

    /// Of a prompt that is too long, what its estimate has to be for it to fit; nil where it does.
    ///
    /// Within the context a part stays free: a twentieth, since estimates are off by some, and the
    /// answer's bound, up to a quarter, since engines refuse what both are too much for.
    public func truncatedEstimate(_ arrival: Arrival) -> Tokens? {
        let longest = longestPrompt(arrival)
        guard promptTokens(arrival) > longest else { return nil }
        let context = policy.models[arrival.model.index].contextLength.count
        let answer = min(arrival.bound?.count ?? context / 16, context / 4)
        let most = Tokens(max(1, min(longest.count, context - context / 20 - answer)))
        guard learnsPrompts else { return most }
        return lengths.longest(
            most, like: arrival.shape, model: arrival.model, tenant: arrival.tenant)
    }

    /// What is reserved of a tenant's budgets for an answer, all choices.
    func reservedOutput(_ entry: Entry) -> Tokens {
        let most = Tokens(entry.bound.count * entry.choices)
        switch policy.tenants[entry.tenant.index].limits.reservedOutput {
        case .expected: return entry.expected
        case .high where entry.isForced || entry.isOutputless: return entry.expected
        case .high: return min(highOutput(entry), most)
        case .bound: return most
        }
    }

    /// What nine of ten answers like it do not exceed, all choices.
    func highOutput(_ entry: Entry) -> Tokens {
        let high = outputs.high(model: entry.model, tenant: entry.tenant, bound: entry.bound)
        return Tokens(high.count * entry.choices)
    }

    /// Accounts stay as they are, whatever engines lack of them: for a simulation.
    public mutating func keepAccounts() {
        for place in endpoints.indices { endpoints[place].ledger.givesBack = false }
        gaugeAll(now: present)
    }

    /// What a prompt is taken for by now, all choices.
    public func promptTokens(_ arrival: Arrival) -> Tokens {
        let shape = arrival.shape
        guard learnsPrompts else { return shape.estimated }
        return max(
            .zero, lengths.corrected(shape, model: arrival.model, tenant: arrival.tenant))
    }

    /// The request was served, and its engine has said how long its prompt was.
    mutating func learnPrompt(_ entry: Entry, _ ending: Ending) {
        guard learnsPrompts, let reported = ending.input else { return }
        lengths.learn(
            model: entry.model, tenant: entry.tenant, entry.estimated, reported: reported)
    }
}

extension Arrival {
    var shape: PromptShape {
        PromptShape(estimated: max(.zero, input), fixed: max(.zero, fixed), isChat: isChat)
    }
}
