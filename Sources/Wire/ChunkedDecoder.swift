// SPDX-License-Identifier: Apache-2.0

/// Takes the chunked coding (RFC 9112 section 7.1) off a body, wherever the input is cut.
///
/// Chunk sizes have at most 16 digits, lines end in CR LF only, nothing may stand between a chunk's
/// data and its CR LF, and extensions and trailers are bounded over the whole message.
public struct ChunkedDecoder: Sendable {
    /// What one call found.
    public enum Step: Sendable, Equatable {
        /// Content at these offsets of the input; the first `consumed` bytes are dealt with.
        case payload(Range<Int>, consumed: Int)
        /// The input is used up.
        case more(consumed: Int)
        /// The body has ended; what stands behind `consumed` is the next message's.
        case end(consumed: Int)
    }

    /// What the next byte belongs to.
    private enum Place: Sendable {
        case size
        case extensions(ChunkExtension)
        case sizeLineFeed
        case data
        case dataReturn
        case dataLineFeed
        case afterLastChunk
        case lastLineFeed
        case trailers
        case ended
    }

    private let maxExtensions: Int
    private let maxTrailers: Int
    private var place = Place.size
    private var digits = 0
    /// The chunk's bytes still to come.
    private var remaining = 0
    /// Extension bytes of all chunks so far.
    private var extensionBytes = 0
    private var scanner: FieldScanner
    private var section: [UInt8] = []
    private var fields: [Field] = []

    /// Bytes of all extensions, bytes of the trailer section, and its field lines.
    public init(maxExtensions: Int, maxTrailers: Int, maxFields: Int) {
        self.maxExtensions = maxExtensions
        self.maxTrailers = maxTrailers
        scanner = FieldScanner(.ascii, maxFields: maxFields)
    }

    /// Bytes that the present chunk has announced and that have not come; 0 outside of one's data.
    public var announced: Int {
        if case .data = place { return remaining }
        return 0
    }

    /// The trailer section as it was received, checked field lines each with its CR LF, without the
    /// empty line; empty where there was none and until the end.
    public var trailers: [UInt8] {
        if case .ended = place { return section }
        return []
    }

    /// Begins another body.
    public mutating func reset() {
        place = .size
        digits = 0
        remaining = 0
        extensionBytes = 0
        section.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
    }

    /// Reads on; `input` is what stands behind the bytes consumed so far. After a fault the decoder
    /// must not be used again.
    public mutating func next(_ input: RawSpan) throws(ChunkFault) -> Step {
        var at = 0
        while at < input.byteCount {
            let byte = input.byte(at)
            switch place {
            case .data:
                let end = at + min(remaining, input.byteCount - at)
                remaining -= end - at
                if remaining == 0 { place = .dataReturn }
                return .payload(at..<end, consumed: end)
            case .trailers:
                at += try readTrailers(input, from: at)
            case .ended:
                return .end(consumed: at)
            case .size:
                try readSize(byte)
                at += 1
            case .extensions(let inside):
                try readExtension(byte, inside)
                at += 1
            default:
                // A byte of the trailers is left for their own reader.
                if try readLineEnd(byte) { at += 1 }
            }
        }
        if case .ended = place { return .end(consumed: at) }
        return .more(consumed: at)
    }

    private mutating func readSize(_ byte: UInt8) throws(ChunkFault) {
        if let digit = byte.hexadecimal {
            digits += 1
            guard digits <= 16, remaining <= Int.max >> 4 else { throw .sizeTooLarge }
            remaining = remaining << 4 | Int(digit)
            return
        }
        guard digits > 0 else { throw byte == Byte.lineFeed ? .bareLineBreak : .invalidSize }
        switch byte {
        case Byte.carriageReturn: place = .sizeLineFeed
        case Byte.lineFeed: throw .bareLineBreak
        default:
            guard ChunkExtension.complete.after(byte) != nil else { throw .invalidSize }
            try readExtension(byte, .complete)
        }
    }

    private mutating func readExtension(
        _ byte: UInt8, _ inside: ChunkExtension
    ) throws(ChunkFault) {
        if byte == Byte.carriageReturn, inside.mayEnd {
            place = .sizeLineFeed
            return
        }
        if byte == Byte.lineFeed { throw .bareLineBreak }
        guard let next = inside.after(byte) else { throw .malformedExtension }
        extensionBytes += 1
        guard extensionBytes <= maxExtensions else {
            throw .extensionsTooLarge(limit: maxExtensions)
        }
        place = .extensions(next)
    }

    /// The places with one possible byte; false leaves the byte to the next place.
    private mutating func readLineEnd(_ byte: UInt8) throws(ChunkFault) -> Bool {
        switch place {
        case .sizeLineFeed:
            guard byte == Byte.lineFeed else { throw .bareLineBreak }
            place = remaining > 0 ? .data : .afterLastChunk
            digits = 0
        case .dataReturn:
            guard byte == Byte.carriageReturn else {
                throw byte == Byte.lineFeed ? .bareLineBreak : .missingDataEnd
            }
            place = .dataLineFeed
        case .dataLineFeed:
            guard byte == Byte.lineFeed else { throw .bareLineBreak }
            place = .size
        case .lastLineFeed:
            guard byte == Byte.lineFeed else { throw .bareLineBreak }
            place = .ended
        default:
            guard byte == Byte.carriageReturn else {
                scanner.begin(at: 0)
                place = .trailers
                return false
            }
            place = .lastLineFeed
        }
        return true
    }

    /// Bytes of the input that belong to the trailers. They are gathered, at most to the limit,
    /// since a trailer may be cut where its value is.
    private mutating func readTrailers(
        _ input: RawSpan, from start: Int
    ) throws(ChunkFault) -> Int {
        let before = section.count
        let taken = min(input.byteCount - start, maxTrailers + 2 - before)
        for offset in start..<start + taken { section.append(input.byte(offset)) }
        guard try scanTrailers() else {
            // The empty line's two bytes are not the section's.
            guard section.count < maxTrailers + 2 else {
                throw .trailersTooLarge(limit: maxTrailers)
            }
            return taken
        }
        let end = scanner.cursor
        section.removeLast(section.count - (end - 2))
        place = .ended
        return end - before
    }

    private mutating func scanTrailers() throws(ChunkFault) -> Bool {
        let gathered = section
        let ended: Bool
        do {
            ended = try unsafe scanner.scan(
                gathered.span.bytes, to: gathered.count, into: &fields)
        } catch {
            throw Self.fault(error)
        }
        guard ended else { return false }
        for index in fields.indices where !Self.mayTrail(fields[index].id) {
            throw .forbiddenTrailer
        }
        return true
    }

    /// RFC 9110 section 6.5.1: nothing that decides framing, routing, identity or how the content
    /// is read. Of the names with a meaning here only a load report (ORCA) may come that late.
    private static func mayTrail(_ id: FieldName) -> Bool {
        id == .other || id == .endpointLoadMetrics || id == .endpointLoadMetricsFormat
    }

    private static func fault(_ fault: HeadFault) -> ChunkFault {
        switch fault {
        case .bareLineBreak: .bareLineBreak
        case .tooManyFields(let limit): .tooManyTrailers(limit: limit)
        default: .malformedTrailer
        }
    }
}
