// SPDX-License-Identifier: Apache-2.0

public import Units

/// How many uncached prompt tokens an endpoint prefills in a second, learnt from how long it has
/// any to prefill.
///
/// Prompts are prefilled one after the other or in one batch, so what counts is the time during
/// which at least one waits for its first token, whatever else the engine does meanwhile: under
/// load it is what a prompt has to expect. Old observations fade by halves.
public struct PrefillRate: Sendable, Equatable {
    /// Before anything was observed, in tokens a second: an 8B model on one current GPU does about
    /// as much.
    public static let usual = 10_000.0
    /// The first guess weighs as much as so many tokens.
    private static let guessWeight = 4_000.0
    /// Observations fade when they cover so many seconds.
    private static let memory = 60.0
    /// Rates beyond this are no rates: a prompt that the engine had cached, unknown to us.
    private static let most = 1_000_000.0

    private var waiting = 0
    private var since = Instant(nanoseconds: 0)
    private var busy: Double
    private var done: Double

    /// A first guess, in tokens a second.
    public init(guess: Double = usual) {
        done = Self.guessWeight
        busy = Self.guessWeight / max(guess, 1)
    }

    /// Tokens a second, at least 1.
    public var perSecond: Double { min(max(done / max(busy, 1e-6), 1), Self.most) }

    /// A prompt has been sent.
    public mutating func began(now: Instant) {
        observe(now)
        waiting += 1
    }

    /// Its first token has come: `tokens` of it were not cached.
    public mutating func prefilled(_ tokens: Tokens, now: Instant) {
        observe(now)
        waiting = max(0, waiting - 1)
        done += Double(max(tokens.count, 0))
        guard busy > Self.memory else { return }
        busy /= 2
        done /= 2
    }

    /// It left before its first token: what was done for it is not known.
    public mutating func abandoned(now: Instant) {
        observe(now)
        waiting = max(0, waiting - 1)
    }

    private mutating func observe(_ now: Instant) {
        if waiting > 0, now > since { busy += (now - since).seconds }
        since = max(since, now)
    }
}
