// SPDX-License-Identifier: Apache-2.0

import Admission
import Estimation
import Units

/// One request between arrival and end.
///
/// What is computed of it is put where it is asked for.
struct Entry: Sendable {
    /// Where a request stands. Every stage may also end by `ended`.
    enum Stage: Sendable, Equatable {
        /// The store was asked; → queued, forwarded, or refused.
        case budgeting
        /// Waits for room; → forwarded, or refused.
        case queued(SlabKey)
        /// At an endpoint; → forwarded elsewhere, queued or refused when it bounced.
        case forwarded(EndpointID)
        /// Refused; only `ended` follows.
        case refused
    }

    /// What holds a value of an unknown type is never loaded as a whole: it is handed on where it
    /// stands, where the compiler would else copy all of it for each call.
    private let pin: any Sendable = ()
    let request: RequestID
    let tenant: TenantID
    let model: ModelID
    /// What it asked for, or the one that it was deferred to.
    var trafficClass: ClassID
    /// The pool of its class when it arrived; another one only where that is gone.
    var pool: PoolID
    /// Prompt tokens, corrected by what is known of the tenant's.
    let input: Tokens
    /// The same as its texts tell.
    let estimated: PromptShape
    let choices: Int
    let isForced: Bool
    let isOutputless: Bool
    let isStreamed: Bool
    let deadline: Instant
    /// The number of its trace; zero where it has none.
    let trace: UInt64
    /// Output bound of one choice, after every cap.
    var bound: Tokens
    /// The engine must be told `bound`.
    var isClamped: Bool
    /// Expected output, all choices.
    var expected: Tokens
    /// What the three were before its admission lowered them; nil where it did not.
    var unclamped: Unclamped?
    /// It was let in because its whole bound fits: that is what it is expected to add.
    var isHard = false

    /// Where the decider has what its prompt begins with; nil where that does not matter.
    var prefix: SlabKey?
    var stage = Stage.budgeting
    /// Since when it waits, and how long at most; nil before its budget was granted.
    var waitsFrom: Instant?
    var waitsUntil = Instant.distantFuture
    /// Its place among those at its endpoint.
    var seat = 0
    /// What it has added to its endpoint's `turnover`.
    var turnover = 0
    /// Of its prompt, what others of its endpoint hold too.
    var common = Tokens.zero
    /// Before it is there: those of them that one has alone until then.
    var promoted = Tokens.zero
    /// Leading blocks by which that is known.
    var knownBlocks = 0
    /// Prompt tokens that its endpoint presumably had to prefill.
    var uncached = Tokens.zero
    var forwardedAt: Instant?
    var streamed = Tokens.zero
    var firstTokenAt: Instant?
    var lastTokenAt: Instant?
    /// What its tenant was charged for it, in cost.
    var charged = Tokens.zero
    /// It fits on no endpoint that has not changed since this change (`Decider.changes`).
    var fullSince = 0
    /// So often a later one was let in before it.
    var passes = 0
    var bounces = 0
    /// Where it bounced last, and before that: not there again while another one will do.
    var avoided: EndpointID?
    var avoidedBefore: EndpointID?

    /// What it is counted with still: all that it may add where it was let in for that, or else
    /// what is expected.
    @inline(__always)
    var rest: Tokens {
        isHard ? Tokens(max(0, bound.count * choices - streamed.count)) : likelyRest
    }

    /// What it is counted with beyond what is expected.
    @inline(__always)
    var excess: Tokens { rest - likelyRest }

    /// What it is expected to add still; past its expectation, half of the expectation again, never
    /// beyond the bound.
    @inline(__always)
    var likelyRest: Tokens {
        let left = max(0, bound.count * choices - streamed.count)
        let expected = expected.count - streamed.count
        return Tokens(min(left, expected > 0 ? expected : self.expected.count / 2))
    }

    /// What its admission adds to a projection.
    @inline(__always)
    var need: Tokens { EndpointLedger.need(input: input, expectedOutput: rest) }

    /// What it will hold at its end, as far as is expected.
    @inline(__always)
    var whole: Tokens { input + expected }

    /// What it holds alone.
    @inline(__always)
    var held: Tokens { input - common + streamed }

    /// As its endpoint's projection sees it.
    @inline(__always)
    var sequence: PeakWalk.Sequence {
        PeakWalk.Sequence(
            held: held, rest: Tokens((rest.count + choices - 1) / choices),
            width: choices)
    }

    /// The same if it goes to its bound.
    @inline(__always)
    var longest: PeakWalk.Sequence {
        PeakWalk.Sequence(
            held: held, rest: Tokens(max(0, bound.count - each)), width: choices)
    }

    /// Its place in its queue, while it waits.
    @inline(__always)
    var place: SlabKey? {
        guard case .queued(let place) = stage else { return nil }
        return place
    }

    /// The unit of fairness between classes: a generated token takes a step, a prompt's a part.
    @inline(__always)
    var cost: Tokens { input + expected + expected }

    /// What its tenant owes for it by now: the prompt as far as it was not cached, half of the
    /// expected output at once, and what goes beyond that as it appears.
    @inline(__always)
    var due: Tokens { uncached + max(expected, streamed + streamed) }

    /// What the queue's bound counts.
    @inline(__always)
    var tokens: Tokens { input + expected }

    /// Tokens of one choice so far.
    @inline(__always)
    var each: Int { streamed.count / choices }

    @inline(__always)
    func avoids(_ endpoint: EndpointID) -> Bool {
        endpoint == avoided || endpoint == avoidedBefore
    }

    /// It came back from where it was sent: nothing of it is there any more.
    mutating func bounced(from endpoint: EndpointID) {
        bounces += 1
        fullSince = 0
        unclamp()
        avoidedBefore = avoided
        avoided = endpoint
        stage = .budgeting
        streamed = .zero
        common = .zero
        knownBlocks = 0
        uncached = .zero
        forwardedAt = nil
        firstTokenAt = nil
        lastTokenAt = nil
    }
}
