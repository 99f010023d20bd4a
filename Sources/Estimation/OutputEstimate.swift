// SPDX-License-Identifier: Apache-2.0

public import Units

/// What an answer will take before it is there: learnt per model, tenant and size of the bound.
///
/// A cell's mean counts fully from 30 answers on and is blended with its model's mean before; the
/// model's is blended with the prior in the same way. Means forget: an answer weighs at least
/// 1/1024. The table never grows over `limit` cells: a tenant that finds no room gets the model's
/// mean.
public struct OutputEstimate: Sendable {
    /// Expected where nothing was learnt.
    public static let prior = 256.0
    private static let trusted = 30.0
    private static let memory = 1024.0
    private static let largest = 1 << 31

    private struct Key: Hashable {
        var model: ModelID
        var tenant: TenantID
        /// Binary logarithm of the bound; 64 without one.
        var bucket: UInt8
    }

    private struct Mean {
        var value = 0.0
        var samples = 0.0

        mutating func learn(_ sample: Double) {
            samples = min(samples + 1, OutputEstimate.memory)
            value += (sample - value) / samples
        }
        /// The mean, leaning on `other` while the samples are few.
        func blended(with other: Double) -> Double {
            let weight = min(samples / OutputEstimate.trusted, 1)
            return weight * value + (1 - weight) * other
        }
    }

    private let limit: Int
    private var cells: [Key: Mean] = [:]
    private var models: [Mean] = []

    /// `limit` bounds the cells, and the models that have a mean of their own.
    public init(limit: Int) { self.limit = limit }

    /// Takes note of an answer that came to its own end.
    public mutating func learn(
        model: ModelID, tenant: TenantID, bound: Tokens?, produced: Tokens
    ) {
        let sample = Double(min(max(produced.count, 0), OutputEstimate.largest))
        if model.index < limit {
            while models.count <= model.index { models.append(Mean()) }
            models[model.index].learn(sample)
        }
        let key = Key(model: model, tenant: tenant, bucket: OutputEstimate.bucket(bound))
        if cells[key] != nil || cells.count < limit {
            cells[key, default: Mean()].learn(sample)
        }
    }

    /// The tokens expected of one choice: at least 1, at most the bound.
    public func expected(model: ModelID, tenant: TenantID, bound: Tokens?) -> Tokens {
        var expected = OutputEstimate.prior
        if model.index < models.count {
            expected = models[model.index].blended(with: expected)
        }
        let key = Key(model: model, tenant: tenant, bucket: OutputEstimate.bucket(bound))
        if let cell = cells[key] { expected = cell.blended(with: expected) }
        let whole = max(Int(expected.rounded()), 1)
        return Tokens(bound.map { max(min(whole, $0.count), 1) } ?? whole)
    }

    private static func bucket(_ bound: Tokens?) -> UInt8 {
        guard let bound else { return 64 }
        return UInt8(Int.bitWidth - 1 - max(bound.count, 1).leadingZeroBitCount)
    }
}
