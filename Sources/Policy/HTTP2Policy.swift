// SPDX-License-Identifier: Apache-2.0

public import Units

/// What one HTTP/2 connection may cost beside what `HTTPPolicy` bounds. Defaults are the promised
/// ones.
public struct HTTP2Policy: Sendable, Equatable {
    /// Requests open at once on a connection.
    public var maxConcurrentStreams = 100
    /// The largest frame that a client may send.
    public var maxFrame = Bytes.kibi(16)
    /// What a client may send of a body before it is told that this was accepted.
    public var streamWindow = Bytes.kibi(256)
    /// The same for all bodies of a connection.
    public var connectionWindow = Bytes.mebi(1)
    /// Streams a second that a client may reset, or have reset by its faults.
    public var maxResets = 200
    /// Frames a second that bring nothing.
    public var maxIdleFrames = 1_000
    /// CONTINUATION frames of one header block.
    public var maxContinuations = 16
    /// PING and SETTINGS frames whose acknowledgements wait for a client that does not read.
    public var maxPendingAcks = 1_000

    public init() {}
}
