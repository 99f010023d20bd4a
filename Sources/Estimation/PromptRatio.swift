// SPDX-License-Identifier: Apache-2.0

public import Units

/// By how much prompts are longer or shorter than their texts tell: learnt per model and tenant
/// from what engines reported.
///
/// A ratio is that of two sums, reported and estimated tokens, so that long prompts count for what
/// they are and short ones, which are mostly template, do not mislead. Sums forget, and begin with
/// a few hundred tokens at a ratio of one. A lesson counts for half to twice its estimate at most:
/// one prompt with an unknown image in it says nothing of texts. A tenant's ratio counts fully from
/// 30 prompts on and leans on its model's before. Over varied texts a model's ratio alone would
/// make estimates worse, a tenant's halves their tail (48 tenants, four tokenizers). The table
/// never grows over `limit` cells: a tenant that finds no room gets the model's ratio.
public struct PromptRatio: Sendable {
    /// The least and the most that a lesson, or a ratio, is taken for.
    public static let bounds = 0.5...2.0
    private static let trusted = 30.0
    /// Tokens at a ratio of one before anything was learnt.
    private static let prior = 400.0
    /// What is kept of a tenant's sums, and of a model's, when one prompt more is known.
    private static let memory = 0.95
    private static let modelMemory = 0.99
    /// A prompt of more tokens is none.
    private static let largest = Double(1 << 31)

    private struct Key: Hashable {
        var model: ModelID
        var tenant: TenantID
    }

    private struct Sums {
        var reported = PromptRatio.prior
        var estimated = PromptRatio.prior
        var samples = 0.0

        mutating func learn(_ new: (reported: Double, estimated: Double), memory: Double) {
            reported = reported * memory + new.reported
            estimated = estimated * memory + new.estimated
            samples = min(samples + 1, PromptRatio.trusted)
        }

        /// The ratio, leaning on `other` while the samples are few.
        func blended(with other: Double) -> Double {
            other + samples / PromptRatio.trusted * (reported / estimated - other)
        }
    }

    private let limit: Int
    private var cells: [Key: Sums] = [:]
    private var models: [Sums] = []

    /// `limit` bounds the cells, and the models that have a ratio of their own.
    public init(limit: Int) { self.limit = limit }

    /// Takes note of a prompt that was taken for `estimated` tokens and had `reported`; zero of
    /// either tells nothing.
    public mutating func learn(
        model: ModelID, tenant: TenantID, estimated: Tokens, reported: Tokens
    ) {
        guard estimated > .zero, reported > .zero else { return }
        let estimate = min(Double(estimated.count), Self.largest)
        let truth = Double(reported.count)
        let bounds = Self.bounds
        let lesson = (
            min(max(truth, bounds.lowerBound * estimate), bounds.upperBound * estimate), estimate
        )
        if model.index < limit {
            while models.count <= model.index { models.append(Sums()) }
            models[model.index].learn(lesson, memory: Self.modelMemory)
        }
        let key = Key(model: model, tenant: tenant)
        if cells[key] != nil || cells.count < limit {
            cells[key, default: Sums()].learn(lesson, memory: Self.memory)
        }
    }

    /// What an estimate is to be multiplied with.
    public func ratio(model: ModelID, tenant: TenantID) -> Double {
        var ratio = 1.0
        if model.index < models.count { ratio = models[model.index].blended(with: ratio) }
        if let cell = cells[Key(model: model, tenant: tenant)] {
            ratio = cell.blended(with: ratio)
        }
        return ratio
    }

    /// The estimate as it should have been, by what is known: no less than one token of any.
    public func corrected(_ estimate: Tokens, model: ModelID, tenant: TenantID) -> Tokens {
        guard estimate > .zero, Double(estimate.count) < Self.largest else { return estimate }
        let whole = (Double(estimate.count) * ratio(model: model, tenant: tenant)).rounded()
        return Tokens(max(1, Int(whole)))
    }
}
