// SPDX-License-Identifier: Apache-2.0

import HTTP2
import Units
import Wire

/// Frames of HTTP/2 as bytes, written by hand: right or wrong, as a test says.
enum Bytes2 {
    static let preface: [UInt8] = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let greeting = preface + frame(4, 0, 0)

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: Int, _ payload: [UInt8] = [])
        -> [UInt8]
    {
        let count = payload.count
        return [UInt8(count >> 16 & 0xFF), UInt8(count >> 8 & 0xFF), UInt8(count & 0xFF)]
            + [type, flags] + word(stream) + payload
    }

    static func word(_ value: Int) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }

    /// A line that is spelled out: literal, not kept in the table (RFC 7541 section 6.2.2).
    static func line(_ name: String, _ value: String) -> [UInt8] {
        [0] + text(name) + text(value)
    }

    private static func text(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var rest = bytes.count - 127
        var length: [UInt8] = [127]
        while rest >= 128 {
            length.append(UInt8(rest & 127) | 128)
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    static func block(_ lines: [(String, String)]) -> [UInt8] {
        lines.flatMap { line($0.0, $0.1) }
    }

    static let usual: [(String, String)] = [
        (":method", "POST"), (":scheme", "http"), (":authority", "gateway"), (":path", "/v1/x"),
    ]

    /// A whole header block in one frame.
    static func headers(
        _ stream: Int, _ lines: [(String, String)] = usual, isEnd: Bool = false
    ) -> [UInt8] {
        frame(1, isEnd ? 5 : 4, stream, block(lines))
    }
    static func data(_ stream: Int, _ text: String, isEnd: Bool = false) -> [UInt8] {
        frame(0, isEnd ? 1 : 0, stream, Array(text.utf8))
    }
    static func reset(_ stream: Int, _ code: Int = 8) -> [UInt8] {
        frame(3, 0, stream, word(code))
    }
    static func settings(_ entries: [(Int, Int)] = []) -> [UInt8] {
        frame(4, 0, 0, entries.flatMap { [UInt8($0.0 >> 8), UInt8($0.0 & 255)] + word($0.1) })
    }
    static func windowUpdate(_ stream: Int, _ count: Int) -> [UInt8] {
        frame(8, 0, stream, word(count))
    }
}

/// A frame that the session has sent.
struct Sent: Equatable, CustomStringConvertible {
    let type: UInt8
    let flags: UInt8
    let stream: Int
    let payload: [UInt8]

    var description: String { "type \(type) flags \(flags) stream \(stream) \(payload.count)" }
    /// Of RST_STREAM its code, of GOAWAY too.
    var code: Int {
        let last = payload.dropFirst(type == 7 ? 4 : 0).prefix(4)
        return last.reduce(0) { $0 << 8 | Int($1) }
    }

    static func all(in bytes: [UInt8]) -> [Sent] {
        var rest = bytes[...]
        var found: [Sent] = []
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let count = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            let stream = head[5...].reduce(0) { $0 << 8 | Int($1) } & 0x7FFF_FFFF
            found.append(
                Sent(
                    type: head[3], flags: head[4], stream: stream,
                    payload: Array(rest.dropFirst(9).prefix(count))))
            rest = rest.dropFirst(9 + count)
        }
        return found
    }
}

/// A server's session and what became of what it was given.
final class Bench {
    let session: HTTP2Session
    var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var sent: [Sent] = []
    /// Every stream that had news, by its number.
    private(set) var streams: [Int: HTTP2StreamState] = [:]

    init(_ limits: HTTP2Limits = HTTP2Limits(), greeted: Bool = true) {
        session = HTTP2Session(isServer: true, limits: limits, now: now)
        if greeted {
            give(Bytes2.greeting)
            sent = []
        }
    }

    /// Gives bytes, in pieces of so many if asked for, and takes what is to be sent.
    func give(_ bytes: [UInt8], pieces: Int = .max) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(pieces))
            rest = rest.dropFirst(piece.count)
            unsafe piece.withUnsafeBytes { unsafe session.receive($0, now: now) }
            look()
        }
    }

    /// Takes news and what is to be sent.
    func look() {
        while let stream = session.nextNews() { streams[Int(stream.id)] = stream }
        var output = ByteBuffer()
        var before = -1
        while output.count > before {
            before = output.count
            session.produce(into: &output, limit: before + 65_536, now: now)
        }
        sent += Sent.all(in: unsafe Array(output.readable))
        while let stream = session.nextNews() { streams[Int(stream.id)] = stream }
    }

    func pass(_ span: Duration) { now = now + span }
    func clear() { sent = [] }

    /// The code of the reset that a stream got; nil for none.
    func reset(_ stream: Int) -> Int? {
        sent.first { $0.type == 3 && $0.stream == stream }?.code
    }
    /// The code of the last GOAWAY; nil for none.
    var goAway: Int? { sent.last { $0.type == 7 }?.code }

    func respond(
        _ stream: Int, _ status: Int = 200, lines: String = "", text: String? = nil,
        isEnd: Bool = true
    ) {
        guard let state = streams[stream] else { return }
        var buffer = ByteBuffer()
        buffer.append(lines)
        var date = ByteBuffer()
        date.append("Date: now\r\n")
        unsafe session.respond(
            state, status: status, lines: buffer.readable, date: date.readable, length: nil,
            hasContent: text != nil)
        if let text { put(stream, text) }
        if text != nil, isEnd { session.end(state) }
        look()
    }

    private func put(_ stream: Int, _ text: String) {
        guard let state = streams[stream] else { return }
        var text = text
        text.withUTF8 { unsafe session.write(UnsafeRawBufferPointer($0), to: state) }
    }

    func content(_ stream: Int) -> String {
        streams[stream].map { unsafe String(decoding: $0.content, as: UTF8.self) } ?? ""
    }
}
