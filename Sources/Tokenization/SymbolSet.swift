// SPDX-License-Identifier: Apache-2.0

/// A set of characters as patterns write them: of symbols, of which there are fewer than 192.
struct SymbolSet: Equatable, Sendable {
    private var words: SIMD4<UInt64> = .zero

    init() {}

    /// The symbols whose meaning is as asked.
    init(where isMember: (UInt8) -> Bool) {
        for (symbol, meaning) in CharacterKind.tables.meanings.enumerated() where isMember(meaning)
        {
            insert(symbol)
        }
    }

    /// A general category by its name in patterns: `L`, `Lu`, `N`, `Nd`.
    init?(category name: String) {
        let members = CharacterKind.categories.indices.filter { place in
            let category = CharacterKind.categories[place]
            return place > 0
                && (category == name || name.count == 1 && category.hasPrefix(name))
        }
        guard !members.isEmpty else { return nil }
        self.init { meaning in members.contains(Int(meaning >> 4)) }
    }

    /// What carries one of the flags of a meaning.
    init(flag: UInt8) { self.init { meaning in meaning & flag != 0 } }

    static let all = SymbolSet { _ in true }
    static let space = SymbolSet(flag: CharacterKind.space)

    mutating func insert(_ symbol: Int) { words[symbol >> 6] |= 1 << UInt64(symbol & 63) }

    func contains(_ symbol: Int) -> Bool { words[symbol >> 6] >> UInt64(symbol & 63) & 1 == 1 }

    var isEmpty: Bool { words == .zero }
    var inverted: SymbolSet { SymbolSet.all.subtracting(self) }

    func union(_ other: SymbolSet) -> SymbolSet { combined(words | other.words) }
    func intersection(_ other: SymbolSet) -> SymbolSet { combined(words & other.words) }
    func subtracting(_ other: SymbolSet) -> SymbolSet { combined(words & ~other.words) }
    func isDisjoint(with other: SymbolSet) -> Bool { intersection(other).isEmpty }
    func isSubset(of other: SymbolSet) -> Bool { subtracting(other).isEmpty }

    private func combined(_ words: SIMD4<UInt64>) -> SymbolSet {
        var set = SymbolSet()
        set.words = words
        return set
    }
}

/// A class of a pattern while it is read: whole symbols, and ranges of characters beyond ASCII.
struct CharacterClass {
    private var set = SymbolSet()
    private var ranges: [ClosedRange<UInt32>] = []

    mutating func add(_ other: SymbolSet) { set = set.union(other) }

    mutating func add(_ range: ClosedRange<UInt32>) {
        for code in range.clamped(to: 0...127) where range.contains(code) {
            set.insert(Int(code))
        }
        if range.upperBound >= 128 {
            ranges.append(max(range.lowerBound, 128)...range.upperBound)
        }
    }

    /// `both` cases of a letter.
    mutating func add(_ code: UInt32, bothCases both: Bool) {
        add(code...code)
        guard both, code < 128, let scalar = Unicode.Scalar(code) else { return }
        for other in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
            for scalar in other.unicodeScalars { add(scalar.value...scalar.value) }
        }
        switch code | 0x20 {
        case 0x73: set.insert(Int(CharacterKind.tables.longS))
        case 0x6B: set.insert(Int(CharacterKind.tables.kelvin))
        default: break
        }
    }

    /// Nil when a range divides characters that are all of one kind: then no table tells them
    /// apart.
    func resolved() -> SymbolSet? {
        guard !ranges.isEmpty else { return set }
        var counts = [Int](repeating: 0, count: CharacterKind.tables.sizes.count)
        var last: UInt32 = 0
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            for code in range where code >= last && code < 0x110000 {
                counts[Int(CharacterKind.symbol(of: code))] += 1
            }
            last = max(last, range.upperBound + 1)
        }
        var whole = set
        for (symbol, count) in counts.enumerated() where count > 0 {
            guard count == CharacterKind.tables.sizes[symbol] || set.contains(symbol) else {
                return nil
            }
            whole.insert(symbol)
        }
        return whole
    }
}
