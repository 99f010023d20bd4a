// SPDX-License-Identifier: Apache-2.0

/// Numbers as text formats spell them, without going over a string where that is exact.
enum Decimal {
    /// A decimal number with an optional sign, fraction and exponent, or `Inf`, `Infinity` or `NaN`
    /// in any case, nearest to what is written; nil for anything else.
    static func parse(_ bytes: RawSpan, _ range: ByteRange) -> Double? {
        var at = Int(range.start)
        let end = Int(range.end)
        guard at < end else { return nil }
        let isNegative = bytes.byte(at) == UInt8(ascii: "-")
        if isNegative || bytes.byte(at) == UInt8(ascii: "+") { at += 1 }
        guard at < end else { return nil }
        let magnitude =
            bytes.byte(at).isLetter
            ? special(bytes, ByteRange(at, end)) : finite(bytes, from: at, to: end)
        guard let magnitude else { return nil }
        return isNegative ? -magnitude : magnitude
    }

    private static func special(_ bytes: RawSpan, _ range: ByteRange) -> Double? {
        if bytes.equals(range, ignoringCase: "inf") { return .infinity }
        if bytes.equals(range, ignoringCase: "infinity") { return .infinity }
        if bytes.equals(range, ignoringCase: "nan") { return .nan }
        return nil
    }

    /// Clinger's fast path: a significand below 2^53 and a power of ten up to 10^22 are both exact
    /// as `Double`, so that one multiplication or division rounds once. The rest goes over a
    /// string.
    private static func finite(_ bytes: RawSpan, from start: Int, to end: Int) -> Double? {
        var digits = Digits()
        var at = digits.read(bytes, from: start, to: end)
        var count = at - start
        if at < end, bytes.byte(at) == Byte.dot {
            let fraction = at + 1
            at = digits.read(bytes, from: fraction, to: end)
            digits.exponent -= at - fraction
            count += at - fraction
        }
        guard count > 0 else { return nil }
        if at < end, bytes.byte(at) | 0x20 == UInt8(ascii: "e") {
            guard let exponent = exponent(bytes, from: at + 1, to: end) else { return nil }
            digits.exponent += exponent
            at = end
        }
        guard at == end else { return nil }
        if let exact = digits.exact { return exact }
        var text: [UInt8] = []
        text.reserveCapacity(end - start)
        for offset in start..<end { text.append(bytes.byte(offset)) }
        return Double(String(decoding: text, as: UTF8.self))
    }

    private struct Digits {
        /// Exact up to 2^53; digits behind the point where it could overflow are dropped, which
        /// leaves it above that.
        var significand: UInt64 = 0
        var exponent = 0

        /// Takes digits from `start` on; the offset behind them.
        mutating func read(_ bytes: RawSpan, from start: Int, to end: Int) -> Int {
            var at = start
            while at < end, bytes.byte(at).isDigit {
                if significand < UInt64(1) << 59 {
                    significand = significand * 10 + UInt64(bytes.byte(at) - Byte.zero)
                }
                at += 1
            }
            return at
        }

        var exact: Double? {
            guard significand <= UInt64(1) << 53, abs(exponent) <= 22 else { return nil }
            let power = Decimal.powers[abs(exponent)]
            return exponent < 0 ? Double(significand) / power : Double(significand) * power
        }
    }

    /// All of the bytes; saturates far outside of what a `Double` can hold.
    private static func exponent(_ bytes: RawSpan, from start: Int, to end: Int) -> Int? {
        var at = start
        guard at < end else { return nil }
        let isNegative = bytes.byte(at) == UInt8(ascii: "-")
        if isNegative || bytes.byte(at) == UInt8(ascii: "+") { at += 1 }
        guard at < end else { return nil }
        var exponent = 0
        while at < end {
            guard bytes.byte(at).isDigit else { return nil }
            exponent = min(exponent * 10 + Int(bytes.byte(at) - Byte.zero), 1_000_000)
            at += 1
        }
        return isNegative ? -exponent : exponent
    }

    private static let powers: [23 of Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}
