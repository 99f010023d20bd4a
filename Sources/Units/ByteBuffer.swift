// SPDX-License-Identifier: Apache-2.0

/// A growing run of bytes that one owner holds: append at the end, consume at the front.
///
/// It owns its memory, so it cannot be copied. An empty one holds none after `release`.
/// The pointers it hands out are valid until the next mutating call: take `.bytes` at once.
@safe
public struct ByteBuffer: ~Copyable {
    @usableFromInline var base: UnsafeMutableRawPointer?
    @usableFromInline var capacityBytes: Int
    @usableFromInline var start: Int
    @usableFromInline var end: Int

    @inlinable
    public init() {
        unsafe base = nil
        capacityBytes = 0
        start = 0
        end = 0
    }

    /// Takes over `memory`, which was allocated with alignment 16, and holds nothing yet.
    @inlinable
    public init(adopting memory: UnsafeMutableRawBufferPointer) {
        unsafe base = memory.baseAddress
        capacityBytes = memory.count
        start = 0
        end = 0
    }

    @inlinable
    deinit { unsafe base?.deallocate() }

    /// Empties it and hands its memory to the caller, who has to free or adopt it.
    @inlinable
    public mutating func surrender() -> UnsafeMutableRawBufferPointer? {
        guard let memory = unsafe base else { return nil }
        let whole = unsafe UnsafeMutableRawBufferPointer(start: memory, count: capacityBytes)
        unsafe base = nil
        capacityBytes = 0
        start = 0
        end = 0
        return unsafe whole
    }

    @inlinable
    public var count: Int { end - start }
    @inlinable
    public var isEmpty: Bool { end == start }
    /// Memory held, in bytes.
    @inlinable
    public var capacity: Int { capacityBytes }

    /// The bytes present.
    @inlinable
    public var readable: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base.map { unsafe $0 + start }, count: end - start)
    }
    /// The bytes present, to be changed in place.
    @inlinable
    public var mutable: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: base.map { unsafe $0 + start }, count: end - start)
    }
    /// Room behind the present bytes, at least `bytes` of it: write there, then say `wrote`.
    @inlinable
    public mutating func room(_ bytes: Int) -> UnsafeMutableRawBufferPointer {
        reserve(bytes)
        return unsafe UnsafeMutableRawBufferPointer(
            start: base.map { unsafe $0 + end }, count: capacityBytes - end)
    }
    @inlinable
    public mutating func wrote(_ bytes: Int) {
        invariant(end + bytes <= capacityBytes, "wrote within the room")
        end += bytes
    }

    /// Makes room for `bytes` more without further allocation.
    @inlinable
    public mutating func reserve(_ bytes: Int) {
        if capacityBytes - end >= bytes { return }
        makeRoom(bytes)
    }

    @usableFromInline
    mutating func makeRoom(_ bytes: Int) {
        let present = end - start
        if present + bytes <= capacityBytes, start >= present {
            if let base = unsafe base, present > 0 {
                unsafe base.copyMemory(from: base + start, byteCount: present)
            }
        } else {
            var grown = max(capacityBytes * 2, 256)
            while grown < present + bytes { grown *= 2 }
            let fresh = UnsafeMutableRawPointer.allocate(byteCount: grown, alignment: 16)
            if let base = unsafe base {
                if present > 0 { unsafe fresh.copyMemory(from: base + start, byteCount: present) }
                unsafe base.deallocate()
            }
            unsafe base = unsafe fresh
            capacityBytes = grown
        }
        start = 0
        end = present
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        unsafe Self.copy(source, bytes.count, to: base.unsafelyUnwrapped + end)
        end &+= bytes.count
    }
    /// Most of what is appended are names and numbers of up to 32 bytes: these take two loads that
    /// overlap, where a call would cost as much as ten of them.
    @inlinable
    @inline(__always)
    static func copy(
        _ source: UnsafeRawPointer, _ count: Int, to place: UnsafeMutableRawPointer
    ) {
        if count > 32 {
            unsafe place.copyMemory(from: source, byteCount: count)
        } else if count >= 16 {
            unsafe overlap(SIMD16<UInt8>.self, source, count &- 16, place)
        } else if count >= 8 {
            unsafe overlap(UInt64.self, source, count &- 8, place)
        } else if count >= 4 {
            unsafe overlap(UInt32.self, source, count &- 4, place)
        } else if count >= 2 {
            unsafe overlap(UInt16.self, source, count &- 2, place)
        } else if count == 1 {
            unsafe place.storeBytes(of: source.load(as: UInt8.self), as: UInt8.self)
        }
    }
    /// One value at the front and one `last` bytes behind it.
    @inlinable
    @inline(__always)
    static func overlap<Chunk: BitwiseCopyable>(
        _: Chunk.Type, _ source: UnsafeRawPointer, _ last: Int, _ place: UnsafeMutableRawPointer
    ) {
        let front = unsafe source.loadUnaligned(as: Chunk.self)
        let back = unsafe source.loadUnaligned(fromByteOffset: last, as: Chunk.self)
        unsafe place.storeBytes(of: front, as: Chunk.self)
        unsafe place.storeBytes(of: back, toByteOffset: last, as: Chunk.self)
    }
    @inlinable
    public mutating func append(_ span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe append($0) }
    }
    @inlinable
    public mutating func append(_ text: StaticString) {
        unsafe append(
            UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
    /// Disfavored, so that a literal is a `StaticString`: that one takes no reference counting.
    @inlinable
    @_disfavoredOverload
    public mutating func append(_ text: String) {
        var text = text
        text.withUTF8 { unsafe append(UnsafeRawBufferPointer($0)) }
    }
    @inlinable
    public mutating func append(byte: UInt8) {
        reserve(1)
        unsafe (base.unsafelyUnwrapped + end).storeBytes(of: byte, as: UInt8.self)
        end += 1
    }
    /// Decimal digits.
    @inlinable
    public mutating func append(decimal value: Int) {
        reserve(20)
        if value < 0 {
            append(byte: 0x2D)
            append(magnitude: value.magnitude)
        } else {
            append(magnitude: value.magnitude)
        }
    }
    @usableFromInline
    mutating func append(magnitude: UInt) {
        reserve(20)
        let digits = Self.digits(of: magnitude)
        let place = unsafe base.unsafelyUnwrapped + end
        var rest = magnitude
        var at = digits
        // From the last digit, two at a time.
        while at >= 2 {
            at &-= 2
            let hundredth = rest / 100
            unsafe place.storeBytes(
                of: Self.pair(rest &- hundredth &* 100), toByteOffset: at, as: UInt16.self)
            rest = hundredth
        }
        if at == 1 {
            unsafe place.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 &+ rest), as: UInt8.self)
        }
        end &+= digits
    }
    /// How many digits a number has; one for zero.
    @inline(__always)
    private static func digits(of number: UInt) -> Int {
        // 1,233 / 4,096 is near enough to log10 2: this is right, or one too few.
        let bits = UInt.bitWidth &- (number | 1).leadingZeroBitCount
        let least = (bits &* 1_233) >> 12
        return number >= powersOfTen[least] ? least &+ 1 : max(least, 1)
    }
    private static let powersOfTen: InlineArray<20, UInt> = [
        1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
        10_000_000_000, 100_000_000_000, 1_000_000_000_000, 10_000_000_000_000,
        100_000_000_000_000, 1_000_000_000_000_000, 10_000_000_000_000_000,
        100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
    ]
    /// The two digits of a number below 100, the tens first in memory.
    @inline(__always)
    private static func pair(_ number: UInt) -> UInt16 {
        // 103 / 1,024 is near enough to a tenth.
        let tens = (number &* 103) >> 10
        return UInt16(
            littleEndian: UInt16(truncatingIfNeeded: 0x3030 &+ tens &+ (number &- tens &* 10) &<< 8)
        )
    }
    /// Lowercase hexadecimal digits without leading zeros.
    @inlinable
    public mutating func append(hexadecimal value: Int) {
        var shift = (Int.bitWidth - 1 - max(value, 1).leadingZeroBitCount) / 4 * 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: (value >> shift) & 15)
            append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
            shift -= 4
        }
    }

    /// Drops `bytes` from the front.
    @inlinable
    public mutating func consume(_ bytes: Int) {
        invariant(bytes <= end - start, "consume what is there")
        start += bytes
        if start == end {
            start = 0
            end = 0
        }
    }
    /// Drops `bytes` from the end.
    @inlinable
    public mutating func dropLast(_ bytes: Int) {
        invariant(bytes <= end - start, "drop what is there")
        end -= bytes
    }
    /// Empties it; the memory stays for the next use.
    @inlinable
    public mutating func removeAll() {
        start = 0
        end = 0
    }
    /// Empties it and gives the memory back.
    @inlinable
    public mutating func release() {
        unsafe base?.deallocate()
        unsafe base = nil
        capacityBytes = 0
        start = 0
        end = 0
    }
}
