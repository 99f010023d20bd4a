// SPDX-License-Identifier: Apache-2.0

/// A text at work: bytes that the caller holds.
@safe
struct Text {
    let base: UnsafePointer<UInt8>
    let count: Int
    /// Bytes that may be read from `base` on: at least `count`.
    let readable: Int

    /// `bytes` may be empty, not gone while this is in use.
    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe base =
            bytes.baseAddress.map { unsafe $0.assumingMemoryBound(to: UInt8.self) }
            ?? Text.nothing
        count = bytes.count
        readable = bytes.count
    }

    private init(base: UnsafePointer<UInt8>, count: Int, readable: Int) {
        unsafe self.base = unsafe base
        self.count = count
        self.readable = readable
    }

    private static var nothing: UnsafePointer<UInt8> {
        unsafe UnsafePointer(bitPattern: 1).unsafelyUnwrapped
    }

    /// A part of it as a text of its own.
    @inline(__always)
    func part(_ start: Int, _ end: Int) -> Text {
        unsafe Text(
            base: base + start, count: end &- start, readable: readable &- start)
    }

    @inline(__always)
    func byte(_ at: Int) -> UInt8 { unsafe base[at] }

    /// The character at `at`, whose first byte is `lead` and no ASCII; a byte that begins no whole
    /// character is U+FFFD.
    @inline(__always)
    func code(_ at: Int, _ lead: UInt8) -> (code: UInt32, length: Int) {
        let left = count &- at
        if lead < 0xE0 {
            guard lead >= 0xC2, left >= 2 else { return (0xFFFD, 1) }
            return (UInt32(lead & 0x1F) << 6 | rest(at &+ 1), 2)
        }
        if lead < 0xF0 {
            guard left >= 3 else { return (0xFFFD, 1) }
            return (UInt32(lead & 0x0F) << 12 | rest(at &+ 1) << 6 | rest(at &+ 2), 3)
        }
        guard lead < 0xF5, left >= 4 else { return (0xFFFD, 1) }
        let code =
            UInt32(lead & 0x07) << 18 | rest(at &+ 1) << 12 | rest(at &+ 2) << 6 | rest(at &+ 3)
        return code < 0x110000 ? (code, 4) : (0xFFFD, 1)
    }

    @inline(__always)
    private func rest(_ at: Int) -> UInt32 { unsafe UInt32(base[at] & 0x3F) }
}
