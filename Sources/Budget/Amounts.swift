// SPDX-License-Identifier: Apache-2.0

import Policy

/// What several requests together take of their limits: tokens, cost, and how many they are.
///
/// All are whole numbers, so sums are exact.
public struct Amounts: Sendable, Equatable {
    public var input: Double
    public var output: Double
    /// Millionths of the currency unit.
    public var costMicros: Double
    public var requests: Double

    public init(input: Double, output: Double, costMicros: Double, requests: Double) {
        self.input = input
        self.output = output
        self.costMicros = costMicros
        self.requests = requests
    }

    /// Of one request.
    public init(_ demand: Demand) {
        self.init(
            input: demand.input, output: demand.output, costMicros: demand.costMicros,
            requests: 1)
    }

    /// Of one request that has ended.
    public init(_ use: SettledUse) {
        switch use {
        case .used(let demand): self.init(demand)
        case .nothing: self = .none
        }
    }

    public static let none = Amounts(input: 0, output: 0, costMicros: 0, requests: 0)

    /// As accounts count it; of places among concurrent requests, one for each request.
    func counted(_ quantity: LimitQuantity) -> Double {
        switch quantity {
        case .tokens: input + output
        case .input: input
        case .output: output
        case .requests, .concurrent: requests
        case .cost: costMicros
        }
    }

    public static func += (left: inout Amounts, right: Amounts) {
        left.input += right.input
        left.output += right.output
        left.costMicros += right.costMicros
        left.requests += right.requests
    }

    public static func -= (left: inout Amounts, right: Amounts) {
        left.input -= right.input
        left.output -= right.output
        left.costMicros -= right.costMicros
        left.requests -= right.requests
    }

    public static func + (left: Amounts, right: Amounts) -> Amounts {
        var sum = left
        sum += right
        return sum
    }

    public static func - (left: Amounts, right: Amounts) -> Amounts {
        var rest = left
        rest -= right
        return rest
    }

    /// There is as much of everything in it.
    func covers(_ other: Amounts) -> Bool {
        input >= other.input && output >= other.output && costMicros >= other.costMicros
            && requests >= other.requests
    }

    /// The larger of each.
    func union(_ other: Amounts) -> Amounts {
        Amounts(
            input: max(input, other.input), output: max(output, other.output),
            costMicros: max(costMicros, other.costMicros),
            requests: max(requests, other.requests))
    }

    /// So many millionths of it, in whole numbers.
    func share(_ millionths: Double) -> Amounts {
        func part(_ amount: Double) -> Double {
            (amount * millionths / 1_000_000).rounded(.down)
        }
        return Amounts(
            input: part(input), output: part(output), costMicros: part(costMicros),
            requests: part(requests))
    }
}
