// SPDX-License-Identifier: Apache-2.0

public import Units

/// One generation inside an engine. Its slot is below the engine's `maxHeld`, for tables beside it.
public struct SequenceID: Hashable, Sendable {
    let key: SlabKey

    public var slot: Int { key.slot }
}

/// What an engine reports, with the end of the step that caused it.
public enum EngineEvent: Sendable, Equatable {
    /// Its prompt began to be computed; `cached` tokens of it were found in the prefix cache. Comes
    /// again after a preemption.
    case admitted(SequenceID, cached: Tokens, at: Instant)
    /// Its prompt is computed and the first token made.
    case firstToken(SequenceID, at: Instant)
    /// `count` further tokens, the last of them at `at`. More than one only when several steps were
    /// finished in one call.
    case tokens(SequenceID, count: Int, at: Instant)
    /// It lost its KV and waits to be recomputed. Tokens already made stay made.
    case preempted(SequenceID, at: Instant)
    /// All its tokens are made and its blocks are back; the identifier is no longer known.
    case finished(SequenceID, at: Instant)
}

/// Why an engine does not take a sequence.
public enum EngineRefusal: Error, Sendable, Equatable {
    /// Prompt and output together can never fit.
    case exceedsCapacity(kvTokens: Tokens)
    /// It already holds this many sequences, waiting ones included.
    case full(limit: Int)
}
