// SPDX-License-Identifier: Apache-2.0

public import Policy

/// A tenant's limits by kind, without an array behind them.
public struct LimitSet: Sendable, Equatable {
    /// By `LimitKind.index`; zero where there is no such limit.
    public private(set) var amounts: [7 of Double]

    /// No limit at all.
    public init() { amounts = [0, 0, 0, 0, 0, 0, 0] }

    /// Of a kind that is given twice the last one counts; an amount that is not above zero is no
    /// limit.
    public init(_ limits: TenantLimits) {
        self.init()
        for limit in limits.rates where limit.amount > 0 && limit.amount < Self.most {
            amounts[limit.kind.index] = limit.amount
        }
    }

    /// Amounts from here on are no limit: whole numbers below it are exact in doubles.
    public static let most = 1e15

    public subscript(_ kind: LimitKind) -> Double {
        get { amounts[kind.index] }
        set { amounts[kind.index] = newValue }
    }

    public static func == (left: LimitSet, right: LimitSet) -> Bool {
        for index in 0..<LimitKind.count where left.amounts[index] != right.amounts[index] {
            return false
        }
        return true
    }
}
