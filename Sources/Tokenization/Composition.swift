// SPDX-License-Identifier: Apache-2.0

/// Canonical composition: Unicode Standard Annex 15, normalization form C.
enum Composition {
    static let tables = Tables()

    struct Tables: Sendable {
        fileprivate var decompositions: [UInt32: [UInt32]] = [:]
        fileprivate var composites: [UInt64: UInt32] = [:]
        fileprivate var classes: [UInt32: UInt8] = [:]
        /// A bit for each character that may change, or change what stands before it.
        fileprivate var active = [UInt64](repeating: 0, count: 0x30000 / 64)

        fileprivate init() {
            var text = TableText(decompositionsBase64)
            var code: UInt32 = 0
            while !text.isAtEnd {
                code += UInt32(text.number())
                decompositions[code] = (0..<text.number()).map { _ in UInt32(text.number()) }
            }
            var made: Set<UInt32> = []
            text = TableText(pairsBase64)
            while !text.isAtEnd {
                let (first, second) = (UInt32(text.number()), UInt32(text.number()))
                let composite = UInt32(text.number())
                composites[UInt64(first) << 32 | UInt64(second)] = composite
                made.insert(composite)
                activate(second)
            }
            text = TableText(classesBase64)
            code = 0
            while !text.isAtEnd {
                code += UInt32(text.number())
                classes[code] = text.byte()
                activate(code)
            }
            for code in decompositions.keys where !made.contains(code) { activate(code) }
            for code in Hangul.vowels { activate(code) }
            for code in Hangul.finals { activate(code) }
        }

        private mutating func activate(_ code: UInt32) {
            active[Int(code >> 6)] |= 1 << UInt64(code & 63)
        }

        fileprivate func isActive(_ code: UInt32) -> Bool {
            code < 0x30000 && active[Int(code >> 6)] >> UInt64(code & 63) & 1 == 1
        }
    }

    /// The Unicode Standard, section 3.12.
    private enum Hangul {
        static let syllables: Range<UInt32> = 0xAC00..<0xD7A4
        static let leads: Range<UInt32> = 0x1100..<0x1113
        static let vowels: Range<UInt32> = 0x1161..<0x1176
        /// The first one stands for none.
        static let finals: Range<UInt32> = 0x11A8..<0x11C3

        static func composed(_ first: UInt32, _ second: UInt32) -> UInt32? {
            if leads.contains(first), vowels.contains(second) {
                return 0xAC00 + ((first - 0x1100) * 21 + (second - 0x1161)) * 28
            }
            if syllables.contains(first), (first - 0xAC00) % 28 == 0, finals.contains(second) {
                return first + second - 0x11A7
            }
            return nil
        }
    }

    /// Appends `text` in normalization form C; false, with nothing appended, where it is in it.
    static func compose(_ text: Text, into bytes: inout [UInt8]) -> Bool {
        guard firstActive(text) < text.count else { return false }
        var composer = Composer()
        var at = 0
        while at < text.count {
            let lead = text.byte(at)
            if lead < 0x80 {
                composer.finish(into: &bytes)
                composer.add(UInt32(lead))
                at += 1
                continue
            }
            let (code, length) = text.code(at, lead)
            if !tables.isActive(code) { composer.finish(into: &bytes) }
            composer.add(code)
            at += length
        }
        composer.finish(into: &bytes)
        return true
    }

    private static func firstActive(_ text: Text) -> Int {
        let tables = Composition.tables
        var at = 0
        while at < text.count {
            let lead = text.byte(at)
            // Nothing below U+0300 changes, nor what stands before it.
            if lead < 0xCC {
                at += 1
                continue
            }
            let (code, length) = text.code(at, lead)
            if tables.isActive(code) { return at }
            at += length
        }
        return at
    }

    /// A character and the active ones behind it.
    private struct Composer {
        private var codes: [UInt32] = []

        mutating func add(_ code: UInt32) { codes.append(code) }

        mutating func finish(into bytes: inout [UInt8]) {
            if codes.count > 1 || codes.first.map(tables.isActive) == true { rewrite() }
            for code in codes { Composition.append(code, to: &bytes) }
            codes.removeAll(keepingCapacity: true)
        }

        private mutating func rewrite() {

            var parts: [UInt32] = []
            for code in codes { parts += tables.decompositions[code] ?? [code] }
            order(&parts)
            codes.removeAll(keepingCapacity: true)
            var starter = -1
            var last: UInt8 = 0
            for code in parts {
                let current = tables.classes[code] ?? 0
                if starter >= 0, last == 0 || last < current,
                    let joined = Composition.joined(codes[starter], code)
                {
                    codes[starter] = joined
                    continue
                }
                if current == 0 { starter = codes.count }
                last = current
                codes.append(code)
            }
        }

        /// Marks in a row by their classes, those of one class in their order.
        private func order(_ codes: inout [UInt32]) {
            var start = 0
            while start < codes.count {
                guard tables.classes[codes[start]] != nil else {
                    start += 1
                    continue
                }
                let end =
                    codes[start...].firstIndex { tables.classes[$0] == nil } ?? codes.count
                let keys = (start..<end).map { place in
                    (tables.classes[codes[place]] ?? 0, place)
                }
                let sorted = keys.sorted { $0 < $1 }.map { codes[$0.1] }
                codes.replaceSubrange(start..<end, with: sorted)
                start = end
            }
        }
    }

    private static func joined(_ first: UInt32, _ second: UInt32) -> UInt32? {
        Hangul.composed(first, second)
            ?? tables.composites[UInt64(first) << 32 | UInt64(second)]
    }

    private static func append(_ code: UInt32, to bytes: inout [UInt8]) {
        switch code {
        case ..<0x80: bytes.append(UInt8(code))
        case ..<0x800: bytes += [UInt8(0xC0 | code >> 6), UInt8(0x80 | code & 0x3F)]
        case ..<0x10000:
            bytes += [
                UInt8(0xE0 | code >> 12), UInt8(0x80 | code >> 6 & 0x3F), UInt8(0x80 | code & 0x3F),
            ]
        default:
            bytes += [
                UInt8(0xF0 | code >> 18), UInt8(0x80 | code >> 12 & 0x3F),
                UInt8(0x80 | code >> 6 & 0x3F), UInt8(0x80 | code & 0x3F),
            ]
        }
    }
}
