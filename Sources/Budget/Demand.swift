// SPDX-License-Identifier: Apache-2.0

public import Policy
public import Units

/// What one request takes, or took, of its limits.
public struct Demand: Sendable, Equatable {
    public let input: Double
    public let output: Double
    /// In whole millionths of the currency unit, so that sums are exact.
    public let costMicros: Double

    /// Each part is brought into 0...10^12 tokens or 10^9 currency units. `cost`: in units; one
    /// that is no number counts as zero.
    public init(input: Tokens, output: Tokens, cost: Double) {
        self.input = Self.bounded(Double(input.count))
        self.output = Self.bounded(Double(output.count))
        costMicros = (Self.bounded(cost, most: 1e9) * LimitSet.microsPerUnit).rounded()
    }

    public static let nothing = Demand(input: .zero, output: .zero, cost: 0)

    /// What it takes of a limit of that kind, in the limit's own unit.
    public func amount(of kind: LimitKind) -> Double {
        PlannedLimit.units(counted(kind.quantity), kind.quantity)
    }

    /// As accounts count it.
    func counted(_ quantity: LimitQuantity) -> Double {
        switch quantity {
        case .tokens: input + output
        case .input: input
        case .output: output
        case .requests, .concurrent: 1
        case .cost: costMicros
        }
    }

    private static func bounded(_ amount: Double, most: Double = 1e12) -> Double {
        amount > 0 ? min(amount, most) : 0
    }
}

/// How a reservation ends.
public enum SettledUse: Sendable, Equatable {
    /// The request was made and used this much.
    case used(Demand)
    /// The request never reached an engine: it gives back all it held, its place among the requests
    /// too.
    case nothing

    func counted(_ quantity: LimitQuantity) -> Double {
        switch self {
        case .used(let demand): demand.counted(quantity)
        case .nothing: 0
        }
    }
}
