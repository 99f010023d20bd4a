// SPDX-License-Identifier: Apache-2.0

public import Units

/// Spells a text as the inside of a JSON string.
public enum JSONEscaping {
    /// Appends `text` escaped, without quotes; bytes that are not UTF-8 become U+FFFD, one for
    /// each.
    public static func append(_ text: RawSpan, to buffer: inout ByteBuffer) {
        var at = 0
        while at < text.byteCount {
            let plain = JSONString.plainEnd(text, from: at, isShort: false)
            if plain > at { buffer.append(text.extracting(at..<plain)) }
            at = plain
            guard at < text.byteCount else { break }
            let byte = text.byte(at)
            if byte < 0x80 {
                append(escaped: byte, to: &buffer)
                at += 1
                continue
            }
            let length = JSONString.utf8Length(text, at)
            if length == 0 {
                buffer.append("\u{FFFD}")
                at += 1
            } else {
                buffer.append(text.extracting(at..<at + length))
                at += length
            }
        }
    }

    private static func append(escaped byte: UInt8, to buffer: inout ByteBuffer) {
        switch byte {
        case Byte.quote: buffer.append("\\\"")
        case Byte.backslash: buffer.append("\\\\")
        case 0x0A: buffer.append("\\n")
        case 0x0D: buffer.append("\\r")
        case 0x09: buffer.append("\\t")
        default:
            buffer.append(byte < 0x10 ? "\\u000" : "\\u001")
            buffer.append(hexadecimal: Int(byte & 0x0F))
        }
    }
}
