// SPDX-License-Identifier: Apache-2.0

import CNghttp2
import Units
import Wire

/// The lines of one header block on their way out, in the form that libnghttp2 takes: names in
/// small letters, all bytes in one buffer. Reused from block to block.
@safe
struct FieldVector: ~Copyable {
    private struct Line {
        let name: Int
        let value: Int
        let end: Int
        /// Changes with each message: not worth a place in the peer's table.
        let isFleeting: Bool
    }

    private var bytes = ByteBuffer()
    private var lines: [Line] = []
    private var vector: [nghttp2_nv] = unsafe []

    mutating func clear() {
        bytes.removeAll()
        lines.removeAll(keepingCapacity: true)
    }

    mutating func add(_ name: StaticString, _ value: StaticString) {
        let start = bytes.count
        bytes.append(name)
        let middle = bytes.count
        bytes.append(value)
        close(start, middle)
    }

    mutating func add(_ name: StaticString, decimal value: Int) {
        let start = bytes.count
        bytes.append(name)
        let middle = bytes.count
        bytes.append(decimal: value)
        close(start, middle, isFleeting: value > 999)
    }

    mutating func add(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        let start = bytes.count
        bytes.append(name)
        let middle = bytes.count
        unsafe bytes.append(value)
        close(start, middle)
    }

    mutating func add(_ name: StaticString, _ value: String) {
        let start = bytes.count
        bytes.append(name)
        let middle = bytes.count
        bytes.append(value)
        close(start, middle)
    }

    /// Adds complete field lines of HTTP/1.1, but for those that have no place in HTTP/2.
    mutating func add(lines text: UnsafeRawBufferPointer, isTrailing: Bool = false) {
        var reader = HTTP2Lines()
        while let line = unsafe reader.next(text.bytes) {
            if isTrailing, !HTTP2Lines.mayTrail(line.id) { continue }
            let start = bytes.count
            for place in line.name.range {
                let byte = unsafe text[place]
                bytes.append(byte: byte &- 0x41 < 26 ? byte | 0x20 : byte)
            }
            let middle = bytes.count
            unsafe bytes.append(UnsafeRawBufferPointer(rebasing: text[line.value.range]))
            close(start, middle, isFleeting: Self.isFleeting(line.id))
        }
    }

    private mutating func close(_ name: Int, _ value: Int, isFleeting: Bool = false) {
        lines.append(
            Line(name: name, value: value, end: bytes.count, isFleeting: isFleeting))
    }

    /// Identifiers, and figures that change with each answer.
    private static func isFleeting(_ id: FieldName) -> Bool {
        switch id {
        case .xRequestID, .requestID, .xRateLimit, .anthropicRateLimit, .rateLimit, .retryAfter,
            .retryAfterMS, .traceparent, .contentLength:
            true
        default: false
        }
    }

    var isEmpty: Bool { lines.isEmpty }

    /// Calls `body` with the lines as the library takes them; it copies them.
    mutating func use<Result>(
        _ body: (UnsafeBufferPointer<nghttp2_nv>) -> Result
    ) -> Result {
        unsafe vector.removeAll(keepingCapacity: true)
        let all = unsafe bytes.mutable.bindMemory(to: UInt8.self)
        if let base = all.baseAddress {
            for line in lines {
                let flags =
                    line.isFleeting ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE
                unsafe vector.append(
                    nghttp2_nv(
                        name: base + line.name, value: base + line.value,
                        namelen: line.value - line.name, valuelen: line.end - line.value,
                        flags: UInt8(truncatingIfNeeded: flags.rawValue)))
            }
        }
        return unsafe vector.withUnsafeBufferPointer(body)
    }
}
