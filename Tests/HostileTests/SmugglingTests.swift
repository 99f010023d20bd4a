// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units

/// Each attack is answered once, with its status, and then the connection closes: what follows it
/// is never looked at, however it arrives.
@Suite
struct SmugglingTests {
    /// What an attack brought about: the answer, and what the owner was told.
    private func outcome(_ attack: Attack, _ send: (Rig, Peer, [UInt8]) -> Void) throws -> [Told] {
        let rig = try Rig()
        let peer = try rig.connect()
        send(rig, peer, attack.bytes + Array(Attack.hidden.utf8))
        let isOver = rig.run { peer.isOver }
        #expect(isOver)
        let (replies, rest) = Reply.all(in: peer.bytes)
        #expect(replies.map(\.status) == [attack.status])
        #expect(replies.first?.fields["connection"] == "close")
        #expect(rest.isEmpty && peer.hasEnded && !peer.isReset)
        peer.send(Attack.hidden)
        peer.finish()
        let isGone = rig.run { rig.openServers == 0 }
        #expect(isGone)
        return rig.told
    }

    private func check(_ told: [Told]) {
        let heads = told.filter { if case .head = $0 { true } else { false } }
        #expect(heads.count <= 1)
        #expect(!told.contains(.head("GET /hidden")))
        #expect(!told.contains { if case .request = $0 { true } else { false } })
        let faults = told.filter { if case .fault = $0 { true } else { false } }
        #expect(faults.count == 1)
        #expect(told.last == .closed)
    }

    @Test(arguments: Attack.all)
    func anAttackIsRefusedAndNothingFollows(attack: Attack) throws {
        check(try outcome(attack) { _, peer, bytes in peer.send(bytes) })
    }

    @Test(arguments: Attack.all)
    func anAttackInPiecesIsRefusedTheSameWay(attack: Attack) throws {
        let whole = try outcome(attack) { _, peer, bytes in peer.send(bytes) }
        var random = SplitMix64(seed: UInt64(attack.bytes.count))
        let pieces = try outcome(attack) { rig, peer, bytes in
            var rest = bytes[...]
            let step = max(3, UInt64(bytes.count / 60))
            while !rest.isEmpty, !peer.isOver {
                let piece = rest.prefix(Int(random.next() % step) + 1)
                rest = rest.dropFirst(piece.count)
                peer.send(Array(piece))
                rig.turn(atMost: .zero)
            }
        }
        check(pieces)
        #expect(pieces == whole)
    }

    /// Behind a request that was answered, an attack fares no better.
    @Test(arguments: Attack.all)
    func anAttackOnAKeptConnectionIsRefused(attack: Attack) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok")
        peer.send(attack.bytes + Array(Attack.hidden.utf8))
        let isOver = rig.run { peer.isOver }
        #expect(isOver)
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [200, attack.status])
        #expect(!rig.told.contains(.head("GET /hidden")))
    }

    // MARK: odd, but clear

    /// Unusual messages with one meaning only: they are read, and what follows is the next request.
    private static let odd: [(String, String)] = [
        ("Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("Transfer-Encoding:\t chunked \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("transfer-encoding:chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5;a;b=c;d=\"e;\\\"\"\r\nhello\r\n0;x\r\n\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n\r\n5 ; a = b\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "Transfer-Encoding: chunked\r\n\r\nc\r\nhello\r\n0\r\n\r\n\r\n0\r\n\r\n",
            "hello\r\n0\r\n\r\n"
        ),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\nX-Own: y\r\n\r\n", ""),
        ("Content-Length: 00005\r\n\r\nhello", "hello"),
        ("Content-Length:5\r\n\r\nhello", "hello"),
        (
            "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
                + "Content-Length: 5\r\n\r\nhello", "hello"
        ),
        ("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        ("X-Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ]

    @Test(arguments: 0..<12)
    func anOddButClearRequestIsRead(which: Int) throws {
        let (rest, body) = Self.odd[which]
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(
            "GET /odd HTTP/1.1\r\nHost: a\r\n" + rest + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        let isAnswered = rig.run { Reply.all(in: peer.bytes).replies.count == 2 }
        #expect(isAnswered)
        #expect(
            rig.told == [.head("GET /odd"), .request(body), .head("GET /next"), .request("")])
        #expect(Reply.all(in: peer.bytes).replies.map(\.status) == [200, 200])
    }

    /// RFC 9112 section 3.2.2: the target's authority counts, and the path is told.
    @Test(arguments: [
        ("GET http://other/path?q HTTP/1.1", "GET /path?q"), ("GET http://other HTTP/1.1", "GET /"),
        ("OPTIONS * HTTP/1.1", "OPTIONS *"), ("GET //other/path HTTP/1.1", "GET //other/path"),
        ("get / HTTP/1.1", "get /"), ("GET / HTTP/1.9", "GET /"),
    ])
    func oddRequestLinesAreRead(line: String, told: String) throws {
        let rig = try Rig()
        let peer = try rig.connect()
        peer.send(line + "\r\nHost: a\r\n\r\n")
        let isAnswered = rig.run { !peer.bytes.isEmpty }
        #expect(isAnswered)
        #expect(rig.told.first == .head(told))
    }

    // MARK: noise

    /// Damaged requests in random pieces: the same is made of them as in one piece, each gets at
    /// most one answer, and after a refusal nothing is read.
    @Test(arguments: 0..<300 as Range<UInt64>)
    func damagedRequestsAreReadTheSameInPieces(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let good = [
            "GET /1 HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
            "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n",
        ]
        var bytes: [UInt8] = []
        for _ in 0..<4 { bytes += Array(good[Int(random.next() % 3)].utf8) }
        let marks = Array("\r\n\0 \t:;,0aF\u{7F}".utf8) + [0x80, 0xFF]
        for _ in 0...random.next() % 3 {
            let at = Int(random.next() % UInt64(bytes.count))
            let mark = marks[Int(random.next() % UInt64(marks.count))]
            switch random.next() % 3 {
            case 0: bytes[at] = mark
            case 1: bytes.insert(mark, at: at)
            default: bytes.remove(at: at)
            }
        }
        let whole = try told(of: bytes) { bytes.count }
        let pieces = try told(of: bytes) { Int(random.next() % 20) + 1 }
        #expect(whole == pieces)
        if let fault = whole.firstIndex(where: { if case .fault = $0 { true } else { false } }) {
            #expect(whole[(fault + 1)...] == [.closed])
        }
    }

    private func told(of bytes: [UInt8], step: () -> Int) throws -> [Told] {
        let rig = try Rig()
        let peer = try rig.connect()
        var rest = bytes[...]
        while !rest.isEmpty, !peer.isOver {
            let piece = rest.prefix(step())
            rest = rest.dropFirst(piece.count)
            peer.send(Array(piece))
            rig.turn(atMost: .zero)
        }
        rig.settle()
        let requests = rig.told.filter { $0 != .closed && $0 != .left }
        let heads = rig.told.filter { if case .head = $0 { true } else { false } }.count
        #expect(Reply.all(in: peer.bytes).replies.count <= heads + 1)
        peer.finish()
        let isGone = rig.run { rig.openServers == 0 }
        #expect(isGone)
        return requests + [.closed]
    }
}
