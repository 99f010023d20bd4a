// SPDX-License-Identifier: Apache-2.0

/// Why a head is refused. After any of these the connection cannot be used again: where the next
/// message would begin is not known.
public enum HeadFault: Error, Sendable, Equatable {
    case malformedRequestLine
    case malformedStatusLine
    case malformedTarget
    case unsupportedVersion
    case targetTooLong(limit: Int)
    case headTooLarge(limit: Int)
    case tooManyFields(limit: Int)
    case malformedField
    case obsoleteFolding
    case bareLineBreak
    case missingHost
    case duplicateHost
    case invalidHost
    case conflictingLength
    case invalidLength
    case lengthWithTransferEncoding
    case malformedTransferEncoding
    case unsupportedTransferCoding
    case transferEncodingInHTTP10
    case malformedConnection
    case unknownExpectation

    /// The status that answers a request with this fault.
    public var status: Int {
        switch self {
        case .targetTooLong: 414
        case .unknownExpectation: 417
        case .headTooLarge, .tooManyFields: 431
        case .unsupportedTransferCoding: 501
        case .unsupportedVersion: 505
        default: 400
        }
    }

    /// One short sentence for the client.
    public var reason: String {
        switch self {
        case .malformedRequestLine: "The request line is malformed."
        case .malformedStatusLine: "The status line is malformed."
        case .malformedTarget: "The request target is malformed."
        case .unsupportedVersion: "Only HTTP/1.0 and HTTP/1.1 are spoken here."
        case .targetTooLong(let limit): "The request target is over \(limit) bytes."
        case .headTooLarge(let limit): "The head is over \(limit) bytes."
        case .tooManyFields(let limit): "There are more than \(limit) header fields."
        case .malformedField: "A header field is malformed."
        case .obsoleteFolding: "A header field is folded over several lines."
        case .bareLineBreak: "A line does not end in CR LF."
        case .missingHost: "The Host field is missing."
        case .duplicateHost: "There is more than one Host field."
        case .invalidHost: "The host is malformed."
        case .conflictingLength: "There is more than one Content-Length field."
        case .invalidLength: "The Content-Length is malformed or too large."
        case .lengthWithTransferEncoding:
            "Content-Length and Transfer-Encoding exclude each other."
        case .malformedTransferEncoding: "The Transfer-Encoding is malformed."
        case .unsupportedTransferCoding: "The only transfer coding known here is chunked."
        case .transferEncodingInHTTP10: "HTTP/1.0 has no Transfer-Encoding."
        case .malformedConnection: "The Connection field is malformed."
        case .unknownExpectation: "The only expectation known here is 100-continue."
        }
    }
}
