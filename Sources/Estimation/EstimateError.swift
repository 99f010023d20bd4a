// SPDX-License-Identifier: Apache-2.0

/// How far estimates were off what engines reported, as parts of it.
public struct EstimateError: Sendable, Equatable {
    /// Of those that are counted, older ones for less.
    public var prompts: Double
    /// Half of them were off by at most this.
    public var median: Double
    /// 95 of a hundred were off by at most this.
    public var p95: Double
}

/// How many estimates were off by how much, the last few hundred.
struct ErrorShares: Sendable {
    private static let bounds: [15 of Double] = [
        0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 4,
    ]
    private static let memory: Float = 1 - 1 / 256

    private var shares: [15 of Float] = .init(repeating: 0)
    private var prompts: Float = 0

    /// `error` may be negative; what is beyond the last bound counts as there.
    mutating func note(_ error: Double) {
        let size = abs(error)
        var place = 0
        while place < 14, size > Self.bounds[place] { place += 1 }
        for other in shares.indices { shares[other] *= Self.memory }
        shares[place] += 1
        prompts = prompts * Self.memory + 1
    }

    var summary: EstimateError? {
        guard prompts > 0 else { return nil }
        return EstimateError(prompts: Double(prompts), median: at(0.5), p95: at(0.95))
    }

    /// Between the bounds as if it were even there.
    private func at(_ share: Float) -> Double {
        var left = share * prompts
        for place in shares.indices {
            if shares[place] >= left {
                let low = place == 0 ? 0 : Self.bounds[place - 1]
                return low + (Self.bounds[place] - low) * Double(left / max(shares[place], 1e-6))
            }
            left -= shares[place]
        }
        return Self.bounds[14]
    }
}
