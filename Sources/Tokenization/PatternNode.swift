// SPDX-License-Identifier: Apache-2.0

/// A regular expression as far as tokenizers write them.
indirect enum PatternNode: Equatable, Sendable {
    case set(SymbolSet)
    case sequence([PatternNode])
    case choice([PatternNode])
    /// `max` is `Int.max` where there is none.
    case repeated(PatternNode, min: Int, max: Int, isPossessive: Bool)
    /// `(?!\S)`.
    case notBeforeInk
    /// `$`: the end of the text, and nothing else.
    case atEnd
}

/// Why a pattern cannot be used.
struct PatternFault: Error, Equatable {
    let reason: String
}
