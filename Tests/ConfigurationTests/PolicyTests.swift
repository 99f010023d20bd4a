// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import Policy
import Testing
import Units

/// Every key reaches its own place in the policy, and only that.
@Suite struct PolicyTests {
    @Test func everyHTTPKeyReachesItsField() throws {
        let loaded = try Document().with(
            .top,
            """
            http:
              max_connections: 101
              max_target: 1002B
              max_head: 1103B
              max_fields: 104
              max_body: 1005KiB
              max_buffered_bodies: 2006KiB
              max_trailers: 1007B
              max_chunk_extensions: 1008B
              max_json_depth: 109
              stream_buffer: 5010B
              head_timeout: 1011ms
              body_timeout: 1012ms
              body_floor: 1013B
              idle_timeout: 1014ms
              write_timeout: 1015ms
              drain_timeout: 1016ms
            """
        ).load()
        var expected = HTTPPolicy()
        expected.maxConnections = 101
        expected.maxTarget = Bytes(1_002)
        expected.maxHead = Bytes(1_103)
        expected.maxFields = 104
        expected.maxBody = .kibi(1_005)
        expected.maxBufferedBodies = .kibi(2_006)
        expected.maxTrailers = Bytes(1_007)
        expected.maxChunkExtensions = Bytes(1_008)
        expected.maxJSONDepth = 109
        expected.streamBuffer = Bytes(5_010)
        expected.headTimeout = .milliseconds(1_011)
        expected.bodyTimeout = .milliseconds(1_012)
        expected.bodyFloor = Bytes(1_013)
        expected.idleTimeout = .milliseconds(1_014)
        expected.writeTimeout = .milliseconds(1_015)
        expected.drainTimeout = .milliseconds(1_016)
        #expect(loaded.policy.http == expected)
    }

    @Test func everyUpstreamKeyReachesItsField() throws {
        let loaded = try Document().with(
            .top,
            """
            upstream:
              connect_timeout: 1001ms
              idle_timeout: 1002ms
              max_idle: 103
              scrape_interval: 1004ms
              scrape_timeout: 1005ms
              max_scrape: 1106B
              unhealthy_after: 7
              healthy_after: 8
              resolve_interval: 1009ms
              max_head: 1110B
              max_buffered_answer: 1111B
              max_event: 1112B
            """
        ).load()
        var expected = UpstreamPolicy()
        expected.connectTimeout = .milliseconds(1_001)
        expected.idleTimeout = .milliseconds(1_002)
        expected.maxIdle = 103
        expected.scrapeInterval = .milliseconds(1_004)
        expected.scrapeTimeout = .milliseconds(1_005)
        expected.maxScrape = Bytes(1_106)
        expected.unhealthyAfter = 7
        expected.healthyAfter = 8
        expected.resolveInterval = .milliseconds(1_009)
        expected.maxHead = Bytes(1_110)
        expected.maxBufferedAnswer = Bytes(1_111)
        expected.maxEvent = Bytes(1_112)
        #expect(loaded.policy.upstream == expected)
    }

    @Test func aModelAndAPoolAreAsWritten() throws {
        let price = "{input_per_million: 1, output_per_million: 3, cached_input_per_million: 2}"
        let capacity =
            "{prefill_tokens_per_second: 1.5, decode_tokens_per_second: 2.5, kv_tokens: 3}"
        let policy = try Document().with(.model, "aliases: [a, b]\n    price: \(price)")
            .with(.pool, "key: secret\n    capacity: \(capacity)").load().policy
        #expect(
            policy.models == [
                ModelPolicy(
                    id: ModelID(0), name: "m", aliases: ["a", "b"], contextLength: Tokens(1_000),
                    price: Price(
                        inputPerMillion: 1, cachedInputPerMillion: 2, outputPerMillion: 3,
                        currency: "USD"))
            ])
        #expect(
            policy.pools == [
                PoolPolicy(
                    id: PoolID(0), name: "p", engine: .vllm, endpoints: [EndpointID(0)],
                    models: [ModelID(0)], key: Secret("secret"), prefillTokensPerSecond: 1.5,
                    decodeTokensPerSecond: 2.5, kvTokens: Tokens(3))
            ])
    }

    @Test func aClassAndATenantAreAsWritten() throws {
        let policy = try Document().with(
            .trafficClass,
            """
            priority: -7
                kv: {throttle_at: 0.5, bounded_at: 0.625, reject_at: 0.75}
                queue: {max_requests: 1, max_tokens: 2, max_wait: 3s}
                timeouts: {first_token: 4s, between_tokens: 5s, total: 6s}
                targets: {first_token: 7s, between_tokens: 80ms}
                clamp:
                  under_pressure: false
                  min_tokens: 65
                  prefill_queue: 9
                  prefill_max_tokens: 66
                caps: {max_prompt_tokens: 67, max_estimated_tokens: 68}
            """
        ).with(
            .tenant,
            """
            weight: 0.5
                limits:
                  cost_per_month: 7
                  tokens_per_day: 6
                  concurrent_requests: 5
                  requests_per_minute: 4
                  output_tokens_per_minute: 3
                  input_tokens_per_minute: 2
                  tokens_per_minute: 1
                  max_prompt_tokens: 8
                  max_completion_tokens: 11
                  min_completion_tokens: 10
            """
        ).with(.model, "price: {input_per_million: 1, output_per_million: 1}").load().policy
        var expected = ClassPolicy(
            id: ClassID(0), name: "c", pool: PoolID(0), throttleAt: 0.5, boundedSlack: 0.125,
            rejectAt: 0.75)
        expected.queue.maxRequests = 1
        expected.queue.maxTokens = Tokens(2)
        expected.queue.maxWait = .seconds(3)
        expected.timeouts.firstToken = .seconds(4)
        expected.timeouts.betweenTokens = .seconds(5)
        expected.timeouts.total = .seconds(6)
        expected.targets = TargetPolicy(
            firstToken: .seconds(7), betweenTokens: .milliseconds(80))
        expected.priority = -7
        expected.clamp = ClampPolicy(
            underPressure: false, minTokens: Tokens(65), prefillQueue: Tokens(9),
            prefillMaxTokens: Tokens(66))
        expected.caps = CapPolicy(maxPrompt: Tokens(67), maxEstimated: Tokens(68))
        #expect(policy.classes == [expected])
        let amounts: [(LimitKind, Double)] = [
            (.tokensPerMinute, 1), (.tokensPerDay, 6), (.inputTokensPerMinute, 2),
            (.outputTokensPerMinute, 3), (.requestsPerMinute, 4), (.costPerMonth, 7),
            (.concurrentRequests, 5),
        ]
        let rates = amounts.map { Limit(kind: $0, amount: $1) }
        #expect(
            policy.tenants == [
                TenantPolicy(
                    id: TenantID(0), name: "anonymous", keys: [], classes: [ClassID(0)],
                    models: [ModelID(0)], weight: 0.5,
                    limits: TenantLimits(
                        rates: rates, maxPromptTokens: Tokens(8), maxCompletionTokens: Tokens(11),
                        minCompletionTokens: Tokens(10)))
            ])
    }

    @Test func aServerIsAsWritten() throws {
        let redis = "username: u, password: p, database: 3, timeout: 20ms, on_failure: open, "
        let loaded = try Document().with(
            .top,
            "store: {kind: redis, redis: {addresses: [r:1], \(redis)key_prefix: x, "
                + "reservation_lease: 9s}, sharing: {refresh: 100ms, lease: 1s}}"
        ).load()
        #expect(
            loaded.fixed.store
                == .redis(
                    RedisStorePolicy(
                        addresses: [.name(host: "r", port: 1)], username: "u",
                        password: Secret("p"), database: 3, timeout: .milliseconds(20),
                        onFailure: .open, keyPrefix: "x", reservationLease: .seconds(9),
                        sharing: SharedStorePolicy(
                            refresh: .milliseconds(100), lease: .seconds(1)))))
    }

    @Test func withoutSharingThereIsNone() throws {
        let loaded = try Document().with(
            .top,
            "store: {kind: redis, redis: {addresses: [r:1]}, sharing: {enabled: false}}"
        ).load()
        guard case .redis(let redis) = loaded.fixed.store else {
            Issue.record("no Redis")
            return
        }
        #expect(redis.sharing == nil)
    }

    @Test(arguments: [
        ("/var/x", "/etc/penstock", "/var/x"), ("x", "/etc/penstock", "/etc/penstock/x"),
        ("x", "", "x"), ("./x", "conf/", "conf/./x"),
    ])
    func aRelativePathIsBesideTheFile(path: String, folder: String, expected: String) throws {
        let loaded = try Document().with(.top, "store: {memory: {snapshot: \(path)}}")
            .load(folder: folder)
        #expect(
            loaded.fixed.store
                == .memory(MemoryStorePolicy(snapshot: expected, snapshotInterval: .seconds(5))))
    }

    // MARK: The effective configuration

    /// What is printed is a configuration, and the same one, apart from what is masked.
    @Test(arguments: ["config/penstock.yaml", "config/minimal.yaml"])
    func theEffectiveConfigurationIsTheSameConfiguration(path: String) throws {
        let text = try #require(Repository.text(Repository.root.appendingPathComponent(path)))
        let first = try Document(text: text).load()
        var number = 0
        var again = ""
        for part in first.effective.split(
            separator: "sha256:********", omittingEmptySubsequences: false)
        {
            if number > 0 { again += "sha256:" + String(repeating: "\(number)", count: 64) }
            again += part
            number += 1
        }
        let second = try Document(text: again).load()
        #expect(second.effective == first.effective)
        #expect(second.effectiveJSON == first.effectiveJSON)
        #expect(second.policy.models == first.policy.models)
        #expect(second.policy.endpoints == first.policy.endpoints)
        #expect(second.policy.classes == first.policy.classes)
        #expect(second.policy.http == first.policy.http)
        #expect(second.policy.upstream == first.policy.upstream)
        #expect(second.policy.tenants.map(\.limits) == first.policy.tenants.map(\.limits))
        #expect(second.fixed.listeners == first.fixed.listeners)
    }

    @Test func theEffectiveJSONIsJSON() throws {
        let loaded = try Document().load()
        let object = try JSONSerialization.jsonObject(with: Data(loaded.effectiveJSON.utf8))
        let root = try #require(object as? [String: Any])
        #expect(root["workers"] as? Int == 2)
        let http = try #require(root["http"] as? [String: Any])
        #expect(http["max_body"] as? String == "16MiB")
        #expect(http["max_fields"] as? Int == 128)
        let tenants = try #require(root["tenants"] as? [[String: Any]])
        #expect(tenants.map { $0["id"] as? String } == ["anonymous"])
    }

    @Test(arguments: [
        "no", "5m", "8MiB", "a:b", "\"x\\\"y\"", "'#x'", "'1.5'", "'~'", "a$$b", "'{x}'", "'-x'",
        "'*x'", "'&x'", "'!x'", "'x:'", "'|'", "'%x'", "'@x'", "0x10", "1_000", "'null'",
        "2026-01-01",
    ])
    func anyTextSurvivesBeingPrinted(text: String) throws {
        let line = "store: {kind: redis, redis: {addresses: [r:1], key_prefix: \(text)}}"
        let first = try Document().with(.top, line).load()
        let second = try Document(text: first.effective).load()
        #expect(second.fixed.store == first.fixed.store)
        #expect(second.effective == first.effective)
    }
}
