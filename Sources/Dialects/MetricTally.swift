// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// Folds the samples of one scrape.
struct MetricTally {
    /// The value of a metric on one data-parallel rank.
    private struct Ranked {
        var rule: Int
        var rank: String
        var value: Double
    }

    /// Far above what can be: sums and products of it stay finite, and quotients numbers.
    private static let most = 0x1p62
    /// Ranks beyond are not told apart.
    private static let maxRanked = 1_024

    private let family: EngineFamily
    private let rules: [MetricRule]
    /// By field.
    private var sums: [Double?]
    private var ranked: [Ranked] = []

    init(_ family: EngineFamily) {
        self.family = family
        rules = family.rules
        sums = Array(repeating: nil, count: MetricField.allCases.count)
    }

    mutating func take(_ sample: PrometheusSample, _ text: RawSpan) {
        for index in rules.indices where text.equals(sample.name, rules[index].name) {
            let rule = rules[index]
            if let label = rule.label {
                guard let found = sample.label(label, text), text.equals(found.value, rule.value)
                else { continue }
            }
            if case .cacheConfiguration = rule.fold {
                if let tokens = MetricTally.tokens(sample, text) { add(rule.field, tokens) }
                continue
            }
            guard sample.value.isFinite, sample.value >= 0 else { continue }
            let value = min(sample.value, MetricTally.most)
            switch rule.fold {
            case .sum: add(rule.field, value)
            case .largest: raise(rule.field, value)
            case .ranks, .cacheConfiguration:
                rank(index, value, sample.label("dp_rank", text), text)
            }
        }
    }

    private mutating func add(_ field: MetricField, _ value: Double) {
        sums[Int(field.rawValue)] = (self[field] ?? 0) + value
    }

    private mutating func raise(_ field: MetricField, _ value: Double) {
        sums[Int(field.rawValue)] = max(self[field] ?? 0, value)
    }

    private mutating func rank(
        _ rule: Int, _ value: Double, _ label: PrometheusLabel?, _ text: RawSpan
    ) {
        let rank = label?.text(text) ?? ""
        let field = rules[rule].field
        if let index = ranked.firstIndex(where: { $0.rule == rule && $0.rank == rank }) {
            let rise = max(value - ranked[index].value, 0)
            ranked[index].value += rise
            add(field, rise)
        } else if ranked.count < MetricTally.maxRanked {
            ranked.append(Ranked(rule: rule, rank: rank, value: value))
            add(field, value)
        }
    }

    /// `kv_cache_size_tokens`, or blocks × size: absent values are the text `None`.
    private static func tokens(_ sample: PrometheusSample, _ text: RawSpan) -> Double? {
        func number(_ name: StaticString) -> Double? {
            sample.label(name, text).flatMap { Int($0.text(text)) }.flatMap {
                $0 > 0 ? Double($0) : nil
            }
        }
        if let tokens = number("kv_cache_size_tokens") { return tokens }
        guard let blocks = number("num_gpu_blocks"), let size = number("block_size") else {
            return nil
        }
        return blocks * size
    }

    private subscript(field: MetricField) -> Double? { sums[Int(field.rawValue)] }
}

// MARK: The result

extension MetricTally {
    /// Nil when nothing was known.
    var metrics: EngineMetrics? {
        guard sums.contains(where: { $0 != nil }) else { return nil }
        var metrics = EngineMetrics()
        metrics.running = whole(self[.running])
        metrics.waiting = whole(self[.waiting])
        metrics.promptTokensTotal = whole(self[.prompt])
        metrics.generationTokensTotal = whole(self[.generation])
        metrics.preemptionsTotal = whole(self[.preemptions])
        metrics.isSleeping = self[.awake].map { $0 == 0 }
        setCache(&metrics)
        return metrics
    }

    private func setCache(_ metrics: inout EngineMetrics) {
        var used = self[.usedTokens] ?? self[.olderUsedTokens]
        var capacity = self[.capacityTokens]
        if let perBlock = self[.tokensPerBlock], let blocks = blocks {
            used = blocks.used * perBlock
            capacity = blocks.max * perBlock
        }
        var usage = self[.usage] ?? self[.olderUsage] ?? blocks.map { $0.used / $0.max }
        if usage == nil, let used, let capacity, capacity > 0 { usage = used / capacity }
        if used == nil, let usage, let capacity { used = usage * capacity }
        metrics.kvUsage = usage.map { min($0, 1) }
        metrics.kvUsedTokens = whole(used).map { Tokens($0) }
        metrics.kvCapacityTokens = whole(capacity).map { Tokens($0) }
    }

    /// Nil when the numbers contradict each other: Triton's reporter shifts them when its source
    /// leaves one out.
    private var blocks: (used: Double, max: Double)? {
        guard let used = self[.usedBlocks], let most = self[.maxBlocks], most > 0, used <= most
        else { return nil }
        if family == .triton {
            guard let free = self[.freeBlocks], abs(used + free - most) <= max(1, most / 100)
            else { return nil }
        }
        return (used, most)
    }

    private func whole(_ value: Double?) -> Int? {
        value.map { Int(min($0, MetricTally.most).rounded()) }
    }
}
