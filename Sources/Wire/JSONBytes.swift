// SPDX-License-Identifier: Apache-2.0

extension RawSpan {
    /// The byte at `offset`; an offset outside of the span stops the process.
    @inlinable @inline(__always)
    package func octet(_ offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
    /// Eight bytes from `offset` on, the first one lowest; all of them must lie in the span.
    @inlinable @inline(__always)
    package func octets8(_ offset: Int) -> UInt64 {
        unsafe UInt64(
            littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    /// The bytes of `range` as text; what is not UTF-8 is replaced by U+FFFD.
    package func text(_ range: Range<Int>) -> String {
        unsafe extracting(range).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

extension StaticString {
    /// The byte at `offset`, which the caller keeps below `utf8CodeUnitCount`.
    @inlinable @inline(__always)
    package func octet(_ offset: Int) -> UInt8 { unsafe utf8Start[offset] }
}

/// The bytes that have a meaning in JSON.
enum JSONByte {
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")
    static let comma = UInt8(ascii: ",")
    static let colon = UInt8(ascii: ":")
    static let openBrace = UInt8(ascii: "{")
    static let closeBrace = UInt8(ascii: "}")
    static let openBracket = UInt8(ascii: "[")
    static let closeBracket = UInt8(ascii: "]")
    static let minus = UInt8(ascii: "-")
    static let plus = UInt8(ascii: "+")
    static let point = UInt8(ascii: ".")
    static let zero = UInt8(ascii: "0")
    static let nine = UInt8(ascii: "9")
}
