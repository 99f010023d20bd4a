// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("Time")
struct TimeTests {
    @Test("instants stay between the beginning and the point that never comes")
    func instants() {
        let start = Instant(nanoseconds: 5)
        #expect(start + .milliseconds(1) == Instant(nanoseconds: 1_000_005))
        #expect(start - Duration(nanoseconds: 3) == Instant(nanoseconds: 2))
        #expect(start - .seconds(1) == Instant(nanoseconds: 0))
        #expect(start + Duration(nanoseconds: .min) == Instant(nanoseconds: 0))
        #expect(start + .infinite == .distantFuture)
        #expect(.distantFuture + .seconds(1) == .distantFuture)
        #expect(start - Duration(nanoseconds: .min) == .distantFuture)
        #expect(Instant.distantFuture - start == Duration(nanoseconds: .max - 5))
        #expect(start - .distantFuture == Duration(nanoseconds: 5 - .max))
        #expect(start < .distantFuture)
    }

    @Test("lengths of time saturate on both sides")
    func lengths() {
        #expect(Duration.infinite + .seconds(1) == .infinite)
        #expect(Duration.seconds(2) + .milliseconds(-500) == .milliseconds(1_500))
        let shortest = Duration(nanoseconds: .min)
        #expect(shortest + .seconds(-1) == shortest)
        #expect(shortest - .seconds(1) == shortest)
        #expect(Duration.infinite - .seconds(-1) == .infinite)
        #expect(Duration.zero - shortest == .infinite)
        #expect(Duration.seconds(1) - .seconds(3) == .seconds(-2))
        #expect(Duration.microseconds(1_500) < .milliseconds(2))
    }

    @Test("computed seconds saturate, and what is no number is no limit")
    func computed() {
        #expect(Duration.seconds(1.5) == .milliseconds(1_500))
        #expect(Duration.seconds(-0.25) == .milliseconds(-250))
        #expect(Duration.seconds(1e300) == .infinite)
        #expect(Duration.seconds(-1e300).nanoseconds == .min)
        #expect(Duration.seconds(Double.infinity) == .infinite)
        #expect(Duration.seconds(-Double.infinity).nanoseconds == .min)
        #expect(Duration.seconds(Double.nan) == .infinite)
        #expect(Duration.milliseconds(250).seconds == 0.25)
    }

    @Test(
        "milliseconds are rounded up, since a client must not come back too early",
        arguments: [
            (0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (59_999_999_999, 60_000),
            (-1, 0), (-1_000_001, -1), (Int64.max, 9_223_372_036_855),
        ])
    func milliseconds(nanoseconds: Int64, expected: Int) {
        #expect(Duration(nanoseconds: nanoseconds).millisecondsRoundedUp == expected)
    }

    @Test(
        "a length is shown in the largest unit that divides it",
        arguments: [
            (Duration.zero, "0s"), (.infinite, "infinite"), (.seconds(3_600), "1h"),
            (.seconds(86_400), "24h"), (.seconds(300), "5m"), (.seconds(90), "90s"),
            (.milliseconds(250), "250ms"), (.milliseconds(1_000), "1s"),
            (.microseconds(15), "15us"), (Duration(nanoseconds: 7), "7ns"),
            (.milliseconds(-20), "-20ms"),
        ])
    func description(length: Duration, expected: String) {
        #expect(length.description == expected)
    }

    @Test("wall time counts in nanoseconds and is told in microseconds")
    func wall() {
        let time = WallTime(nanoseconds: 1_700_000_000_123_456_789)
        #expect(time.microseconds == 1_700_000_000_123_456)
        #expect(time + .seconds(1) == WallTime(nanoseconds: 1_700_000_001_123_456_789))
        #expect(time < time + Duration(nanoseconds: 1))
    }
}

@Suite("Bytes and tokens")
struct QuantityTests {
    @Test(
        "a size is shown in the largest unit that divides it",
        arguments: [
            (Bytes(0), "0B"), (Bytes(100), "100B"), (.kibi(96), "96KiB"), (.mebi(8), "8MiB"),
            (.mebi(1_024), "1GiB"), (Bytes(1_025), "1025B"), (.kibi(1_536), "1536KiB"),
            (Bytes(-1_024), "-1KiB"),
        ])
    func bytes(size: Bytes, expected: String) {
        #expect(size.description == expected)
    }

    @Test("tokens add, subtract and compare")
    func tokens() {
        var tokens = Tokens(3) + Tokens(4)
        tokens += Tokens(1)
        tokens -= Tokens(10)
        #expect(tokens == Tokens(-2))
        #expect(tokens < .zero)
        #expect(Tokens(7) - Tokens(2) == Tokens(5))
        #expect("\(Tokens(1_234))" == "1234")
    }

    @Test("identifiers are ordered by their places")
    func identifiers() {
        #expect(TenantID(3) < TenantID(4))
        #expect(EndpointID(Int(UInt32.max)).index == Int(UInt32.max))
        #expect(Set([ClassID(1), ClassID(1), ClassID(2)]).count == 2)
    }
}
