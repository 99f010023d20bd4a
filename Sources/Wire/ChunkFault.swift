// SPDX-License-Identifier: Apache-2.0

/// Why a chunked body is refused. The connection cannot be used again.
public enum ChunkFault: Error, Sendable, Equatable {
    case invalidSize
    /// More than 16 digits, or more than `Int` holds.
    case sizeTooLarge
    case malformedExtension
    case extensionsTooLarge(limit: Int)
    /// A line end that is not CR LF.
    case bareLineBreak
    /// More bytes than the chunk's size before its CR LF.
    case missingDataEnd
    case malformedTrailer
    case trailersTooLarge(limit: Int)
    case tooManyTrailers(limit: Int)
    /// A field that decides framing, routing or identity, which must come before the content.
    case forbiddenTrailer

    /// The status that answers a request with this fault.
    public var status: Int {
        switch self {
        case .trailersTooLarge, .tooManyTrailers: 431
        case .sizeTooLarge: 413
        default: 400
        }
    }

    /// One short sentence for the client.
    public var reason: String {
        switch self {
        case .invalidSize: "A chunk size is malformed."
        case .sizeTooLarge: "A chunk size is too large."
        case .malformedExtension: "A chunk extension is malformed."
        case .extensionsTooLarge(let limit): "The chunk extensions are over \(limit) bytes."
        case .bareLineBreak: "A line of the chunked coding does not end in CR LF."
        case .missingDataEnd: "A chunk is longer than its size."
        case .malformedTrailer: "A trailer field is malformed."
        case .trailersTooLarge(let limit): "The trailers are over \(limit) bytes."
        case .tooManyTrailers(let limit): "There are more than \(limit) trailer fields."
        case .forbiddenTrailer: "A trailer holds a field that must be in the head."
        }
    }
}
