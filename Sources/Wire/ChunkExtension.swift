// SPDX-License-Identifier: Apache-2.0

/// The place in a chunk's extensions (RFC 9112 section 7.1.1), which are checked and dropped:
/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
enum ChunkExtension: Sendable {
    /// Behind the size or a quoted value: the line may end.
    case complete
    /// Whitespace that only a semicolon may follow.
    case blank
    case beforeName
    /// In a name: the line may end.
    case name
    case blankAfterName
    case beforeValue
    /// In an unquoted value: the line may end.
    case value
    case quoted
    case escaped

    var mayEnd: Bool { self == .complete || self == .name || self == .value }

    /// The place behind `byte`; nil where the grammar has no such byte.
    func after(_ byte: UInt8) -> ChunkExtension? {
        switch self {
        case .complete, .blank:
            if byte == Byte.semicolon { return .beforeName }
            return byte.isBlank ? .blank : nil
        case .beforeName:
            if byte.isBlank { return .beforeName }
            return byte.isTokenByte ? .name : nil
        case .name, .blankAfterName:
            if byte == Byte.equals { return .beforeValue }
            if byte == Byte.semicolon { return .beforeName }
            if byte.isBlank { return .blankAfterName }
            return self == .name && byte.isTokenByte ? .name : nil
        case .beforeValue:
            if byte == Byte.quote { return .quoted }
            if byte.isBlank { return .beforeValue }
            return byte.isTokenByte ? .value : nil
        case .value:
            if byte == Byte.semicolon { return .beforeName }
            if byte.isBlank { return .blank }
            return byte.isTokenByte ? .value : nil
        case .quoted:
            if byte == Byte.quote { return .complete }
            if byte == Byte.backslash { return .escaped }
            return Alphabet.ascii.allows(byte) ? .quoted : nil
        case .escaped:
            return Alphabet.ascii.allows(byte) ? .quoted : nil
        }
    }
}
