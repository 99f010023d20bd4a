// SPDX-License-Identifier: Apache-2.0

/// Puts an encoding together from a vocabulary and its merges.
struct PairBuilder {
    /// Tokens of one file at most, and ids below it.
    static let tokenLimit = 1 << 21

    /// The bytes of all tokens, one after the other.
    private var bytes: [UInt8] = []
    private var tokens: [(id: UInt32, start: Int, end: Int)] = []
    private(set) var vocabulary: PieceTable
    private(set) var merges: MergeTable

    init(expecting tokens: Int) {
        vocabulary = PieceTable(expecting: tokens)
        merges = MergeTable(expecting: tokens)
    }

    /// False where the vocabulary has that piece already.
    mutating func add(_ piece: [UInt8], _ id: UInt32) -> Bool {
        guard unsafe piece.withUnsafeBytes({ unsafe vocabulary.insert($0, id) }) else {
            return false
        }
        tokens.append((id, bytes.count, bytes.count + piece.count))
        bytes += piece
        return true
    }

    func find(_ piece: [UInt8]) -> UInt32? {
        unsafe piece.withUnsafeBytes { unsafe vocabulary.find($0) }
    }

    /// False where the pair has a merge already.
    mutating func merge(_ left: UInt32, _ right: UInt32, rank: Int, into id: UInt32) -> Bool {
        merges.insert(left, right, rank: rank, into: id)
    }

    /// By which vocabularies spell a byte that is a token: `<0x0A>`.
    static func byteName(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return Array("<0x".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            + Array(">".utf8)
    }

    /// The token of each byte, or none.
    func byteTokens(_ spelling: (UInt8) -> [UInt8]) -> [UInt32] {
        (0..<256).map { find(spelling(UInt8($0))) ?? PieceTable.none }
    }

    /// Takes the merge of each token from its bytes, as ranked vocabularies mean it: two tokens
    /// merge where together they are a token, the lowest first. Then a token has one way to be
    /// made: of the two tokens that the merges below it make of its bytes; where they leave more,
    /// it has none.
    mutating func mergeByRank(_ bytesOfTokens: [UInt32]) {
        var order = LongMerge()
        for token in tokens where token.end - token.start > 1 {
            order.begin(token.end - token.start)
            for byte in bytes[token.start..<token.end] { order.append(bytesOfTokens[Int(byte)]) }
            let count = MergeView.with(merges) { order.merge($0) }
            guard count == 2 else { continue }
            let pair = order.ends
            _ = merge(pair.first, pair.last, rank: Int(token.id), into: token.id)
        }
    }

    /// Merges every two tokens that together are `piece`; each character of a piece has to be a
    /// token, or there would be parts without one.
    mutating func mergeAllWays(
        _ piece: [UInt8], _ id: UInt32, rank: Int
    ) throws(TokenizerFault) {
        let starts = piece.indices.filter { piece[$0] & 0xC0 != 0x80 } + [piece.count]
        guard starts.count > 2 else { return }
        for place in 1..<starts.count - 1 {
            let middle = starts[place]
            if let left = find(Array(piece[..<middle])),
                let right = find(Array(piece[middle...]))
            {
                _ = merge(left, right, rank: rank, into: id)
            }
        }
        for place in 1..<starts.count
        where find(Array(piece[starts[place - 1]..<starts[place]])) == nil {
            throw TokenizerFault("a character of piece \(id) is no piece of its own")
        }
    }

    /// Texts may be cut before each row of U+2581 where no token reaches over such a place.
    var markerStages: [Tokenizer.Stage] {
        let marker = Tokenizer.Preparation.marker
        guard find(marker) != nil else { return [] }
        let isReachedOver = unsafe bytes.withUnsafeBytes { bytes in
            let text = unsafe Text(bytes)
            return tokens.contains { token in
                let piece = text.part(token.start, token.end)
                return (1..<max(1, piece.count)).contains { at in
                    piece.isMarker(at) && !(at >= 3 && piece.isMarker(at - 3))
                }
            }
        }
        return isReachedOver ? [] : [.beforeMarkers(each: false)]
    }

    /// The finished encoding. `takesWhole`: a piece that the vocabulary has is that token, even
    /// where merging its symbols would end elsewhere.
    func encoding(_ units: PairEncoding.Units, takesWhole: Bool) -> PairEncoding {
        let all = PairEncoding(pieces: vocabulary, merges: merges, units: units)
        guard !takesWhole else { return all }
        var reached = PieceTable(expecting: tokens.count)
        let counter = TokenCounter()
        counter.keepsIDs = true
        PairView.with(all) { view in
            unsafe bytes.withUnsafeBytes { bytes in
                let text = unsafe Text(bytes)
                for token in tokens where token.end > token.start {
                    counter.ids.removeAll(keepingCapacity: true)
                    view.merge(text, token.start, token.end, counter)
                    if counter.ids == [token.id] {
                        unsafe reached.insert(
                            UnsafeRawBufferPointer(rebasing: bytes[token.start..<token.end]),
                            token.id)
                    }
                }
            }
        }
        return PairEncoding(pieces: reached, merges: merges, units: units)
    }
}
