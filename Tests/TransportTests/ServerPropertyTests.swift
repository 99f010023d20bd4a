// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Testing
import Transport
import TransportSupport
import Units
import Wire

/// An owner that answers when and how it likes, and a client that does the same: by seed.
private final class Whim {
    /// What the owner was told and did, in order.
    enum Note: Equatable {
        case head(Int)
        case request
        case fault
        case left
        case closed
        case answered
        case aborted
    }

    private var random: SplitMix64
    private var notes: [Note] = []
    private var present = 0
    /// Pieces of the present answer that are not written yet.
    private var pieces: [String] = []
    private var isOwed = false
    private var isBegun = false
    /// A byte of what the client sends is wrong: numbers and bodies may be other ones.
    let isDamaged: Bool

    init(seed: UInt64) {
        random = SplitMix64(seed: seed)
        isDamaged = random.next() % 4 == 0
    }

    var noted: [Note] { notes }
    func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    func note(_ note: Note) { notes.append(note) }

    /// What the answer to request `number` is, whoever asks.
    static func pieces(_ number: Int) -> [String] {
        var random = SplitMix64(seed: UInt64(number) &* 77)
        return (0...Int(random.next() % 4)).map { place in
            let size = [1, 100, 5_000, 40_000][Int(random.next() % 4)]
            return "\(number).\(place):" + String(repeating: "x", count: size)
        }
    }

    func head(_ server: HTTP1ServerConnection) {
        present = UInt16(server.targetText.dropFirst()).map(Int.init) ?? 999
        note(.head(present))
        pieces = Self.pieces(present)
        isOwed = true
        isBegun = false
        switch below(8) {
        case 0: finish(server)
        case 1: begin(server)
        default: server.inviteBody()
        }
    }

    func request(_ server: HTTP1ServerConnection) {
        note(.request)
        let isAsSent = server.bodyText == Whim.body(present)
        #expect(isAsSent || isDamaged)
        if below(2) == 0 { server.dropRequest() }
        switch below(4) {
        case 0: finish(server)
        case 1: begin(server)
        default: break
        }
    }

    static func body(_ number: Int) -> String {
        String(repeating: "b", count: [0, 3, 900, 30_000][number % 4])
    }

    func fault(_ server: HTTP1ServerConnection) {
        note(.fault)
        server.answer("fault", status: 400)
        isOwed = false
    }

    func left() {
        note(.left)
        isOwed = false
    }

    /// Something from outside of the connection's events.
    func act(_ server: HTTP1ServerConnection) {
        guard isOwed else {
            if below(60) == 0 { server.closeAfterAnswer() }
            return
        }
        switch below(40) {
        case 0:
            server.abort()
            note(.aborted)
            isOwed = false
        case 1: server.closeAfterAnswer()
        case 2..<10 where notes.last == .request || isBegun: finish(server)
        default: if isBegun { write(server) } else if notes.last == .request { begin(server) }
        }
    }

    private func begin(_ server: HTTP1ServerConnection) {
        guard !isBegun else { return }
        isBegun = true
        let size = pieces.reduce(0) { $0 + $1.utf8.count }
        server.begin(200, below(2) == 0 ? .unknown : .exact(size))
        server.flush()
    }

    private func write(_ server: HTTP1ServerConnection) {
        guard !server.isCongested else { return }
        if pieces.isEmpty { return finish(server) }
        server.write(pieces.removeFirst())
        if below(2) == 0 { server.flush() }
    }

    private func finish(_ server: HTTP1ServerConnection) {
        begin(server)
        for piece in pieces { server.write(piece) }
        server.end()
        server.flush()
        note(.answered)
        isOwed = false
        isBegun = false
    }
}

@Suite
struct ServerPropertyTests {
    private func request(_ number: Int) -> [UInt8] {
        let body = Whim.body(number)
        let size = String(body.utf8.count, radix: 16)
        let chunks = body.isEmpty ? "" : "\(size)\r\n\(body)\r\n"
        return Array(
            (number % 3 == 0
                ? "POST /\(number) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunks + "0\r\n\r\n"
                : "POST /\(number) HTTP/1.1\r\nHost: a\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n" + body).utf8)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func whateverHappensAnswersAreInOrderAndTheEndIsToldOnce(seed: UInt64) throws {
        let whim = Whim(seed: seed)
        var owner = Owner()
        owner.head = { whim.head($0) }
        owner.request = { whim.request($0) }
        owner.fault = { server, _ in whim.fault(server) }
        owner.left = { _ in whim.left() }
        var limits = ServerLimits()
        limits.maxPipelined = 1 + whim.below(20_000)
        limits.streamBuffer = 4_096 + whim.below(60_000)
        let rig = try Rig(
            server: limits, owner: owner, writing: seed % 2 == 0 ? .atOnce : .atTurnsEnd)
        let peer = try rig.connect(most: 1 + whim.below(100_000))
        let server = try #require(rig.server)
        var wire = (0..<12).flatMap(request)[...]
        if whim.isDamaged { wire[whim.below(wire.count)] = UInt8(whim.below(256)) }
        for _ in 0..<400 where !peer.isOver {
            switch whim.below(10) {
            case 0: peer.stopReading()
            case 1: peer.startReading()
            case 2..<7:
                let piece = wire.prefix(whim.below(9_000))
                wire = wire.dropFirst(piece.count)
                peer.send(Array(piece))
            default:
                whim.act(server)
                rig.pump(server)
            }
            rig.turn(atMost: .zero)
            #expect(server.heldAnswerBytes <= 512 << 10)
        }
        peer.startReading()
        rig.settle()
        checkReplies(peer, whim)
        if whim.below(2) == 0 { peer.reset() } else { peer.finish() }
        let isGone = rig.run {
            whim.act(server)
            rig.pump(server)
            return rig.openServers == 0
        }
        #expect(isGone)
        checkEvents(rig.told, whim.noted)
        #expect(server.heldRequestBytes == 0 && server.heldAnswerBytes == 0)
    }

    private func checkReplies(_ peer: Peer, _ whim: Whim) {
        let replies = Reply.all(in: peer.bytes).replies.filter { $0.status == 200 }
        for (number, reply) in replies.enumerated() {
            let isItsOwn = reply.body == Whim.pieces(number).joined()
            #expect(isItsOwn || whim.isDamaged)
        }
    }

    /// Heads come one at a time, each is answered, left or aborted, and `closed` comes once, last.
    private func checkEvents(_ told: [Told], _ notes: [Whim.Note]) {
        #expect(told.filter { $0 == .closed }.count == 1)
        #expect(told.last == .closed)
        #expect(told.filter { $0 == .left }.count <= 1)
        var isOpen = false
        for (place, note) in notes.enumerated() {
            switch note {
            case .head:
                #expect(!isOpen)
                isOpen = true
            case .request: #expect(isOpen)
            case .answered, .aborted, .fault: isOpen = false
            case .left:
                #expect(isOpen)
                #expect(place == notes.count - 1)
                isOpen = false
            case .closed: break
            }
        }
        #expect(!isOpen)
    }
}
