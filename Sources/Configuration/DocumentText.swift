// SPDX-License-Identifier: Apache-2.0

/// The text of a document, prepared so that the YAML library neither expands aliases nor gives up
/// at a key that stands twice.
///
/// The library composes aliases by sharing, but hashes every mapping's keys, so an alias of aliases
/// used as a key costs exponential time; and a key that stands twice ends its work, so that all
/// other mistakes would stay unseen. Therefore every `*` goes in as a stand-in character (an alias
/// is then a plain text that begins with it), and a key that stands twice is given a stand-in for
/// its first character and read again. Both are one character for one, so places stay right, and
/// are turned back when the result is read. Stand-ins are Unicode noncharacters, which no document
/// may contain.
struct DocumentText {
    /// What is wrong with the text before YAML is looked at.
    struct Fault: Error {
        let place: Place
        let message: String
    }

    private static let alias: UInt32 = 0xFDD0
    private static let standIns: ClosedRange<UInt32> = 0xFDD1...0xFDEF
    private static let noncharacters: ClosedRange<UInt32> = 0xFDD0...0xFDEF
    private static let star: UInt32 = 0x2A

    /// Unicode scalars' values, with stand-ins.
    private var scalars: [UInt32] = []
    /// Where each line begins in `scalars`.
    private var lines: [Int] = [0]
    /// What each stand-in for a first character stands for, in the order of use.
    private var replaced: [UInt32] = []

    /// Refuses what is not UTF-8 and what YAML does not allow in a stream (YAML 1.2.2 section 5.1).
    /// A byte order mark at the start is dropped.
    init(_ bytes: [UInt8]) throws(Fault) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Fault(place: Self.placeOfInvalid(bytes), message: "the text is not UTF-8")
        }
        scalars.reserveCapacity(bytes.count)
        var rest = text.unicodeScalars[...]
        if rest.first == "\u{FEFF}" { rest = rest.dropFirst() }
        for scalar in rest {
            guard Self.isAllowed(scalar) else {
                let code = String(scalar.value, radix: 16, uppercase: true)
                throw Fault(
                    place: Place(line: lines.count, column: scalars.count - lastLine + 1),
                    message: "the character U+\(code) may not stand in a configuration file")
            }
            if Self.isBreak(scalar) {
                if scalar == "\n", scalars.last == 0x0D { lines.removeLast() }
                lines.append(scalars.count + 1)
            }
            scalars.append(scalar == "*" ? Self.alias : scalar.value)
        }
    }

    /// Unicode scalars in it.
    var count: Int { scalars.count }

    private var lastLine: Int { lines.last ?? 0 }

    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x85, 0xA0...0xD7FF: true
        case 0xE000...0xFFFD: scalar.value != 0xFEFF && !noncharacters.contains(scalar.value)
        case 0x1_0000...0x10_FFFF: true
        default: false
        }
    }

    /// What the YAML library counts as the end of a line.
    private static func isBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x0A, 0x0D, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    private static func placeOfInvalid(_ bytes: [UInt8]) -> Place {
        var place = Place.start
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" {
                place = Place(line: place.line + 1, column: 1)
            } else {
                place.column += 1
            }
        }
        return place
    }

    /// What the YAML library reads.
    var text: String { Self.string(scalars) }

    private static func string(_ values: [UInt32]) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: values.lazy.compactMap { Unicode.Scalar($0) })
        return String(text)
    }

    /// The name of the alias that a plain scalar, as the library read it, is; nil for other text.
    func aliasName(_ text: String) -> String? {
        guard text.unicodeScalars.first?.value == Self.alias else { return nil }
        return String(text.unicodeScalars.dropFirst())
    }

    /// Gives the key `name`, as the library read it at `place`, a stand-in; false when it is not
    /// written there letter by letter, or when no stand-in is left.
    mutating func setAside(_ name: String, at place: Place) -> Bool {
        let name = name.unicodeScalars.map(\.value)
        let standIn = Self.standIns.lowerBound + UInt32(replaced.count)
        guard let first = name.first, lines.indices.contains(place.line - 1),
            Self.standIns.contains(standIn)
        else { return false }
        var start = lines[place.line - 1] + place.column - 1
        if start < scalars.count, scalars[start] == 0x22 || scalars[start] == 0x27 { start += 1 }
        guard start < scalars.count, scalars[start...].starts(with: name) else { return false }
        replaced.append(first)
        scalars[start] = standIn
        return true
    }

    /// What stood in the document where the library read `text`.
    func original(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { Self.noncharacters.contains($0.value) }) else {
            return text
        }
        return Self.string(text.unicodeScalars.map { original($0.value) })
    }

    private func original(_ value: UInt32) -> UInt32 {
        if value == Self.alias { return Self.star }
        guard Self.standIns.contains(value) else { return value }
        let use = Int(value - Self.standIns.lowerBound)
        guard use < replaced.count else { return value }
        return replaced[use] == Self.alias ? Self.star : replaced[use]
    }
}
