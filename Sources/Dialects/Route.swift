// SPDX-License-Identifier: Apache-2.0

public import Wire

/// What a request's target asks for. Whatever is not listed here does not exist.
public enum Route: Sendable, Equatable {
    case generate(Dialect)
    case models
    /// One model: where its name stands in the target, still percent-encoded.
    case model(Range<Int>)
    /// The path exists, but not with this method; `methods` are for the `Allow` field.
    case methodNotAllowed(AllowedMethods)

    /// Which methods a path takes.
    public enum AllowedMethods: Sendable, Equatable {
        case post
        case getAndHead

        /// The value of `Allow` (RFC 9110 section 10.2.1).
        public var field: StaticString {
            switch self {
            case .post: return "POST"
            case .getAndHead: return "GET, HEAD"
            }
        }
    }

    /// The route of a request line's method and target (RFC 9112 section 3.2); nil is 404.
    ///
    /// The path is compared decoded, as engines decode it, and whole: encoded slashes, dot
    /// segments, doubled or final slashes match nothing. The query counts for nothing.
    public static func route(method: Method, target: RawSpan) -> Route? {
        let path = pathRange(target)
        var candidate: UInt8 = 0
        while let dialect = Dialect(rawValue: candidate) {
            if Path.matches(target, path, dialect.path) {
                return method == .post ? .generate(dialect) : .methodNotAllowed(.post)
            }
            candidate += 1
        }
        let reads = method == .get || method == .head
        if Path.matches(target, path, "/v1/models") {
            return reads ? .models : .methodNotAllowed(.getAndHead)
        }
        guard let name = Path.behind("/v1/models/", target, path), !name.isEmpty else { return nil }
        return reads ? .model(name) : .methodNotAllowed(.getAndHead)
    }

    /// The model's name that `.model` points at, decoded; nil when its encoding is broken.
    public static func modelName(_ range: Range<Int>, in target: RawSpan) -> String? {
        Path.decoded(target, range)
    }

    /// Without the query, and without scheme and authority of the absolute form.
    private static func pathRange(_ target: RawSpan) -> Range<Int> {
        var start = 0
        if let authority = Path.behind("http://", target, target.byteOffsets)
            ?? Path.behind("https://", target, target.byteOffsets)
        {
            start = authority.lowerBound
            while start < target.byteCount, target.octet(start) != UInt8(ascii: "/"),
                target.octet(start) != UInt8(ascii: "?")
            {
                start += 1
            }
        }
        var end = start
        while end < target.byteCount, target.octet(end) != UInt8(ascii: "?") { end += 1 }
        return start..<end
    }
}
