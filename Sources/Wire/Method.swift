// SPDX-License-Identifier: Apache-2.0

/// The request methods of RFC 9110 section 9 and PATCH; everything else is `other`. Case matters.
public enum Method: UInt8, Sendable {
    case get
    case head
    case post
    case put
    case delete
    case patch
    case options
    case connect
    case trace
    case other

    /// The method that the bytes of `name` spell.
    init(_ bytes: RawSpan, _ name: ByteRange) {
        switch bytes.foldedWord(Int(name.start), count: name.count, folding: 0) {
        case Spelling.get: self = .get
        case Spelling.head: self = .head
        case Spelling.post: self = .post
        case Spelling.put: self = .put
        case Spelling.delete: self = .delete
        case Spelling.patch: self = .patch
        case Spelling.options: self = .options
        case Spelling.connect: self = .connect
        case Spelling.trace: self = .trace
        default: self = .other
        }
    }

    private enum Spelling {
        static let get = word("GET")
        static let head = word("HEAD")
        static let post = word("POST")
        static let put = word("PUT")
        static let delete = word("DELETE")
        static let patch = word("PATCH")
        static let options = word("OPTIONS")
        static let connect = word("CONNECT")
        static let trace = word("TRACE")
    }
}
