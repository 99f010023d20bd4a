// SPDX-License-Identifier: Apache-2.0

/// The field section of a head or trailer: finds the lines and checks their bytes.
///
/// It keeps its place, so that no byte is looked at twice however the input arrives, and decides
/// each fault at the first byte that proves it, so that the cuts do not change the answer.
struct FieldScanner: Sendable {
    /// What the next byte belongs to.
    private enum Place {
        case line
        case name
        case padding
        case value
        case lineFeed
        case lastLineFeed
    }

    private let alphabet: Alphabet
    private let maxFields: Int
    private var place = Place.line
    /// The first byte not looked at; after the end of the section, the first one behind it.
    private(set) var cursor: Int
    private var nameStart = 0
    private var nameEnd = 0
    private var valueStart = 0

    init(_ alphabet: Alphabet, maxFields: Int) {
        self.alphabet = alphabet
        self.maxFields = maxFields
        cursor = 0
    }

    /// Begins a section at `offset`.
    mutating func begin(at offset: Int) {
        place = .line
        cursor = offset
    }

    /// Whether the section ended, empty line included, before `end`; false asks for more bytes.
    mutating func scan(
        _ bytes: RawSpan, to end: Int, into fields: inout [Field]
    ) throws(HeadFault) -> Bool {
        var at = cursor
        defer { cursor = at }
        while true {
            switch place {
            case .line:
                guard at < end else { return false }
                if bytes.byte(at) == Byte.carriageReturn {
                    place = .lastLineFeed
                    at += 1
                    continue
                }
                if bytes.byte(at).isBlank { throw .obsoleteFolding }
                if fields.count == maxFields { throw .tooManyFields(limit: maxFields) }
                nameStart = at
                place = .name
                fallthrough
            case .name:
                at = bytes.tokenEnd(from: at, to: end)
                guard at < end else { return false }
                guard bytes.byte(at) == Byte.colon, at > nameStart else {
                    throw Self.fault(at: bytes.byte(at))
                }
                nameEnd = at
                at += 1
                place = .padding
                fallthrough
            case .padding:
                while at < end, bytes.byte(at).isBlank { at += 1 }
                guard at < end else { return false }
                valueStart = at
                place = .value
                fallthrough
            case .value:
                at = bytes.textEnd(from: at, to: end, alphabet)
                guard at < end else { return false }
                guard bytes.byte(at) == Byte.carriageReturn else {
                    throw Self.fault(at: bytes.byte(at))
                }
                fields.append(field(bytes, valueEnd: at))
                at += 1
                place = .lineFeed
                fallthrough
            case .lineFeed:
                guard at < end else { return false }
                guard bytes.byte(at) == Byte.lineFeed else { throw .bareLineBreak }
                at += 1
                place = .line
            case .lastLineFeed:
                guard at < end else { return false }
                guard bytes.byte(at) == Byte.lineFeed else { throw .bareLineBreak }
                at += 1
                place = .line
                return true
            }
        }
    }

    @inline(__always)
    private func field(_ bytes: RawSpan, valueEnd: Int) -> Field {
        var end = valueEnd
        while end > valueStart, bytes.byte(end - 1).isBlank { end -= 1 }
        let name = ByteRange(nameStart, nameEnd)
        return Field(
            id: FieldName(bytes, name), name: name, value: ByteRange(valueStart, end))
    }

    private static func fault(at byte: UInt8) -> HeadFault {
        byte == Byte.lineFeed ? .bareLineBreak : .malformedField
    }
}
