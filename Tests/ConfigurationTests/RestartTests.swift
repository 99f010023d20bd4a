// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// Which changes a reload cannot make.
@Suite struct RestartTests {
    private static let memory = "store: {memory: {snapshot: /a}}"
    private static let redis = """
        store:
          kind: redis
          redis: {addresses: [r:1], username: u, password: p}
        """

    private func changes(_ old: Document, _ new: Document) throws -> [String] {
        changesNeedingRestart(from: try old.load().fixed, to: try new.load().fixed)
    }

    @Test(arguments: [
        ("workers: 2", "workers: 3", ["workers"]),
        ("address: 127.0.0.1:0", "address: 127.0.0.1:1", ["listeners"]),
        ("# listener", "tenant: anonymous", ["listeners"]),
        ("# top", "admin: {address: 127.0.0.1:1}", ["admin.address"]),
        ("# top", "admin: {token: abc}", ["admin.token"]),
        ("# top", memory, ["store.memory.snapshot"]),
        ("# top", "store: {memory: {snapshot_interval: 7s}}", ["store.memory.snapshot_interval"]),
        ("# top", redis, ["store.kind"]), ("# top", "ledger: {file: {path: /a}}", ["ledger"]),
        ("# top", "admin: {throttle_history: 5}", []), ("# top", "http: {max_fields: 9}", []),
        ("context_length: 1000", "context_length: 1001", []),
        ("8000", "8001", []), ("# tenant", "weight: 2", []),
    ])
    func whatIsFixedNeedsARestart(old: String, new: String, expected: [String]) throws {
        let before = Document()
        let after = Document(text: before.text.replacing(old + "\n", with: new + "\n"))
        let changed =
            after.text == before.text
            ? Document(text: before.text.replacing(old, with: new)) : after
        #expect(changed.text != before.text)
        #expect(try changes(before, changed) == expected)
        #expect(try changes(before, before) == [])
        #expect(try changes(changed, before) == expected)
    }

    @Test(arguments: [
        ("r:1", "r:2", "addresses"), ("username: u", "username: v", "username"),
        ("password: p", "password: q", "password"),
        ("redis: {", "redis: {database: 1, ", "database"),
        ("redis: {", "redis: {timeout: 60ms, ", "timeout"),
        ("redis: {", "redis: {on_failure: open, ", "on_failure"),
        ("redis: {", "redis: {replicas: 4, ", "replicas"),
        ("redis: {", "redis: {key_prefix: x, ", "key_prefix"),
        ("redis: {", "redis: {reservation_lease: 60s, ", "reservation_lease"),
    ])
    func soDoesEachSettingOfTheServer(old: String, new: String, key: String) throws {
        let before = Document().with(.top, Self.redis)
        let after = Document(text: before.text.replacing(old, with: new))
        #expect(try changes(before, after) == ["store.redis.\(key)"])
    }

    @Test func severalChangesAreAllNamed() throws {
        let after = Document(text: Document().text.replacing("workers: 2", with: "workers: 3"))
            .with(.top, "admin: {token: abc}")
        #expect(try changes(Document(), after) == ["workers", "admin.token"])
    }
}
