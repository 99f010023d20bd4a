// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import Testing
import Units

@Suite("Saved budgets")
struct BudgetSnapshotTests {
    private let tenants = [
        tenant([.tokensPerMinute: 600, .costPerMonth: 10], id: 0, name: "acme"),
        tenant([.tokensPerDay: 1_000], id: 1, name: "name with % and\nnew lines, ünd more"),
        tenant([.requestsPerMinute: 10], id: 2, name: "idle"),
    ]
    private let wall = WallTime(nanoseconds: 1_800_000_000_000_000_000)

    private func policy(_ tenants: [TenantPolicy]) -> Policy {
        Policy(
            generation: 1, http: HTTPPolicy(), upstream: UpstreamPolicy(), models: [], pools: [],
            endpoints: [], classes: [], tenants: tenants, anonymous: nil, throttleHistory: 1)
    }

    private func levels(
        _ store: MemoryStore, _ tenants: [TenantPolicy], _ wall: WallTime? = nil
    ) -> [LimitsSnapshot] {
        store.standings(of: tenants.map { BudgetAccount($0) }, wall: wall ?? self.wall)
    }

    private func used() -> MemoryStore {
        let store = MemoryStore()
        reserve(in: store, tenants[0], demand(600, cost: 0.1 + 0.2))
        reserve(in: store, tenants[1], demand(123))
        return store
    }

    private func reserve(in store: MemoryStore, _ tenant: TenantPolicy, _ demand: Demand) {
        let request = ReserveRequest(
            request: RequestID(raw: 1),
            reservation: ReservationID(nonce: UInt64(tenant.id.index), number: 1), tenant: tenant,
            demand: demand)
        let answer = store.reserve(request, now: Instant(nanoseconds: 0), wall: wall)
        #expect(answer?.isReserved == true)
    }

    @Test("a restart keeps what was used, to the last bit")
    func roundTrip() throws {
        let before = used()
        let after = MemoryStore()
        try after.restore(
            before.snapshot(of: policy(tenants), wall: wall), for: policy(tenants), wall: wall)
        #expect(
            levels(after, tenants) == levels(before, tenants))
        #expect(levels(after, tenants)[0][.costPerMonth]?.used == 0.3)
    }

    @Test("limits refill over the time that the process was away")
    func refill() throws {
        let after = MemoryStore()
        try after.restore(
            used().snapshot(of: policy(tenants), wall: wall), for: policy(tenants), wall: wall)
        let later = levels(after, tenants, wall + .seconds(30))
        #expect(later[0][.tokensPerMinute]?.used == 300)
        #expect(later[1][.tokensPerDay]?.used == 123)
        let muchLater = levels(after, tenants, wall + .seconds(40 * 86_400))
        #expect(muchLater[0][.costPerMonth]?.used == 0)
        #expect(muchLater[1][.tokensPerDay]?.used == 0)
    }

    @Test("tenants are found by name, and limits by kind, whatever else was edited")
    func editedConfiguration() throws {
        let edited = [
            tenant([.requestsPerMinute: 10], id: 0, name: "new"),
            tenant([.tokensPerMinute: 300, .tokensPerDay: 50], id: 7, name: "acme"),
        ]
        let store = MemoryStore()
        try store.restore(
            used().snapshot(of: policy(tenants), wall: wall), for: policy(edited), wall: wall)
        let standings = levels(store, edited)
        #expect(standings[0][.requestsPerMinute]?.used == 0)
        #expect(standings[1][.tokensPerMinute]?.used == 600)
        #expect(standings[1][.tokensPerMinute]?.remaining == 0)
        #expect(standings[1][.tokensPerDay]?.used == 0)
    }

    @Test("a tenant that left is not saved")
    func removedTenant() throws {
        var left = tenants
        left[0].removed = true
        let text = String(decoding: used().snapshot(of: policy(left), wall: wall), as: UTF8.self)
        #expect(!text.contains("acme"))
    }

    @Test("nothing saved is nothing restored")
    func empty() throws {
        let store = MemoryStore()
        try store.restore(
            MemoryStore().snapshot(of: policy([]), wall: wall), for: policy(tenants), wall: wall)
        #expect(levels(store, tenants)[0][.tokensPerMinute]?.used == 0)
    }

    @Test("a changed byte anywhere is noticed, and nothing is restored")
    func everyByteChanged() {
        let bytes = used().snapshot(of: policy(tenants), wall: wall)
        for place in bytes.indices {
            for change in [0x01, 0x20, 0xFF] as [UInt8] {
                var damaged = bytes
                damaged[place] ^= change
                expectFault(damaged)
            }
        }
    }

    @Test("a file cut anywhere is noticed")
    func everyCut() {
        let bytes = used().snapshot(of: policy(tenants), wall: wall)
        for count in 0..<bytes.count { expectFault(Array(bytes.prefix(count))) }
    }

    @Test("a later version, or another file, is named as such")
    func otherVersion() {
        for text in ["", "penstock-budgets 1\n", "penstock-budgets 3\n", "#!/bin/sh\n"] {
            #expect(throws: SnapshotFault.unknownVersion) {
                try MemoryStore().restore(Array(text.utf8), for: policy(tenants), wall: wall)
            }
        }
    }

    @Test("a file that is too large is not read")
    func tooLarge() {
        #expect(throws: SnapshotFault.tooLarge(limitBytes: 64 << 20)) {
            try MemoryStore().restore(
                [UInt8](repeating: 0x20, count: 64 << 20 | 1), for: policy([]), wall: wall)
        }
    }

    @Test(
        "lines that say nothing sensible are refused even under a good checksum",
        arguments: [
            "used td. 5 0", "account a b", "account a b 1 2", "account a b x",
            "account a b -1", "account a b 9007199254740993", "account %4 b 1",
            "account a %zz 1", "account %ff b 1", "account a b 1\nused td. nan 0",
            "account a b 1\nused td. -1 0", "account a b 1\nused td. inf 0",
            "account a b 1\nused td. 1", "account a b 1\nused td. 1 nan",
            "account a b 1\nused td. 1 1e300", "nonsense", "account", "tenant a 1 2 3",
        ])
    func malformed(lines: String) {
        let text = "penstock-budgets 2\n\(lines)\n"
        var sum: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in text.utf8 { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(sum, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.utf8.count) + digits
        let number = 1 + lines.split(separator: "\n").count
        #expect(throws: SnapshotFault.malformed(line: number)) {
            try MemoryStore().restore(
                Array("\(text)checksum \(padded)\n".utf8), for: policy(tenants), wall: wall)
        }
    }

    private func expectFault(
        _ bytes: [UInt8], location: SourceLocation = #_sourceLocation
    ) {
        let store = MemoryStore()
        #expect(throws: SnapshotFault.self, sourceLocation: location) {
            try store.restore(bytes, for: policy(tenants), wall: wall)
        }
        #expect(
            levels(store, tenants)[0][.tokensPerMinute]?.used == 0,
            sourceLocation: location)
    }
}
