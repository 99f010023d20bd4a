// SPDX-License-Identifier: Apache-2.0

public import Wire

/// What one HTTP/2 connection may cost; sizes in bytes.
public struct HTTP2Limits: Sendable {
    /// Streams that the peer may have open at once; one more is refused.
    public var maxStreams = 100
    /// The largest frame that the peer may send; RFC 9113 allows no less.
    public var maxFrame = 16_384
    /// What the peer may send on a stream before it is told that this was accepted.
    public var streamWindow = 256 << 10
    /// The same for all streams together.
    public var connectionWindow = 1 << 20
    /// Over them a message's head is refused.
    public var head = HeadLimits(maxTarget: 8_192, maxHead: 32_768, maxFields: 128)
    /// Of a trailer section.
    public var maxTrailers = 8_192
    /// Bytes for the peer held for a stream before it counts as congested.
    public var streamBuffer = 32 << 10
    /// Streams a second that the peer may reset, or have reset by its faults.
    public var maxResets = 200
    /// Frames a second that bring nothing: PING, SETTINGS, PRIORITY, empty DATA, unknown ones, and
    /// WINDOW_UPDATE beyond what was sent.
    public var maxIdleFrames = 1_000
    /// CONTINUATION frames of one header block.
    public var maxContinuations = 16
    /// Acknowledgements that wait for a peer which does not read.
    public var maxPendingAcks = 1_000
    /// Entries of one SETTINGS frame.
    public var maxSettings = 32

    /// The promised ones.
    public init() {}
}
