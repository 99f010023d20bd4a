// SPDX-License-Identifier: Apache-2.0

/// How the end of a message's content is found (RFC 9112 section 6.3).
public enum Framing: Sendable, Equatable {
    /// There is no content.
    case none
    /// That many bytes, which may be zero.
    case length(Int)
    /// Chunks, up to the one of size zero and its trailer section.
    case chunked
    /// All bytes until the sender closes: responses only.
    case untilClose
}
