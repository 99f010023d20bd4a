// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// Keys of tenants: by their hashes alone, or with names and times.
@Suite struct KeyTests {
    private let first = "sha256:" + String(repeating: "01", count: 32)
    private let second = "sha256:" + String(repeating: "02", count: 32)
    private var hash: KeyHash {
        KeyHash(words: [
            0x0101_0101_0101_0101, 0x0101_0101_0101_0101, 0x0101_0101_0101_0101,
            0x0101_0101_0101_0101,
        ])
    }

    private func time(_ text: String) -> WallTime {
        RFC3339.time(text) ?? WallTime(nanoseconds: 0)
    }

    @Test func aKeyIsAHashOrAMapping() throws {
        let text =
            "keys: ['\(first)', {hash: '\(second)', id: q1, not_before: "
            + "2026-01-01T00:00:00Z, expires: '2026-07-01T02:00:00+02:00'}]"
        let loaded = try Document().with(.tenant, text).load()
        let keys = loaded.policy.tenants[0].keys
        #expect(keys.count == 2)
        #expect(keys[0] == TenantKey(hash))
        #expect(keys[0].label == "0101010101010101")
        #expect(keys[1].name == "q1" && keys[1].label == "q1")
        #expect(keys[1].notBefore == time("2026-01-01T00:00:00Z"))
        #expect(keys[1].expires == time("2026-07-01T00:00:00Z"))
        #expect(loaded.policy.expiringKeys.map(\.key) == [keys[1]])
    }

    @Test func aKeyIsGoodFromItsBeginningUntilBeforeItsEnd() throws {
        let text =
            "keys: [{hash: '\(first)', not_before: 2026-01-01T00:00:00Z, "
            + "expires: 2026-07-01T00:00:00Z}]"
        let policy = try Document().with(.tenant, text).load().policy
        for (moment, owner) in [
            ("2025-12-31T23:59:59Z", KeyOwner.not(.notYetValid)),
            ("2026-01-01T00:00:00Z", .tenant(TenantID(0))),
            ("2026-06-30T23:59:59.999999Z", .tenant(TenantID(0))),
            ("2026-07-01T00:00:00Z", .not(.expired)),
        ] {
            #expect(policy.owner(of: hash, at: time(moment)) == owner, "\(moment)")
        }
        // Whose it is does not depend on the time.
        #expect(policy.tenant(hash) == TenantID(0))
        let other = KeyHash(words: [1, 2, 3, 4])
        #expect(policy.owner(of: other, at: time("2026-02-01T00:00:00Z")) == .nobody)
    }

    @Test func whatIsShownIsWrittenAsItMayBeRead() throws {
        let text =
            "keys: ['\(first)', {hash: '\(second)', id: q1, "
            + "expires: 2026-07-01T00:00:00.5Z}]"
        let loaded = try Document().with(.tenant, text).load()
        #expect(loaded.effective.contains("      - \"sha256:********\"\n"))
        #expect(
            loaded.effective.contains(
                "      - hash: \"sha256:********\"\n        id: q1\n"
                    + "        expires: \"2026-07-01T00:00:00.500000Z\"\n"), "\(loaded.effective)")
        #expect(
            loaded.effectiveJSON.contains(
                #"["sha256:********",{"hash":"sha256:********","id":"q1","#))
    }

    @Test func aNameIsOneOfTheTenantsKeys() {
        let text = "keys: [{hash: '\(first)', id: a}, {hash: '\(second)', id: a}]"
        #expect(
            Document().with(.tenant, text).mistakes() == [
                "23:188: tenants[0].keys[1].id: 'a' is already a key of this tenant"
            ])
    }

    @Test(arguments: [
        ("{id: a}", "tenants[0].keys[0].hash: is required"),
        ("{hash: HASH, expires: 2026-07-01}", "expected a time of RFC 3339"),
        ("{hash: HASH, expires: soon}", "keys[0].expires: expected a time of RFC 3339"),
        ("{hash: HASH, until: 1}", "tenants[0].keys[0].until: unknown key"),
        (
            "{hash: HASH, not_before: 2026-07-01T00:00:00Z, expires: 2026-07-01T00:00:00Z}",
            "tenants[0].keys[0].expires: is not after not_before"
        ),
        ("{hash: sk-hunter2}", "keys[0].hash: only the hash of a key may stand here"),
        ("[HASH]", "tenants[0].keys[0]: expected a mapping, found a list"),
        ("''", "tenants[0].keys[0]: is empty"),
    ])
    func whatCannotBeIsAMistake(entry: String, message: String) {
        let text = "keys: [\(entry.replacing("HASH", with: "'\(first)'"))]"
        let found = Document().with(.tenant, text).mistakes()
        #expect(found.count == 1)
        #expect(found.first?.contains(message) == true, "\(found)")
        #expect(!found.joined().contains("hunter2"))
    }

    @Test func limitsOfAKeyNameItByItsHash() throws {
        let text =
            "keys: [{hash: '\(first)', id: a}]\n    "
            + "key_limits: [{key: '\(first)', requests_per_minute: 2}]"
        let policy = try Document().with(.tenant, text).load().policy
        #expect(policy.tenants[0].keyLimits.map(\.key) == [hash])
    }
}
