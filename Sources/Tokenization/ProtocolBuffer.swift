// SPDX-License-Identifier: Apache-2.0

/// The fields of a message of protocol buffers, one after the other.
struct ProtocolBuffer {
    enum Value {
        case number(UInt64)
        /// 32 bits, as for a `float`.
        case word(UInt32)
        case double(UInt64)
        case bytes(Range<Int>)
    }

    private var at: Int
    private let end: Int

    /// The message in `range` of the text that `next` gets.
    init(_ range: Range<Int>) {
        at = range.lowerBound
        end = range.upperBound
    }

    static func bytes(_ range: Range<Int>, in text: RawSpan) -> [UInt8] {
        range.map { byte($0, text) }
    }

    private static func byte(_ at: Int, _ text: RawSpan) -> UInt8 {
        unsafe text.unsafeLoad(fromByteOffset: at, as: UInt8.self)
    }

    /// Nil behind the last field.
    mutating func next(
        in text: RawSpan
    ) throws(TokenizerFault) -> (number: UInt64, value: Value)? {
        guard at < end else { return nil }
        let key = try number(text)
        switch key & 7 {
        case 0: return (key >> 3, .number(try number(text)))
        case 1: return (key >> 3, .double(try fixed(8, text)))
        case 2:
            let length = try number(text)
            guard length <= UInt64(end - at) else { throw ProtocolBuffer.fault }
            let start = at
            at += Int(length)
            return (key >> 3, .bytes(start..<at))
        case 5: return (key >> 3, .word(UInt32(truncatingIfNeeded: try fixed(4, text))))
        default: throw ProtocolBuffer.fault
        }
    }

    private mutating func fixed(_ count: Int, _ text: RawSpan) throws(TokenizerFault) -> UInt64 {
        guard end - at >= count else { throw ProtocolBuffer.fault }
        var value: UInt64 = 0
        for index in 0..<count {
            value |= UInt64(ProtocolBuffer.byte(at + index, text)) << UInt64(8 * index)
        }
        at += count
        return value
    }

    private mutating func number(_ text: RawSpan) throws(TokenizerFault) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: 0 as UInt64, to: 70, by: 7) {
            guard at < end else { throw ProtocolBuffer.fault }
            let next = ProtocolBuffer.byte(at, text)
            at += 1
            value |= UInt64(next & 0x7F) << shift
            if next < 0x80 { return value }
        }
        throw ProtocolBuffer.fault
    }

    private static var fault: TokenizerFault { TokenizerFault("it is no model of SentencePiece") }
}
