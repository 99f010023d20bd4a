// SPDX-License-Identifier: Apache-2.0

public import Units

/// Money for a million tokens, in `currency`.
public struct Price: Sendable, Equatable {
    public var inputPerMillion: Double
    public var cachedInputPerMillion: Double
    public var outputPerMillion: Double
    public var currency: String

    public init(
        inputPerMillion: Double, cachedInputPerMillion: Double, outputPerMillion: Double,
        currency: String
    ) {
        self.inputPerMillion = inputPerMillion
        self.cachedInputPerMillion = cachedInputPerMillion
        self.outputPerMillion = outputPerMillion
        self.currency = currency
    }

    /// What a request costs, in whole millionths of the currency unit: prices are millionths for a
    /// million tokens, the sum over the kinds of tokens is exact, and only the whole is rounded, to
    /// the nearest. So equal use costs equal money however it was added up.
    ///
    /// `cached` is the part of `input` that the engine had already. Saturates at 10^15.
    public func micros(input: Tokens, cached: Tokens = .zero, output: Tokens) -> Int64 {
        let reused = min(max(0, cached.count), max(0, input.count))
        var sum: UInt64 = 0
        let isWithin =
            Self.add(max(0, input.count) - reused, inputPerMillion, to: &sum)
            && Self.add(reused, cachedInputPerMillion, to: &sum)
            && Self.add(max(0, output.count), outputPerMillion, to: &sum)
        guard isWithin else { return Self.most }
        let rounded = sum / 1_000_000 + (sum % 1_000_000 >= 500_000 ? 1 : 0)
        return min(Int64(rounded), Self.most)
    }

    /// False when it is more than can be counted.
    private static func add(_ tokens: Int, _ price: Double, to sum: inout UInt64) -> Bool {
        let product = UInt64(tokens).multipliedReportingOverflow(by: micros(price))
        let total = sum.addingReportingOverflow(product.partialValue)
        sum = total.partialValue
        return !product.overflow && !total.overflow
    }

    /// The same in currency units.
    public func cost(input: Tokens, cached: Tokens = .zero, output: Tokens) -> Double {
        Double(micros(input: input, cached: cached, output: output)) / 1e6
    }

    private static let most: Int64 = 1_000_000_000_000_000

    private static func micros(_ price: Double) -> UInt64 {
        UInt64(min(max(0, (price * 1e6).rounded()), 1e15))
    }
}
