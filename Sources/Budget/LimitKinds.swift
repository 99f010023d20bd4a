// SPDX-License-Identifier: Apache-2.0

public import Policy

extension LimitKind {
    /// How many kinds there are: the length of every table over them.
    public static let count = 7

    /// The place of this kind in tables, the same as in `allCases`.
    public var index: Int {
        switch self {
        case .tokensPerMinute: 0
        case .inputTokensPerMinute: 1
        case .outputTokensPerMinute: 2
        case .requestsPerMinute: 3
        case .concurrentRequests: 4
        case .tokensPerDay: 5
        case .costPerMonth: 6
        }
    }

    /// The kind at a place below `count`.
    public static func at(_ index: Int) -> LimitKind {
        switch index {
        case 0: .tokensPerMinute
        case 1: .inputTokensPerMinute
        case 2: .outputTokensPerMinute
        case 3: .requestsPerMinute
        case 4: .concurrentRequests
        case 5: .tokensPerDay
        default: .costPerMonth
        }
    }

    /// The kinds that refill by the minute stand first, so tables of them alone have this length.
    static let minuteCount = 4
}
