// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// What one request takes, or took, of a tenant's limits.
public struct Demand: Sendable, Equatable {
    public let input: Double
    public let output: Double
    /// In the currency of the limit.
    public let cost: Double

    /// Each part is brought into 0...10^12 tokens or currency units; a cost that is no number
    /// counts as zero.
    public init(input: Tokens, output: Tokens, cost: Double) {
        self.input = Self.bounded(Double(input.count))
        self.output = Self.bounded(Double(output.count))
        self.cost = Self.bounded(cost)
    }

    public static let nothing = Demand(input: .zero, output: .zero, cost: 0)

    /// By `LimitKind.index`.
    var amounts: [7 of Double] {
        let tokens = input + output
        return [tokens, input, output, 1, 1, tokens, cost]
    }

    /// What it takes of a limit of that kind.
    public func amount(of kind: LimitKind) -> Double { amounts[kind.index] }

    private static func bounded(_ amount: Double) -> Double {
        amount > 0 ? min(amount, 1e12) : 0
    }
}

/// How a reservation ends.
public enum SettledUse: Sendable, Equatable {
    /// The request was made and used this much.
    case used(Demand)
    /// The request never reached an engine: it gives back all it held, its place among the requests
    /// too.
    case nothing
}
