// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// The reading half of a client's connection: one buffer with the present request's head in front,
/// its body decoded in place behind it, and what has come of later requests behind that.
///
/// An idle one holds no memory: blocks are the loop's, and go back to it.
struct RequestIntake: ~Copyable {
    /// What the next bytes are for.
    enum Place {
        case head
        case body
        /// Behind the present request, while its answer is owed.
        case later
    }

    /// A read of a head takes at least so much.
    private static let headStep = 2_048
    private static let laterStep = 4_096
    private static let bodyStep = 16_384
    private static let bodyStepLimit = 262_144

    private let limits: ServerLimits
    private var parser: RequestParser
    private var decoder: ChunkedDecoder
    private(set) var head = RequestHead()
    private var input = ByteBuffer()
    /// Zero while there is no present request.
    private var headLength = 0
    /// Decoded bytes behind the head.
    private var bodyLength = 0
    /// Body bytes as received, framing included: what the floor counts.
    private(set) var bodyReceived = 0

    init(limits: ServerLimits) {
        self.limits = limits
        parser = RequestParser(limits: limits.head)
        decoder = ChunkedDecoder(
            maxExtensions: limits.maxChunkExtensions, maxTrailers: limits.maxTrailers,
            maxFields: limits.head.maxFields)
    }

    var isEmpty: Bool { input.isEmpty }
    /// Memory held, in bytes.
    var capacity: Int { input.capacity }
    /// Not one byte has come behind the present request's head.
    var isHeadOnly: Bool { input.count == headLength }
    /// What has not come of a body of known length; nil where the length is not known.
    var missingBytes: Int? {
        switch head.framing {
        case .none: 0
        case .length(let count): count - bodyLength
        case .chunked, .untilClose: nil
        }
    }
    /// Bytes behind the present request as far as it is known.
    var laterBytes: Int { input.count - headLength - bodyLength }

    // MARK: the request

    /// The present request's body as far as it has come.
    var body: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            rebasing: input.readable[headLength..<headLength + bodyLength])
    }

    /// A part of the present head; empty once the request was dropped.
    func bytes(_ range: ByteRange) -> UnsafeRawBufferPointer {
        guard Int(range.end) <= headLength else {
            return unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return unsafe UnsafeRawBufferPointer(rebasing: input.readable[range.range])
    }

    // MARK: receiving

    /// Whether more may be read for `place`: a head ends at its limit and a body at its length, but
    /// later requests only wait.
    func hasRoom(for place: Place) -> Bool {
        place != .later || laterBytes < limits.maxPipelined
    }

    /// Where to receive into: not empty where there is room.
    mutating func room(for place: Place, _ loop: Loop) -> UnsafeMutableRawBufferPointer {
        let wanted: Int
        switch place {
        case .head:
            if input.capacity == 0 { input = loop.lend() }
            return unsafe input.room(Self.headStep)
        case .later:
            wanted = max(0, min(Self.laterStep, limits.maxPipelined - laterBytes))
        case .body:
            wanted = bodyRoom
        }
        if input.capacity == 0 { input = loop.lend() }
        return unsafe UnsafeMutableRawBufferPointer(rebasing: input.room(wanted)[..<wanted])
    }

    /// What has come doubles what may come: an announcement alone reserves nothing. A body of known
    /// length is not read beyond.
    private var bodyRoom: Int {
        guard case .length(let count) = head.framing else { return Self.bodyStep }
        let step = max(Self.bodyStep, min(bodyReceived, Self.bodyStepLimit))
        return min(max(count - bodyLength, 1), step)
    }

    /// So many bytes were received into the room.
    mutating func took(_ count: Int, for place: Place) {
        input.wrote(count)
        if place == .body { bodyReceived += count }
    }

    // MARK: the preface

    /// How much of the connection preface of HTTP/2 stands in front.
    enum Preface {
        case none
        case part
        case whole
    }

    /// RFC 9113 section 3.4; no request of HTTP/1.1 begins so.
    private static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Of a connection on which nothing else has come.
    var preface: Preface {
        let wanted = Self.preface.utf8CodeUnitCount
        let count = min(input.count, wanted)
        for place in 0..<count {
            guard unsafe input.readable[place] == Self.preface.utf8Start[place] else {
                return .none
            }
        }
        return count == wanted ? .whole : .part
    }

    /// All that has come and was not dropped.
    var received: UnsafeRawBufferPointer { unsafe input.readable }

    // MARK: reading

    /// Looks for a complete head; false when more bytes are needed.
    mutating func readHead() throws(HeadFault) -> Bool {
        guard let length = try unsafe parser.parse(input.readable.bytes, into: &head) else {
            return false
        }
        headLength = length
        bodyLength = 0
        bodyReceived = input.count - length
        if head.framing == .chunked { decoder.reset() }
        return true
    }

    /// Takes in what has come of the body; true when it is complete.
    mutating func readBody() throws(ServerFault) -> Bool {
        switch head.framing {
        case .none, .untilClose:
            return true
        case .length(let count):
            if count > limits.maxBody { throw .bodyTooLarge(limit: limits.maxBody) }
            bodyLength = min(count, input.count - headLength)
            return bodyLength == count
        case .chunked:
            let ended: Bool
            do throws(ChunkFault) { ended = try decode() } catch { throw .chunk(error) }
            // A chunk that would be too much is refused by its announcement.
            if bodyLength > limits.maxBody || decoder.announced > limits.maxBody - bodyLength {
                throw .bodyTooLarge(limit: limits.maxBody)
            }
            return ended
        }
    }

    /// Moves payload down behind the head as far as it has come; true at the body's end.
    private mutating func decode() throws(ChunkFault) -> Bool {
        let all = unsafe input.mutable
        var read = headLength + bodyLength
        var write = read
        var ended = false
        scan: while read < all.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: all[read...])
            switch try unsafe decoder.next(rest.bytes) {
            case .payload(let range, let consumed):
                unsafe all.move(from: read + range.lowerBound, to: write, range.count)
                write += range.count
                read += consumed
            case .more(let consumed):
                read += consumed
                break scan
            case .end(let consumed):
                read += consumed
                ended = true
                break scan
            }
        }
        unsafe all.move(from: read, to: write, all.count - read)
        bodyLength = write - headLength
        input.dropLast(read - write)
        return ended
    }

    // MARK: letting go

    /// The head is at fault and will not be looked at again; of it only the method counts.
    mutating func forgetHead() {
        head.fields.removeAll(keepingCapacity: true)
        head.target = ByteRange()
        head.methodName = ByteRange()
        head.framing = .none
        headLength = 0
        bodyLength = 0
    }

    /// The present request's bytes are gone; what has come of later ones stays.
    mutating func drop(_ loop: Loop) {
        input.consume(headLength + bodyLength)
        headLength = 0
        bodyLength = 0
        giveBack(loop)
    }

    /// All bytes are gone.
    mutating func discard(_ loop: Loop) {
        headLength = 0
        bodyLength = 0
        loop.takeBack(&input)
    }

    /// Gives memory back: all of it where nothing is left, what a body needed where little is.
    mutating func giveBack(_ loop: Loop) {
        if input.isEmpty { return loop.takeBack(&input) }
        guard input.capacity > 4 * max(Loop.blockSize, input.count) else { return }
        var small = input.count <= Loop.blockSize ? loop.lend() : ByteBuffer()
        unsafe small.append(input.readable)
        swap(&small, &input)
        loop.takeBack(&small)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Moves bytes within the buffer; the two places may overlap.
    @inline(__always)
    fileprivate func move(from: Int, to: Int, _ count: Int) {
        guard count > 0, from != to, let base = baseAddress else { return }
        unsafe (base + to).copyMemory(from: base + from, byteCount: count)
    }
}
