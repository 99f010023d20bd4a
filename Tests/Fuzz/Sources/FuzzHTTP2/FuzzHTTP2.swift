// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import HTTP2
import Units
import Wire

/// What a server's session made of the bytes behind a preface.
private struct Reading: Equatable {
    struct Request: Equatable {
        var target: [UInt8] = []
        var fields: [[UInt8]] = []
        var content: [UInt8] = []
        var isWhole = false
        var fault: HeadFault?
        var code: UInt32?
    }

    var requests: [Int32: Request] = [:]
    var isOver = false

    private static let preface: [UInt8] =
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]
    private static let moment = Instant(nanoseconds: 1_000_000_000)

    /// Nothing is answered before all was read, so that the cuts can make no difference.
    init(_ bytes: [UInt8], cuts: [Int]) {
        var limits = HTTP2Limits()
        // The library counts a head that comes in pieces once for each.
        limits.maxContinuations = 1_000_000
        limits.maxPendingAcks = 1_000_000
        let session = HTTP2Session(isServer: true, limits: limits, now: Self.moment)
        unsafe Self.preface.withUnsafeBytes { unsafe session.receive($0, now: Self.moment) }
        var streams: [Int32: HTTP2StreamState] = [:]
        var start = 0
        for cut in cuts {
            let piece = Array(bytes[start..<cut])
            start = cut
            unsafe piece.withUnsafeBytes { unsafe session.receive($0, now: Self.moment) }
            while let stream = session.nextNews() { streams[stream.id] = stream }
            check(session.openStreams <= limits.maxStreams, "streams are bounded")
        }
        for (id, stream) in streams { requests[id] = Self.request(stream) }
        isOver = session.isTerminated
        finish(session, streams)
    }

    private static func request(_ stream: HTTP2StreamState) -> Request {
        var found = Request()
        found.content = unsafe Array(stream.content)
        found.isWhole = stream.isReceived
        found.fault = stream.headFault
        guard stream.hasHead, stream.headFault == nil else { return found }
        found.target = unsafe Array(stream.requestPart(stream.requestHead.target))
        check(found.target.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a target is visible")
        for field in stream.requestHead.fields {
            let name = unsafe Array(stream.requestPart(field.name))
            let value = unsafe Array(stream.requestPart(field.value))
            check(!name.isEmpty && !name.contains { $0 <= 0x20 || $0 == 0x3A }, "a name is a token")
            check(value.allSatisfy { $0 == 9 || ($0 >= 0x20 && $0 < 0x7F) }, "a value is a line's")
            check(value.first != 0x20 && value.last != 0x20, "and has no space around it")
            found.fields.append(name + [0x3A] + value)
        }
        if case .length(let count) = stream.requestHead.framing {
            check(!found.isWhole || found.content.count == count, "as long as announced")
        }
        return found
    }

    /// Answers all of them, one way or another, and takes what there is to send.
    private func finish(_ session: HTTP2Session, _ streams: [Int32: HTTP2StreamState]) {
        var output = ByteBuffer()
        var lines = ByteBuffer()
        lines.append("Content-Type: text/plain\r\nX-Request-Id: 1\r\n")
        for (id, stream) in streams {
            unsafe session.respond(
                stream, status: 200, lines: lines.readable, date: lines.readable, length: nil,
                hasContent: id % 4 == 1)
            unsafe session.write(lines.readable, to: stream)
            if id % 8 == 1 { session.cut(stream) } else { session.end(stream) }
            session.dropInput(of: stream)
        }
        session.goAway()
        for _ in 0..<100 {
            let before = output.count
            session.produce(into: &output, limit: before + 65_536, now: Self.moment)
            while session.nextNews() != nil {}
            if output.count == before { break }
        }
        check(output.count < 8 << 20, "what is sent is bounded")
        session.terminate(0)
        session.produce(into: &output, limit: 16 << 20, now: Self.moment)
        check(session.hasEnded, "it ends when it is told to")
    }
}

/// The same requests however the bytes are cut; none of them could be read in two ways.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let whole = Reading(input.bytes, cuts: [input.bytes.count])
    check(Reading(input.bytes, cuts: input.cuts) == whole, "cuts change nothing")
    return 0
}

@main
struct FuzzHTTP2 {
    static func main() { unsafe runFuzzer(oneInput) }
}
