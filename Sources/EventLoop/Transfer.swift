// SPDX-License-Identifier: Apache-2.0

/// How a non-blocking read or write went.
public enum Transfer: Sendable, Equatable {
    /// That many went through, possibly fewer than were offered.
    case bytes(Int)
    /// Nothing now: wait for readiness.
    case wouldBlock
    /// On receive: the peer has sent its last byte.
    case closed
    case failed(SystemFault)
}
