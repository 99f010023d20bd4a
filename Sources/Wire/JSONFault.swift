// SPDX-License-Identifier: Apache-2.0

/// Why a text is not JSON (RFC 8259), with the offset of the byte that shows it.
public enum JSONFault: Error, Sendable, Equatable {
    /// A byte that the grammar does not allow there.
    case malformed(at: Int)
    /// The text ends within a value.
    case endsEarly(at: Int)
    /// In a string: not UTF-8, a bare control character, an unknown escape, half a surrogate pair.
    case badText(at: Int)
    /// Containers nested deeper than allowed.
    case tooDeep(limit: Int)
}
