// SPDX-License-Identifier: Apache-2.0

import HTTP2
import Testing
import Units
import Wire

/// What a peer may do often, and what happens when it does so more often.
struct FloodTests {
    private static let calm = 11

    struct Flood: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// Sent once.
        var first: [UInt8] = []
        /// The n-th of many.
        let each: @Sendable (Int) -> [UInt8]
        /// So many are too many within a second.
        let over: Int

        static let all = [
            Flood(
                testDescription: "rapid reset",
                each: { Bytes2.headers($0 * 2 + 1) + Bytes2.reset($0 * 2 + 1) }, over: 201),
            Flood(
                testDescription: "streams that have to be reset",
                each: { Bytes2.headers($0 * 2 + 1) + Bytes2.windowUpdate($0 * 2 + 1, 0x7FFF_FFFF) },
                over: 201),
            Flood(
                testDescription: "requests that are malformed",
                each: { Bytes2.headers($0 * 2 + 1, [("a", "b")]) }, over: 201),
            Flood(testDescription: "SETTINGS", each: { _ in Bytes2.settings() }, over: 1_001),
            Flood(
                testDescription: "SETTINGS that change the table",
                each: { Bytes2.settings([(1, $0 % 2 * 4_096)]) }, over: 1_001),
            Flood(
                testDescription: "PING", each: { _ in Bytes2.frame(6, 0, 0, .zeros(8)) },
                over: 1_001),
            Flood(
                testDescription: "PING answers that nobody asked for",
                each: { _ in Bytes2.frame(6, 1, 0, .zeros(8)) }, over: 1_001),
            Flood(
                testDescription: "PRIORITY",
                each: { Bytes2.frame(2, 0, $0 * 2 + 1, [0, 0, 0, 0, 1]) }, over: 1_001),
            Flood(
                testDescription: "empty DATA", first: Bytes2.headers(1),
                each: { _ in Bytes2.data(1, "") }, over: 1_001),
            Flood(
                testDescription: "DATA of padding alone", first: Bytes2.headers(1),
                each: { _ in Bytes2.frame(0, 8, 1, [2, 0, 0]) }, over: 1_001),
            Flood(
                testDescription: "WINDOW_UPDATE", each: { _ in Bytes2.windowUpdate(0, 1) },
                over: 1_201),
            Flood(
                testDescription: "unknown frames", each: { _ in Bytes2.frame(200, 0, 0) },
                over: 1_001),
        ]
    }

    @Test(arguments: Flood.all)
    func isEnded(_ flood: Flood) {
        let bench = Bench()
        bench.give(flood.first)
        for count in 0..<flood.over - 10 {
            bench.give(flood.each(count))
            guard bench.goAway == nil else {
                Issue.record("too early, at \(count): \(bench.sent.suffix(3))")
                return
            }
        }
        for count in flood.over - 10..<flood.over + 10 { bench.give(flood.each(count)) }
        #expect(bench.goAway == Self.calm, "\(bench.sent.suffix(3))")
        #expect(bench.session.isTerminated)
    }

    @Test(arguments: Flood.all)
    func isServedWhereItComesSlowly(_ flood: Flood) {
        let bench = Bench()
        bench.give(flood.first)
        for count in 0..<flood.over * 3 {
            bench.give(flood.each(count))
            bench.pass(.milliseconds(6))
        }
        #expect(bench.goAway == nil, "\(bench.sent.suffix(3))")
    }

    /// All that a peer may ask before it has taken an answer.
    @Test func answersThatAreNotTakenAreBounded() {
        var limits = HTTP2Limits()
        limits.maxPendingAcks = 10
        let session = HTTP2Session(isServer: true, limits: limits, now: Instant(nanoseconds: 1))
        let many = (0..<20).flatMap { _ in Bytes2.frame(6, 0, 0, .zeros(8)) }
        unsafe (Bytes2.greeting + many).withUnsafeBytes {
            unsafe session.receive($0, now: Instant(nanoseconds: 1))
        }
        #expect(session.isTerminated && session.ownCode == 11)
        #expect(session.queuedFrames < 20)
    }

    @Test func continuationsWithoutEndEndTheConnection() {
        let bench = Bench()
        bench.give(Bytes2.frame(1, 1, 1, Bytes2.block(Bytes2.usual)))
        for _ in 0..<16 { bench.give(Bytes2.frame(9, 0, 1)) }
        #expect(bench.goAway == nil)
        bench.give(Bytes2.frame(9, 0, 1))
        #expect(bench.goAway == Self.calm)
    }

    /// A few bytes that unfold into many: each index names a line of 4,000 bytes.
    @Test func aBombOfIndicesIsNotKept() {
        let bench = Bench()
        let large = [0x40] + Array(Bytes2.line("bomb", .x(4_000)).dropFirst())
        let block = Bytes2.block(Bytes2.usual) + large + [UInt8](repeating: 0xBE, count: 8_000)
        bench.give(Bytes2.frame(1, 5, 1, block))
        #expect(bench.goAway == Self.calm)
        #expect((bench.streams[1]?.heldInput ?? 0) < 100_000)
    }

    @Test func aHeadThatIsALittleTooLargeIsAnswered() {
        let bench = Bench()
        let large = [0x40] + Array(Bytes2.line("bomb", .x(4_000)).dropFirst())
        let block = Bytes2.block(Bytes2.usual) + large + [UInt8](repeating: 0xBE, count: 20)
        bench.give(Bytes2.frame(1, 5, 1, block))
        #expect(bench.streams[1]?.headFault?.status == 431)
        bench.respond(1, 431, text: "too large")
        #expect(bench.sent.contains { $0.type == 0 && $0.stream == 1 && $0.flags & 1 == 1 })
        #expect(bench.goAway == nil)
    }

    @Test func tooManySettingsInOneFrameEndTheConnection() {
        let bench = Bench()
        bench.give(Bytes2.settings(.init(repeating: (99, 1), count: 33)))
        #expect(bench.session.hasEnded && bench.goAway != nil)
    }

    /// A peer that does not know of the bound yet loses the stream, one that does the connection.
    @Test(arguments: [false, true])
    func aStreamTooManyIsRefusedUnserved(isKnown: Bool) {
        var limits = HTTP2Limits()
        limits.maxStreams = 3
        let bench = Bench(limits)
        if isKnown { bench.give(Bytes2.frame(4, 1, 0)) }
        for number in 0..<4 { bench.give(Bytes2.headers(number * 2 + 1)) }
        #expect(bench.streams[7] == nil)
        if isKnown {
            #expect(bench.goAway == 1)
        } else {
            #expect(bench.reset(7) == 7 && bench.session.openStreams == 3)
        }
    }
}
