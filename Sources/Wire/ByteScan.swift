// SPDX-License-Identifier: Apache-2.0

/// The first eight bytes of `text`, the first one lowest, zeros behind.
func word(_ text: StaticString) -> UInt64 {
    var word: UInt64 = 0
    for offset in 0..<min(8, text.utf8CodeUnitCount) {
        unsafe word |= UInt64(text.utf8Start[offset]) << UInt64(offset * 8)
    }
    return word
}

/// Sixteen bytes as two words. Of the operations on vectors only `==` and the bitwise ones become
/// single instructions; comparisons and operations on masks do not.
@inline(__always)
func lanes(_ bytes: SIMD16<UInt8>) -> SIMD2<UInt64> { unsafe unsafeBitCast(bytes, to: SIMD2.self) }
/// All bits of each lane that is set.
@inline(__always)
func lanes(_ mask: SIMDMask<SIMD16<Int8>>) -> SIMD2<UInt64> {
    unsafe unsafeBitCast(mask, to: SIMD2.self)
}
/// Whether any bit is set.
@inline(__always)
func isAny(_ lanes: SIMD2<UInt64>) -> Bool { lanes.x | lanes.y != 0 }
/// The lowest of the sixteen bytes in which a bit is set, of which there is one.
@inline(__always)
func firstByte(_ lanes: SIMD2<UInt64>) -> Int {
    lanes.x != 0
        ? lanes.x.trailingZeroBitCount >> 3 : 8 + lanes.y.trailingZeroBitCount >> 3
}

extension RawSpan {
    /// Sixteen bytes; all of them within the span.
    @inline(__always)
    func vector(_ offset: Int) -> SIMD16<UInt8> {
        unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
    }
    @inline(__always)
    func byte(_ offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }
    /// Eight bytes, the first one lowest; all of them within the span.
    @inline(__always)
    func word(_ offset: Int) -> UInt64 {
        unsafe UInt64(
            littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    /// The first eight of `count` bytes with the bits of `folding` set in each, zeros behind.
    ///
    /// Token bytes folded with 0x20 are equal exactly when they are equal but for case: the bit is
    /// set in digits and hyphens, and what it turns into a letter is the capital.
    @inline(__always)
    func foldedWord(_ offset: Int, count: Int, folding: UInt64) -> UInt64 {
        if offset + 8 <= byteCount {
            let mask = count >= 8 ? UInt64.max : (1 << UInt64(count * 8)) &- 1
            return (word(offset) | folding) & mask
        }
        var word: UInt64 = 0
        for index in 0..<min(8, count) {
            word |= UInt64(byte(offset + index)) << UInt64(index * 8)
            word |= folding & 0xFF << UInt64(index * 8)
        }
        return word
    }

    /// The first place from `start` on whose byte no token may hold; `end` when there is none.
    @inline(__always)
    func tokenEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at + 8 <= end {
            let stop = Self.unusual(inToken: word(at))
            if stop == 0 {
                at += 8
                continue
            }
            at += stop.trailingZeroBitCount >> 3
            if !byte(at).isTokenByte { return at }
            at += 1
        }
        while at < end, byte(at).isTokenByte { at += 1 }
        return at
    }
    /// Flags bytes that are neither letters nor digits nor hyphens: what names are made of.
    @inline(__always)
    private static func unusual(inToken word: UInt64) -> UInt64 {
        let low = word & ~Lanes.highs
        let folded = low | Lanes.cases
        let letter =
            (folded &+ Lanes.ones &* (0x80 - 0x61)) & ~(folded &+ Lanes.ones &* (0x80 - 0x7B))
        let digit = (low &+ Lanes.ones &* (0x80 - 0x30)) & ~(low &+ Lanes.ones &* (0x80 - 0x3A))
        let hyphen = ~((low ^ Lanes.ones &* 0x2D) &+ Lanes.ones &* 0x7F)
        return (~(letter | digit | hyphen) | word) & Lanes.highs
    }

    /// The first place from `start` on whose byte is not visible ASCII, or is `#`, which no request
    /// target may hold (RFC 9112 section 3.2: a fragment is not sent); `end` when there is none.
    @inline(__always)
    func targetEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at + 8 <= end {
            let word = word(at)
            let hash = word ^ Lanes.ones &* UInt64(Byte.hash)
            let stop =
                ((word &- Lanes.ones &* 0x21) | (word &+ Lanes.ones) | word
                    | ((hash &- Lanes.ones) & ~hash)) & Lanes.highs
            if stop != 0 { return at + stop.trailingZeroBitCount >> 3 }
            at += 8
        }
        while at < end {
            let byte = byte(at)
            if byte <= Byte.space || byte >= 0x7F || byte == Byte.hash { return at }
            at += 1
        }
        return at
    }

    /// The first place from `start` on whose byte no field value may hold; `end` when there is
    /// none.
    @inline(__always)
    func textEnd(from start: Int, to end: Int, _ alphabet: Alphabet) -> Int {
        var at = start
        while at + 8 <= end {
            let stop = alphabet.unusual(word(at))
            if stop == 0 {
                at += 8
                continue
            }
            at += stop.trailingZeroBitCount >> 3
            if !alphabet.allows(byte(at)) { return at }
            at += 1
        }
        while at < end, alphabet.allows(byte(at)) { at += 1 }
        return at
    }

    /// The first CR or LF from `start` on; `end` when there is none.
    @inline(__always)
    func lineEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at + 8 <= end {
            let word = word(at)
            let feed = word ^ Lanes.ones &* UInt64(Byte.lineFeed)
            let carriage = word ^ Lanes.ones &* UInt64(Byte.carriageReturn)
            let stop =
                (((feed &- Lanes.ones) & ~feed) | ((carriage &- Lanes.ones) & ~carriage))
                & Lanes.highs
            if stop != 0 { return at + stop.trailingZeroBitCount >> 3 }
            at += 8
        }
        while at < end, byte(at) != Byte.lineFeed, byte(at) != Byte.carriageReturn { at += 1 }
        return at
    }

    /// Whether the bytes of `range` are `text`.
    public func equals(_ range: ByteRange, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count {
            guard unsafe byte(Int(range.start) + offset) == text.utf8Start[offset] else {
                return false
            }
        }
        return true
    }

    /// Whether the bytes of `range` are `text` but for the case of letters; `text` has no capitals.
    public func equals(_ range: ByteRange, ignoringCase text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count {
            let byte = byte(Int(range.start) + offset)
            let folded = byte.isLetter ? byte | 0x20 : byte
            guard unsafe folded == text.utf8Start[offset] else { return false }
        }
        return true
    }
}
