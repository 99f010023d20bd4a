// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Units
import Wire

private func whole(_ text: String) -> JSONNumber {
    let bytes = Array(text.utf8)
    return bytes.withRaw { JSONNumber($0.byteOffsets, in: $0) }
}

private func double(_ text: String) -> Double {
    let bytes = Array(text.utf8)
    return bytes.withRaw { JSONNumber.double($0.byteOffsets, in: $0) }
}

struct JSONNumberTests {
    @Test(arguments: [
        ("0", 0), ("-0", 0), ("7", 7), ("7.0", 7), ("7.000", 7), ("70e-1", 7), ("0.7e1", 7),
        ("-12", -12), ("1e3", 1000), ("1E+3", 1000), ("0e999999999999999999999", 0), ("0.0", 0),
        ("100", 100), ("1200e-2", 12), ("9223372036854775807", Int.max),
        ("1e18", 1_000_000_000_000_000_000),
        ("9223372036854775.807e3", Int.max), ("10000000000000000000000e-20", 100),
    ])
    func wholeNumbersAreReadExactly(text: String, value: Int) {
        #expect(whole(text) == .whole(value))
    }

    @Test(arguments: [
        "3.5", "0.1", "1e-1", "-7.25", "1e-999999999999999999", "12345678901234567890.5",
    ])
    func aFractionIsNoWholeNumber(text: String) {
        #expect(whole(text) == .fractional)
    }

    @Test(arguments: [
        "9223372036854775808", "1e19", "1e999999999999999999999", "-1e30",
        "123456789012345678901234567890", "18446744073709551616",
    ])
    func whatIntCannotHoldIsTooLarge(text: String) {
        #expect(whole(text) == .tooLarge)
    }

    @Test(arguments: [
        "0", "-0", "1.3e+06", "0.1", "1e22", "1e23", "1e-22", "123456789.123", "5e-324", "1e400",
        "-1e400", "1.7976931348623157e308", "9007199254740993", "0.30000000000000004", "66.8489",
    ])
    func doublesAreTheNearest(text: String) {
        #expect(double(text) == Double(text))
        #expect(double(text).sign == Double(text)?.sign)
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func anyDoubleComesBack(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<50 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            #expect(double(value.description) == value)
            let short = Double(Int64(bitPattern: random.next() >> 40)) / 1000
            #expect(double(short.description) == short)
        }
    }
}
