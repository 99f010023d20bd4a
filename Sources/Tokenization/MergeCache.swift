// SPDX-License-Identifier: Apache-2.0

/// How many tokens pieces came to that had to be merged: of what was merged lately, so that a name
/// which comes again and again is merged once.
@safe
struct MergeCache: ~Copyable {
    private struct Slot {
        var low: UInt64 = 0
        /// Never 0 in use: the number of bytes is in it.
        var high: UInt64 = 0
        var count = 0
    }

    /// A hundred kilobytes: it has to stay in the cache of a core.
    private static let bits = 12

    private let slots: UnsafeMutablePointer<Slot>
    /// Held, so that no other one can be taken for it.
    private var tokenizer: Tokenizer?

    init() {
        unsafe slots = UnsafeMutablePointer.allocate(capacity: 1 << MergeCache.bits)
        unsafe slots.initialize(repeating: Slot(), count: 1 << MergeCache.bits)
    }

    deinit { unsafe slots.deallocate() }

    /// Forgets what another tokenizer made of pieces.
    mutating func begin(_ tokenizer: Tokenizer) {
        guard self.tokenizer !== tokenizer else { return }
        self.tokenizer = tokenizer
        unsafe slots.update(repeating: Slot(), count: 1 << MergeCache.bits)
    }

    /// 0 where it is not known.
    @inline(__always)
    func count(_ key: PieceKey) -> Int {
        let slot = unsafe slots[place(key)]
        return slot.low == key.low && slot.high == key.high ? slot.count : 0
    }

    @inline(__always)
    func keep(_ key: PieceKey, _ count: Int) {
        unsafe slots[place(key)] = Slot(low: key.low, high: key.high, count: count)
    }

    @inline(__always)
    private func place(_ key: PieceKey) -> Int {
        Int(truncatingIfNeeded: key.hash >> UInt64(64 - MergeCache.bits))
    }
}
