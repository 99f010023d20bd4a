// SPDX-License-Identifier: Apache-2.0

public import Units

/// What usage can be told apart by.
public enum UsageColumn: String, Sendable, CaseIterable {
    case tenant, model, key, outcome, source, day, hour
    case trafficClass = "class"

    /// Of an entry; empty where it has none.
    func value(of entry: LedgerEntry) -> String {
        switch self {
        case .tenant: entry.tenant
        case .model: entry.model
        case .key: entry.key ?? ""
        case .outcome: entry.outcome
        case .source: entry.source
        case .trafficClass: entry.trafficClass
        case .day: String(LedgerTime.text(entry.time).prefix(10))
        case .hour: String(LedgerTime.text(entry.time).prefix(13)) + ":00Z"
        }
    }
}

/// One row of a usage report: exact sums.
public struct UsageRow: Sendable, Equatable {
    /// By the columns that were asked for.
    public let values: [String]
    /// Of the cost; empty where the models have no price.
    public let currency: String
    public private(set) var requests: Int128 = 0
    public private(set) var input: Int128 = 0
    public private(set) var cachedInput: Int128 = 0
    public private(set) var output: Int128 = 0
    public private(set) var reasoning: Int128 = 0
    public private(set) var cost = Money.zero

    fileprivate init(_ values: [String], _ currency: String) {
        self.values = values
        self.currency = currency
    }

    fileprivate mutating func add(_ entry: LedgerEntry) {
        requests += 1
        input += Int128(entry.input)
        cachedInput += Int128(entry.cachedInput)
        output += Int128(entry.output)
        reasoning += Int128(entry.reasoning)
        if let cost = entry.cost { self.cost += cost }
    }
}

/// Adds up entries by some of their columns, and by currency always: amounts of two currencies are
/// never one sum.
public struct UsageSums: Sendable {
    /// The most rows; one more is `.tooMany`.
    public static let mostRows = 1_000_000

    /// What became of a line.
    public enum Outcome: Sendable, Equatable {
        case counted
        /// Before or behind the times asked for.
        case outside
        /// It stood in what was read before.
        case repeated
        /// Torn, altered, or no entry.
        case broken
        /// Rows, or numbers to be remembered, are more than memory is kept for.
        case tooMany
    }

    private struct Key: Hashable {
        let values: [String]
        let currency: String
    }

    private let columns: [UsageColumn]
    private let from: WallTime
    private let to: WallTime
    /// Only ever asked for one row; `rows` sorts.
    private var places: [Key: Int] = [:]
    private var sums: [UsageRow] = []
    private var seen = SeenNumbers()
    /// Lines that are no entries.
    public private(set) var broken = 0
    /// Entries that stood in what was read before.
    public private(set) var repeated = 0

    /// Entries from `from` on and before `to`.
    public init(by columns: [UsageColumn], from: WallTime, to: WallTime) {
        self.columns = columns
        self.from = from
        self.to = to
    }

    /// Adds a line without its line feed. Empty ones are nothing.
    public mutating func add(_ line: RawSpan) -> Outcome {
        guard let entry = LedgerLine.read(line) else {
            broken += 1
            return .broken
        }
        switch seen.take(entry.number, of: entry.gateway) {
        case .new: break
        case .repeated:
            repeated += 1
            return .repeated
        case .full: return .tooMany
        }
        guard entry.time >= from, entry.time < to else { return .outside }
        let key = Key(
            values: columns.map { $0.value(of: entry) }, currency: entry.currency ?? "")
        let place: Int
        if let known = places[key] {
            place = known
        } else {
            guard sums.count < Self.mostRows else { return .tooMany }
            place = sums.count
            places[key] = place
            sums.append(UsageRow(key.values, key.currency))
        }
        sums[place].add(entry)
        return .counted
    }

    /// Notes bytes that are too long for a line.
    public mutating func addBroken() { broken += 1 }

    /// In the order of their values.
    public var rows: [UsageRow] {
        sums.sorted { left, right in
            for place in left.values.indices where left.values[place] != right.values[place] {
                return left.values[place] < right.values[place]
            }
            return left.currency < right.currency
        }
    }
}
