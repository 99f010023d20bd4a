// SPDX-License-Identifier: Apache-2.0

import HTTP2
import Testing
import Units
import Wire

/// Everything that RFC 9113 sections 3 to 8 tell a server to reject, and that a client can send.
struct RejectionTests {
    enum Outcome: Equatable {
        /// The stream is reset with this code.
        case reset(Int, Int)
        /// The connection ends with this code.
        case over(Int)
        /// The request is told of with a fault, and gets an answer of 400 or so.
        case fault(Int)
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let bytes: [UInt8]
        let outcome: Outcome

        init(_ name: String, _ bytes: [UInt8], _ outcome: Outcome) {
            testDescription = name
            self.bytes = bytes
            self.outcome = outcome
        }

        /// A request on stream 1 with these lines.
        static func lines(
            _ name: String, _ lines: [(String, String)], _ outcome: Outcome = .reset(1, 1)
        ) -> Case {
            Case(name, Bytes2.headers(1, lines, isEnd: true), outcome)
        }
    }

    private static let usual = Bytes2.usual
    private static let open = Bytes2.headers(1)
    private static let whole = Bytes2.headers(1, isEnd: true)
    private static let half = Bytes2.frame(1, 0, 1, Bytes2.block(usual))

    static let framing: [Case] = [
        Case("4.2 a frame larger than allowed", Bytes2.frame(0, 0, 1, .zeros(16_385)), .over(6)),
        Case("4.3 a block that cannot be unpacked", Bytes2.frame(1, 5, 1, [0xFF, 0xFF]), .over(9)),
        Case("4.3 an index without an entry", Bytes2.frame(1, 5, 1, [0xC0]), .over(9)),
        Case(
            "4.3.1 a table larger than announced",
            Bytes2.frame(1, 5, 1, [0x3F, 0xE2, 0x7F] + Bytes2.block(usual)), .over(9)),
        Case("5.1 DATA on an idle stream", Bytes2.data(1, "x"), .over(1)),
        Case("5.1 RST_STREAM on an idle stream", Bytes2.reset(1), .over(1)),
        Case("5.1 WINDOW_UPDATE on an idle stream", Bytes2.windowUpdate(1, 1), .over(1)),
        Case("5.1 CONTINUATION on an idle stream", Bytes2.frame(9, 4, 1), .over(1)),
        Case("5.1 DATA behind the end", whole + Bytes2.data(1, "x"), .over(5)),
        Case("5.1 HEADERS behind the end", whole + Bytes2.headers(1), .over(5)),
        Case("5.1.1 a stream of even number", Bytes2.headers(2), .over(1)),
        Case("5.5 an unknown frame within a block", half + Bytes2.frame(99, 0, 1), .over(1)),
        Case("6.1 DATA on stream 0", Bytes2.data(0, "x"), .over(1)),
        Case("6.1 padding beyond the frame", open + Bytes2.frame(0, 8, 1, [9, 0]), .over(1)),
        Case("6.2 HEADERS on stream 0", Bytes2.headers(0), .over(1)),
        Case("6.2 padding beyond the frame", Bytes2.frame(1, 0xC, 1, [200, 0x82]), .over(1)),
        Case("6.2 a frame within a block", half + Bytes2.data(1, "x"), .over(1)),
        Case("6.2 HEADERS of another within a block", half + Bytes2.headers(3), .over(1)),
        Case("6.3 PRIORITY on stream 0", Bytes2.frame(2, 0, 0, .zeros(5)), .over(1)),
        Case("6.3 PRIORITY of a wrong size", open + Bytes2.frame(2, 0, 1, .zeros(4)), .over(6)),
        Case("6.4 RST_STREAM on stream 0", Bytes2.reset(0), .over(1)),
        Case("6.4 RST_STREAM of a wrong size", open + Bytes2.frame(3, 0, 1, .zeros(3)), .over(6)),
        Case("6.5 SETTINGS ACK with content", Bytes2.frame(4, 1, 0, .zeros(6)), .over(6)),
        Case("6.5 SETTINGS on a stream", Bytes2.frame(4, 0, 1), .over(1)),
        Case("6.5 SETTINGS of a wrong size", Bytes2.frame(4, 0, 0, .zeros(5)), .over(6)),
        Case("6.5.2 ENABLE_PUSH of 2", Bytes2.settings([(2, 2)]), .over(1)),
        Case("6.5.2 a window of 2^31", Bytes2.settings([(4, 1 << 31)]), .over(3)),
        Case("6.5.2 frames of 16,383 bytes", Bytes2.settings([(5, 16_383)]), .over(1)),
        Case("6.5.2 frames of 2^24 bytes", Bytes2.settings([(5, 1 << 24)]), .over(1)),
        Case("6.6 PUSH_PROMISE", open + Bytes2.frame(5, 4, 1, .zeros(4)), .over(1)),
        Case("6.7 PING on a stream", Bytes2.frame(6, 0, 1, .zeros(8)), .over(1)),
        Case("6.7 PING of a wrong size", Bytes2.frame(6, 0, 0, .zeros(7)), .over(6)),
        Case("6.8 GOAWAY on a stream", Bytes2.frame(7, 0, 1, .zeros(8)), .over(1)),
        Case("6.8 GOAWAY of a wrong size", Bytes2.frame(7, 0, 0, .zeros(7)), .over(6)),
        Case("6.9 no more window for all", Bytes2.windowUpdate(0, 0), .over(1)),
        Case("6.9 no more window for one", open + Bytes2.windowUpdate(1, 0), .over(1)),
        Case("6.9 WINDOW_UPDATE of a wrong size", Bytes2.frame(8, 0, 0, .zeros(3)), .over(6)),
        Case("6.9.1 a window over 2^31 for all", Bytes2.windowUpdate(0, 0x7FFF_FFFF), .over(3)),
        Case(
            "6.9.1 a window over 2^31 for one", open + Bytes2.windowUpdate(1, 0x7FFF_FFFF),
            .reset(1, 3)),
        Case(
            "6.9.2 settings that make a window too large",
            open + Bytes2.windowUpdate(1, 0x7FFF_0000) + Bytes2.settings([(4, 0x7FFF_FFFF)]),
            .over(3)),
        Case("6.10 CONTINUATION on stream 0", half + Bytes2.frame(9, 4, 0), .over(1)),
        Case("6.10 CONTINUATION of another", half + Bytes2.frame(9, 4, 3), .over(1)),
        Case("6.10 CONTINUATION behind a block", open + Bytes2.frame(9, 4, 1), .over(1)),
    ]

    static let messages: [Case] = [
        Case("8.1 trailers without an end", open + Bytes2.headers(1, [("a", "b")]), .reset(1, 1)),
        Case(
            "8.1 a pseudo-header field in trailers",
            open + Bytes2.headers(1, [(":path", "/")], isEnd: true), .reset(1, 1)),
        Case(
            "8.1.1 less content than announced",
            Bytes2.headers(1, usual + [("content-length", "2")]) + Bytes2.data(1, "x", isEnd: true),
            .reset(1, 1)),
        Case(
            "8.1.1 more content than announced",
            Bytes2.headers(1, usual + [("content-length", "2")]) + Bytes2.data(1, "xyz"),
            .reset(1, 1)),
        .lines("8.1.1 no content where some is announced", usual + [("content-length", "2")]),
        .lines("8.1.1 two lengths", usual + [("content-length", "0"), ("content-length", "0")]),
        .lines("8.1.1 a length that is none", usual + [("content-length", "-1")]),
        .lines("8.2 a capital in a name", usual + [("X-Custom", "a")]),
        .lines("8.2.1 a space in a name", usual + [("a b", "c")]),
        .lines("8.2.1 a colon in a name", usual + [("a:b", "c")]),
        .lines("8.2.1 a control byte in a name", usual + [("a\u{1}", "c")]),
        .lines("8.2.1 an empty name", usual + [("", "c")]),
        .lines("8.2.1 NUL in a value", usual + [("a", "b\0c")]),
        .lines("8.2.1 CR in a value", usual + [("a", "b\rc")]),
        .lines("8.2.1 LF in a value", usual + [("a", "b\nc: d")]),
        .lines("8.2.1 a space before a value", usual + [("a", " b")]),
        .lines("8.2.1 a tab behind a value", usual + [("a", "b\t")]),
        .lines("8.2.2 connection", usual + [("connection", "close")]),
        .lines("8.2.2 keep-alive", usual + [("keep-alive", "1")]),
        .lines("8.2.2 proxy-connection", usual + [("proxy-connection", "close")]),
        .lines("8.2.2 transfer-encoding", usual + [("transfer-encoding", "chunked")]),
        .lines("8.2.2 upgrade", usual + [("upgrade", "h2c")]),
        .lines("8.2.2 te of something else", usual + [("te", "gzip")]),
        .lines("8.3 a pseudo-header field behind others", [("a", "b")] + usual),
        .lines("8.3 an unknown pseudo-header field", usual + [(":x", "y")]),
        .lines("8.3 one of responses", usual + [(":status", "200")]),
        .lines("8.3.1 no method", Array(usual.dropFirst())),
        .lines("8.3.1 no path", Array(usual.dropLast())),
        .lines("8.3.1 no scheme", usual.filter { $0.0 != ":scheme" }),
        .lines("8.3.1 an empty path", Array(usual.dropLast()) + [(":path", "")]),
        .lines("8.3.1 two methods", usual + [(":method", "GET")]),
        .lines("8.3.1 two paths", usual + [(":path", "/a")]),
        .lines("8.3.1 no authority and no host", usual.filter { $0.0 != ":authority" }),
        .lines("8.5 CONNECT with a path", [(":method", "CONNECT")] + usual.dropFirst()),
        .lines("8.5 CONNECT without an authority", [(":method", "CONNECT")]),
    ]

    /// What is this gateway's own to refuse, with an answer.
    static let ours: [Case] = [
        .lines("a host that is another", usual + [("host", "other")], .fault(400)),
        .lines("two hosts", usual + [("host", "gateway"), ("host", "gateway")], .reset(1, 1)),
        .lines(
            "an authority with a user", usual.replacing(":authority", "me@gateway"), .fault(400)),
        .lines("a path without a slash", usual.replacing(":path", "v1"), .reset(1, 1)),
        .lines("a path with a fragment", usual.replacing(":path", "/a#b"), .fault(400)),
        .lines("a path that is too long", usual.replacing(":path", "/" + .x(8_192)), .fault(414)),
        .lines("a method with a space", usual.replacing(":method", "GE T"), .reset(1, 1)),
        .lines("8-bit text in a value", usual + [("a", "caf\u{E9}")], .fault(400)),
        .lines("an expectation that is unknown", usual + [("expect", "201")], .fault(417)),
        .lines("too many fields", usual + .init(repeating: ("a", "b"), count: 129), .fault(431)),
        Case(
            "a head that is too large",
            Bytes2.frame(1, 1, 1, Bytes2.block(usual + [("a", .x(15_000))]))
                + Bytes2.frame(9, 0, 1, Bytes2.block([("b", .x(15_000))]))
                + Bytes2.frame(9, 4, 1, Bytes2.block([("c", .x(15_000))])), .fault(431)),
        Case(
            "trailers that are too large",
            open + Bytes2.headers(1, [("a", .x(9_000))], isEnd: true), .reset(1, 1)),
    ]

    @Test(arguments: framing + messages + ours)
    func isRejected(_ tried: Case) {
        for pieces in [Int.max, 1, 7] {
            // The library counts a CONTINUATION whose head comes in pieces once for each.
            var limits = HTTP2Limits()
            limits.maxContinuations *= 9
            let bench = Bench(limits)
            bench.give(tried.bytes, pieces: pieces)
            switch tried.outcome {
            case .reset(let stream, let code):
                #expect(bench.reset(stream) == code, "\(bench.sent)")
                #expect(bench.streams[stream].map { $0.closeCode != nil } ?? true)
                #expect(!bench.session.isTerminated)
            case .over(let code):
                #expect(bench.goAway == code, "\(bench.sent)")
                #expect(bench.session.hasEnded)
            case .fault(let status):
                #expect(bench.streams[1]?.headFault?.status == status)
                #expect(bench.goAway == nil && bench.reset(1) == nil, "\(bench.sent)")
            }
        }
    }

    @Test func anythingButThePrefaceEndsTheConnection() {
        let bench = Bench(greeted: false)
        bench.give(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(bench.session.hasEnded)
    }

    @Test func thePrefaceIsFollowedBySettings() {
        let bench = Bench(greeted: false)
        bench.give(Bytes2.preface + Bytes2.headers(1))
        #expect(bench.goAway == 1)
    }

    @Test func unknownFramesAndFlagsAndSettingsAreIgnored() {
        let bench = Bench()
        bench.give(
            Bytes2.frame(77, 0xFF, 1, .zeros(5)) + Bytes2.settings([(99, 7)])
                + Bytes2.frame(1, 0xC2 & ~0x28 | 5, 1, Bytes2.block(Self.usual)))
        #expect(bench.streams[1]?.hasHead == true && bench.streams[1]?.headFault == nil)
        #expect(bench.goAway == nil)
    }

    @Test func contentBeyondTheWindowEndsTheConnectionOrTheStream() {
        var limits = HTTP2Limits()
        limits.streamWindow = 16_384
        limits.connectionWindow = 65_536
        let bench = Bench(limits)
        bench.give(Bytes2.frame(4, 1, 0) + Self.open)
        bench.streams[1].map { bench.session.dropInput(of: $0) }
        bench.give(Bytes2.data(1, .x(16_384)) + Bytes2.data(1, "y"))
        #expect(bench.reset(1) == 3 || bench.goAway == 3, "\(bench.sent)")
    }
}

extension [UInt8] {
    static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
}

extension String {
    static func x(_ count: Int) -> String { String(repeating: "x", count: count) }
}

extension [(String, String)] {
    func replacing(_ name: String, _ value: String) -> [(String, String)] {
        map { $0.0 == name ? (name, value) : $0 }
    }
}
