// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// Why a text is not a value of its type.
enum ScalarFault: Error, Equatable {
    /// What was expected, and after what was found, which the message may show, a word of advice.
    case expected(String, advice: String = "")
    /// Understood, but this version does not have it; the message may show it.
    case notYet
    /// A whole message of its own, which does not show the text.
    case refused(String)
}

extension Scalar {
    /// The value that `text` stands for. Secrets are given as they are, without `file:`.
    func parse(_ text: String) throws(ScalarFault) -> Value {
        switch self {
        case .integer(let bounds, _):
            guard let value = Self.integer(text), bounds.contains(value) else { break }
            return .integer(value)
        case .decimal(let bounds, _):
            guard let value = Self.decimal(text), bounds.contains(value) else { break }
            return .decimal(value)
        case .boolean:
            guard let value = Bool(text) else { break }
            return .boolean(value)
        case .duration(let bounds):
            guard let value = Self.duration(text), bounds.contains(value) else { break }
            return .duration(value)
        case .size(let bounds):
            guard let value = Self.size(text), bounds.contains(value) else { break }
            return .size(value)
        case .choice(let words, let later):
            if later.contains(text) { throw .notYet }
            guard words.contains(text) else { break }
            return .text(text)
        case .secret(let carrier):
            return .secret(try Self.secret(text, carrier))
        case .keyHash:
            return .keyHash(try Self.keyHash(text))
        case .time:
            guard let value = RFC3339.time(text) else { break }
            return .time(value)
        case .listenAddress:
            return .address(try AddressParser.listen(text))
        case .connectAddress:
            return .address(try AddressParser.connect(text))
        case .endpoint:
            return try AddressParser.endpoint(text)
        case .addressRange:
            return .text(try AddressParser.range(text).text)
        case .keySet where AddressParser.isURL(text):
            _ = try AddressParser.keySet(text)
            return .text(text)
        case .name, .modelName, .reference, .text, .path, .keySet, .currency, .timeZone:
            guard isWellFormed(text) else { break }
            return .text(text)
        }
        throw .expected(label, advice: advice(text))
    }

    // MARK: Numbers

    /// Decimal digits, `_` between them allowed; no leading zeros, which other readers take as
    /// octal.
    static func integer(_ text: String) -> Int? {
        var digits = text.utf8[...]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative { digits.removeFirst() }
        guard let first = digits.first, let last = digits.last, isDigit(first), isDigit(last),
            first != UInt8(ascii: "0") || digits.count == 1
        else { return nil }
        var value = 0
        var previous = first
        for byte in digits {
            defer { previous = byte }
            if byte == UInt8(ascii: "_") {
                if previous == byte { return nil }
                continue
            }
            guard isDigit(byte) else { return nil }
            let scaled = value.multipliedReportingOverflow(by: 10)
            let sum = scaled.partialValue.addingReportingOverflow(Int(byte - 0x30))
            if scaled.overflow || sum.overflow { return nil }
            value = sum.partialValue
        }
        return isNegative ? -value : value
    }

    /// Digits, with a point and an exponent where needed; never infinite, never hexadecimal.
    static func decimal(_ text: String) -> Double? {
        var rest = text.utf8[...]
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        guard takeDigits(&rest) || rest.first == UInt8(ascii: ".") else { return nil }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard takeDigits(&rest) else { return nil }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest.removeFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") {
                rest.removeFirst()
            }
            guard takeDigits(&rest) else { return nil }
        }
        guard rest.isEmpty, let value = Double(text), value.isFinite else { return nil }
        // Without this, `-0` would be printed as it came.
        return value == 0 ? 0 : value
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    /// At least one digit.
    private static func takeDigits(_ rest: inout Substring.UTF8View) -> Bool {
        let before = rest.count
        while let byte = rest.first, isDigit(byte) { rest.removeFirst() }
        return rest.count < before
    }

    // MARK: Quantities

    private static let durations: [(unit: String, nanoseconds: Int)] = [
        ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
    ]
    private static let sizes: [(unit: String, bytes: Int)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1),
    ]

    /// `250ms`, `30s`, `1.5h`: exact, down to a nanosecond.
    static func duration(_ text: String) -> Duration? {
        for (unit, nanoseconds) in durations where text.hasSuffix(unit) {
            if let count = quantity(text.dropLast(unit.count), of: nanoseconds) {
                return Duration(nanoseconds: Int64(count))
            }
        }
        return nil
    }

    /// `8MiB`, `0.5GiB`, `100B`: exact, down to a byte.
    static func size(_ text: String) -> Bytes? {
        for (unit, bytes) in sizes where text.hasSuffix(unit) {
            if let count = quantity(text.dropLast(unit.count), of: bytes) { return Bytes(count) }
        }
        return nil
    }

    /// A number with at most three decimals, times `unit`; nil when that is not whole or too large.
    private static func quantity(_ number: Substring, of unit: Int) -> Int? {
        let parts = number.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let whole = integer(String(parts[0])), whole >= 0
        else { return nil }
        let scaled = whole.multipliedReportingOverflow(by: unit)
        guard !scaled.overflow else { return nil }
        guard parts.count == 2 else { return scaled.partialValue }
        guard (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy(isDigit),
            let thousandths = Int((parts[1] + "00").prefix(3))
        else { return nil }
        // The largest unit is a day in nanoseconds, so this does not overflow.
        let (fraction, rest) = (unit * thousandths).quotientAndRemainder(dividingBy: 1_000)
        guard rest == 0 else { return nil }
        let sum = scaled.partialValue.addingReportingOverflow(fraction)
        return sum.overflow ? nil : sum.partialValue
    }

    // MARK: Texts

    private func isWellFormed(_ text: String) -> Bool {
        switch self {
        case .name: Self.isName(text, longest: 64, others: "._-:@+")
        case .modelName: Self.isName(text, longest: 128, others: "._-:@+/")
        case .reference(.model): Self.isName(text, longest: 128, others: "._-:@+/")
        case .reference: Self.isName(text, longest: 64, others: "._-:@+")
        case .text(let most): text.utf8.count <= most && Self.isVisible(text)
        case .path, .keySet: text.utf8.count <= 4_096 && !text.utf8.contains(0)
        case .currency: text.utf8.count == 3 && text.utf8.allSatisfy { (0x41...0x5A).contains($0) }
        case .timeZone: text.utf8.count <= 64 && ZoneReader.isZone(text)
        default: false
        }
    }

    /// Letters and digits, after the first also `others`.
    private static func isName(_ text: String, longest: Int, others: String) -> Bool {
        guard (1...longest).contains(text.utf8.count), let first = text.utf8.first,
            isAlphanumeric(first)
        else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || others.utf8.contains($0) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        isDigit(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isVisible(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// At most 4 KiB.
    private static func secret(_ text: String, _ carrier: Carrier) throws(ScalarFault) -> Secret {
        guard text.utf8.count <= 4_096 else {
            throw .refused("a secret has at most 4096 bytes")
        }
        switch carrier {
        case .header where !isVisible(text):
            throw .refused("this secret consists of visible ASCII characters, without spaces")
        case .command
        where text.unicodeScalars.contains { $0.properties.generalCategory == .control }:
            throw .refused("a secret has no control characters")
        case .header, .command: return Secret(text)
        }
    }

    private static func keyHash(_ text: String) throws(ScalarFault) -> KeyHash {
        let prefix = "sha256:"
        guard text.hasPrefix(prefix) else {
            throw .refused(
                "only the hash of a key may stand here, never the key: "
                    + "'penstock key hash' makes 'sha256:…' from it")
        }
        guard let hash = KeyHash(hexadecimal: text.dropFirst(prefix.count)) else {
            throw .refused("expected 64 hexadecimal digits after 'sha256:'")
        }
        return hash
    }
}
