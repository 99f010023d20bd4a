// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// What a byte costs in one family of tokenizers, by the byte before it and by the word that it
/// stands in, in 1/4096 token.
///
/// There is one for each family, and meters only refer to it: a copy of one counts one reference.
final class FamilyTable: Sendable {
    /// Of each of the 65,536 pairs of bytes, at the byte before + 256 × the byte, as two neighbours
    /// stand in memory: the kind of the second byte and the pair's price. The pairs that occur in
    /// one text fill a hundred cache lines.
    private let pairs: [Int]
    /// At state × 32 + kind: 32 × the state behind it, the price, and whether a word begins.
    private let words: [Int]
    /// By kind: 32 × the state behind one byte of it, or less than zero where a word goes on.
    private let alone: [Int]

    /// Behind a space.
    static let start = 0

    /// The entries are our own literal: little-endian `Int16` in Base64, first those of the pairs
    /// of classes, then those of states × kinds.
    init(base64: StaticString) {
        let numbers = FamilyTable.decoded(base64)
        let states = WordStates.all
        let kinds = ByteKind.allCases.count
        let pairsCount = ByteClass.count * ByteClass.count
        invariant(
            numbers.count == pairsCount + states.count * kinds,
            "a table has an entry for each pair of classes and each kind behind each state")
        let classes = (0..<256).map { Int(ByteClass.of(UInt8($0))) }
        let kindOf = (0..<256).map { Int(ByteKind(UInt8($0)).rawValue) }
        pairs = (0..<65_536).map { pair in
            let entry = classes[pair & 0xFF] * ByteClass.count + classes[pair >> 8]
            return Lane.entry(kindOf[pair >> 8], price: numbers[entry])
        }
        var words = [Int](repeating: 0, count: states.count * 32)
        for state in 0..<states.count {
            for kind in 0..<kinds {
                let place = state * kinds + kind
                words[state * 32 + kind] = Lane.entry(
                    Int(states.next[place]) * 32, price: numbers[pairsCount + place],
                    begins: states.begins[place])
            }
        }
        self.words = words
        alone = ByteKind.allCases.map { kind in
            kind.beginsAlone ? Int(states.alone[Int(kind.rawValue)]) * 32 : -1
        }
    }

    /// Lends the tables: pairs, words, alone.
    @inline(__always)
    func read(
        _ body: (UnsafePointer<Int>, UnsafePointer<Int>, UnsafePointer<Int>) -> Void
    ) {
        unsafe pairs.withUnsafeBufferPointer { pairs in
            unsafe words.withUnsafeBufferPointer { words in
                unsafe alone.withUnsafeBufferPointer { alone in
                    guard let pairs = pairs.baseAddress, let words = words.baseAddress,
                        let alone = alone.baseAddress
                    else { return }
                    unsafe body(pairs, words, alone)
                }
            }
        }
    }

    /// RFC 4648 section 4.
    private static func decoded(_ base64: StaticString) -> [Int16] {
        var numbers: [Int16] = []
        numbers.reserveCapacity(base64.utf8CodeUnitCount * 3 / 8)
        var group: UInt64 = 0
        var bits: UInt64 = 0
        for symbol in base64.description.utf8 {
            guard let value = value(of: symbol) else { continue }
            group = group << 6 | value
            bits += 6
            if bits >= 16 {
                bits -= 16
                let pair = UInt16(truncatingIfNeeded: group >> bits)
                numbers.append(Int16(bitPattern: pair.byteSwapped))
            }
        }
        return numbers
    }

    /// Nil for the padding.
    private static func value(of symbol: UInt8) -> UInt64? {
        switch symbol {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): return UInt64(symbol) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return UInt64(symbol) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return UInt64(symbol) + 4
        case UInt8(ascii: "+"): return 62
        case UInt8(ascii: "/"): return 63
        default: return nil
        }
    }
}

extension TokenizerFamily {
    var table: FamilyTable {
        switch self {
        case .llama3: .llama3
        case .qwen2: .qwen2
        case .gpt2: .gpt2
        case .falcon: .falcon
        case .commandR: .commandR
        case .deepseekV3: .deepseekV3
        case .claude: .claude
        case .cl100k: .cl100k
        case .o200k: .o200k
        case .llama2: .llama2
        }
    }
}
