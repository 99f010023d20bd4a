// SPDX-License-Identifier: Apache-2.0

/// Finds where server-sent-event blocks end (WHATWG HTML section 9.2.6), wherever the stream is
/// cut.
///
/// Lines end in LF, CR LF or CR, mixed at will; a block ends with its empty line. Whether a CR is a
/// line end by itself shows only in the next byte. Where the line before ended in CR alone, the
/// stream is taken to use that, and the block ends at once: an event is never held back for the
/// next one. An LF that follows after all is then the first byte of the next block, where it means
/// nothing. Otherwise the LF is waited for, so that a block in CR LF is never given out without its
/// last byte.
public struct SSESplitter: Sendable {
    /// What stands before the next byte.
    private enum Place {
        /// So many bytes of a byte order mark at the very front, or nothing.
        case mark(Int)
        /// The start of a line, behind a line that ended in LF.
        case line
        /// Part of a line.
        case text
        /// A line with text and its CR.
        case textReturn
        /// An empty line's CR behind a line in LF or CR LF.
        case emptyReturn
        /// An empty line's CR behind a line in CR: the block has been given out.
        case endReturn
    }
    private static let mark: [3 of UInt8] = [0xEF, 0xBB, 0xBF]

    private var place = Place.mark(0)

    /// At the front of a stream.
    public init() {}

    /// Begins another stream.
    public mutating func reset() { place = .mark(0) }

    /// Whether the bytes behind the last block's end are a whole block too, when no more come: its
    /// last CR was being waited on.
    public var restIsBlock: Bool {
        if case .emptyReturn = place { return true }
        return false
    }

    /// The offset just behind the first empty line that ends at or behind `from`, or nil when the
    /// bytes to the end of the span have all been looked at without finding one.
    ///
    /// `from` is the first byte not yet looked at: the offset returned last, or where the new bytes
    /// begin. The bytes before it may stay or go. The offset can be `from` itself, when a block
    /// proves to have ended with the bytes before.
    public mutating func nextBlockEnd(_ bytes: RawSpan, from: Int) -> Int? {
        var at = from
        while at < bytes.byteCount {
            if case .text = place {
                at = bytes.lineEnd(from: at, to: bytes.byteCount)
                if at == bytes.byteCount { return nil }
            }
            switch step(bytes.byte(at)) {
            case .inside: at += 1
            case .endsBehind: return at + 1
            case .endedBefore: return at
            case .again: continue
            }
        }
        return nil
    }

    private enum Step {
        case inside
        case endsBehind
        case endedBefore
        /// The place has changed, the byte is still to be read.
        case again
    }

    private mutating func step(_ byte: UInt8) -> Step {
        switch place {
        case .mark(let matched):
            return step(byte, behindMark: matched)
        case .line:
            if byte == Byte.lineFeed { return .endsBehind }
            place = byte == Byte.carriageReturn ? .emptyReturn : .text
            return .inside
        case .text:
            if byte == Byte.lineFeed { place = .line }
            if byte == Byte.carriageReturn { place = .textReturn }
            return .inside
        case .textReturn:
            if byte == Byte.lineFeed {
                place = .line
                return .inside
            }
            if byte == Byte.carriageReturn {
                place = .endReturn
                return .endsBehind
            }
            place = .text
            return .inside
        case .emptyReturn:
            if byte == Byte.lineFeed {
                place = .line
                return .endsBehind
            }
            place = .endReturn
            return .endedBefore
        case .endReturn:
            if byte == Byte.carriageReturn { return .endsBehind }
            place = byte == Byte.lineFeed ? .line : .text
            return .inside
        }
    }

    private mutating func step(_ byte: UInt8, behindMark matched: Int) -> Step {
        guard byte == Self.mark[matched] else {
            place = matched == 0 ? .line : .text
            return .again
        }
        place = matched == 2 ? .line : .mark(matched + 1)
        return .inside
    }
}
