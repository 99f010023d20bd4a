// SPDX-License-Identifier: Apache-2.0

public import Units

/// Makes random JSON texts in random spelling: white space, escapes, exponents, repeated names.
public struct JSONMaker {
    public var random: SplitMix64

    public init(seed: UInt64) { random = SplitMix64(seed: seed) }

    public mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

    public mutating func value(depth: Int = 3) -> String {
        switch below(depth > 0 ? 7 : 5) {
        case 0: return string(words())
        case 1: return number()
        case 2: return "true"
        case 3: return "false"
        case 4: return "null"
        case 5:
            let elements = (0..<below(4)).map { _ in value(depth: depth - 1) + space() }
            return "[" + space() + elements.joined(separator: "," + space()) + "]"
        default:
            let members = (0..<below(4)).map { _ in
                string(words()) + space() + ":" + space() + value(depth: depth - 1) + space()
            }
            return "{" + space() + members.joined(separator: "," + space()) + "}"
        }
    }

    public mutating func space() -> String {
        ["", "", "", " ", "\n\t", "\r\n  "][below(6)]
    }

    public mutating func number() -> String {
        [
            "0", "-0", "7", "-12", "3.50", "1e3", "2.5E-2", "1E+2", "9007199254740993", "1e400",
            "0.1", "-1.0e0",
        ][below(12)]
    }

    public mutating func words() -> String {
        let pieces = [
            "a", "tokens", "\"", "\\", "\n", "é", "水", "🌊", "\u{1}", "/", " ", "usage", "}", ",",
            "0",
        ]
        return (0..<below(6)).map { _ in pieces[below(pieces.count)] }.joined()
    }

    /// `text` with quotes, each character spelled in one of its ways.
    public mutating func string(_ text: String) -> String {
        var spelled = "\""
        for scalar in text.unicodeScalars {
            let mustEscape = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
            if mustEscape || below(8) == 0 {
                for unit in String(Character(scalar)).utf16 {
                    let digits = String(unit, radix: 16, uppercase: below(2) == 0)
                    spelled += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            } else {
                spelled.unicodeScalars.append(scalar)
            }
        }
        return spelled + "\""
    }

    /// One byte changed, removed, added or the end cut off.
    public mutating func damaged(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        guard !bytes.isEmpty else { return bytes }
        let at = below(bytes.count)
        switch below(4) {
        case 0: bytes[at] = UInt8(below(256))
        case 1: bytes.remove(at: at)
        case 2:
            let marks = Array("{}[],:\"\\0 ".utf8)
            bytes.insert(marks[below(marks.count)], at: at)
        default: bytes.removeSubrange(at...)
        }
        return bytes
    }
}
