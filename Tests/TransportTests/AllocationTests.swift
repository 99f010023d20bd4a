// SPDX-License-Identifier: Apache-2.0

import AllocationCounter
import EventLoop
import Testing
import Transport
import Units
import Wire

/// Requests on kept connections take nothing from the heap, on either side.
///
/// The rig of the other tests writes down what happens; here nothing stands between the loop and
/// the connections.
@Suite(.enabled(if: allocation_counter_works()))
struct AllocationTests {
    private static let requestText =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        + "Authorization: Bearer sk-0123456789\r\nContent-Length: 40\r\n\r\n"
        + String(repeating: "x", count: 40)

    /// Waits for what is there, hands it on, and writes.
    private func turn(_ loop: Loop, _ drive: (Readiness?) -> Void) throws {
        let ready = try loop.wait(atMost: .milliseconds(100))
        for place in 0..<ready { drive(loop.poller.event(place).readiness) }
        for _ in loop.dueTimers() {}
        write(loop, drive)
    }

    private func write(_ loop: Loop, _ drive: (Readiness?) -> Void) {
        while loop.nextUnwrittenClient() != nil || loop.nextUnwrittenServer() != nil { drive(nil) }
    }

    @Test(arguments: [Loop.Writing.atOnce, .atTurnsEnd])
    func aKeptClientAllocatesNothing(writing: Loop.Writing) throws {
        let loop = try Loop(timers: 16, writing: writing)
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = try Listener.bind(local, backlog: 1)
        let client = try Socket.connect(to: listener.address)
        guard case .socket(let socket, _) = listener.accept() else {
            Issue.record("not accepted")
            return
        }
        let key = SlabKey(raw: 1 << 32)
        let token = Token(kind: 1, key: key)
        let server = try HTTP1ServerConnection(
            key: key, door: 0, token: token, channel: Channel(socket), limits: ServerLimits(),
            loop: loop)
        var fields = ByteBuffer()
        fields.append("Content-Type: text/event-stream\r\n")
        let request = Array(Self.requestText.utf8)
        var answered = 0
        func pump() {
            while true {
                switch server.next() {
                case .request:
                    server.dropRequest()
                    server.respond(status: 200, fields: fields, length: .unknown)
                    for _ in 0..<5 {
                        unsafe server.write(fields.readable)
                        server.flush()
                    }
                    server.end()
                    server.flush()
                    answered += 1
                case .head: server.inviteBody()
                case .none: return
                case .fault, .drained, .left, .closed, .preface:
                    Issue.record("not a good request")
                }
            }
        }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { unsafe room.deallocate() }
        func exchange() throws {
            let before = answered
            _ = unsafe request.withUnsafeBytes { unsafe client.send($0) }
            while answered == before {
                try turn(loop) { readiness in
                    if let readiness { server.ready(readiness) }
                    pump()
                }
            }
            _ = unsafe client.receive(room)
        }
        for _ in 0..<50 { try exchange() }
        let before = allocations_of_this_thread()
        for _ in 0..<200 { try exchange() }
        let taken = allocations_of_this_thread() - before
        #expect(answered == 250)
        #expect(taken == 0)
    }

    private func send(_ bytes: [UInt8], _ range: Range<Int>, over socket: borrowing Socket) {
        _ = unsafe bytes.withUnsafeBytes {
            unsafe socket.send(UnsafeRawBufferPointer(rebasing: $0[range]))
        }
    }

    @Test(arguments: [Loop.Writing.atOnce, .atTurnsEnd])
    func aKeptEngineAllocatesNothing(writing: Loop.Writing) throws {
        let loop = try Loop(timers: 16, writing: writing)
        let local = try #require(SocketAddress(ip: "127.0.0.1", port: 0))
        let listener = try Listener.bind(local, backlog: 1)
        let key = SlabKey(raw: 1 << 32)
        let client = try HTTP1ClientConnection(
            key: key, destination: 0, token: Token(kind: 1, key: key),
            address: listener.address, limits: ClientLimits(), loop: loop)
        guard case .socket(let engine, _) = listener.accept() else {
            Issue.record("not accepted")
            return
        }
        var ended = 0
        var payload = 0
        func pump() {
            while true {
                switch unsafe client.next() {
                case .payload(let bytes): payload += bytes.count
                case .end: ended += 1
                case .none: return
                case .head, .connected: break
                case .fault, .closed: Issue.record("not a good answer")
                }
            }
        }
        let answer = Array(
            ("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: e\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n").utf8)
        var fields = ByteBuffer()
        fields.append("Content-Type: application/json\r\n")
        let body = [UInt8](repeating: 0x61, count: 6_000)
        let target = Array("/v1/completions".utf8)
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 16)
        defer { unsafe room.deallocate() }
        func exchange() throws {
            let before = ended
            unsafe target.withUnsafeBytes { target in
                unsafe body.withUnsafeBytes { body in
                    unsafe client.request(
                        method: .post, target: target, authority: "engine.example:8000",
                        fields: fields, body: body)
                }
            }
            pump()
            write(loop) { _ in pump() }
            // In two pieces, so that a turn ends in the middle of the answer.
            send(answer, 0..<100, over: engine)
            try turn(loop) { readiness in
                if let readiness { client.ready(readiness) }
                pump()
            }
            send(answer, 100..<answer.count, over: engine)
            while ended == before {
                try turn(loop) { readiness in
                    if let readiness { client.ready(readiness) }
                    pump()
                }
            }
            while case .bytes = unsafe engine.receive(room) {}
        }
        for _ in 0..<50 { try exchange() }
        let before = allocations_of_this_thread()
        for _ in 0..<200 { try exchange() }
        let taken = allocations_of_this_thread() - before
        #expect(ended == 250 && payload == 2_500)
        #expect(taken == 0)
    }
}
