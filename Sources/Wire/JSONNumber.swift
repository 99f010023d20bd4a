// SPDX-License-Identifier: Apache-2.0

/// A JSON number read exactly: `7`, `7.0` and `70e-1` are all seven.
public enum JSONNumber: Sendable, Equatable {
    case whole(Int)
    /// It has a fraction.
    case fractional
    /// Whole, but beyond ±`Int.max`.
    case tooLarge

    /// Reads the number that a scanner found at `range`.
    public init(_ range: Range<Int>, in text: RawSpan) {
        if let plain = JSONNumber.plain(range, in: text) {
            self = .whole(plain)
            return
        }
        let parts = Scientific(range, in: text)
        guard let digits = parts.digits else {
            self = parts.exponent < 0 ? .fractional : .tooLarge
            return
        }
        if digits == 0 {
            self = .whole(0)
        } else if parts.exponent < 0 {
            self = .fractional
        } else if let value = parts.scaled(digits) {
            self = .whole(value)
        } else {
            self = .tooLarge
        }
    }

    /// Of digits alone, as nearly all are; nil of all others, and of more than `Int` surely holds.
    @inline(__always)
    private static func plain(_ range: Range<Int>, in text: RawSpan) -> Int? {
        guard range.count <= 18 else { return nil }
        var value = 0
        for at in range {
            let byte = text.byte(at)
            guard byte.isDigit else { return nil }
            value = value &* 10 &+ Int(byte &- Byte.zero)
        }
        return value
    }

    /// The nearest double; beyond the largest one it is infinite. What is no number is NaN.
    public static func double(_ range: Range<Int>, in text: RawSpan) -> Double {
        Decimal.parse(text, ByteRange(range.lowerBound, range.upperBound)) ?? .nan
    }
}

/// ± digits × 10^exponent, without zeros at the end of the digits.
private struct Scientific {
    var negative = false
    /// Nil when they do not fit.
    var digits: UInt64? = 0
    var exponent = 0

    init(_ range: Range<Int>, in text: RawSpan) {
        var at = range.lowerBound
        var behindPoint = false
        var zeros = 0
        var scale = 0
        scan: while at < range.upperBound {
            let byte = text.byte(at)
            at += 1
            switch byte {
            case UInt8(ascii: "-"): negative = true
            case Byte.dot: behindPoint = true
            case Byte.zero...Byte.nine:
                if behindPoint { scale -= 1 }
                take(byte &- Byte.zero, &zeros)
            default: break scan
            }
        }
        exponent = scale + zeros + Scientific.exponent(at..<range.upperBound, text)
    }

    private mutating func take(_ digit: UInt8, _ zeros: inout Int) {
        if digit == 0 {
            zeros += 1
            return
        }
        var value = digits
        for _ in 0..<(digits == 0 ? 0 : min(zeros, 20)) { value = Scientific.shifted(value, 0) }
        digits = Scientific.shifted(value, UInt64(digit))
        zeros = 0
    }

    private static func shifted(_ value: UInt64?, _ digit: UInt64) -> UInt64? {
        guard let value else { return nil }
        let (product, over) = value.multipliedReportingOverflow(by: 10)
        let (sum, overSum) = product.addingReportingOverflow(digit)
        return over || overSum ? nil : sum
    }

    /// Saturates far outside of what any number here can mean.
    private static func exponent(_ range: Range<Int>, _ text: RawSpan) -> Int {
        var value = 0
        var negative = false
        for at in range {
            let byte = text.byte(at)
            if byte == UInt8(ascii: "-") { negative = true }
            guard byte.isDigit else { continue }
            value = min(value * 10 + Int(byte &- Byte.zero), 1 << 40)
        }
        return negative ? -value : value
    }

    /// The value as an `Int`; the exponent is not negative.
    func scaled(_ digits: UInt64) -> Int? {
        guard exponent <= 18, var value = Int(exactly: digits) else { return nil }
        for _ in 0..<exponent {
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            if over { return nil }
            value = product
        }
        return negative ? -value : value
    }
}
