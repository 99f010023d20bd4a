// SPDX-License-Identifier: Apache-2.0

public import Units

/// What became of one request of a fleet.
public struct FleetOutcome: Sendable, Equatable {
    public enum Fate: Sendable, Equatable {
        /// On its way, or waiting somewhere.
        case open
        case done
        /// Refused, and it did not come back, or not any more.
        case shed
        /// Its endpoint was lost after the first token.
        case failed
        /// It could never fit an engine.
        case dropped
    }

    public var tenant: Int
    public var prompt: Tokens
    public var output: Tokens
    /// When it came for the first time.
    public var arrival: Instant
    public var fate = Fate.open
    /// When an engine got it, the last time.
    public var forwardedAt: Instant?
    /// Without the profile's request overhead.
    public var firstToken: Instant?
    public var end: Instant
    /// Where that was.
    public var forwardedTo = -1
    /// The output bound that its engine was told; nil where that is the client's own.
    public var bound: Tokens?
    /// That bound is below the length that its answer would have had.
    public var isCut = false
    public var refusals = 0
    /// Of them, those that came after it had been made to wait.
    public var lateRefusals = 0

    init(_ request: TraceRequest, arrival: Instant) {
        tenant = request.tenant
        prompt = Tokens(max(1, request.prompt.count))
        output = Tokens(max(1, request.output.count))
        self.arrival = arrival
        end = arrival
    }
}

/// The service of all tenants at one moment.
public struct ServiceSample: Sendable, Equatable {
    public var at: Instant
    /// Input + 2 × output tokens since the start, by tenant.
    public var service: [Double]
    /// By tenant: since the last sample there was always one of its requests that waited for an
    /// engine to begin it.
    public var isBacklogged: [Bool]
}

/// What a run of a fleet gave.
public struct FleetResult: Sendable {
    public let setup: FleetSetup
    public let weights: [Double]
    /// In the order of the trace.
    public let outcomes: [FleetOutcome]
    /// Per endpoint.
    public let engines: [EngineCounters]
    /// The same a minute after engines joined; none where none did.
    public let marked: [EngineCounters]
    /// Requests that each endpoint was given.
    public let forwarded: [Int]
    public let samples: [ServiceSample]
    /// Prompt tokens that engines computed for nothing: of requests that were lost, and again after
    /// a preemption.
    public let wastedPrefill: Tokens
    /// When the last request ended.
    public let end: Instant
    /// Refused clients that came back, and of these those let in at their first return.
    public let returned: Int
    public let admittedAtFirstReturn: Int
    /// The returns of refused clients in their order: when, and tokens in and out.
    public let returns: [(at: Instant, tokens: Tokens)]
    /// Whether all engines that were left had all their blocks back.
    public let blocksAreConserved: Bool
}
