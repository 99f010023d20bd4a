// SPDX-License-Identifier: Apache-2.0

public import Units

/// What an answer will take before it is there: learnt per model, tenant and size of the bound.
///
/// A cell's mean counts fully from 30 answers on and is blended with its model's mean before; the
/// model's is blended with the prior in the same way. Means forget: an answer weighs at least
/// 1/1024. Beside the mean there is how long nine of ten answers are at most: of the lengths of the
/// last few hundred, blended in the same way, at a level that is moved up after each answer that
/// was longer and down after others, so that nine of ten it is. The table
/// never grows over `limit` cells: a tenant that finds no room gets the model's mean.
public struct OutputEstimate: Sendable {
    /// Expected where nothing was learnt.
    public static let prior = 256.0
    private static let trusted = 30.0
    private static let memory = 1024.0
    private static let largest = 1 << 31

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

    private struct Cell {
        /// Its row of `lengths`.
        let row: Int
        var mean = Mean()
        /// Which share of the lengths is nine of ten of those that come.
        var level = OutputEstimate.share

        mutating func learn(_ sample: Double, isWithin: Bool, step: Double) {
            mean.learn(sample)
            level += step * (isWithin ? OutputEstimate.share - 1 : OutputEstimate.share)
            level = min(max(level, 0.5), 0.995)
        }
    }

    /// Of answers, those that the high estimate covers.
    public static let share = 0.9
    /// So many of its model's answers a cell's own lengths lean on.
    private static let leaning: Float = 8

    private let limit: Int
    /// Where in `cells` those of a model, tenant and size of the bound are.
    private var places: [UInt64: Int] = [:]
    private var cells: [Cell] = []
    private var models: [Cell] = []
    private var lengths = LengthTable()

    /// `limit` bounds the cells, and the models that have a mean of their own.
    public init(limit: Int) { self.limit = limit }

    /// Takes note of an answer that came to its own end.
    public mutating func learn(
        model: ModelID, tenant: TenantID, bound: Tokens?, produced: Tokens
    ) {
        let sample = min(max(produced.count, 0), OutputEstimate.largest)
        let key = Self.key(model, tenant, bound)
        var place = key.flatMap { places[$0] }
        let isWithin = sample <= high(of: model, at: place, bound: bound).count
        if place == nil, let key, cells.count < limit {
            let level = model.index < models.count ? models[model.index].level : Self.share
            place = cells.count
            places[key] = cells.count
            cells.append(Cell(row: lengths.addRow(), level: level))
        }
        if let place {
            cells[place].learn(Double(sample), isWithin: isWithin, step: 0.02)
            lengths.note(sample, in: cells[place].row)
        }
        guard model.index < limit else { return }
        while models.count <= model.index { models.append(Cell(row: lengths.addRow())) }
        models[model.index].learn(Double(sample), isWithin: isWithin, step: 0.005)
        lengths.note(sample, in: models[model.index].row)
    }

    /// What nine of ten answers do not exceed, of one choice: at least 1, at most the bound. While
    /// little is known, twice what is expected.
    public func high(model: ModelID, tenant: TenantID, bound: Tokens?) -> Tokens {
        high(of: model, at: place(model, tenant, bound), bound: bound)
    }

    private func high(of model: ModelID, at place: Int?, bound: Tokens?) -> Tokens {
        let models = model.index < models.count ? models[model.index] : nil
        var known: Int?
        if let own = place.map({ cells[$0] }) ?? models {
            known = lengths.length(
                at: own.level, of: own.row, leaningOn: place == nil ? nil : models?.row,
                weight: Self.leaning, least: Self.leaning)
        }
        let whole = known ?? 2 * expected(of: model, at: place, bound: bound).count
        return Tokens(bound.map { max(min(whole, $0.count), 1) } ?? max(whole, 1))
    }

    /// The tokens expected of one choice: at least 1, at most the bound.
    public func expected(model: ModelID, tenant: TenantID, bound: Tokens?) -> Tokens {
        expected(of: model, at: place(model, tenant, bound), bound: bound)
    }

    private func expected(of model: ModelID, at place: Int?, bound: Tokens?) -> Tokens {
        var expected = OutputEstimate.prior
        if model.index < models.count {
            expected = models[model.index].mean.blended(with: expected)
        }
        if let place { expected = cells[place].mean.blended(with: expected) }
        let whole = max(Int(expected.rounded()), 1)
        return Tokens(bound.map { max(min(whole, $0.count), 1) } ?? whole)
    }

    private func place(_ model: ModelID, _ tenant: TenantID, _ bound: Tokens?) -> Int? {
        Self.key(model, tenant, bound).flatMap { places[$0] }
    }

    /// A single word, which hashes in a fifth of the time of its three parts. Nil for a model
    /// beyond all tables.
    private static func key(_ model: ModelID, _ tenant: TenantID, _ bound: Tokens?) -> UInt64? {
        guard model.raw < 1 << 24 else { return nil }
        return UInt64(tenant.raw) << 32 | UInt64(model.raw) << 8 | UInt64(bucket(bound))
    }

    /// Binary logarithm of the bound; 64 without one.
    private static func bucket(_ bound: Tokens?) -> UInt8 {
        guard let bound else { return 64 }
        return UInt8(Int.bitWidth - 1 - max(bound.count, 1).leadingZeroBitCount)
    }
}
