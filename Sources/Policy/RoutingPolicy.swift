// SPDX-License-Identifier: Apache-2.0

public import Units

/// How an endpoint is chosen among those that have room.
public struct RoutingPolicy: Sendable, Equatable {
    /// Blocks of 512 bytes of prompt text whose whereabouts are remembered, 40 bytes each. Nothing
    /// is remembered of none.
    public var prefixBlocks = 65_536
    /// So much of a prompt's text is looked at.
    public var maxPrefix = Bytes.kibi(64)
    /// A prompt stays where its beginning is cached until it would wait so much longer there than
    /// elsewhere. Nil: as long as its class may take to the first token, or `usualGate`.
    public var prefixGate: Duration?
    /// The gate of a class without targets.
    public static let usualGate = Duration.seconds(1)

    public init() {}
}
