// SPDX-License-Identifier: Apache-2.0

public import Units
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
            if dialect.namesModelIn != .path, Path.matches(target, path, dialect.path) {
                return method == .post ? .generate(dialect) : .methodNotAllowed(.post)
            }
            candidate += 1
        }
        if let (dialect, _) = triton(target, path) {
            return method == .post ? .generate(dialect) : .methodNotAllowed(.post)
        }
        let reads = method == .get || method == .head
        if Path.matches(target, path, "/v1/models") {
            return reads ? .models : .methodNotAllowed(.getAndHead)
        }
        guard let name = Path.behind("/v1/models/", target, path), !name.isEmpty else { return nil }
        return reads ? .model(name) : .methodNotAllowed(.getAndHead)
    }

    /// The model that a path names, still percent-encoded; nil where it names none.
    public static func pathModel(of target: RawSpan) -> Range<Int>? {
        triton(target, pathRange(target))?.1
    }

    /// `/v2/models/{model}/generate` and its like (Triton's generate extension).
    private static func triton(_ target: RawSpan, _ path: Range<Int>) -> (Dialect, Range<Int>)? {
        guard let rest = Path.behind(Dialect.triton.path, target, path) else { return nil }
        var end = rest.lowerBound
        while end < rest.upperBound, target.octet(end) != UInt8(ascii: "/") { end += 1 }
        guard end > rest.lowerBound else { return nil }
        let model = rest.lowerBound..<end
        if Path.matches(target, end..<rest.upperBound, "/generate") { return (.triton, model) }
        guard Path.matches(target, end..<rest.upperBound, "/generate_stream") else { return nil }
        return (.tritonStream, model)
    }

    /// How errors are spelled for clients that ask for `target`, also where nothing is there.
    public static func errors(of target: RawSpan) -> ErrorShape {
        let prefix = Dialect.messages.path
        let path = pathRange(target)
        if Path.behind(Dialect.triton.path, target, path) != nil { return Dialect.triton.errors }
        if Path.matches(target, path, Dialect.textGenerationStream.path) {
            return Dialect.textGenerationStream.errors
        }
        guard let rest = Path.behind(prefix, target, path) else { return .openAI }
        return rest.isEmpty || target.octet(rest.lowerBound) == UInt8(ascii: "/")
            ? Dialect.messages.errors : .openAI
    }

    /// The model's name that `.model` points at, decoded; nil when its encoding is broken.
    public static func modelName(_ range: Range<Int>, in target: RawSpan) -> String? {
        Path.decoded(target, range)
    }

    /// Appends a name as one segment of a path: all but unreserved characters are encoded (RFC 3986
    /// section 2.3).
    public static func append(pathSegment name: String, to target: inout ByteBuffer) {
        let digits: StaticString = "0123456789ABCDEF"
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                target.append(byte: byte)
            default:
                target.append(byte: UInt8(ascii: "%"))
                target.append(byte: digits.octet(Int(byte >> 4)))
                target.append(byte: digits.octet(Int(byte & 15)))
            }
        }
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
