// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Simulation
public import Units

/// One simulated engine: where it listens, what it pretends to be, and how it misbehaves.
public struct EngineSetup: Sendable {
    /// Port 0 lets the kernel choose.
    public var address: SocketAddress
    public var profile: EngineProfile
    /// The name that requests have to give.
    public var model = "simulated"
    /// Prompt and output of one sequence together; what the KV cache cannot hold is never allowed.
    public var contextLength = Tokens(32_768)
    /// Lengths and texts of answers depend on it and on the request, and on nothing else.
    public var seed: UInt64 = 0
    /// Simulated seconds in a real one.
    public var speed = 1.0
    /// The median of the lengths that answers have by themselves: log-normal, as chats have them.
    public var medianOutput = Tokens(150)
    public var outputSpread = 0.9
    /// Sequences held at once, waiting ones included; above it requests get 503.
    public var maxHeld = 16_384
    public var maxConnections = 16_384
    public var misbehaviour = EngineMisbehaviour.none

    public init(address: SocketAddress, profile: EngineProfile) {
        self.address = address
        self.profile = profile
    }

    /// What one sequence may really hold.
    var contextLimit: Tokens { min(contextLength, profile.kvTokens) }
}

/// What an engine does wrong on purpose, for tests of its clients.
public enum EngineMisbehaviour: Sendable, Equatable {
    case none
    /// Answers every generation with 503.
    case refuses
    /// Having made so many tokens it dies: every connection is cut, and nobody listens any more.
    case dies(after: Tokens)
}
