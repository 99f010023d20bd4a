// SPDX-License-Identifier: Apache-2.0

import Estimation
public import Units

/// What decided about one request, with the numbers that were compared: the machine's part of what
/// an operator is told. Plain memory as it is kept, so that keeping one allocates nothing.
public struct DecisionTrace: Sendable {
    /// Where the request stood at the latest decision.
    public enum Stage: Sendable, Equatable {
        /// Its tenant's budget was asked for.
        case budgeting
        /// It waits, or left while it waited.
        case queued
        /// At an endpoint, or ended there.
        case forwarded
        /// Refused by the machine: the budget's store, the queue or the engines had no room.
        case refused
    }

    /// Which way an endpoint was chosen.
    public enum Way: Sendable, Equatable {
        /// The least projected share.
        case leastShare
        /// Its prompt's beginning is cached there.
        case warmPrefix
        /// Its prompt would be prefilled there soonest.
        case leastDelay
        /// Where others that begin alike are sent.
        case prefixHash
        /// The least share with a lower output bound, since it fitted nowhere as it was.
        case lowerBound
    }

    /// Endpoints that one trace has room for.
    public static let mostOffers = 8

    /// One of its pool's endpoints, as the latest decision saw it.
    public struct Offer: Sendable {
        /// Which.
        public var endpoint: EndpointID
        /// The request was sent there.
        public var isChosen = false
        /// It takes new requests at all.
        public var isAvailable = false
        /// The request's room was there.
        public var fits = false
        /// One more prompt might go there.
        public var takesPrompt = false
        /// What will be held there, by everybody, the request included.
        public var held = Tokens.zero
        /// That as a share of the capacity; nil where none is known.
        public var share: Double?
        /// Of its prompt, what is presumably cached there.
        public var cached = Tokens.zero
        /// Until a prompt has its turn there.
        public var promptWait = Duration.zero
        /// Prompt tokens that are before this one's there, and how many it prefills a second.
        public var committed = Tokens.zero
        /// See `committed`.
        public var prefillPerSecond = 0.0
        /// What the choice compares, the least is best: a share, or seconds where prompts that
        /// begin alike are told apart. Nil where it was no choice.
        public var score: Double?
        /// The share of its turn that it had, below 1 while it was new: the score is of one so much
        /// smaller and slower.
        public var ramp = 1.0
        /// The share as the choice takes it: a measure behind every share where none is known.
        var load = 0.0

        /// Nothing is known of it yet.
        public init(_ endpoint: EndpointID) { self.endpoint = endpoint }
    }

    /// How the wait was computed that a client was told.
    public struct Return: Sendable, Equatable {
        /// Until there will be room at the latest; nil when nothing that is known frees as much.
        public var room: Duration?
        /// Between two that come back.
        public var spacing: Duration?
        /// What it was told: its place in the row of those who come back.
        public var told: Duration

        /// A wait as it was computed.
        public init(room: Duration?, spacing: Duration?, told: Duration) {
            self.room = room
            self.spacing = spacing
            self.told = told
        }
    }

    /// Where it stood.
    public var stage = Stage.budgeting
    /// The class that it is served in.
    public var trafficClass: ClassID
    /// The pool that it is for.
    public var pool: PoolID
    /// Estimated prompt tokens, all choices, corrected by what was learnt.
    public var input: Tokens
    /// The same as the prompt's texts tell.
    public var estimated: Tokens
    /// Expected output tokens, all choices.
    public var expected: Tokens
    /// Output bound of one choice, after every cap.
    public var bound: Tokens
    /// The engine was to be told that bound.
    public var isClamped: Bool
    /// Answers that were to be generated.
    public var choices: Int
    /// When its latest decision was made.
    public var decidedAt: Instant

    /// When its budget was granted, from when on it may wait; nil before.
    public var waitsFrom: Instant?
    /// How long it may wait.
    public var waitsUntil = Instant.distantFuture
    /// It had to wait.
    public var wasQueued = false
    /// Those of its class who waited when it had to.
    public var waitersAhead = 0
    /// The room needed then by all whose turn at its pool was earlier.
    public var tokensAhead = Tokens.zero
    /// Until it would likely have room, as seen when it had to wait; nil when nothing told.
    public var predictedWait: Duration?
    /// What it had to wait for, last.
    public var lack: WaitingPhase?
    /// So often a later one was let in before it.
    public var passes = 0
    /// So often an endpoint did not take it.
    public var bounces = 0

    /// How its endpoint was chosen; nil where none was.
    public var way: Way?
    /// Its pool's endpoints, eight at most. They are kept apart and put here for who asks.
    public internal(set) var offers: [Offer] = []
    /// Of them there are so many.
    var offerCount = 0
    /// Endpoints of its pool that had no room here.
    public var leftOut = 0
    /// How its wait was computed, where it was refused for want of room.
    public var comesBack: Return?

    init(_ entry: Entry, now: Instant) {
        trafficClass = entry.trafficClass
        pool = entry.pool
        input = entry.input
        estimated = entry.estimated.estimated
        expected = entry.expected
        bound = entry.bound
        isClamped = entry.isClamped
        choices = entry.choices
        decidedAt = now
    }

    mutating func dropOffers() {
        offerCount = 0
        leftOut = 0
        way = nil
    }

    /// The entry as it is by now.
    mutating func take(_ entry: Entry, _ stage: Stage, now: Instant) {
        self.stage = stage
        trafficClass = entry.trafficClass
        pool = entry.pool
        expected = entry.expected
        bound = entry.bound
        isClamped = entry.isClamped
        waitsFrom = entry.waitsFrom
        waitsUntil = entry.waitsUntil
        passes = entry.passes
        bounces = entry.bounces
        decidedAt = now
    }
}

/// What a request waits for.
public enum WaitingPhase: Sendable, Equatable {
    /// Its prompt's turn at an engine.
    case prefill
    /// Room in an engine's KV cache, or an endpoint that takes requests.
    case decode
    /// There is room, but others have their turn before it.
    case turn
}
