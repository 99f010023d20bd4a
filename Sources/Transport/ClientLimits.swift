// SPDX-License-Identifier: Apache-2.0

public import HTTP2
public import Units
public import Wire

/// Sizes and times of one connection to an engine; sizes in bytes.
public struct ClientLimits: Sendable {
    /// Over them an answer counts as malformed.
    public var head = HeadLimits(maxTarget: 8_192, maxHead: 65_536, maxFields: 256)
    /// Of a trailer section.
    public var maxTrailers = 8_192
    /// Of all chunk extensions of a body.
    public var maxChunkExtensions = 4_096
    /// From the first attempt to a connection that stands.
    public var connectTimeout = Duration.seconds(2)
    /// Receive buffer asked of the kernel, which takes twice that. Without it the kernel's own
    /// choice may grow to tens of megabytes, all of them ahead of a client that does not read.
    public var kernelBuffer = Bytes.kibi(512)

    /// Without a request, on a connection of HTTP/2.
    public var idleTimeout = Duration.seconds(4)
    /// Of such a connection. What an engine sends for a client that does not read is held up to the
    /// window of its stream; the connection's is no bound, so that none stops the others.
    public var http2 = {
        var limits = HTTP2Limits()
        limits.streamWindow = 64 << 10
        limits.connectionWindow = 1 << 30
        limits.maxResets = 1_000_000
        limits.maxIdleFrames = 100_000
        return limits
    }()

    /// The defaults.
    public init() {}
}
