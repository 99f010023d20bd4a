// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// The reading half of a connection to an engine: the answer's head, then its body.
///
/// What arrives lies in the loop's scratch and is handed on within the turn; only the beginning of
/// a head that did not come whole is carried over, in a block of its own.
struct AnswerIntake: ~Copyable {
    /// What a look at the body gave.
    @unsafe
    enum Piece {
        /// Nothing more is here.
        case more
        /// Valid until the next call.
        case payload(UnsafeRawBufferPointer)
        case end
    }

    /// Interim answers before the one that counts: more is no conversation.
    private static let interimLimit = 32
    private static let carryStep = 8_192

    private let loop: Loop
    private var parser: ResponseParser
    private var decoder: ChunkedDecoder
    private(set) var head = ResponseHead()
    private var carry = ByteBuffer()
    /// Whether this turn's bytes lie in the carry, and not in scratch.
    private var isCarried = false
    /// What of this turn's bytes is not dealt with.
    private var pending = 0..<0
    /// Where the head lies, during the turn that brought it.
    private var headPlace = 0..<0
    private var interims = 0
    private var bodyLeft = 0
    private var isBodyEnded = false

    init(limits: ClientLimits, loop: Loop) {
        self.loop = loop
        parser = ResponseParser(limits: limits.head)
        decoder = ChunkedDecoder(
            maxExtensions: limits.maxChunkExtensions, maxTrailers: limits.maxTrailers,
            maxFields: limits.head.maxFields)
    }

    /// Every byte that came was dealt with or is carried.
    var isEmpty: Bool { pending.isEmpty }
    /// The trailer section, once the body has ended.
    var trailers: [UInt8] { head.framing == .chunked ? decoder.trailers : [] }

    /// A part of the head; empty after the turn that brought it.
    func bytes(_ range: ByteRange) -> UnsafeRawBufferPointer {
        guard Int(range.end) <= headPlace.count else {
            return unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
        let start = headPlace.lowerBound
        return unsafe UnsafeRawBufferPointer(
            rebasing: arrived[start + Int(range.start)..<start + Int(range.end)])
    }

    private var arrived: UnsafeRawBufferPointer {
        unsafe isCarried ? carry.readable : UnsafeRawBufferPointer(loop.scratch)
    }

    private var rest: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: arrived[pending])
    }

    // MARK: receiving

    /// Where to receive into; what came before has been dealt with.
    mutating func room() -> UnsafeMutableRawBufferPointer {
        invariant(pending.isEmpty, "a turn's bytes are dealt with in the turn")
        headPlace = 0..<0
        isCarried = !carry.isEmpty
        guard isCarried else { return unsafe loop.scratch }
        let room = unsafe carry.room(Self.carryStep)
        return unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<Self.carryStep])
    }

    /// So many bytes were received into the room.
    mutating func took(_ count: Int) {
        if isCarried { carry.wrote(count) }
        pending = 0..<(isCarried ? carry.count : count)
    }

    // MARK: the head

    /// Another request is out.
    mutating func begin() {
        interims = 0
        isBodyEnded = false
    }

    /// Looks for the head of the answer itself; false when more bytes are needed.
    mutating func readHead(of method: Method) throws(HeadFault) -> Bool {
        while !pending.isEmpty {
            guard
                let length = try unsafe parser.parse(
                    rest.bytes, requestMethod: method, into: &head)
            else {
                carryOver()
                return false
            }
            let start = pending.lowerBound
            advance(length)
            guard head.status < 200 else {
                headPlace = start..<start + length
                beginBody()
                return true
            }
            interims += 1
            // Nobody has asked for another protocol (RFC 9110 section 15.2.2).
            guard head.status != 101, interims <= Self.interimLimit else {
                throw .malformedStatusLine
            }
        }
        emptyCarry()
        return false
    }

    /// Keeps the beginning of a head for the next turn.
    private mutating func carryOver() {
        if isCarried {
            carry.consume(pending.lowerBound)
        } else {
            carry = loop.lend()
            unsafe carry.append(rest)
        }
        pending = 0..<0
    }

    // MARK: the body

    private mutating func beginBody() {
        switch head.framing {
        case .none: isBodyEnded = true
        case .length(let count):
            bodyLeft = count
            isBodyEnded = count == 0
        case .chunked: decoder.reset()
        case .untilClose: break
        }
    }

    /// The next piece of the body.
    mutating func readBody() throws(ChunkFault) -> Piece {
        while !isBodyEnded, !pending.isEmpty {
            let rest = unsafe self.rest
            switch head.framing {
            case .none, .length:
                let count = min(bodyLeft, rest.count)
                bodyLeft -= count
                isBodyEnded = bodyLeft == 0
                advance(count)
                return unsafe .payload(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            case .untilClose:
                advance(rest.count)
                return unsafe .payload(rest)
            case .chunked:
                switch try unsafe decoder.next(rest.bytes) {
                case .payload(let range, let consumed):
                    advance(consumed)
                    return unsafe .payload(UnsafeRawBufferPointer(rebasing: rest[range]))
                case .more(let consumed): advance(consumed)
                case .end(let consumed):
                    advance(consumed)
                    isBodyEnded = true
                }
            }
        }
        if !isBodyEnded { emptyCarry() }
        return unsafe isBodyEnded ? .end : .more
    }

    /// The connection's end was the body's.
    mutating func endBody() { isBodyEnded = true }

    private mutating func advance(_ count: Int) {
        pending = pending.lowerBound + count..<pending.upperBound
    }

    /// Everything carried was dealt with: from now on scratch will do.
    private mutating func emptyCarry() {
        guard isCarried else { return }
        headPlace = 0..<0
        pending = 0..<0
        loop.takeBack(&carry)
        isCarried = false
    }

    /// Forgets what came; nothing is held any more.
    mutating func discard() {
        headPlace = 0..<0
        pending = 0..<0
        loop.takeBack(&carry)
        isCarried = false
    }
}
