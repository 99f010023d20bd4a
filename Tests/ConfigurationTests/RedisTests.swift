// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing

@Suite struct RedisTests {
    private func redis(_ text: String) throws -> RedisStorePolicy {
        let loaded = try Document()
            .with(.top, "store: {kind: redis, redis: {\(text)}}").load(folder: "/etc/")
        guard case .redis(let policy) = loaded.fixed.store else {
            Issue.record("no Redis")
            throw CancellationError()
        }
        return policy
    }

    @Test func aServerAloneIsTheUsual() throws {
        let policy = try redis("addresses: [a:1]")
        #expect(policy.mode == .single && policy.tls == nil)
    }

    @Test func sentinelsHaveAMasterAndUsersOfTheirOwn() throws {
        let plain = try redis("addresses: [a:1, b:1], mode: sentinel")
        #expect(plain.mode == .sentinel(SentinelPolicy(master: "mymaster")))
        let full = try redis(
            "addresses: [a:1], mode: sentinel, "
                + "sentinel: {master: m, username: u, password: p}")
        #expect(
            full.mode
                == .sentinel(SentinelPolicy(master: "m", username: "u", password: Secret("p"))))
    }

    @Test func aClusterHasSeveralAddresses() throws {
        let policy = try redis("addresses: [a:1, b:1, c:1], mode: cluster")
        #expect(policy.mode == .cluster && policy.addresses.count == 3)
    }

    @Test func filesStandBesideTheConfiguration() throws {
        let policy = try redis(
            "addresses: [a:1], tls: {ca: ca.pem, server_name: n, certificate: c, key: /k}")
        #expect(
            policy.tls
                == RedisTLSPolicy(
                    authority: "/etc/ca.pem", serverName: "n", certificate: "/etc/c", key: "/k"))
        #expect(try redis("addresses: [a:1], tls: {}").tls == RedisTLSPolicy())
    }

    @Test(arguments: [
        ("addresses: [a:1, b:1]", "store.redis.addresses: mode: single has one, found 2"),
        (
            "addresses: [unix:/a], mode: cluster",
            "store.redis.addresses: mode: cluster has no Unix sockets"
        ),
        (
            "addresses: [a:1], mode: cluster, database: 1",
            "store.redis.database: a cluster has only 0"
        ),
        (
            "addresses: [a:1], tls: {key: k}",
            "store.redis.tls.certificate: is required beside the other"
        ),
        (
            "addresses: [a:1], tls: {certificate: k}",
            "store.redis.tls.key: is required beside the other"
        ),
    ])
    func whatCannotBeIsAMistake(text: String, message: String) {
        let found = Document()
            .with(.top, "store: {kind: redis, redis: {\(text)}}").mistakes()
        #expect(found.contains { $0.hasSuffix(message) }, "\(found)")
    }
}
