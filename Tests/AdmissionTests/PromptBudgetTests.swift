// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

/// What a step takes, and what prompts may take of it.
@Suite struct PromptBudgetTests {
    private static let start = Instant(nanoseconds: 1_000_000_000)

    /// An engine whose steps take exactly as long as is said.
    private struct Steps {
        var base = 0.02
        var perSequence = 60e-6
        var perResident = 35e-9
        var perPrompt = 85e-6

        func decode(_ decoding: Double, _ resident: Double) -> Double {
            base + perSequence * decoding + perResident * resident
        }

        func sample(decoding: Double, resident: Double, prompt: Double) -> StepTimeFit.Sample {
            let steps = 20.0
            let seconds = decode(decoding, resident) + perPrompt * prompt / steps
            return StepTimeFit.Sample(
                steps: steps, seconds: seconds, decoding: decoding, resident: resident,
                prompt: prompt)
        }
    }

    @Test(arguments: [
        Steps(), Steps(base: 0.008, perPrompt: 20e-6), Steps(base: 0.03, perPrompt: 300e-6),
        Steps(perSequence: 200e-6, perResident: 60e-9),
    ])
    private func theFitFindsWhatStepsTake(_ engine: Steps) {
        var fit = StepTimeFit()
        var random = SplitMix64(seed: 7)
        for _ in 0..<400 {
            let decoding = 10 + 90 * random.unit()
            fit.observe(
                engine.sample(
                    decoding: decoding, resident: decoding * (500 + 1_000 * random.unit()),
                    prompt: 8_000 * random.unit()))
        }
        #expect(abs(fit.perPrompt / engine.perPrompt - 1) < 0.05)
        let found = fit.decodeStep(decoding: 60, resident: 60_000)
        #expect(abs(found / engine.decode(60, 60_000) - 1) < 0.05)
    }

    @Test func nonsenseTeachesNothing() {
        var fit = StepTimeFit()
        let before = fit
        let pairs: [(Double, Double)] = [(0, 1), (-1, 1), (1, 0), (1, -1), (1, .infinity)]
        for (steps, seconds) in pairs {
            fit.observe(
                StepTimeFit.Sample(
                    steps: steps, seconds: seconds, decoding: 1, resident: 1, prompt: 1))
        }
        #expect(fit == before)
    }

    @Test func whatIsToldOfPromptsIsBelievedUntilStepsTellMore() {
        #expect(StepTimeFit(perPrompt: 30e-6).perPrompt == 30e-6)
    }

    @Test func withoutATargetThereIsNoBudget() {
        var budget = PromptBudget(target: nil)
        budget.admit(Tokens(1_000_000), now: Self.start)
        #expect(budget.takes(isIdle: false, now: Self.start))
        #expect(budget.wait(Self.start) == .zero)
    }

    @Test func onePromptMayOweAndTheNextWaitsUntilThatIsPaid() {
        var budget = PromptBudget(target: .milliseconds(50))
        #expect(budget.takes(isIdle: false, now: Self.start))
        let left = budget.left(Self.start)
        budget.admit(Tokens(20_000), now: Self.start)
        #expect(!budget.takes(isIdle: false, now: Self.start))
        #expect(budget.takes(isIdle: true, now: Self.start))
        let wait = budget.wait(Self.start)
        #expect(abs(wait.seconds - (20_000 - left) / budget.perSecond) < 0.001)
        #expect(!budget.takes(isIdle: false, now: Self.start + wait - .milliseconds(1)))
        #expect(budget.takes(isIdle: false, now: Self.start + wait + .milliseconds(1)))
        #expect(budget.left(Self.start + .seconds(3_600)) == left)
    }

    @Test func itShrinksWithWhatDecodesAndNeverToNothing() {
        var budget = PromptBudget(target: .milliseconds(50))
        var rates: [Double] = []
        for decoding in [0, 50, 200, 400, 1_000, 100_000] {
            budget.adjust(
                decoding: decoding, resident: Tokens(decoding * 1_000), now: Self.start)
            rates.append(budget.perSecond)
        }
        #expect(rates == rates.sorted(by: >=))
        #expect(rates[0] > 2 * rates[3])
        #expect((rates.last ?? 0) > 0)
    }

    @Test func whatBouncedIsGivenBack() {
        var budget = PromptBudget(target: .milliseconds(50))
        let left = budget.left(Self.start)
        budget.admit(Tokens(100), now: Self.start)
        budget.giveBack(Tokens(100), now: Self.start)
        #expect(abs(budget.left(Self.start) - left) < 1e-6)
    }

    /// Fed with what its own rate does to an engine, the budget settles where steps are as long as
    /// is aimed at, wherever it begins.
    @Test(arguments: [
        (10e-6, 15e-3), (85e-6, 20e-3), (85e-6, 35e-3), (400e-6, 20e-3), (400e-6, 40e-3),
    ])
    func stepsSettleWithinTheTarget(perPrompt: Double, base: Double) {
        let engine = Steps(base: base, perPrompt: perPrompt)
        var budget = PromptBudget(target: .milliseconds(50))
        var now = Self.start
        var mean = 0.0
        for round in 0..<600 {
            // As many prompt tokens as it lets in, in the steps of half a second.
            let prompts = min(budget.perSecond, 0.9 / perPrompt)
            let decode = engine.decode(40, 40_000)
            mean = decode / (1 - prompts * perPrompt)
            let wobble = round.isMultiple(of: 2) ? 1.2 : 0.8
            let step = decode + (mean - decode) * wobble
            budget.prefilled(Tokens(Int(prompts * wobble * 0.5 * step / mean)))
            now = now + .milliseconds(500)
            _ = budget.observe(
                steps: 1_000, in: .seconds(1_000 * step), decoding: 40,
                resident: Tokens(40_000), now: now)
            budget.adjust(decoding: 40, resident: Tokens(40_000), now: now)
        }
        #expect(mean < 0.050, "\(mean)")
        #expect(mean > 0.040, "\(mean)")
    }
}
