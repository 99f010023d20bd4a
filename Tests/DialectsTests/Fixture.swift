// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A recorded exchange from the folder `Fixtures`.
struct Fixture {
    /// Behind the blank line of the head, without chunked framing.
    let body: [UInt8]

    /// `name` is a path below `Fixtures`, without its extensions.
    init(_ name: String, file: String = #filePath) {
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let path = folder.joined(separator: "/") + "/Fixtures/\(name).resp.http"
        let message = Fixture.read(path)
        let end = message.indices.first { message[$0...].starts(with: Array("\r\n\r\n".utf8)) }
        let head = String(decoding: message[..<(end ?? 0)], as: UTF8.self).lowercased()
        let rest = Array(message[((end ?? 0) + 4)...])
        let isChunked = head.contains("transfer-encoding: chunked")
        body = isChunked ? Fixture.joined(rest) : rest
    }

    /// The data of the body's events.
    var events: [[UInt8]] {
        let text = String(decoding: body, as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            line.hasPrefix("data: ") ? Array(line.utf8.dropFirst(6)) : nil
        }
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let file = unsafe fopen(path, "rb") else { return [] }
        defer { unsafe _ = fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe fread(&piece, 1, piece.count, file)
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
    }

    /// Undoes chunked framing (RFC 9112 section 7.1).
    private static func joined(_ chunked: [UInt8]) -> [UInt8] {
        var joined: [UInt8] = []
        var rest = chunked[...]
        while let lineEnd = rest.firstIndex(of: 0x0A) {
            let line = String(decoding: rest[..<lineEnd], as: UTF8.self)
            guard let size = Int(line.prefix { $0.isHexDigit }, radix: 16), size > 0 else { break }
            let data = rest[(lineEnd + 1)...].prefix(size)
            joined += data
            rest = rest[(lineEnd + 1)...].dropFirst(size + 2)
        }
        return joined
    }
}
