// SPDX-License-Identifier: Apache-2.0

public import Units

/// What clients send, and what they tell of it beforehand.
public struct Workload: Sendable {
    /// What a gateway is told about the length of an answer.
    public enum Told: Sendable, Equatable {
        /// Nothing: clients give no bound.
        case nothing
        /// One bound for all requests (`max_tokens`).
        case bound(Tokens)
        /// Each request's bound is its very length, and its answer goes to it (`max_tokens` and
        /// `ignore_eos`).
        case length
        /// An estimate of each request, in the order of the trace, right or wrong.
        case estimates([Tokens])
    }

    public var trace: Trace
    public var told: Told
    /// Shares of service by tenant; tenants beyond it have 1.
    public var weights: [Double]

    public init(trace: Trace, told: Told = .nothing, weights: [Double] = []) {
        self.trace = trace
        self.told = told
        self.weights = weights
    }

    /// Tenants, those that only `weights` names included.
    public var tenants: Int {
        max(weights.count, (trace.requests.map(\.tenant).max() ?? 0) + 1)
    }
}
