// SPDX-License-Identifier: Apache-2.0

/// Why a tokenizer's file cannot be used.
public struct TokenizerFault: Error, Equatable, Sendable {
    /// In words that name the part of the file, to stand behind the file's name.
    public let reason: String

    init(_ reason: String) { self.reason = reason }
}
