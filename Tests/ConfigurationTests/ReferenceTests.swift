// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import Policy
import Testing
import Units

/// The shipped examples and the pages made from the table.
@Suite struct ReferenceTests {
    private func load(_ name: String) throws -> LoadedConfiguration {
        try ConfigurationFile.load(
            path: Repository.root.appendingPathComponent("config/\(name)").path,
            environment: { _ in nil }, previous: nil)
    }

    @Test func theMinimalExampleLoads() throws {
        let loaded = try load("minimal.yaml")
        #expect(loaded.policy.models.map(\.name) == ["llama-3.1-8b"])
        #expect(loaded.policy.anonymous == TenantID(0))
        #expect(loaded.policy.http == HTTPPolicy())
        #expect(loaded.policy.upstream == UpstreamPolicy())
        #expect(loaded.policy.throttleHistory == 1_000)
        #expect(loaded.policy.classes.map(\.queue) == [QueuePolicy()])
        #expect(loaded.policy.classes.map(\.timeouts) == [TimeoutPolicy()])
        #expect((1...64).contains(loaded.fixed.workers))
        #expect(loaded.fixed.admin.address == .ip(host: "127.0.0.1", port: 9_901))
        #expect(
            loaded.fixed.store
                == .memory(MemoryStorePolicy(snapshot: nil, snapshotInterval: .seconds(5))))
    }

    @Test func theFullExampleLoads() throws {
        let loaded = try load("penstock.yaml")
        #expect(loaded.fixed.workers == 4)
        #expect(loaded.fixed.listeners.map(\.tenant) == [nil, "internal"])
        #expect(loaded.fixed.admin.token == nil)
        #expect(loaded.policy.http == HTTPPolicy())
        #expect(loaded.policy.upstream == UpstreamPolicy())
        #expect(loaded.policy.endpoints.map(\.authority).contains("batch-engine.internal:30000"))
        let acme = loaded.policy.tenants[0]
        let usual: [LimitKind] = [
            .tokensPerMinute, .tokensPerDay, .inputTokensPerMinute, .outputTokensPerMinute,
            .requestsPerMinute, .costPerMonth, .concurrentRequests,
        ]
        #expect(acme.limits.rates.map(\.kind) == usual)
        #expect(acme.limits.maxPromptTokens == Tokens(32_000))
    }

    @Test func theFullExampleHasEveryKey() throws {
        let text = try #require(
            Repository.text(Repository.root.appendingPathComponent("config/penstock.yaml")))
        let page = ReferencePage.markdown()
        let end = try #require(page.range(of: "## Not available")).lowerBound
        let rows = page[..<end].split(separator: "\n").filter { $0.hasPrefix("| `") }
        let names = rows.map { $0.dropFirst(3).prefix { $0 != "`" } }
        #expect(names.count > 60)
        for name in names {
            #expect(text.contains("\(name):"), "\(name) is not in config/penstock.yaml")
        }
    }

    @Test func theReferencePageIsUpToDate() throws {
        let page = Repository.root.appendingPathComponent("docs/configuration.md")
        let current = ReferencePage.markdown()
        #expect(try Repository.committed(page, current: current) == current)
    }

    @Test func theSchemaIsUpToDate() throws {
        let page = Repository.root.appendingPathComponent("config/penstock.schema.json")
        let current = SchemaPage.json()
        #expect(try Repository.committed(page, current: current) == current)
        let parsed = try JSONSerialization.jsonObject(with: Data(current.utf8))
        #expect((parsed as? [String: Any])?["$defs"] != nil)
    }
}
