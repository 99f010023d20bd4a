// SPDX-License-Identifier: Apache-2.0

import Policy
import Testing
import Units

extension Policy {
    fileprivate func model(named name: String) -> ModelID? { unsafe model(name.utf8.span.bytes) }
    fileprivate func trafficClass(named name: String) -> ClassID? {
        unsafe trafficClass(name.utf8.span.bytes)
    }
    fileprivate func tenant(called name: String) -> TenantID? {
        unsafe tenant(named: name.utf8.span.bytes)
    }
}

@Suite struct LookupTests {
    private func policy(
        models: [ModelPolicy] = [], classes: [ClassPolicy] = [], tenants: [TenantPolicy] = []
    ) -> Policy {
        Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(), models: models,
            pools: [], endpoints: [], classes: classes, tenants: tenants, anonymous: nil,
            throttleHistory: 1)
    }

    private func hash(_ seed: UInt64) -> KeyHash {
        var random = SplitMix64(seed: seed)
        return KeyHash(words: [random.next(), random.next(), random.next(), random.next()])
    }

    @Test func aModelIsFoundByNameAndByAlias() {
        let policy = policy(models: [
            ModelPolicy(id: ModelID(0), name: "llama", contextLength: Tokens(1)),
            ModelPolicy(
                id: ModelID(1), name: "mistral", aliases: ["default", "small"],
                contextLength: Tokens(1)),
        ])
        #expect(policy.model(named: "llama") == ModelID(0))
        #expect(policy.model(named: "mistral") == ModelID(1))
        #expect(policy.model(named: "small") == ModelID(1))
        #expect(policy.model(named: "Llama") == nil)
        #expect(policy.model(named: "llam") == nil)
        #expect(policy.model(named: "llama ") == nil)
        #expect(policy.model(named: "") == nil)
    }

    @Test func whatHasLeftIsNotFound() {
        let key = hash(1)
        let policy = policy(
            models: [
                ModelPolicy(
                    id: ModelID(0), name: "old", aliases: ["default"], contextLength: Tokens(1),
                    removed: true),
                ModelPolicy(
                    id: ModelID(1), name: "new", aliases: ["default"], contextLength: Tokens(1)),
            ],
            classes: [ClassPolicy(id: ClassID(0), name: "batch", pool: PoolID(0), removed: true)],
            tenants: [
                TenantPolicy(
                    id: TenantID(0), name: "gone", keys: [TenantKey(key)], classes: [], models: [],
                    removed: true),
                TenantPolicy(id: TenantID(1), name: "here", keys: [], classes: [], models: []),
            ])
        #expect(policy.model(named: "old") == nil)
        #expect(policy.model(named: "default") == ModelID(1))
        #expect(policy.trafficClass(named: "batch") == nil)
        #expect(policy.tenant(key) == nil)
        #expect(policy.tenant(called: "gone") == nil)
        #expect(policy.tenant(called: "here") == TenantID(1))
    }

    @Test func anEmptyPolicyFindsNothing() {
        let policy = policy()
        #expect(policy.model(named: "x") == nil)
        #expect(policy.model(named: "") == nil)
        #expect(policy.trafficClass(named: "x") == nil)
        #expect(policy.tenant(hash(1)) == nil)
    }

    @Test(arguments: [1, 3, 4, 5, 64, 1000])
    func everyOneOfManyIsFoundAndNoOtherIs(count: Int) {
        let policy = policy(
            models: (0..<count).map {
                ModelPolicy(
                    id: ModelID($0), name: "model-\($0)", aliases: ["alias-\($0)"],
                    contextLength: Tokens(1))
            },
            classes: (0..<count).map {
                ClassPolicy(id: ClassID($0), name: "class-\($0)", pool: PoolID(0))
            },
            tenants: (0..<count).map {
                TenantPolicy(
                    id: TenantID($0), name: "tenant-\($0)",
                    keys: [TenantKey(hash(UInt64($0) * 2)), TenantKey(hash(UInt64($0) * 2 + 1))],
                    classes: [],
                    models: [])
            })
        for place in 0..<count {
            #expect(policy.model(named: "model-\(place)") == ModelID(place))
            #expect(policy.model(named: "alias-\(place)") == ModelID(place))
            #expect(policy.trafficClass(named: "class-\(place)") == ClassID(place))
            #expect(policy.tenant(hash(UInt64(place) * 2)) == TenantID(place))
            #expect(policy.tenant(hash(UInt64(place) * 2 + 1)) == TenantID(place))
            #expect(policy.model(named: "other-\(place)") == nil)
            #expect(policy.tenant(hash(UInt64(count * 2 + place))) == nil)
        }
    }

    /// All keys start at the same slot, and differ from each other in one bit of one word.
    @Test func keysThatDifferInOneBitAreDifferentKeys() {
        let keys = (0..<192).map { bit -> KeyHash in
            var words: [4 of UInt64] = [7, 0, 0, 0]
            words[1 + bit / 64] = 1 << UInt64(bit % 64)
            return KeyHash(words: words)
        }
        let policy = policy(
            tenants: keys.enumerated().map {
                TenantPolicy(
                    id: TenantID($0.offset), name: "t\($0.offset)", keys: [TenantKey($0.element)],
                    classes: [], models: [])
            })
        for (place, key) in keys.enumerated() { #expect(policy.tenant(key) == TenantID(place)) }
        #expect(policy.tenant(KeyHash(words: [7, 0, 0, 0])) == nil)
    }
}
