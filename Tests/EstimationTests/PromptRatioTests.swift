// SPDX-License-Identifier: Apache-2.0

import Estimation
import Testing
import Units

private let model = ModelID(0)
private let tenant = TenantID(0)

extension PromptRatio {
    fileprivate mutating func learn(
        _ reported: Int, of estimated: Int, times: Int = 1, tenant: TenantID = tenant,
        model: ModelID = model
    ) {
        for _ in 0..<times {
            learn(
                model: model, tenant: tenant, PromptShape(estimated: Tokens(estimated)),
                reported: Tokens(reported))
        }
    }
    fileprivate func corrected(_ estimate: Int, _ tenant: TenantID = tenant) -> Int {
        corrected(
            PromptShape(estimated: Tokens(estimate)), model: model, tenant: tenant
        ).count
    }
}

@Suite("PromptRatio: what prompts are as multiples of their estimates")
struct PromptRatioTests {
    private var ratio = PromptRatio(limit: 10)

    @Test("before anything was learnt an estimate stands", arguments: [1, 7, 1_000, 100_000])
    func unknown(estimate: Int) { #expect(ratio.corrected(estimate) == estimate) }

    @Test("exact estimates stay as they are, whatever their lengths")
    mutating func exact() {
        for length in 1...300 { ratio.learn(length * 7, of: length * 7) }
        #expect(ratio.ratio(model: model, tenant: tenant) == 1)
        for length in 1...300 { #expect(ratio.corrected(length) == length) }
    }

    @Test("a tenant's estimates are corrected after thirty prompts", arguments: [0.87, 1.15, 1.4])
    mutating func learns(truth: Double) {
        ratio.learn(Int(truth * 2_000), of: 2_000, times: 30)
        #expect(abs(Double(ratio.corrected(10_000)) / 10_000 - truth) < 0.02)
    }

    @Test("few prompts correct a little, and no prompt more than a lesson's bounds")
    mutating func isSlow() {
        ratio.learn(4_000, of: 2_000, times: 3)
        #expect(ratio.corrected(1_000) > 1_000)
        #expect(ratio.corrected(1_000) < 1_200)
        ratio.learn(1_000_000, of: 1_000, times: 500)
        #expect(ratio.corrected(1_000) == 2_000)
        ratio.learn(1, of: 100_000, times: 500)
        #expect(ratio.corrected(1_000) == 500)
    }

    @Test("short prompts, of which templates are most, do not mislead about long ones")
    mutating func isWeighed() {
        for _ in 0..<50 {
            ratio.learn(60, of: 30, times: 2)
            ratio.learn(4_000, of: 4_000)
        }
        #expect(ratio.corrected(4_000) < 4_100)
    }

    @Test("a ratio that its own noise may be is not followed", arguments: 0..<20 as Range<UInt64>)
    func noise(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var ratio = PromptRatio(limit: 10)
        var off = 0.0
        for step in 0..<600 {
            // As many too long as too short, by up to a fifth.
            ratio.learn(800 + Int(random.next() % 401), of: 1_000)
            if step >= 100 { off += abs(ratio.ratio(model: model, tenant: tenant) - 1) }
        }
        // The mean of the last twenty is off by 0.018 in the mean.
        #expect(off / 500 < 0.009, "\(off / 500)")
        // What stands out is followed.
        for _ in 0..<200 { ratio.learn(1_000 + Int(random.next() % 401), of: 1_000) }
        #expect(abs(ratio.ratio(model: model, tenant: tenant) - 1.2) < 0.05)
    }

    @Test("a tenant without lessons has its model's ratio, and models have their own")
    mutating func scopes() {
        ratio.learn(2_400, of: 2_000, times: 400, tenant: TenantID(1))
        #expect(abs(ratio.corrected(1_000) - 1_200) < 15)
        let other = ratio.corrected(
            PromptShape(estimated: Tokens(1_000)), model: ModelID(3), tenant: TenantID(1))
        #expect(other == Tokens(1_000))
        ratio.learn(2_000, of: 2_000, times: 60)
        #expect(abs(ratio.corrected(1_000) - 1_000) < 15)
        #expect(abs(ratio.corrected(1_000, TenantID(1)) - 1_200) < 15)
    }

    @Test("a table that is full keeps the tenants that it has; others have their models'")
    mutating func isBounded() {
        for other in 0..<10 { ratio.learn(1_000, of: 1_000, times: 50, tenant: TenantID(other)) }
        ratio.learn(2_000, of: 1_000, times: 5, tenant: TenantID(50))
        let late = ratio.corrected(1_000, TenantID(50))
        let unheard = ratio.corrected(1_000, TenantID(51))
        #expect(late == unheard)
    }

    @Test("an empty prompt, and one that was not reported, tell nothing")
    mutating func nothing() {
        ratio.learn(0, of: 100, times: 50)
        ratio.learn(100, of: 0, times: 50)
        #expect(ratio.corrected(100) == 100)
        #expect(ratio.corrected(0) == 0)
    }

    @Test("whatever is learnt, ratios stay within their bounds", arguments: 0..<50 as Range<UInt64>)
    func bounds(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var ratio = PromptRatio(limit: 4)
        for _ in 0..<400 {
            let tenant = TenantID(Int(random.next() % 8))
            ratio.learn(
                Int(random.next() % 100_000), of: Int(random.next() % 100_000), tenant: tenant)
            let found = ratio.ratio(model: model, tenant: tenant)
            #expect(PromptRatio.bounds.contains(found), "seed \(seed)")
        }
    }

    @Test("what a template adds is learnt apart from the ratio", arguments: [0.8, 1.0, 1.3])
    func additions(truth: Double) {
        var random = SplitMix64(seed: 7)
        var ratio = PromptRatio(limit: 10)
        for _ in 0..<600 {
            let text = 10 + Int(random.next() % (random.next() % 4 == 0 ? 4_000 : 60))
            let prompt = PromptShape(
                estimated: Tokens(text + 13), fixed: Tokens(13), isChat: true)
            ratio.learn(
                model: model, tenant: tenant, prompt,
                reported: Tokens(13 + 30 + Int(truth * Double(text))))
        }
        #expect(abs(ratio.addition(model: model) - 30) < 4)
        #expect(abs(ratio.ratio(model: model, tenant: tenant) - truth) < 0.02)
        let short = PromptShape(estimated: Tokens(33), fixed: Tokens(13), isChat: true)
        let found = ratio.corrected(short, model: model, tenant: tenant)
        #expect(abs(Double(found.count) - (43 + 20 * truth)) < 5)
        // A bare prompt has no template.
        let bare = PromptShape(estimated: Tokens(20))
        #expect(ratio.corrected(bare, model: model, tenant: tenant).count < 28)
    }

    @Test("ids and images are not multiplied")
    mutating func fixed() {
        ratio.learn(2_000, of: 1_000, times: 60)
        let prompt = PromptShape(estimated: Tokens(1_300), fixed: Tokens(1_000))
        let found = ratio.corrected(prompt, model: model, tenant: tenant).count
        #expect(abs(found - 1_600) < 10)
        let ids = PromptShape(estimated: Tokens(500), fixed: Tokens(500))
        #expect(ratio.corrected(ids, model: model, tenant: tenant) == Tokens(500))
    }

    @Test("once something is known, prompts that are far off hardly count")
    mutating func outliers() {
        ratio.learn(1_100, of: 1_000, times: 100)
        for _ in 0..<20 {
            ratio.learn(2_000, of: 1_000)
            ratio.learn(1_100, of: 1_000, times: 9)
        }
        #expect(ratio.ratio(model: model, tenant: tenant) < 1.14)
        // What has changed for good is followed.
        ratio.learn(1_500, of: 1_000, times: 100)
        #expect(abs(ratio.ratio(model: model, tenant: tenant) - 1.5) < 0.02)
    }

    @Test("how far off estimates were is known by tenant")
    mutating func errors() throws {
        #expect(ratio.error(model: model, tenant: tenant) == nil)
        for step in 0..<400 { ratio.learn(step % 10 == 0 ? 1_250 : 1_000, of: 1_000) }
        let error = try #require(ratio.error(model: model, tenant: tenant))
        #expect(error.median < 0.06)
        #expect(error.p95 > 0.1 && error.p95 < 0.3)
        #expect(error.prompts > 100 && error.prompts <= 400)
        #expect(ratio.error(model: model, tenant: TenantID(9)) == nil)
    }

    @Test("the longest estimate is what is corrected to the most", arguments: [1.0, 0.7, 1.6])
    mutating func longest(truth: Double) {
        ratio.learn(Int(truth * 1_000), of: 1_000, times: 200)
        let like = PromptShape(estimated: Tokens(100), fixed: Tokens(40), isChat: true)
        let most = ratio.longest(Tokens(5_000), like: like, model: model, tenant: tenant)
        let prompt = PromptShape(estimated: most, fixed: Tokens(40), isChat: true)
        let found = ratio.corrected(prompt, model: model, tenant: tenant).count
        #expect(found <= 5_000 && found > 4_990)
    }
}
