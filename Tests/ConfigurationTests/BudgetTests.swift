// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

@Suite struct BudgetTests {
    private static let organisations = """
        organisations:
          - id: corp
            limits: {cost_per_month: 100, time_zone: Europe/Berlin}
            teams:
              - id: research
                limits:
                  tokens_per_hour: 1000
                  tokens_per_minute: 600
                  requests_per_day: 9
                  calendar: [hour]
                  burst: {tokens: 60}
        """

    @Test func limitsAreAsWritten() throws {
        let policy = try Document().with(.top, Self.organisations).with(
            .model, "price: {input_per_million: 1, output_per_million: 1}"
        ).with(
            .tenant,
            """
            organisation: corp
                team: research
                model_limits: [{model: m, requests_per_second: 3}]
                key_limits: [{concurrent_requests: 2}]
            """
        ).load().policy
        let tenant = policy.tenants[0]
        let team = policy.groups[try #require(tenant.group).index]
        #expect(team.name == "research")
        #expect(
            team.limits == [
                Limit(kind: .tokensPerMinute, amount: 600, burst: 60),
                Limit(kind: LimitKind(.tokens, per: .hour), amount: 1_000, isCalendar: true),
                Limit(kind: LimitKind(.requests, per: .day), amount: 9, isCalendar: false),
            ])
        let corp = policy.groups[try #require(team.parent).index]
        #expect(corp.limits.map(\.kind) == [.costPerMonth])
        #expect(corp.limits[0].isCalendar)
        #expect(
            tenant.modelLimits == [
                ModelLimits(
                    model: ModelID(0),
                    limits: [Limit(kind: LimitKind(.requests, per: .second), amount: 3)])
            ])
        #expect(
            tenant.keyLimits == [
                KeyLimits(key: nil, limits: [Limit(kind: .concurrentRequests, amount: 2)])
            ])
    }

    @Test func aZoneIsWhatItsDataSays() throws {
        let zone = try Document().with(
            .tenant, "limits: {tokens_per_day: 1, time_zone: Europe/Berlin}"
        ).load().policy.tenants[0].limits.rates[0].zone
        #expect(zone.first == 3_600)
        // 2026-03-29 and 2026-10-25, at 01:00 UTC.
        #expect(zone.changes.contains(ZoneOffsets.Change(at: 1_774_746_000, offset: 7_200)))
        #expect(zone.changes.contains(ZoneOffsets.Change(at: 1_792_890_000, offset: 3_600)))
        let fixed = try Document().with(
            .tenant, "limits: {tokens_per_day: 1, time_zone: Asia/Kolkata}"
        ).load().policy.tenants[0].limits.rates[0].zone
        #expect(fixed == ZoneOffsets(first: 19_800))
    }

    @Test(arguments: [
        (
            "limits: {tokens_per_day: 1, time_zone: Europe/Berln}",
            "tenants[0].limits.time_zone: expected a time zone of the IANA database, as "
                + "Europe/Berlin, or UTC, found 'Europe/Berln'; did you mean 'Europe/Berlin'?"
        ),
        (
            "limits: {tokens_per_minut: 1}",
            "tenants[0].limits.tokens_per_minut: unknown key; did you mean 'tokens_per_minute'?"
        ),
        (
            "limits: {tokens_per_minute: 5, burst: {tokens: 6}}",
            "tenants[0].limits.burst.tokens: 6 is above tokens_per_minute, which is 5"
        ),
        (
            "limits: {tokens_per_day: 5, burst: {tokens: 6}}",
            "tenants[0].limits.burst.tokens: there is no limit of this quantity with a sliding "
                + "window beside it"
        ),
        (
            "limits: {calendar: [day, day]}",
            "tenants[0].limits.calendar: 'day' stands twice"
        ),
        (
            "team: research",
            "tenants[0].team: 'research' is a team of an organisation; name that "
                + "in 'organisation' too"
        ),
        (
            "organisation: crop",
            "tenants[0].organisation: there is no organisation 'crop'; did you mean 'corp'?"
        ),
        (
            "organisation: corp\n    team: reserch",
            "tenants[0].team: there is no team 'reserch'; did you mean 'research'?"
        ),
        (
            "organisation: corp",
            "organisations[0].limits.cost_per_month: the model 'm' has no price (of the tenant "
                + "'anonymous')"
        ),
        (
            "model_limits: [{model: n, tokens_per_day: 1}]",
            "tenants[0].model_limits[0].model: 'n' is not among the tenant's models"
                + "; did you mean 'm'?"
        ),
        (
            "key_limits: [{tokens_per_day: 1}, {tokens_per_day: 2}]",
            "tenants[0].key_limits[1].key: two entries are for all other keys"
        ),
        (
            "key_limits: [{key: 'sha256:\(String(repeating: "a", count: 64))', tokens_per_day: 1}]",
            "tenants[0].key_limits[0].key: is none of the tenant's keys"
        ),
    ])
    func aMistakeIsNamed(tenant: String, message: String) throws {
        let mistakes = Document().with(.top, Self.organisations).with(.tenant, tenant).mistakes()
        #expect(mistakes.contains { $0.hasSuffix(": \(message)") }, "\(mistakes)")
    }

    @Test func groupsKeepTheirPlacesOverReloads() throws {
        let before = try Document().with(.top, Self.organisations).load()
        let after = try Document().with(.top, "organisations: [{id: new}]").load(
            previous: before.policy
        ).policy
        #expect(after.groups.map(\.name) == ["corp", "research", "new"])
        #expect(after.groups.map(\.removed) == [true, true, false])
    }
}
