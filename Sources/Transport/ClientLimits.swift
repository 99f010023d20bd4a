// SPDX-License-Identifier: Apache-2.0

package import Units
package import Wire

/// Sizes and times of one connection to an engine; sizes in bytes.
package struct ClientLimits: Sendable {
    /// Over them an answer counts as malformed.
    package var head = HeadLimits(maxTarget: 8_192, maxHead: 65_536, maxFields: 256)
    /// Of a trailer section.
    package var maxTrailers = 8_192
    /// Of all chunk extensions of a body.
    package var maxChunkExtensions = 4_096
    /// From the first attempt to a connection that stands.
    package var connectTimeout = Duration.seconds(2)
    /// Receive buffer asked of the kernel, which takes twice that. Without it the kernel's own
    /// choice may grow to tens of megabytes, all of them ahead of a client that does not read.
    package var kernelBuffer = Bytes.kibi(512)
    /// A connection that was kept for less than this is used again without a look at what it may
    /// have brought meanwhile: for owners that deliver engines' events before clients'.
    package var quietFor = Duration.zero

    /// The defaults.
    package init() {}
}
