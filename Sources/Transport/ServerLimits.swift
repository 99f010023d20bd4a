// SPDX-License-Identifier: Apache-2.0

public import Units
public import Wire

/// Sizes and times of one client connection; sizes in bytes.
public struct ServerLimits: Sendable {
    /// Over them a request gets 414 or 431.
    public var head = HeadLimits(maxTarget: 8_192, maxHead: 32_768, maxFields: 128)
    /// Of a decoded body; over it a request gets 413, by its announcement if it has one.
    public var maxBody = 16 << 20
    /// Of a trailer section.
    public var maxTrailers = 8_192
    /// Of all chunk extensions of a body.
    public var maxChunkExtensions = 4_096
    /// Answer bytes held before the stream counts as congested.
    public var streamBuffer = 64 << 10
    /// Bytes of later requests read while one is being answered.
    public var maxPipelined = 16 << 10
    /// From a head's first byte to its last; on a new connection from the beginning.
    public var headTimeout = Duration.seconds(10)
    /// From a head to the body's last byte, if the body earns no more.
    public var bodyTimeout = Duration.seconds(10)
    /// A body earns a second for each so many bytes.
    public var bodyFloorPerSecond = 1_024
    /// Between an answer and the next request's first byte.
    public var idleTimeout = Duration.seconds(60)
    /// Without one byte of an answer taken by the client.
    public var writeTimeout = Duration.seconds(60)
    /// Bytes of an answered request that are still waited for, so that the connection can go on.
    public var maxSkipped = 64 << 10
    /// How long a refused client's rest is read away before the close: so much of it is in flight,
    /// or sent by clients that read an answer only after their request.
    public var lingerTimeout = Duration.seconds(2)
    /// For how many bytes.
    public var maxLinger = 32 << 20
    /// A connection that begins with the preface of HTTP/2 is told of, and not refused.
    public var allowsHTTP2 = false

    /// The promised ones.
    public init() {}
}
