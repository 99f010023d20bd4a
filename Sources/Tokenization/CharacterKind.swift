// SPDX-License-Identifier: Apache-2.0

/// What a character is to the patterns by which texts are cut: characters that no pattern tells
/// apart are of one kind.
enum CharacterKind {
    /// General categories, in the order of the table.
    static let categories = [
        "", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Nd", "N", "P", "S", "Z", "C",
    ]

    /// White space, Han, what DeepSeek's second pattern names, and `\w`: the low bits of a meaning.
    static let space: UInt8 = 1
    static let han: UInt8 = 2
    static let kanaOrHan: UInt8 = 4
    static let word: UInt8 = 8

    /// U+017F and U+212A are equal to `s` and `k` but for their case: kinds of their own.
    static let longS: UInt32 = 0x17F
    static let kelvin: UInt32 = 0x212A

    static let tables = Tables()

    struct Tables: Sendable {
        /// What each symbol is: 128 characters of ASCII, then the kinds.
        let meanings: [UInt8]
        /// How many characters a symbol stands for.
        let sizes: [Int]
        /// Of 128 characters each: where its kinds begin, in 128ths.
        let blocks: [UInt16]
        /// Symbols of the characters of each block.
        let symbols: [UInt8]
        let longS: UInt8
        let kelvin: UInt8

        fileprivate init() {
            var meanings = TableText.decoded(asciiBase64) + TableText.decoded(meaningsBase64)
            var all: [UInt8] = (0..<128).map { UInt8($0) }
            all.reserveCapacity(0x110000)
            var runs = TableText(runsBase64)
            while !runs.isAtEnd {
                let length = runs.number()
                all += repeatElement(128 + runs.byte(), count: length)
            }
            longS = UInt8(meanings.count)
            kelvin = longS + 1
            meanings.append(meanings[Int(all[Int(CharacterKind.longS)])])
            meanings.append(meanings[Int(all[Int(CharacterKind.kelvin)])])
            all[Int(CharacterKind.longS)] = longS
            all[Int(CharacterKind.kelvin)] = kelvin
            var sizes = [Int](repeating: 0, count: meanings.count)
            for symbol in all { sizes[Int(symbol)] += 1 }
            self.meanings = meanings
            self.sizes = sizes
            (blocks, symbols) = Tables.shared(all)
        }

        /// Equal blocks are kept once.
        private static func shared(_ all: [UInt8]) -> ([UInt16], [UInt8]) {
            var places: [ArraySlice<UInt8>: UInt16] = [:]
            var blocks: [UInt16] = []
            var symbols: [UInt8] = []
            for start in stride(from: 0, to: all.count, by: 128) {
                let block = all[start..<start + 128]
                let place = places[block] ?? UInt16(symbols.count / 128)
                if Int(place) * 128 == symbols.count { symbols += block }
                places[block] = place
                blocks.append(place)
            }
            return (blocks, symbols)
        }
    }

    /// The symbol of a character below U+110000.
    static func symbol(of code: UInt32) -> UInt8 {
        let block = Int(tables.blocks[Int(code >> 7)])
        return tables.symbols[block << 7 | Int(code & 127)]
    }
}
