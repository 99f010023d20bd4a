// SPDX-License-Identifier: Apache-2.0

package import EventLoop
package import Simulation
package import Units

/// One simulated engine: where it listens, what it pretends to be, and how it misbehaves.
package struct EngineSetup: Sendable {
    /// Port 0 lets the kernel choose.
    package var address: SocketAddress
    package var profile: EngineProfile
    /// The name that requests have to give.
    package var model = "simulated"
    /// Prompt and output of one sequence together; what the KV cache cannot hold is never allowed.
    package var contextLength = Tokens(32_768)
    /// Lengths and texts of answers depend on it and on the request, and on nothing else.
    package var seed: UInt64 = 0
    /// Simulated seconds in a real one.
    package var speed = 1.0
    /// The median of the lengths that answers have by themselves: log-normal, as chats have them.
    package var medianOutput = Tokens(150)
    package var outputSpread = 0.9
    /// Sequences held at once, waiting ones included; above it requests get 503.
    package var maxHeld = 16_384
    package var maxConnections = 16_384
    package var misbehaviour = EngineMisbehaviour.none

    package init(address: SocketAddress, profile: EngineProfile) {
        self.address = address
        self.profile = profile
    }

    /// What one sequence may really hold.
    var contextLimit: Tokens { min(contextLength, profile.kvTokens) }
}

/// What an engine does wrong on purpose, for tests of its clients.
package enum EngineMisbehaviour: Sendable, Equatable {
    case none
    /// Answers every generation with 503.
    case refuses
    /// Having made so many tokens it dies: every connection is cut, and nobody listens any more.
    case dies(after: Tokens)
}
