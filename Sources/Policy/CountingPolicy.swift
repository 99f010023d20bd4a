// SPDX-License-Identifier: Apache-2.0

public import Units

/// How prompts of models with a tokenizer are counted.
public struct CountingPolicy: Sendable, Equatable {
    /// Bodies up to this size are counted by the worker itself: less than 2 ms for any text.
    public var inline = Bytes.kibi(16)
    /// Bodies up to this size are read by the worker itself: less than a millisecond for any text.
    public var readInline = Bytes.kibi(128)
    /// Threads that read and count larger ones, 1 to 16.
    public var threads = 1
    /// Bytes of bodies that may wait for them; prompts beyond are read by the worker and estimated.
    public var maxWaiting = Bytes.mebi(64)

    public init() {}
}
