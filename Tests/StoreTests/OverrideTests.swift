// SPDX-License-Identifier: Apache-2.0

import Policy
import Store
import TestSupport
import Testing
import Units

@Suite("Overrides")
struct OverrideTests {
    private let wall = WallTime(nanoseconds: 1_800_000_000_000_000_000)
    private let limits = LimitOverride(
        amounts: [
            LimitOverride.Amount(kind: .tokensPerMinute, amount: 5_000),
            LimitOverride.Amount(kind: .costPerMonth, amount: 12.5),
        ], maxPromptTokens: Tokens(8))

    private func change(
        _ tenant: String, _ limits: LimitOverride?, for span: Duration? = nil
    ) -> OverrideChange {
        OverrideChange(tenant: tenant, limits: limits, expiresIn: span)
    }

    @Test("what was written is read back, and nothing else is read")
    func words() {
        #expect(
            limits.words == "tokens_per_minute=5000 cost_per_month=12.5 max_prompt_tokens=8")
        #expect(LimitOverride(words: limits.words) == limits)
        for words in [
            "", " ", "tokens_per_minute", "tokens_per_minute=", "tokens_per_minute=x", "x=1",
            "tokens_per_minute=-1", "tokens_per_minute=nan", "tokens_per_minute=1e300",
            "max_prompt_tokens=1e300", "a=1=2",
        ] {
            #expect(LimitOverride(words: words) == nil, "\(words)")
        }
    }

    @Test("a limit keeps its window and its zone, and a burst size is never above it")
    func laidOver() {
        let zone = ZoneOffsets(first: 3_600)
        let configured = TenantLimits(
            rates: [
                Limit(kind: .tokensPerMinute, amount: 9_000, burst: 8_000),
                Limit(kind: .tokensPerDay, amount: 7, isCalendar: true, zone: zone),
            ])
        var override = limits
        override.amounts.append(LimitOverride.Amount(kind: .tokensPerDay, amount: 3))
        let found = configured.overridden(by: override)
        #expect(
            found.rates == [
                Limit(kind: .tokensPerMinute, amount: 5_000, burst: 5_000),
                Limit(kind: .tokensPerDay, amount: 3, isCalendar: true, zone: zone),
                Limit(kind: .costPerMonth, amount: 12.5),
            ])
        #expect(found.maxPromptTokens == Tokens(8))
    }

    @Test("memory keeps them until they end or are revoked")
    func memory() {
        let store = MemoryStore()
        _ = store.overrides(change("a", limits, for: .seconds(10)), wall: wall)
        let ends = StoredOverride(tenant: "a", limits: limits, expires: wall + .seconds(10))
        let stays = StoredOverride(tenant: "b", limits: limits, expires: nil)
        #expect(
            store.overrides(change("b", limits), wall: wall) == .overrides([ends, stays]))
        #expect(store.overrides(nil, wall: wall + .seconds(10)) == .overrides([stays]))
        #expect(store.overrides(change("b", nil), wall: wall) == .overrides([]))
    }

    @Test("Redis keeps them until they end by its clock, for all gateways, within bounds")
    func redis() throws {
        let server = RedisServer()
        server.start()
        let shared = RedisShared(policy: policy(server.path))
        let loops = [try StoreLoop(shared), try StoreLoop(shared, worker: 1)]
        for loop in loops {
            try loop.runUntilUp()
            loop.store.replaceClock(by: wall)
        }
        let ends = StoredOverride(tenant: "a", limits: limits, expires: wall + .seconds(10))
        let stays = StoredOverride(tenant: "b", limits: limits, expires: nil)
        #expect(
            try loops[0].overrides(change("a", limits, for: .seconds(10))) == .overrides([ends]))
        #expect(try loops[0].overrides(change("b", limits)) == .overrides([ends, stays]))
        #expect(try loops[1].overrides(nil) == .overrides([ends, stays]))
        loops[1].store.replaceClock(by: wall + .seconds(10))
        #expect(try loops[1].overrides(nil) == .overrides([stays]))
        var last: OverrideAnswer?
        var count = 0
        while last != .full, count < 2_000 {
            count += 1
            last = try loops[0].overrides(change("tenant-\(count)", limits))
        }
        #expect(last == .full)
        #expect((400..<800).contains(count))
        #expect(try loops[1].overrides(change("b", limits)) != .full, "one that is there changes")
        #expect(try loops[1].overrides(change("b", nil)) != .full)
        server.command("HSET", "{test:}overrides", "odd", "0 of_another_version=1")
        guard case .overrides(let found) = try loops[1].overrides(nil) else {
            Issue.record("no answer")
            return
        }
        #expect(found.count == count - 1)
    }
}
