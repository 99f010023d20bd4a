// SPDX-License-Identifier: Apache-2.0

import HTTP2
import Testing
import Units
import Wire

/// A server's session: what it tells of requests, and what it sends of answers.
struct SessionTests {
    private static let end: UInt8 = 1

    @Test(arguments: [Int.max, 1, 5, 100])
    func aRequestIsTheSameHoweverItIsCut(pieces: Int) {
        let bench = Bench()
        bench.give(
            Bytes2.headers(1, Bytes2.usual + [("content-length", "5"), ("x-a", "b")])
                + Bytes2.data(1, "he") + Bytes2.data(1, "llo", isEnd: true), pieces: pieces)
        let stream = bench.streams[1]
        #expect(stream?.requestHead.method == .post && stream?.isReceived == true)
        #expect(stream?.requestHead.framing == .length(5))
        #expect(bench.content(1) == "hello")
        let target = stream.map { stream in
            unsafe String(
                decoding: stream.requestPart(stream.requestHead.target), as: UTF8.self)
        }
        #expect(target == "/v1/x")
    }

    @Test func cookiesInPiecesAreOne() {
        let bench = Bench()
        bench.give(
            Bytes2.headers(
                1, Bytes2.usual + [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")], isEnd: true))
        let stream = bench.streams[1]
        #expect(stream?.requestHead.count(.cookie) == 1)
        let value = stream.flatMap { stream in
            stream.requestHead.first(.cookie).map {
                unsafe String(decoding: stream.requestPart($0.value), as: UTF8.self)
            }
        }
        #expect(value == "a=1; b=2")
    }

    /// Nothing of them may leave white space at the end of the line that goes to an engine.
    @Test func emptyPiecesOfCookiesAreLeftOut() {
        let bench = Bench()
        bench.give(
            Bytes2.headers(
                1, Bytes2.usual + [("cookie", ""), ("cookie", "a=1"), ("cookie", "")], isEnd: true))
        let stream = bench.streams[1]
        let value = stream.flatMap { stream in
            stream.requestHead.first(.cookie).map {
                unsafe String(decoding: stream.requestPart($0.value), as: UTF8.self)
            }
        }
        #expect(value == "a=1")
    }

    @Test func aHostStandsForAnAuthority() {
        let bench = Bench()
        let lines = Bytes2.usual.filter { $0.0 != ":authority" } + [("host", "gateway:80")]
        bench.give(Bytes2.headers(1, lines, isEnd: true))
        #expect(bench.streams[1]?.headFault == nil && bench.streams[1]?.hasHead == true)
    }

    @Test func anAnswerWithContentEndsWithIt() {
        let bench = Bench()
        bench.give(Bytes2.headers(1, isEnd: true))
        bench.respond(1, lines: "Content-Type: text/plain\r\nConnection: x\r\n", text: "fine")
        let frames = bench.sent.filter { $0.stream == 1 }
        #expect(frames.map(\.type) == [1, 0])
        #expect(frames.last?.payload == Array("fine".utf8) && frames.last?.flags == Self.end)
        #expect(bench.streams[1]?.closeCode == 0)
        #expect(bench.session.openStreams == 0)
    }

    @Test func anAnswerBeforeTheEndOfItsRequestStopsTheRequest() {
        let bench = Bench()
        bench.give(Bytes2.headers(1))
        bench.respond(1, 413, text: "no")
        let frames = bench.sent.filter { $0.stream == 1 }
        #expect(frames.map(\.type) == [1, 0, 3] && frames.last?.code == 0)
        // What was on its way is nobody's.
        bench.give(Bytes2.data(1, .x(10_000)))
        #expect(bench.goAway == nil)
    }

    @Test func aCutAnswerIsResetAndNeverEnded() {
        let bench = Bench()
        bench.give(Bytes2.headers(1, isEnd: true))
        bench.respond(1, text: "part", isEnd: false)
        bench.streams[1].map { bench.session.cut($0) }
        bench.look()
        let frames = bench.sent.filter { $0.stream == 1 }
        #expect(frames.map(\.type) == [1, 0, 3] && frames.last?.code == 2)
        #expect(!frames.contains { $0.type < 2 && $0.flags & Self.end != 0 })
    }

    @Test func whatWasWrittenGoesBeforeTheCut() {
        let bench = Bench()
        bench.give(Bytes2.settings([(4, 0)]) + Bytes2.headers(1, isEnd: true))
        bench.respond(1, text: "part", isEnd: false)
        bench.streams[1].map { bench.session.cut($0) }
        bench.look()
        #expect(bench.reset(1) == nil)
        bench.give(Bytes2.windowUpdate(1, 100))
        let frames = bench.sent.filter { $0.stream == 1 }
        #expect(frames.map(\.type) == [1, 0, 3] && frames.last?.code == 2)
    }

    @Test func trailersComeLastAndWithoutWhatFrames() {
        let bench = Bench()
        bench.give(Bytes2.headers(1, isEnd: true))
        bench.respond(1, text: "a", isEnd: false)
        bench.streams[1].map {
            bench.session.end($0, trailers: Array("X-Sum: 1\r\nContent-Length: 9\r\n".utf8))
        }
        bench.look()
        let frames = bench.sent.filter { $0.stream == 1 }
        #expect(frames.map(\.type) == [1, 0, 1])
        #expect(frames.map { $0.flags & Self.end } == [0, 0, 1])
    }

    @Test func aStreamThatIsNotReadHoldsItsOwnContentOnly() {
        let bench = Bench()
        bench.give(Bytes2.settings([(4, 10)]) + Bytes2.windowUpdate(0, 1 << 20))
        bench.give(Bytes2.headers(1, isEnd: true) + Bytes2.headers(3, isEnd: true))
        bench.give(Bytes2.windowUpdate(3, 1 << 20))
        bench.respond(1, text: .x(100_000), isEnd: false)
        bench.respond(3, text: .x(100_000))
        #expect(bench.streams[1]?.isCongested == true && bench.streams[1]?.isWaiting == true)
        #expect(bench.streams[3]?.closeCode == 0)
        bench.give(Bytes2.windowUpdate(1, 1 << 20))
        #expect(bench.streams[1]?.isCongested == false)
        #expect(bench.streams[1]?.takeDrained() == true)
        #expect(bench.streams[1]?.takeDrained() == false)
    }

    @Test func windowsOpenAsContentIsAccepted() {
        let bench = Bench()
        bench.give(Bytes2.headers(1))
        for _ in 0..<16 { bench.give(Bytes2.data(1, .x(16_000))) }
        #expect(bench.sent.contains { $0.type == 8 && $0.stream == 1 })
        // What is not wanted opens the connection's, for the other streams.
        bench.streams[1].map { bench.session.dropInput(of: $0) }
        bench.clear()
        for _ in 0..<16 { bench.give(Bytes2.data(1, .x(16_000))) }
        #expect(!bench.sent.contains { $0.type == 8 && $0.stream == 1 })
        for _ in 0..<40 where bench.reset(1) == nil && bench.goAway == nil {
            bench.give(Bytes2.headers(3 + bench.sent.count * 2))
            break
        }
        #expect(bench.streams[1]?.heldInput == 0)
    }

    @Test func aResetByThePeerIsTold() {
        let bench = Bench()
        bench.give(Bytes2.headers(1, isEnd: true))
        bench.give(Bytes2.reset(1, 8))
        #expect(bench.streams[1]?.closeCode == 8 && bench.streams[1]?.isResetByPeer == true)
    }

    @Test func shutdownHasTwoSteps() {
        let bench = Bench()
        bench.give(Bytes2.headers(1, isEnd: true))
        bench.session.announceShutdown()
        bench.look()
        let last = bench.sent.last { $0.type == 7 }?.payload.prefix(4)
        #expect(last.map(Array.init) == [0x7F, 0xFF, 0xFF, 0xFF])
        let ping = bench.sent.last { $0.type == 6 }
        // One that was on its way is served.
        bench.give(Bytes2.headers(3, isEnd: true))
        bench.give(Bytes2.frame(6, 1, 0, ping?.payload ?? []))
        #expect(bench.session.hasAnsweredPing)
        bench.session.goAway()
        bench.look()
        let final = bench.sent.last { $0.type == 7 }?.payload.prefix(4)
        #expect(final.map(Array.init) == [0, 0, 0, 3])
        bench.give(Bytes2.headers(5, isEnd: true))
        #expect(bench.streams[5] == nil)
        bench.respond(1, text: "a")
        bench.respond(3, text: "b")
        #expect(bench.session.hasEnded)
    }

    @Test func theSettingsAreThoseOfTheLimits() {
        var limits = HTTP2Limits()
        limits.maxStreams = 7
        limits.streamWindow = 100_000
        let bench = Bench(limits, greeted: false)
        bench.look()
        var settings: [UInt8] = []
        for frame in bench.sent where frame.type == 4 { settings = frame.payload }
        var found: [Int: Int] = [:]
        for at in stride(from: 0, to: settings.count, by: 6) {
            let value = settings[at + 2..<at + 6].reduce(0) { $0 << 8 | Int($1) }
            found[Int(settings[at + 1])] = value
        }
        #expect(found[3] == 7 && found[4] == 100_000 && found[6] == 32_768)
    }

    /// A peer that leaves while nothing is under way has said its last word, however what it sends
    /// behind it is cut.
    @Test(arguments: [Int.max, 1, 7, 17, 18, 26])
    func behindALastWordNothingIsRead(pieces: Int) {
        let bench = Bench()
        bench.give(
            Bytes2.frame(7, 0, 0, .zeros(8)) + Bytes2.headers(1, isEnd: true)
                + Bytes2.frame(7, 0, 1, .zeros(8)), pieces: pieces)
        #expect(bench.streams.isEmpty && bench.session.openStreams == 0)
        #expect(bench.session.hasEnded && bench.goAway == nil, "\(bench.sent)")
    }

    @Test(arguments: [Int.max, 1, 7, 17])
    func whatIsUnderWayGoesOnBehindALastWord(pieces: Int) {
        let bench = Bench()
        bench.give(
            Bytes2.headers(1) + Bytes2.frame(7, 0, 0, .zeros(8)) + Bytes2.data(1, "he")
                + Bytes2.data(1, "llo", isEnd: true), pieces: pieces)
        #expect(bench.content(1) == "hello" && bench.streams[1]?.isReceived == true)
        #expect(!bench.session.hasEnded)
    }
}
