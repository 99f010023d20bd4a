// SPDX-License-Identifier: Apache-2.0

import Units

/// An amount of some currency in whole millionths of a millionth, so that sums are exact: prices
/// have at most six decimals for a million tokens, and a token then costs a whole number of these.
public struct Money: Sendable, Hashable, Comparable {
    /// 10^-12 of the currency's unit.
    public var picos: Int128

    /// That many 10^-12.
    public init(picos: Int128) { self.picos = picos }

    /// Nothing.
    public static let zero = Money(picos: 0)
    /// The most that one entry may speak of.
    public static let most = Money(picos: 1_000_000_000_000_000_000_000_000)

    /// Of a number of tokens, not negative, at a price for a million of them. The price counts to
    /// its sixth decimal.
    public init(tokens: Int, perMillion price: Double) {
        let micros = (price * 1e6).rounded()
        guard micros.isFinite, micros >= 0, micros <= 1e15 else {
            self = .zero
            return
        }
        picos = Int128(max(0, tokens)) * Int128(Int64(micros))
    }

    /// The sum; what an entry may hold keeps it far from any bound.
    public static func + (left: Money, right: Money) -> Money {
        Money(picos: left.picos &+ right.picos)
    }
    public static func += (left: inout Money, right: Money) { left = left + right }
    public static func < (left: Money, right: Money) -> Bool { left.picos < right.picos }

    /// All its digits as JSON spells numbers, without zeros at the end.
    public var text: String {
        let unit: Int128 = 1_000_000_000_000
        let whole = picos / unit
        let rest = (picos % unit).magnitude
        let sign = picos < 0 && whole == 0 ? "-" : ""
        guard rest > 0 else { return "\(sign)\(whole)" }
        let digits = String(rest)
        var fraction = String(repeating: "0", count: 12 - digits.utf8.count) + digits
        while fraction.utf8.last == UInt8(ascii: "0") { fraction.removeLast() }
        return "\(sign)\(whole).\(fraction)"
    }

    /// The same, at the end of a line that is being written.
    func append(to text: inout ByteBuffer) {
        guard (0...Self.most.picos).contains(picos) else { return text.append(self.text) }
        let (whole, rest) = picos.quotientAndRemainder(dividingBy: 1_000_000_000_000)
        text.append(decimal: Int(whole))
        var decimals = Int(rest)
        guard decimals > 0 else { return }
        text.append(".")
        var unit = 100_000_000_000
        while decimals < unit {
            text.append("0")
            unit /= 10
        }
        while decimals % 10 == 0 { decimals /= 10 }
        text.append(decimal: decimals)
    }

    /// From such digits, not negative, at most `most`; nil for anything else.
    public init?(_ digits: some Collection<UInt8>) {
        var value: Int128 = 0
        var decimals: Int?
        guard let first = digits.first, (0x30...0x39).contains(first) else { return nil }
        for byte in digits {
            if byte == UInt8(ascii: "."), decimals == nil {
                decimals = 0
                continue
            }
            guard (0x30...0x39).contains(byte), value <= Money.most.picos else { return nil }
            value = value * 10 + Int128(byte - 0x30)
            if let places = decimals {
                guard places < 12 else { return nil }
                decimals = places + 1
            }
        }
        if decimals == 0 { return nil }
        for _ in (decimals ?? 0)..<12 {
            guard value <= Money.most.picos else { return nil }
            value *= 10
        }
        guard value <= Money.most.picos else { return nil }
        picos = value
    }
}
