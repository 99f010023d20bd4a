// SPDX-License-Identifier: Apache-2.0

/// The fields of one head that decide where the message ends and what becomes of the connection.
///
/// Whatever two recipients could read in two ways is refused, in requests and responses alike: more
/// than one length, a length beside a transfer coding, any coding but one `chunked`.
struct FramingFields: Sendable {
    private(set) var host: Field?
    private(set) var hosts = 0
    private var length: Field?
    private var lengths = 0
    private var coding: Field?
    private var codings = 0
    private(set) var expectations = 0
    /// `Connection: close`, `Connection: keep-alive`
    private var close = false
    private var keepAlive = false

    init(_ fields: [Field], _ bytes: RawSpan) throws(HeadFault) {
        for index in fields.indices {
            let field = fields[index]
            switch field.id {
            case .host:
                host = field
                hosts += 1
            case .contentLength:
                length = field
                lengths += 1
            case .transferEncoding:
                coding = field
                codings += 1
            case .expect:
                expectations += 1
            case .connection:
                try readConnection(field.value, bytes)
            default:
                break
            }
        }
    }

    /// Of a message in HTTP/1.`minorVersion`; `close` wins over `keep-alive`.
    func keepsAlive(minorVersion: UInt8) -> Bool {
        !close && (minorVersion > 0 || keepAlive)
    }

    /// `.chunked`, `.length`, or `.none` when the fields say neither (RFC 9112 section 6).
    func framing(_ bytes: RawSpan, minorVersion: UInt8) throws(HeadFault) -> Framing {
        if let coding {
            if minorVersion == 0 { throw .transferEncodingInHTTP10 }
            if length != nil { throw .lengthWithTransferEncoding }
            guard codings == 1 else { throw .malformedTransferEncoding }
            if bytes.equals(coding.value, ignoringCase: "chunked") { return .chunked }
            throw Self.codingFault(coding.value, bytes)
        }
        guard let length else { return .none }
        guard lengths == 1 else { throw .conflictingLength }
        return .length(try Self.length(length.value, bytes))
    }

    private mutating func readConnection(
        _ value: ByteRange, _ bytes: RawSpan
    ) throws(HeadFault) {
        var elements = ListElements(value)
        while let element = elements.next(bytes) {
            guard bytes.isToken(element) else { throw .malformedConnection }
            if bytes.equals(element, ignoringCase: "close") {
                close = true
            } else if bytes.equals(element, ignoringCase: "keep-alive") {
                keepAlive = true
            } else {
                // A recipient that obeyed would drop what says where the message ends or goes:
                // RFC 9110 section 7.6.1 forbids naming fields that are for all recipients.
                switch FieldName(bytes, element) {
                case .host, .contentLength, .transferEncoding: throw .malformedConnection
                default: break
                }
            }
        }
    }

    /// 1*DIGIT that fits; leading zeros are digits too.
    private static func length(_ value: ByteRange, _ bytes: RawSpan) throws(HeadFault) -> Int {
        guard !value.isEmpty else { throw .invalidLength }
        var length = 0
        for offset in value.range {
            guard bytes.byte(offset).isDigit else { throw .invalidLength }
            let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(
                Int(bytes.byte(offset) - Byte.zero))
            guard !overflow, !carry else { throw .invalidLength }
            length = sum
        }
        return length
    }

    /// Why a value that is not just `chunked` is refused: where the last coding is not chunked the
    /// message has no end that can be found, which is the sender's mistake (RFC 9112 section 6.3);
    /// a coding before it is only one that is not known here.
    private static func codingFault(_ value: ByteRange, _ bytes: RawSpan) -> HeadFault {
        var elements = ListElements(value)
        var chunked = 0
        var unknown = 0
        var lastIsChunked = false
        while let element = elements.next(bytes) {
            guard bytes.isToken(element) else { return .malformedTransferEncoding }
            lastIsChunked = bytes.equals(element, ignoringCase: "chunked")
            if lastIsChunked { chunked += 1 } else { unknown += 1 }
        }
        guard lastIsChunked, chunked == 1, unknown > 0 else { return .malformedTransferEncoding }
        return .unsupportedTransferCoding
    }
}
