// SPDX-License-Identifier: Apache-2.0

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

    /// The defaults.
    public init() {}
}
