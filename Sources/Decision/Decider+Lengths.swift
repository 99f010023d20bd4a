// SPDX-License-Identifier: Apache-2.0

import Admission
import Estimation
import Policy
public import Units

/// How long prompts are taken for: what their texts tell, corrected by what engines reported of
/// their tenants' prompts. Everything that is decided or reserved for a prompt counts that.
extension Decider {
    /// What a tenant's estimates for a model are multiplied with by now.
    public func promptRatio(of tenant: TenantID, for model: ModelID) -> Double {
        learnsPrompts ? lengths.ratio(model: model, tenant: tenant) : 1
    }

    /// Accounts stay as they are, whatever engines lack of them: for a simulation.
    public mutating func keepAccounts() {
        for place in endpoints.indices { endpoints[place].ledger.givesBack = false }
        gaugeAll(now: present)
    }

    func promptTokens(_ arrival: Arrival) -> Tokens {
        guard learnsPrompts else { return max(.zero, arrival.input) }
        return max(
            .zero,
            lengths.corrected(arrival.input, model: arrival.model, tenant: arrival.tenant))
    }

    /// The request was served, and its engine has said how long its prompt was.
    mutating func learnPrompt(_ entry: Entry, _ ending: Ending) {
        guard learnsPrompts, let reported = ending.input else { return }
        lengths.learn(
            model: entry.model, tenant: entry.tenant, estimated: entry.estimated,
            reported: reported)
    }
}
