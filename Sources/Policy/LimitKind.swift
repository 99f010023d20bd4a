// SPDX-License-Identifier: Apache-2.0

/// What a limit counts. The raw value is its place in tables.
public enum LimitQuantity: UInt8, Sendable, CaseIterable {
    case tokens, input, output, requests, cost
    /// Requests in flight, which end instead of draining: this one has no window.
    case concurrent

    /// How names of limits begin.
    public var word: String {
        switch self {
        case .tokens: "tokens"
        case .input: "input_tokens"
        case .output: "output_tokens"
        case .requests: "requests"
        case .cost: "cost"
        case .concurrent: "concurrent_requests"
        }
    }

    /// It counts tokens.
    public var isTokens: Bool { self == .tokens || self == .input || self == .output }
}

/// Over which time a limit counts.
public enum LimitWindow: UInt8, Sendable, CaseIterable {
    case second, minute, hour, day, week, month

    public var word: String {
        switch self {
        case .second: "second"
        case .minute: "minute"
        case .hour: "hour"
        case .day: "day"
        case .week: "week"
        case .month: "month"
        }
    }

    /// How long it is as a sliding window; a month is 30 days then.
    public var seconds: Int {
        switch self {
        case .second: 1
        case .minute: 60
        case .hour: 3_600
        case .day: 86_400
        case .week: 604_800
        case .month: 2_592_000
        }
    }

    /// Unless told otherwise, days, weeks and months are the calendar's.
    public var isCalendarByDefault: Bool { self == .day || self == .week || self == .month }
}

/// A quantity and a window: what the configuration, headers, metrics and refusals call a limit by.
public struct LimitKind: Sendable, Hashable, CaseIterable, RawRepresentable {
    /// The place of this kind in tables, the same as in `allCases`.
    public let index: Int

    private init(place: Int) { index = place }

    public init(_ quantity: LimitQuantity, per window: LimitWindow) {
        let place = Int(quantity.rawValue) * Self.windows + Int(window.rawValue)
        index = min(place, Self.count - 1)
    }

    /// By its name in the configuration.
    public init?(rawValue: String) {
        guard let place = Self.names.firstIndex(of: rawValue) else { return nil }
        index = place
    }

    /// The kind at a place below `count`.
    public static func at(_ place: Int) -> LimitKind {
        LimitKind(place: min(max(0, place), count - 1))
    }

    private static let windows = 6
    /// How many kinds there are: the length of every table over them.
    public static let count = 5 * windows + 1
    public static let allCases: [LimitKind] = (0..<count).map { LimitKind(place: $0) }

    public var quantity: LimitQuantity {
        LimitQuantity(rawValue: UInt8(index / Self.windows)) ?? .concurrent
    }

    /// Nil for concurrent requests.
    public var window: LimitWindow? {
        index == Self.count - 1 ? nil : LimitWindow(rawValue: UInt8(index % Self.windows))
    }

    /// Its name in the configuration, as in `tokens_per_minute`.
    public var rawValue: String { Self.names[index] }
    /// Its name in header fields, as in `tokens-per-minute`.
    public var hyphenated: String { Self.hyphenatedNames[index] }
    /// Its name in sentences, as in `tokens per minute`.
    public var words: String { Self.sentenceNames[index] }

    private static let names: [String] = allCases.map { kind in
        guard let window = kind.window else { return kind.quantity.word }
        return "\(kind.quantity.word)_per_\(window.word)"
    }
    private static let hyphenatedNames = names.map { Self.replacing($0, by: "-") }
    private static let sentenceNames = names.map { Self.replacing($0, by: " ") }

    private static func replacing(_ name: String, by separator: String) -> String {
        name.split(separator: "_").joined(separator: separator)
    }

    public static let tokensPerMinute = LimitKind(.tokens, per: .minute)
    public static let inputTokensPerMinute = LimitKind(.input, per: .minute)
    public static let outputTokensPerMinute = LimitKind(.output, per: .minute)
    public static let requestsPerMinute = LimitKind(.requests, per: .minute)
    public static let concurrentRequests = LimitKind(place: count - 1)
    public static let tokensPerDay = LimitKind(.tokens, per: .day)
    public static let costPerMonth = LimitKind(.cost, per: .month)
}

extension LimitKind: CustomStringConvertible {
    public var description: String { rawValue }
}
