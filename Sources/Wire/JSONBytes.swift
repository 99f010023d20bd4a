// SPDX-License-Identifier: Apache-2.0

extension RawSpan {
    /// The byte at `offset`; an offset outside of the span stops the process.
    @inlinable @inline(__always)
    public func octet(_ offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
    /// The bytes of `range` as text; what is not UTF-8 is replaced by U+FFFD.
    public func text(_ range: Range<Int>) -> String {
        unsafe extracting(range).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

extension StaticString {
    /// The byte at `offset`, which the caller keeps below `utf8CodeUnitCount`.
    @inlinable @inline(__always)
    public func octet(_ offset: Int) -> UInt8 { unsafe utf8Start[offset] }
}
