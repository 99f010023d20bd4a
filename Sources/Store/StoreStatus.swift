// SPDX-License-Identifier: Apache-2.0

public import Units

/// Whether a worker's decisions come from the shared store.
public enum StoreState: Sendable, Equatable {
    /// The first connection is being made; requests wait for it.
    case opening
    case up
    /// `on_failure` decides.
    case away(StoreFault, since: Instant)
}

/// What a worker's store has done since the start; every number only grows.
public struct StoreCounters: Sendable, Equatable {
    /// Reservations that the shared store answered.
    public var decided = 0
    /// Reservations that were made at once, of what the store had granted in advance.
    public var decidedAhead = 0
    /// Reservations that `on_failure` answered.
    public var decidedWithoutStore = 0
    /// Connections that broke or were given up, and attempts that failed.
    public var faults = 0
    /// Connections begun.
    public var attempts = 0
    /// Settlements that were given up because too many waited.
    public var settlementsLost = 0
    /// Commands that the server refused for a reason that concerns only them.
    public var commandsRefused = 0

    public init() {}
}
