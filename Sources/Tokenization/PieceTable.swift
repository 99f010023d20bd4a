// SPDX-License-Identifier: Apache-2.0

/// From a piece of text to its token: open addressing, one cache line for a piece of up to 15
/// bytes.
struct PieceTable: Sendable {
    /// Up to 15 bytes and their number in the last one.
    struct Slot: Sendable {
        var low: UInt64 = 0
        var high: UInt64 = 0
        var id = PieceTable.none
    }

    /// A longer piece: its bytes stand in `bytes`.
    struct LongSlot: Sendable {
        var hash: UInt32 = 0
        var id = PieceTable.none
        var start: UInt32 = 0
        var length: UInt32 = 0
    }

    /// No token.
    static let none = UInt32.max
    static let shortLimit = 15

    fileprivate var slots: [Slot]
    fileprivate var longSlots: [LongSlot]
    fileprivate var bytes: [UInt8] = []
    /// Of the longest piece, in bytes.
    private(set) var maxLength = 0
    private(set) var count = 0
    private var longCount = 0

    /// Empty, with room for about so many pieces; it grows.
    init(expecting pieces: Int = 0) {
        slots = Array(repeating: Slot(), count: PieceTable.size(for: pieces))
        longSlots = Array(repeating: LongSlot(), count: 64)
    }

    /// A power of two of which 60 % hold `pieces`.
    private static func size(for pieces: Int) -> Int {
        var size = 64
        while size * 6 / 10 < pieces { size *= 2 }
        return size
    }

    /// What stood there before stays: false.
    @discardableResult
    mutating func insert(_ piece: UnsafeRawBufferPointer, _ id: UInt32) -> Bool {
        let text = unsafe Text(piece)
        maxLength = max(maxLength, text.count)
        let isNew =
            text.count <= PieceTable.shortLimit ? insertShort(text, id) : insertLong(text, id)
        if isNew { count += 1 }
        return isNew
    }

    /// The token of a piece.
    func find(_ piece: UnsafeRawBufferPointer) -> UInt32? {
        let id = PieceView.with(self) { view in
            unsafe view.find(Text(piece), 0, piece.count)
        }
        return id == PieceTable.none ? nil : id
    }

    private mutating func insertShort(_ text: Text, _ id: UInt32) -> Bool {
        let key = text.key(0, text.count)
        guard place(Slot(low: key.low, high: key.high, id: id)) else { return false }
        if (count + 1 - longCount) * 10 > slots.count * 6 {
            let old = slots
            slots = Array(repeating: Slot(), count: old.count * 2)
            for slot in old where slot.id != PieceTable.none { _ = place(slot) }
        }
        return true
    }

    private mutating func place(_ slot: Slot) -> Bool {
        let hash = PieceKey(low: slot.low, high: slot.high).hash
        var at = Int(hash >> PieceTable.shift(slots.count))
        while slots[at].id != PieceTable.none {
            if slots[at].low == slot.low, slots[at].high == slot.high { return false }
            at = (at + 1) & (slots.count - 1)
        }
        slots[at] = slot
        return true
    }

    private mutating func insertLong(_ text: Text, _ id: UInt32) -> Bool {
        let slot = LongSlot(
            hash: text.hash(0, text.count), id: id, start: UInt32(bytes.count),
            length: UInt32(text.count))
        var at = Int(slot.hash) & (longSlots.count - 1)
        while longSlots[at].id != PieceTable.none {
            if longSlots[at].hash == slot.hash, isEqual(longSlots[at], text) { return false }
            at = (at + 1) & (longSlots.count - 1)
        }
        longSlots[at] = slot
        for index in 0..<text.count { bytes.append(text.byte(index)) }
        longCount += 1
        if longCount * 2 > longSlots.count { growLong() }
        return true
    }

    private mutating func growLong() {
        let old = longSlots
        longSlots = Array(repeating: LongSlot(), count: old.count * 2)
        for slot in old where slot.id != PieceTable.none {
            var at = Int(slot.hash) & (longSlots.count - 1)
            while longSlots[at].id != PieceTable.none { at = (at + 1) & (longSlots.count - 1) }
            longSlots[at] = slot
        }
    }

    private func isEqual(_ slot: LongSlot, _ text: Text) -> Bool {
        Int(slot.length) == text.count
            && (0..<text.count).allSatisfy { bytes[Int(slot.start) + $0] == text.byte($0) }
    }

    /// Moves the high bits of a hash to a place among `size`.
    fileprivate static func shift(_ size: Int) -> UInt64 { 64 - UInt64(size.trailingZeroBitCount) }
}

/// A piece of up to 15 bytes: itself, with their number in the last byte, of which the upper half
/// is free.
struct PieceKey {
    var low: UInt64
    var high: UInt64

    /// Of no piece.
    static let nothing = PieceKey(low: 0, high: 0)

    @inline(__always)
    var hash: UInt64 { (low ^ (high &* 0xC2B2_AE3D_27D4_EB4F)) &* 0x9E37_79B9_7F4A_7C15 }
}

/// A table at work: pointers into it, valid while it is held.
@safe
struct PieceView {
    private let slots: UnsafePointer<PieceTable.Slot>
    private let shift: UInt64
    private let mask: Int
    private let longSlots: UnsafePointer<PieceTable.LongSlot>
    private let longMask: Int
    private let bytes: UnsafePointer<UInt8>?
    private let maxLength: Int

    @inline(__always)
    static func with<Result>(_ table: PieceTable, _ body: (PieceView) -> Result) -> Result {
        unsafe table.slots.withUnsafeBufferPointer { slots in
            unsafe table.longSlots.withUnsafeBufferPointer { longSlots in
                unsafe table.bytes.withUnsafeBufferPointer { bytes in
                    unsafe body(
                        PieceView(
                            slots: slots.baseAddress.unsafelyUnwrapped,
                            shift: PieceTable.shift(slots.count), mask: slots.count - 1,
                            longSlots: longSlots.baseAddress.unsafelyUnwrapped,
                            longMask: longSlots.count - 1, bytes: bytes.baseAddress,
                            maxLength: table.maxLength))
                }
            }
        }
    }

    /// The token of `length` bytes from `start` on; `PieceTable.none` where there is none.
    @inline(__always)
    func find(_ text: Text, _ start: Int, _ length: Int) -> UInt32 {
        guard length <= PieceTable.shortLimit else {
            return length <= maxLength ? findLong(text, start, length) : PieceTable.none
        }
        return find(text.key(start, length))
    }

    @inline(__always)
    func find(_ key: PieceKey) -> UInt32 {
        var at = Int(truncatingIfNeeded: key.hash >> shift)
        while true {
            let slot = unsafe slots[at]
            if slot.low == key.low, slot.high == key.high { return slot.id }
            if slot.id == PieceTable.none { return PieceTable.none }
            at = (at &+ 1) & mask
        }
    }

    private func findLong(_ text: Text, _ start: Int, _ length: Int) -> UInt32 {
        let hash = text.hash(start, length)
        var at = Int(hash) & longMask
        while true {
            let slot = unsafe longSlots[at]
            if slot.id == PieceTable.none { return PieceTable.none }
            if slot.hash == hash, slot.length == length, isEqual(slot, text, start) {
                return slot.id
            }
            at = (at &+ 1) & longMask
        }
    }

    private func isEqual(_ slot: PieceTable.LongSlot, _ text: Text, _ start: Int) -> Bool {
        for index in 0..<Int(slot.length)
        where unsafe bytes.unsafelyUnwrapped[Int(slot.start) + index] != text.byte(start + index) {
            return false
        }
        return true
    }
}

extension Text {
    /// `length` bytes, 1 to 15, and their number.
    @inline(__always)
    func key(_ start: Int, _ length: Int) -> PieceKey {
        guard start &+ 16 <= readable else { return keyAtEnd(start, length) }
        let size = UInt64(truncatingIfNeeded: length)
        let front = min(size, 8)
        let (low, high) = words(start)
        return PieceKey(
            low: low & UInt64.max &>> (64 &- front &* 8),
            high: high & ~(UInt64.max &<< ((size &- front) &* 8)) | size << 56)
    }

    /// The same where fewer than 16 bytes may be read.
    @inline(never)
    private func keyAtEnd(_ start: Int, _ length: Int) -> PieceKey {
        var key = PieceKey(low: 0, high: UInt64(length) << 56)
        for index in 0..<min(length, 8) {
            key.low |= UInt64(byte(start + index)) << UInt64(index * 8)
        }
        for index in 8..<max(length, 8) {
            key.high |= UInt64(byte(start + index)) << UInt64((index - 8) * 8)
        }
        return key
    }

    @inline(__always)
    private func words(_ start: Int) -> (UInt64, UInt64) {
        let address = unsafe UnsafeRawPointer(base + start)
        return unsafe (
            UInt64(littleEndian: address.loadUnaligned(as: UInt64.self)),
            UInt64(littleEndian: address.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }

    /// FNV-1a, of long pieces only.
    fileprivate func hash(_ start: Int, _ length: Int) -> UInt32 {
        var hash: UInt32 = 2_166_136_261
        for index in 0..<length { hash = (hash ^ UInt32(byte(start + index))) &* 16_777_619 }
        return hash ^ hash >> 15
    }
}
