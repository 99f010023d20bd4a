// SPDX-License-Identifier: Apache-2.0

/// Byte-pair encoding: a piece is its token where the vocabulary has it whole; otherwise its
/// symbols merge, the lowest rank first.
struct PairEncoding: Sendable {
    /// What a piece is made of before the first merge.
    enum Units: Sendable {
        /// The token of each byte; a byte without one is left out.
        case bytes([UInt32])
        /// Characters; for one that the vocabulary lacks the tokens of its bytes, or one for all
        /// unknown, in a row together where `isFused`.
        case characters(bytes: [UInt32], unknown: UInt32, isFused: Bool)
    }

    /// Pieces that are one token.
    var pieces: PieceTable
    let merges: MergeTable
    let units: Units
}

/// An encoding at work.
@safe
struct PairView {
    private let pieces: PieceView
    private let merges: MergeView
    private let bytes: UnsafePointer<UInt32>?
    private let isByCharacters: Bool
    private let unknown: UInt32
    private let isFused: Bool

    @inline(__always)
    static func with<Result>(_ encoding: PairEncoding, _ body: (PairView) -> Result) -> Result {
        let bytes: [UInt32]
        var isByCharacters = false
        var unknown = PieceTable.none
        var isFused = false
        switch encoding.units {
        case .bytes(let ids): bytes = ids
        case .characters(let ids, let other, let fused):
            bytes = ids
            isByCharacters = true
            unknown = other
            isFused = fused
        }
        return PieceView.with(encoding.pieces) { pieces in
            MergeView.with(encoding.merges) { merges in
                unsafe bytes.withUnsafeBufferPointer { bytes in
                    unsafe body(
                        PairView(
                            pieces: pieces, merges: merges,
                            bytes: bytes.isEmpty ? nil : bytes.baseAddress,
                            isByCharacters: isByCharacters, unknown: unknown, isFused: isFused))
                }
            }
        }
    }

    /// Adds the tokens of a piece that were counted lately; false where they were not.
    @inline(__always)
    func knows(_ text: Text, _ start: Int, _ end: Int, _ counter: TokenCounter) -> Bool {
        let length = end &- start
        guard length <= PieceTable.shortLimit else { return false }
        let known = counter.cache.count(text.key(start, length))
        guard known > 0, !counter.keepsIDs else { return false }
        counter.count &+= known
        return true
    }

    /// Adds the tokens of a piece, which has some bytes.
    func encode(_ text: Text, _ start: Int, _ end: Int, _ counter: TokenCounter) {
        let length = end &- start
        guard length <= PieceTable.shortLimit else {
            let id = pieces.find(text, start, length)
            if id != PieceTable.none { return counter.add(id) }
            return merge(text, start, end, counter)
        }
        let key = text.key(start, length)
        let before = counter.count
        let id = pieces.find(key)
        if id != PieceTable.none {
            counter.add(id)
        } else {
            merge(text, start, end, counter)
        }
        counter.cache.keep(key, counter.count &- before)
    }

    /// Adds the tokens that merging makes, whatever the vocabulary has.
    @inline(never)
    func merge(_ text: Text, _ start: Int, _ end: Int, _ counter: TokenCounter) {
        if end - start > ShortMerge.limit {
            counter.long.begin(end - start)
            units(text, start, end) { counter.long.append($0) }
            counter.count += counter.long.merge(merges)
            if counter.keepsIDs { counter.long.append(to: &counter.ids) }
            return
        }
        var count = 0
        units(text, start, end) { id in
            counter.short[count] = id
            count += 1
        }
        count = counter.short.merge(count, merges)
        counter.count += count
        if counter.keepsIDs {
            for place in 0..<count { counter.ids.append(counter.short[place]) }
        }
    }

    @inline(__always)
    private func units(_ text: Text, _ start: Int, _ end: Int, _ body: (UInt32) -> Void) {
        guard isByCharacters else {
            for at in start..<end {
                let id = unsafe bytes.unsafelyUnwrapped[Int(text.byte(at))]
                if id != PieceTable.none { body(id) }
            }
            return
        }
        var at = start
        var isUnknown = false
        while at < end {
            let lead = text.byte(at)
            let length = lead < 0x80 ? 1 : min(text.code(at, lead).length, end - at)
            let id = pieces.find(text, at, length)
            if id != PieceTable.none {
                body(id)
                isUnknown = false
            } else if let bytes = unsafe bytes {
                for byte in at..<at + length { unsafe body(bytes[Int(text.byte(byte))]) }
            } else if unknown != PieceTable.none {
                if !(isUnknown && isFused) { body(unknown) }
                isUnknown = true
            }
            at += length
        }
    }
}
