// SPDX-License-Identifier: Apache-2.0

import Units

extension Scalar {
    /// What the type is, with its bounds, as in `expected …`.
    var label: String {
        switch self {
        case .integer(let bounds, let unit):
            let unit = unit.isEmpty ? "" : " (\(unit))"
            return "a whole number from \(bounds.lowerBound) to \(bounds.upperBound)\(unit)"
        case .boolean: return "true or false"
        case .decimal(let bounds, let unit):
            let unit = unit.isEmpty ? "" : " (\(unit))"
            return "a number from \(bounds.lowerBound.plain) to \(bounds.upperBound.plain)\(unit)"
        case .duration(let bounds):
            return "a duration from \(bounds.lowerBound) to \(bounds.upperBound)"
        case .size(let bounds):
            return "a size from \(bounds.lowerBound) to \(bounds.upperBound)"
        case .choice(let words, _):
            return words.count == 1 ? "'\(words[0])'" : "one of \(words.joined(separator: ", "))"
        case .name:
            return "a name (letters, digits and ._-:@+, at most 64, a letter or digit first)"
        case .modelName:
            return "a name (letters, digits and ._-:@+/, at most 128, a letter or digit first)"
        case .reference(let referent): return "the name of a \(referent.rawValue)"
        case .text(let most): return "visible ASCII text without spaces, at most \(most) bytes"
        case .keySet: return AddressParser.keySetLabel
        case .path: return "a file's path"
        case .timeZone: return "a time zone of the IANA database, as Europe/Berlin, or UTC"
        case .currency: return "three capital letters, as USD"
        case .secret: return "a secret, or file:PATH"
        case .keyHash: return "sha256: and 64 hexadecimal digits"
        case .time: return "a time of RFC 3339, as 2027-01-31T00:00:00Z"
        case .listenAddress: return AddressParser.listenLabel
        case .connectAddress: return AddressParser.connectLabel
        case .endpoint: return AddressParser.endpointLabel
        case .addressRange: return AddressParser.rangeLabel
        }
    }

    /// What may help with a text that is not a value, where it shows what went wrong.
    func advice(_ text: String) -> String {
        switch self {
        case .duration where Scalar.decimal(text) != nil: "; it needs a unit: ms, s, m, h or d"
        case .duration where Scalar.duration(text) == nil:
            "; it is written like 250ms, 30s, 5m, 1h or 2d"
        case .size where Scalar.decimal(text) != nil: "; it needs a unit: B, KiB, MiB or GiB"
        case .size where Scalar.size(text) == nil:
            "; it is written like 100B, 64KiB, 8MiB or 1GiB"
        case .boolean where ["yes", "no", "on", "off"].contains(text.lowercased()):
            "; write the word itself"
        case .choice(let words, _) where words.count > 1: Nearest.hint(to: text, among: words)
        case .timeZone: Nearest.hint(to: text, among: ZoneReader.names)
        default: ""
        }
    }
}

extension Double {
    /// Without a fraction where there is none: `1`, `0.85`, `1e+16`.
    var plain: String {
        let text = description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}
