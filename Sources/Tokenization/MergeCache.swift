// SPDX-License-Identifier: Apache-2.0

/// How many tokens pieces came to lately: what comes again and again is looked up here, in memory
/// that stays close to the core, and not in the vocabulary, which does not.
@safe
struct MergeCache: ~Copyable {
    /// 16 bytes a slot: it has to stay in the second cache of a core: 256 KiB.
    private static let bits = 14

    private let slots: UnsafeMutablePointer<PieceKey>
    /// Held, so that no other one can be taken for it.
    private var tokenizer: Tokenizer?

    init() {
        unsafe slots = UnsafeMutablePointer.allocate(capacity: 1 << MergeCache.bits)
        unsafe slots.initialize(repeating: PieceKey.nothing, count: 1 << MergeCache.bits)
    }

    deinit { unsafe slots.deallocate() }

    /// Forgets what another tokenizer made of pieces.
    mutating func begin(_ tokenizer: Tokenizer) {
        guard self.tokenizer !== tokenizer else { return }
        self.tokenizer = tokenizer
        unsafe slots.update(repeating: PieceKey.nothing, count: 1 << MergeCache.bits)
    }

    /// 0 where it is not known.
    @inline(__always)
    func count(_ key: PieceKey) -> Int {
        let slot = unsafe slots[place(key)]
        let difference = (slot.high ^ key.high) << 4 | (slot.low ^ key.low)
        return difference == 0 ? Int(truncatingIfNeeded: slot.high >> 60) : 0
    }

    /// `count` is at most the number of bytes; of 0 nothing is kept.
    @inline(__always)
    func keep(_ key: PieceKey, _ count: Int) {
        let high = key.high | UInt64(truncatingIfNeeded: count) << 60
        unsafe slots[place(key)] = PieceKey(low: key.low, high: high)
    }

    @inline(__always)
    private func place(_ key: PieceKey) -> Int {
        Int(truncatingIfNeeded: key.hash >> UInt64(64 - MergeCache.bits))
    }
}
