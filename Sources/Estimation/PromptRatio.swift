// SPDX-License-Identifier: Apache-2.0

public import Units

/// A prompt as it was estimated.
public struct PromptShape: Sendable, Equatable {
    /// All of it.
    public var estimated: Tokens
    /// The part of it that is no text: template, images, ids.
    public var fixed: Tokens
    /// Whether a template was put around it.
    public var isChat: Bool

    /// Without more, all of it is text.
    public init(estimated: Tokens, fixed: Tokens = .zero, isChat: Bool = false) {
        self.estimated = estimated
        self.fixed = min(fixed, estimated)
        self.isChat = isChat
    }

    var text: Double { min(Double(max(0, estimated.count - fixed.count)), PromptRatio.largest) }
}

/// By how much prompts are longer or shorter than their texts tell: learnt per model and tenant
/// from what engines reported.
///
/// A ratio is that of two sums, reported and estimated tokens of texts, so that long prompts count
/// for what they are and short ones, which are mostly template, do not mislead. What a model's
/// template adds to each chat is learnt apart from it, mostly from short ones. Sums forget, and
/// begin with a few hundred tokens at a ratio of one. A lesson counts for half to twice its
/// estimate at most, and no further from what was expected than four times what is usual: one
/// prompt with an unknown image in it says nothing of texts. A tenant's ratio counts fully from
/// 30 prompts on and leans on its model's before, and it counts as far only as it stands out of
/// its own noise: a ratio of varied prompts that is near its model's is no news, and to follow it
/// would make good estimates worse. Over varied texts a model's ratio alone would make estimates
/// worse, a tenant's halves their tail. The table never grows over `limit` cells: a
/// tenant that finds no room gets the model's ratio.
public struct PromptRatio: Sendable {
    /// The least and the most that a lesson, or a ratio, is taken for.
    public static let bounds = 0.5...2.0
    /// The least and the most tokens that a template is taken for, beyond what is estimated.
    public static let additions = -64.0...1_024.0
    private static let trusted = 30.0
    /// Tokens at a ratio of one before anything was learnt.
    private static let prior = 400.0
    /// What is kept of a tenant's sums, and of a model's, when one prompt more is known.
    private static let memory = 0.95
    private static let modelMemory = 0.99
    /// A prompt of more tokens is none.
    static let largest = Double(1 << 31)

    private struct Sums {
        var reported = PromptRatio.prior
        var estimated = PromptRatio.prior
        var samples = 0.0
        /// How far lessons usually are from the ratio, as a part of their estimate.
        var spread = 0.15
        /// Squares of what lessons were off by, in tokens, older ones for less.
        var scatter = 0.0
        var errors = ErrorShares()

        mutating func learn(_ new: (reported: Double, estimated: Double), memory: Double) {
            let ratio = reported / estimated
            let off = new.reported / new.estimated - ratio
            // While little is known every lesson may be the rule.
            let most = samples < PromptRatio.trusted ? 1 : max(4 * spread, 0.1)
            let counted = new.estimated * min(max(off, -most), most)
            let taken = new.estimated * ratio + counted
            scatter = scatter * memory * memory + counted * counted
            spread += (min(abs(off), 1) - spread) / 16
            reported = reported * memory + taken
            estimated = estimated * memory + new.estimated
            samples = min(samples + 1, PromptRatio.trusted)
        }

        /// The ratio, leaning on `other` while the samples are few, and as far as the difference
        /// may be the ratio's noise.
        func blended(with other: Double) -> Double {
            let away = reported / estimated - other
            let noise = scatter / (estimated * estimated)
            guard away * away > noise else { return other }
            return other + samples / PromptRatio.trusted * (away - noise / away)
        }
    }

    /// What a model's template adds: a mean that leans on zero while little is known.
    private struct Addition {
        private var sum = 0.0
        private var weight = 2.0
        private static let memory = 0.98

        var tokens: Double { sum / weight }

        /// What the estimate lacked, of a prompt whose text is `text` tokens: of a long one it is
        /// mostly the ratio's error.
        mutating func learn(_ lacking: Double, text: Double) {
            let most = max(16, 2 * abs(tokens))
            let taken = tokens + min(max(lacking - tokens, -most), most)
            let share = 1 / (1 + text / 50)
            sum = sum * Addition.memory + share * share * taken
            weight = max(weight * Addition.memory, 0.05) + share * share
            let bounds = PromptRatio.additions
            sum = min(max(sum, bounds.lowerBound * weight), bounds.upperBound * weight)
        }
    }

    private struct Model {
        var sums = Sums()
        var addition = Addition()
    }

    private let limit: Int
    /// Where in `cells` those of a model and tenant are.
    private var places: [UInt64: Int] = [:]
    private var cells: [Sums] = []
    private var models: [Model] = []

    /// `limit` bounds the cells, and the models that have a ratio of their own.
    public init(limit: Int) { self.limit = limit }

    /// Takes note of a prompt that had `reported` tokens; zero of either tells nothing.
    public mutating func learn(
        model: ModelID, tenant: TenantID, _ prompt: PromptShape, reported: Tokens
    ) {
        guard prompt.estimated > .zero, reported > .zero else { return }
        var place = places[Self.key(model, tenant)]
        let truth = min(Double(reported.count), Self.largest)
        let expected = Double(corrected(prompt, of: model, at: place).count)
        let ratio = ratio(of: model, at: place)
        if place == nil, cells.count < limit {
            place = cells.count
            places[Self.key(model, tenant)] = cells.count
            cells.append(Sums())
        }
        if let place { cells[place].errors.note(expected / truth - 1) }
        let addition = prompt.isChat ? addition(model: model) : 0
        let rest = truth - Double(prompt.fixed.count)
        if model.index < limit {
            while models.count <= model.index { models.append(Model()) }
            if prompt.isChat {
                models[model.index].addition.learn(
                    rest - ratio * prompt.text, text: prompt.text)
            }
        }
        guard prompt.text > 0 else { return }
        let bounds = Self.bounds
        let lesson = (
            min(
                max(rest - addition, bounds.lowerBound * prompt.text),
                bounds.upperBound * prompt.text), prompt.text
        )
        if model.index < limit { models[model.index].sums.learn(lesson, memory: Self.modelMemory) }
        if let place { cells[place].learn(lesson, memory: Self.memory) }
    }

    /// What an estimate of text is to be multiplied with.
    public func ratio(model: ModelID, tenant: TenantID) -> Double {
        ratio(of: model, at: places[Self.key(model, tenant)])
    }

    private func ratio(of model: ModelID, at place: Int?) -> Double {
        var ratio = 1.0
        if model.index < models.count { ratio = models[model.index].sums.blended(with: ratio) }
        return place.map { cells[$0].blended(with: ratio) } ?? ratio
    }

    /// A single word, which hashes in a fifth of the time of its parts.
    private static func key(_ model: ModelID, _ tenant: TenantID) -> UInt64 {
        UInt64(tenant.raw) << 32 | UInt64(model.raw)
    }

    /// Tokens that a model's template adds to a chat, beyond what is estimated.
    public func addition(model: ModelID) -> Double {
        model.index < models.count ? models[model.index].addition.tokens : 0
    }

    /// How far corrected estimates were off lately; nil where nothing was reported.
    public func error(model: ModelID, tenant: TenantID) -> EstimateError? {
        places[Self.key(model, tenant)].flatMap { cells[$0].errors.summary }
    }

    /// The estimate as it should have been, by what is known: no less than one token of any.
    public func corrected(_ prompt: PromptShape, model: ModelID, tenant: TenantID) -> Tokens {
        corrected(prompt, of: model, at: places[Self.key(model, tenant)])
    }

    private func corrected(_ prompt: PromptShape, of model: ModelID, at place: Int?) -> Tokens {
        guard prompt.estimated > .zero, Double(prompt.estimated.count) < Self.largest else {
            return prompt.estimated
        }
        let addition = prompt.isChat ? addition(model: model) : 0
        let text = prompt.text * ratio(of: model, at: place)
        return Tokens(max(1, prompt.fixed.count + Int((addition + text).rounded())))
    }

    /// The largest estimate that is corrected to no more than `most`, with `fixed` and a template
    /// as in `prompt`; less than zero where these alone are more.
    public func longest(
        _ most: Tokens, like prompt: PromptShape, model: ModelID, tenant: TenantID
    ) -> Tokens {
        let addition = prompt.isChat ? addition(model: model) : 0
        let room = Double(most.count - prompt.fixed.count) - addition
        let text = (room / ratio(model: model, tenant: tenant)).rounded(.down)
        return Tokens(prompt.fixed.count + Int(min(max(text, -Self.largest), Self.largest)))
    }
}
