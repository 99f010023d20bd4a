// SPDX-License-Identifier: Apache-2.0

import Units

/// A generation inside an engine.
struct EngineSequence {
    enum State {
        /// Holds nothing. → prefilling, or leaves by cancellation.
        case waiting
        /// Holds all blocks of its prompt and of the tokens made before a preemption; `done` tokens
        /// of them are computed, `rest` are not. → decoding, waiting (preempted), or leaves.
        case prefilling(done: Int, rest: Int)
        /// Makes a token a step, the last one in the step that ends tick `lastTick`. → waiting, or
        /// leaves.
        case decoding(lastTick: Int)
    }

    /// Counts up with submission: the order among equals.
    let serial: Int
    let prompt: Int
    let output: Int
    /// One per full prefix unit of the prompt, each standing for everything up to it.
    let hashes: [UInt64]
    var state = State.waiting
    /// Tokens made up to the last prefill's end or preemption; while it decodes, `lastTick` says
    /// the rest.
    var made = 0
    /// Of `hashes`, how many it uses now.
    var sharedUnits = 0
    /// Blocks it holds beside the shared ones, as of its admission.
    var ownBlocks = 0
    /// Counts up with admission: the largest is the youngest.
    var admission = 0
    var preemptions = 0
    /// Prompt tokens found in the cache at its first admission.
    var cached = 0

    init(serial: Int, prompt: Int, output: Int, hashes: [UInt64]) {
        self.serial = serial
        self.prompt = prompt
        self.output = output
        self.hashes = hashes
    }
}

/// A decoding sequence in the list that every step walks through.
struct DecodingEntry {
    let id: SequenceID
    let lastTick: Int
    let serial: Int
    let admission: Int
}

/// A part of a prompt that a step computes.
struct PrefillChunk {
    let id: SequenceID
    let tokens: Int
}

/// The step under way, or a run of decode-only steps of which one is under way.
struct EngineStep {
    /// Seconds on the engine's clock.
    let start: Double
    /// Seconds of the first step.
    let first: Double
    /// Seconds by which each step of the run is longer than the one before.
    let growth: Double
    /// Tokens that each step computes.
    let tokens: Int
    /// KV usage at the start.
    let usage: Double
    var planned: Int
    var finished = 0

    /// When the first `steps` steps are over, in seconds: closed form, so that it does not matter
    /// into how many calls a run is cut.
    func end(after steps: Int) -> Double {
        let count = Double(steps)
        return start + (count * first + growth * count * (count - 1) / 2)
    }
    func endInstant(after steps: Int) -> Instant { Instant(engineSeconds: end(after: steps)) }

    /// How many steps are over at `now`.
    func ended(by now: Instant) -> Int {
        if endInstant(after: finished + 1) > now { return finished }
        if endInstant(after: planned) <= now { return planned }
        var over = finished + 1
        var notOver = planned
        while notOver - over > 1 {
            let middle = (over + notOver) / 2
            if endInstant(after: middle) <= now { over = middle } else { notOver = middle }
        }
        return over
    }
}

extension Instant {
    /// The nearest whole nanosecond.
    init(engineSeconds seconds: Double) {
        let scaled = (seconds * 1e9).rounded()
        self = scaled < 9.2e18 ? Instant(nanoseconds: UInt64(max(0, scaled))) : .distantFuture
    }
    var engineSeconds: Double { Double(nanoseconds) / 1e9 }
}
