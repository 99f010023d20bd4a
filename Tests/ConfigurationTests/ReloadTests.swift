// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// Names keep their places in the policy's tables from one configuration to the next.
@Suite struct ReloadTests {
    /// A configuration with these names; each pool has one engine of the same name.
    private struct Names {
        var models = ["m"]
        var pools = ["p"]
        var classes = ["c"]
        var tenants = ["t"]
        /// Where engines are, for pools that do not have the one of their name.
        var engines: [String: [String]] = [:]

        var document: Document {
            var text = "workers: 1\nlisteners: [{address: 127.0.0.1:0}]\nmodels:\n"
            for name in models { text += "  - {name: \(name), context_length: 9}\n" }
            text += "pools:\n"
            let all = models.joined(separator: ", ")
            for name in pools {
                let urls = (engines[name] ?? [name]).map { "http://\($0)" }
                text += "  - {name: \(name), engine: vllm, models: [\(all)], key: secret-\(name), "
                text += "endpoints: [\(urls.joined(separator: ", "))]}\n"
            }
            text += "classes:\n"
            for name in classes { text += "  - {name: \(name), pool: \(pools[0])}\n" }
            text += "tenants:\n"
            for name in tenants {
                let hash = String(String(repeating: "0", count: 64) + hex(name)).suffix(64)
                text += "  - {id: \(name), classes: [\(classes.joined(separator: ", "))], "
                text += "models: [\(all)], keys: ['sha256:\(hash)']}\n"
            }
            return Document(text: text)
        }

        private func hex(_ name: String) -> String {
            name.utf8.map { String($0, radix: 16) }.joined()
        }
    }

    private func load(_ names: Names, after previous: Policy? = nil) throws -> Policy {
        try names.document.load(previous: previous).policy
    }

    @Test func theFirstPolicyIsInTheOrderOfTheFile() throws {
        let policy = try load(Names(models: ["b", "a"], tenants: ["z", "anonymous", "y"]))
        #expect(policy.generation == 1)
        #expect(policy.models.map(\.name) == ["b", "a"])
        #expect(policy.tenants.map(\.name) == ["z", "anonymous", "y"])
        #expect(policy.anonymous == TenantID(1))
        #expect(policy.tenants.filter(\.removed).isEmpty)
    }

    @Test func namesKeepTheirPlacesWhateverTheirOrder() throws {
        let first = try load(
            Names(
                models: ["a", "b"], pools: ["p", "q"], classes: ["c", "d"], tenants: ["t", "u"]))
        let second = try load(
            Names(
                models: ["x", "b", "a"], pools: ["x", "q", "p"], classes: ["x", "d", "c"],
                tenants: ["x", "u", "t"]), after: first)
        #expect(second.generation == 2)
        #expect(second.models.map(\.name) == ["a", "b", "x"])
        #expect(second.pools.map(\.name) == ["p", "q", "x"])
        #expect(second.endpoints.map(\.authority) == ["p:80", "q:80", "x:80"])
        #expect(second.classes.map(\.name) == ["c", "d", "x"])
        // Who goes first follows the file all the same.
        #expect(first.classes.map(\.rank) == [0, 1])
        #expect(second.classes.map(\.rank) == [2, 1, 0])
        #expect(second.tenants.map(\.name) == ["t", "u", "x"])
        #expect(second.classes.allSatisfy { $0.pool == PoolID(2) })
        #expect(second.tenants[0].models == [ModelID(2), ModelID(1), ModelID(0)])
    }

    @Test func whatLeftStaysInTheTablesAndIsFoundNoMore() throws {
        let first = try load(
            Names(
                models: ["a", "b"], pools: ["p", "q"], classes: ["c", "d"],
                tenants: ["anonymous", "u"]))
        let key = try #require(first.tenants[0].keys.first?.hash)
        #expect(first.tenant(key) == TenantID(0))
        let second = try load(
            Names(models: ["b"], pools: ["q"], classes: ["d"], tenants: ["u"]), after: first)
        #expect(second.classes.map(\.rank) == [.max, 0])
        #expect(second.models.map(\.removed) == [true, false])
        #expect(second.pools.map(\.removed) == [true, false])
        #expect(second.endpoints.map(\.removed) == [true, false])
        #expect(second.classes.map(\.removed) == [true, false])
        #expect(second.tenants.map(\.removed) == [true, false])
        #expect(second.anonymous == nil)
        #expect(second.tenant(key) == nil)
        #expect(second.tenants[0].keys.isEmpty)
        #expect(second.pools[0].endpoints.isEmpty)
        #expect(second.pools[0].key == nil)
        let third = try load(Names(models: ["b", "a"], tenants: ["anonymous"]), after: second)
        #expect(third.models.map(\.name) == ["a", "b"])
        #expect(third.models.filter(\.removed).isEmpty)
        #expect(third.anonymous == TenantID(0))
        #expect(third.tenant(key) == TenantID(0))
        #expect(third.tenants.map(\.removed) == [false, true])
    }

    @Test func anEngineThatMovesToAnotherPoolStaysTheSameEngine() throws {
        let first = try load(
            Names(pools: ["p", "q"], engines: ["p": ["e1", "e2"], "q": ["e3"]]))
        let second = try load(
            Names(pools: ["p", "q"], engines: ["p": ["e2"], "q": ["e3", "e1"]]), after: first)
        #expect(second.endpoints.map(\.authority) == ["e1:80", "e2:80", "e3:80"])
        #expect(second.endpoints.map(\.pool) == [PoolID(1), PoolID(0), PoolID(1)])
        #expect(second.endpoints.filter(\.removed).isEmpty)
        #expect(
            second.pools.map(\.endpoints) == [[EndpointID(1)], [EndpointID(2), EndpointID(0)]])
    }

    @Test func namesThatLeftAreNotKeptWithoutBound() throws {
        var policy: Policy?
        for round in 0..<4 {
            let names = (0..<64).map { "c\(round)-\($0)" }
            policy = try load(Names(classes: names), after: policy)
        }
        let mistakes = Names(classes: ["one-more"]).document.mistakes(previous: policy)
        #expect(
            mistakes == [
                "1:1: more than 256 names of classes since the start, those that left included; "
                    + "restart to forget them"
            ])
        #expect(Names(classes: ["c0-0"]).document.mistakes(previous: policy).isEmpty)
    }

    @Test func aMistakeGivesNoPolicy() throws {
        let first = try load(Names())
        #expect(throws: ConfigurationFault.self) { try load(Names(models: ["-"]), after: first) }
    }

    /// Over any history: an identifier is its place, a name never moves, and what is in the file,
    /// and only that, is not removed.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func placesAreStableOverAnyHistory(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func some(_ letter: String) -> [String] {
            let names = (0..<8).map { "\(letter)\($0)" }.filter { _ in random.next() % 2 == 0 }
            return (names.isEmpty ? ["\(letter)0"] : names).shuffled(using: &random)
        }
        var policy: Policy?
        for _ in 0..<10 {
            let names = Names(
                models: some("m"), pools: some("p"), classes: some("c"), tenants: some("t"))
            let next = try load(names, after: policy)
            #expect(next.models.indices.allSatisfy { next.models[$0].id == ModelID($0) })
            #expect(next.pools.indices.allSatisfy { next.pools[$0].id == PoolID($0) })
            #expect(next.endpoints.indices.allSatisfy { next.endpoints[$0].id == EndpointID($0) })
            #expect(next.classes.indices.allSatisfy { next.classes[$0].id == ClassID($0) })
            #expect(next.tenants.indices.allSatisfy { next.tenants[$0].id == TenantID($0) })
            for (before, after) in [
                (policy?.models.map(\.name), next.models.map(\.name)),
                (policy?.endpoints.map(\.authority), next.endpoints.map(\.authority)),
                (policy?.classes.map(\.name), next.classes.map(\.name)),
                (policy?.tenants.map(\.name), next.tenants.map(\.name)),
            ] {
                #expect(after.starts(with: before ?? []))
            }
            #expect(
                next.models.filter { !$0.removed }.map(\.name).sorted() == names.models.sorted())
            #expect(
                next.tenants.filter { !$0.removed }.map(\.name).sorted() == names.tenants.sorted())
            policy = next
        }
    }
}
