// SPDX-License-Identifier: Apache-2.0

public import Units

/// How many prompt tokens may be in flight at one endpoint, so that its decode steps stay within
/// their target.
///
/// A prompt token makes a step longer for everybody who decodes. In the mean over its steps a
/// stream stays within its target as long as prompts take no more of the endpoint's time than its
/// decode steps leave: of each second 1 − decode step ÷ target. So the budget is spent by a prompt
/// that is admitted and comes back at the rate at which it may be prefilled; what a decode step and
/// a prompt token take is learnt from observed steps (`StepTimeFit`). Whoever comes while some is
/// left is let in, however long: what it takes too much is owed, and the next waits for longer.
/// A prompt whose first token is not to be seen is paid for in the same way.
///
/// Without a target the part of each second may come from a controller (`PrefillShare`); with one,
/// the target gives it alone. Without either there is no budget.
public struct PromptBudget: Sendable, Equatable {
    /// The share of the target that is aimed at: outputs are short, and means of few steps vary.
    static let aim = 0.9
    /// A full budget lasts for so long.
    static let depth = 0.3
    /// The least rate, as a share of what the endpoint would prefill if it did nothing else:
    /// whatever was learnt, something goes on.
    static let leastShare = 0.02
    /// Steps are looked at together for so long.
    private static let window = Duration.milliseconds(500)

    /// Between two tokens; nil: nothing is asked.
    public private(set) var target: Duration?
    /// The part of each second without a target; nil: prompts have no bound.
    public private(set) var share: PrefillShare?
    /// What steps take.
    public private(set) var fit: StepTimeFit
    /// Prompt tokens that come back in a second.
    public private(set) var perSecond: Double
    private var level: Double
    private var filledAt = Instant(nanoseconds: 0)

    private var from: Instant?
    private var tokens = 0.0
    private var seconds = 0.0
    private var prompt = 0.0

    /// `perPrompt`: seconds that a prompt token takes, where it is known.
    public init(target: Duration?, share: PrefillShare? = nil, perPrompt: Double? = nil) {
        self.target = target
        self.share = share
        fit = StepTimeFit(perPrompt: perPrompt)
        perSecond = 0
        level = 0
        adjust(decoding: 0, resident: .zero)
        level = most
    }

    /// The configuration has changed.
    public mutating func configure(target: Duration?, share new: PrefillShare? = nil) {
        let hadShare = share != nil
        if let new { share = share?.configured(like: new) ?? new } else { share = nil }
        guard target != self.target || hadShare != (new != nil) else { return }
        self.target = target
        adjust(decoding: 0, resident: .zero)
        level = most
    }

    /// There is a budget.
    public var isBounded: Bool { target != nil || share != nil }

    /// The part of each second that prompts may have; nil without a bound.
    public private(set) var part: Double?

    /// An interval of the controller is over; `adjust` follows where the share has changed.
    public mutating func move(_ growth: PrefillShare.Growth, isFull: Bool) -> Bool {
        share?.move(growth, isFull: isFull) ?? false
    }

    /// The most that may be left.
    private var most: Double { perSecond * Self.depth }

    /// Prompt tokens of the budget that are left; below zero what is owed.
    public func left(_ now: Instant) -> Double {
        min(level + perSecond * max(0, (now - filledAt).seconds), most)
    }

    /// Seconds until all of it is there again; zero where there is none.
    public func untilFull(_ now: Instant) -> Double {
        target == nil ? 0 : (most - left(now)) / max(perSecond, 1e-3)
    }

    /// Until a prompt may come.
    public func wait(_ now: Instant) -> Duration {
        guard isBounded else { return .zero }
        let lacking = -left(now)
        return lacking <= 0 ? .zero : .seconds(min(lacking / max(perSecond, 1e-3), 1e6))
    }

    /// One may come now. `isIdle`: nobody is there whose steps it could make longer.
    public func takes(isIdle: Bool, now: Instant) -> Bool {
        !isBounded || isIdle || left(now) > 0
    }

    /// From its admission to its first token, as far as its own length tells.
    public func firstToken(after input: Tokens) -> Duration {
        .seconds(fit.perPrompt * Double(input.count))
    }

    /// A prompt has been admitted, of which `uncached` tokens have to be prefilled.
    public mutating func admit(_ uncached: Tokens, now: Instant) {
        guard isBounded else { return }
        level = left(now) - Double(max(0, uncached.count))
        filledAt = now
    }

    /// It came back, and nothing of it was prefilled.
    public mutating func giveBack(_ uncached: Tokens, now: Instant) {
        guard isBounded else { return }
        level = min(left(now) + Double(max(0, uncached.count)), most)
        filledAt = now
    }

    /// It has been prefilled; without a first token to be seen, it is said at once.
    public mutating func prefilled(_ uncached: Tokens) {
        prompt += Double(max(0, uncached.count))
    }

    /// A stream has got so many steps further in this time. `decoding` sequences are there, and
    /// hold `resident` tokens. True when something was learnt.
    public mutating func observe(
        steps: Int, in time: Duration, decoding: Int, resident: Tokens, now: Instant
    ) -> Bool {
        guard isBounded, steps > 0, time > .zero else { return false }
        tokens += Double(steps)
        seconds += time.seconds
        guard let from else {
            self.from = now
            prompt = 0
            tokens = 0
            seconds = 0
            return false
        }
        guard now - from >= Self.window else { return false }
        let mean = seconds / tokens
        let span = (now - from).seconds
        // Longer without a word: there was nobody to hear of, and no steps that are known.
        if span < 4 * Self.window.seconds {
            fit.observe(
                StepTimeFit.Sample(
                    steps: span / mean, seconds: mean, decoding: Double(decoding),
                    resident: Double(resident.count), prompt: prompt))
        }
        self.from = now
        tokens = 0
        seconds = 0
        prompt = 0
        return true
    }

    /// So many sequences are there, or will be, and hold so much: the budget follows.
    public mutating func adjust(decoding: Int, resident: Tokens, now: Instant? = nil) {
        guard isBounded else {
            part = nil
            return
        }
        if let now {
            level = left(now)
            filledAt = max(filledAt, now)
        }
        let part = part(decoding: decoding, resident: resident)
        self.part = part
        perSecond = part / max(fit.perPrompt, 1e-7)
        level = min(level, most)
    }

    private func part(decoding: Int, resident: Tokens) -> Double {
        guard let target else { return share?.now ?? 1 }
        let step = fit.decodeStep(decoding: decoding, resident: resident.count)
        return min(max(1 - step / (Self.aim * target.seconds), Self.leastShare), 1)
    }
}
