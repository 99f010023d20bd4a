// SPDX-License-Identifier: Apache-2.0

/// An answer as a client reads it, by a reader that shares nothing with the code under test.
public struct Reply: Equatable, Sendable {
    public var status = 0
    /// Names in lower case; `date` is left out.
    public var fields: [String: String] = [:]
    public var body = ""
    public var trailers = ""
    /// The chunks as they were cut.
    public var chunks: [String] = []

    /// All complete answers in `bytes`, which answer requests of these methods, and what is left.
    ///
    /// An answer that only the connection's end ends counts as complete when `isClosed`.
    public static func all(
        in bytes: [UInt8], methods: [String] = [], isClosed: Bool = false
    ) -> (replies: [Reply], rest: String) {
        var rest = bytes[...]
        var replies: [Reply] = []
        var methods = methods[...]
        while !rest.isEmpty {
            let method = methods.first ?? "GET"
            var copy = rest
            guard let reply = Reply(&copy, method: method, isClosed: isClosed) else { break }
            rest = copy
            replies.append(reply)
            if reply.status >= 200 { methods = methods.dropFirst() }
        }
        return (replies, String(decoding: rest, as: UTF8.self))
    }

    private init?(_ bytes: inout ArraySlice<UInt8>, method: String, isClosed: Bool) {
        guard let line = Reply.line(&bytes), line.hasPrefix("HTTP/1.1 ") else { return nil }
        status = Int(line.dropFirst(9).prefix(3)) ?? 0
        while true {
            guard let line = Reply.line(&bytes) else { return nil }
            if line.isEmpty { break }
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let name = line[..<colon].lowercased()
            guard fields[name] == nil else { return nil }
            fields[name] = String(line[colon...].dropFirst(2))
        }
        guard status < 200 || fields.removeValue(forKey: "date") != nil else { return nil }
        if method == "HEAD" || status < 200 || status == 204 || status == 304 { return }
        if let length = fields["content-length"].flatMap({ Int($0) }) {
            guard bytes.count >= length else { return nil }
            body = String(decoding: bytes.prefix(length), as: UTF8.self)
            bytes = bytes.dropFirst(length)
        } else if fields["transfer-encoding"] == "chunked" {
            guard readChunks(&bytes) else { return nil }
        } else {
            guard isClosed else { return nil }
            body = String(decoding: bytes, as: UTF8.self)
            bytes = []
        }
    }

    private mutating func readChunks(_ bytes: inout ArraySlice<UInt8>) -> Bool {
        while true {
            guard let line = Reply.line(&bytes), let size = Int(line, radix: 16) else {
                return false
            }
            if size == 0 { break }
            guard bytes.count >= size + 2 else { return false }
            chunks.append(String(decoding: bytes.prefix(size), as: UTF8.self))
            bytes = bytes.dropFirst(size)
            guard bytes.prefix(2).elementsEqual([13, 10]) else { return false }
            bytes = bytes.dropFirst(2)
        }
        body = chunks.joined()
        while let line = Reply.line(&bytes) {
            if line.isEmpty { return true }
            trailers += line + "\r\n"
        }
        return false
    }

    /// A line without its CR LF; nil when it is not complete.
    private static func line(_ bytes: inout ArraySlice<UInt8>) -> String? {
        guard let end = bytes.firstIndex(of: 10), end > bytes.startIndex, bytes[end - 1] == 13
        else { return nil }
        defer { bytes = bytes[(end + 1)...] }
        return String(decoding: bytes[..<(end - 1)], as: UTF8.self)
    }
}
