// SPDX-License-Identifier: Apache-2.0

package import Units
package import Wire

/// Sizes and times of one client connection; sizes in bytes.
package struct ServerLimits: Sendable {
    /// Over them a request gets 414 or 431.
    package var head = HeadLimits(maxTarget: 8_192, maxHead: 32_768, maxFields: 128)
    /// Of a decoded body; over it a request gets 413, by its announcement if it has one.
    package var maxBody = 16 << 20
    /// Of a trailer section.
    package var maxTrailers = 8_192
    /// Of all chunk extensions of a body.
    package var maxChunkExtensions = 4_096
    /// Answer bytes held before the stream counts as congested.
    package var streamBuffer = 64 << 10
    /// Bytes of later requests read while one is being answered.
    package var maxPipelined = 16 << 10
    /// From a head's first byte to its last; on a new connection from the beginning.
    package var headTimeout = Duration.seconds(10)
    /// From a head to the body's last byte, if the body earns no more.
    package var bodyTimeout = Duration.seconds(10)
    /// A body earns a second for each so many bytes.
    package var bodyFloorPerSecond = 1_024
    /// Between an answer and the next request's first byte.
    package var idleTimeout = Duration.seconds(60)
    /// Without one byte of an answer taken by the client.
    package var writeTimeout = Duration.seconds(60)
    /// Bytes of an answered request that are still waited for, so that the connection can go on.
    package var maxSkipped = 64 << 10
    /// How long a refused client's rest is read away before the close: so much of it is in flight,
    /// or sent by clients that read an answer only after their request.
    package var lingerTimeout = Duration.seconds(2)
    /// For how many bytes.
    package var maxLinger = 32 << 20

    /// The promised ones.
    package init() {}
}
