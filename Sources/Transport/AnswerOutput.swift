// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// What decides how an answer is framed (RFC 9112 section 6).
struct AnswerHead {
    private let status: Int
    private let length: AnswerLength
    private let method: Method
    private let isHTTP10: Bool
    /// The connection ends after this answer.
    var isLast = false

    init(status: Int, length: AnswerLength, to request: borrowing RequestHead) {
        self.status = status
        self.length = length
        method = request.method
        isHTTP10 = request.minorVersion == 0
    }

    /// RFC 9110 sections 6.4.1 and 8.6: neither content nor a word about it.
    private var forbidsContent: Bool { status < 200 || status == 204 || status == 304 }

    var framing: AnswerOutput.Framing {
        if forbidsContent || method == .head { return .bodiless }
        switch length {
        case .exact(let count): return .length(left: count)
        case .bodiless: return .length(left: 0)
        case .unknown: return isHTTP10 ? .untilClose : .chunked
        }
    }

    /// Status line, `fields`, the date, and what is the connection's own.
    func write(
        _ fields: borrowing ByteBuffer, date: UnsafeRawBufferPointer, to output: inout ByteBuffer
    ) {
        output.append("HTTP/1.1 ")
        output.append(decimal: status)
        output.append(byte: 0x20)
        output.append(StatusText.reason(status))
        output.append("\r\n")
        unsafe output.append(fields.readable)
        unsafe output.append(date)
        if let announced {
            output.append("Content-Length: ")
            output.append(decimal: announced)
            output.append("\r\n")
        } else if framing == .chunked {
            output.append("Transfer-Encoding: chunked\r\n")
        }
        if isLast {
            output.append("Connection: close\r\n")
        } else if isHTTP10 {
            output.append("Connection: keep-alive\r\n")
        }
        output.append("\r\n")
    }

    /// Of an answer to HEAD the length that GET would get.
    private var announced: Int? {
        if forbidsContent { return nil }
        switch length {
        case .exact(let count): return count
        case .bodiless: return method == .head ? nil : 0
        case .unknown: return nil
        }
    }
}

/// The writing half of a client's connection: answers, framed, as far as the kernel has not taken
/// them.
struct AnswerOutput: ~Copyable {
    /// Where an answer stands, and what its end is told by.
    enum Framing: Equatable {
        /// No answer is under way.
        case idle
        case length(left: Int)
        case chunked
        case untilClose
        case bodiless
    }

    /// From here on the buffer is packed before it grows: it belongs to a client that does not
    /// read.
    private static let packedSize = 65_536

    private(set) var framing = Framing.idle
    private var bytes = ByteBuffer()
    /// The kernel took less than it was offered, and has not said that it takes more.
    private(set) var isBlocked = false
    /// More is held than may be.
    private(set) var isCongested = false
    private var hasDrained = false
    /// The last answer's end is the connection's.
    private var isEndedByClose = false

    var isEmpty: Bool { bytes.isEmpty }
    var count: Int { bytes.count }
    /// Memory held, in bytes.
    var capacity: Int { bytes.capacity }
    var unsent: UnsafeRawBufferPointer { unsafe bytes.readable }

    /// A plain close would pass for the end of an answer that is not whole.
    var looksWholeWhenClosed: Bool {
        framing == .untilClose || (isEndedByClose && !bytes.isEmpty)
    }

    // MARK: answers

    mutating func begin(
        _ head: AnswerHead, _ fields: borrowing ByteBuffer, _ loop: Loop
    ) {
        framing = head.framing
        isEndedByClose = framing == .untilClose
        borrow(loop)
        unsafe head.write(fields, date: loop.dateLine, to: &bytes)
    }

    /// The interim answer that invites a body (RFC 9110 section 15.2.1).
    mutating func invite(_ loop: Loop) {
        borrow(loop)
        bytes.append("HTTP/1.1 100 Continue\r\n\r\n")
    }

    /// Adds payload, framed; to an answer without a body nothing.
    mutating func write(_ payload: UnsafeRawBufferPointer, _ loop: Loop) {
        switch framing {
        case .idle, .bodiless: return
        case .length(let left):
            invariant(payload.count <= left, "an answer as long as announced")
            framing = .length(left: left - payload.count)
            reserve(payload.count, loop)
            unsafe bytes.append(payload)
        case .untilClose:
            reserve(payload.count, loop)
            unsafe bytes.append(payload)
        case .chunked:
            // 16 digits and two line ends.
            reserve(payload.count + 20, loop)
            bytes.appendChunkHeader(payload.count)
            unsafe bytes.append(payload)
            bytes.appendChunkEnd()
        }
    }

    /// Leaves the answer without its end, to be written as far as it has come; false where only a
    /// reset would tell the client that something is missing.
    mutating func breakOff() -> Bool {
        guard framing != .idle, !isEndedByClose else { return false }
        framing = .idle
        return true
    }

    /// Ends the answer; false when it is not whole, and then nothing is written.
    mutating func end(trailers: [UInt8], _ loop: Loop) -> Bool {
        if case .length(let left) = framing, left > 0 { return false }
        if framing == .chunked {
            borrow(loop)
            unsafe bytes.appendLastChunk(trailers: trailers.span.bytes)
        }
        framing = .idle
        return true
    }

    private mutating func borrow(_ loop: Loop) {
        if bytes.capacity == 0 { bytes = loop.lend() }
    }

    private mutating func reserve(_ count: Int, _ loop: Loop) {
        borrow(loop)
        if bytes.capacity >= Self.packedSize {
            bytes.reserveInPlace(count)
        } else {
            bytes.reserve(count)
        }
    }

    // MARK: the kernel

    /// The kernel took so many bytes of what was offered: all of it, or it is full.
    mutating func sent(_ count: Int, _ loop: Loop) {
        bytes.consume(count)
        isBlocked = !bytes.isEmpty
        if !isBlocked { loop.takeBack(&bytes) }
    }

    mutating func block() { isBlocked = true }
    mutating func unblock() { isBlocked = false }

    /// Judges what is held: at `limit` it is too much, and half of that before it is not any more.
    mutating func weigh(limit: Int) {
        if bytes.count >= limit {
            isCongested = true
            hasDrained = false
        } else if isCongested, bytes.count < max(1, limit / 2) {
            isCongested = false
            hasDrained = true
        }
    }

    /// Whether what was held back has gone out since the last time that this was asked.
    mutating func takeDrained() -> Bool {
        defer { hasDrained = false }
        return hasDrained
    }

    mutating func discard(_ loop: Loop) {
        isBlocked = false
        loop.takeBack(&bytes)
    }
}
