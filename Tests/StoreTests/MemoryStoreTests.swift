// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Store
import Testing
import Units

@Suite("Memory store")
struct MemoryStoreTests {
    private let wall = WallTime(nanoseconds: 1_800_000_000_000_000_000)
    private let now = Instant(nanoseconds: 0)

    @Test("it answers at once, and settles once")
    func roundTrip() {
        let store = BudgetStore.memory(MemoryStore())
        let acme = tenant([.tokensPerDay: 1_000])
        var naming = ReservationNaming(nonce: 1, worker: 0)
        let request = ReserveRequest(
            request: RequestID(raw: 1), reservation: naming.next(), tenant: acme,
            demand: demand(800))
        #expect(store.reserve(request, now: now, wall: wall)?.holder == .store)
        for _ in 0..<2 {
            store.settle(
                Settlement(
                    reservation: request.reservation, tenant: acme, holder: .store,
                    use: .used(demand(300))), now: now, wall: wall)
        }
        guard
            case .usage(let standings, .store) = store.usage(
                of: [BudgetAccount(acme)], for: RequestID(raw: 2), now: now, wall: wall)
        else {
            Issue.record("no usage")
            return
        }
        #expect(standings[0][.tokensPerDay]?.used == 300)
        #expect(store.nextDeadline == nil)
        #expect(store.state == .up)
    }

    @Test("a full table refuses for a second")
    func full() {
        let store = MemoryStore(maxReservations: 1)
        let acme = tenant([.tokensPerDay: 1_000])
        var naming = ReservationNaming(nonce: 1, worker: 0)
        let answers = (0..<2).map { _ in
            store.reserve(
                ReserveRequest(
                    request: RequestID(raw: 1), reservation: naming.next(), tenant: acme,
                    demand: demand(1)), now: now, wall: wall)
        }
        #expect(answers[0]?.isReserved == true)
        #expect(answers[1] == .unavailable(retryAfter: .seconds(1)))
    }

    @Test("workers share one budget exactly")
    func concurrency() throws {
        let store = MemoryStore()
        let tally = Tally()
        let wall = wall
        let now = now
        let threads = try (0..<4).map { worker in
            try LoopThread(name: "worker") {
                let acme = tenant([.tokensPerDay: 10_000])
                var naming = ReservationNaming(nonce: 1, worker: worker)
                for _ in 0..<2_000 {
                    let answer = store.reserve(
                        ReserveRequest(
                            request: RequestID(raw: 1), reservation: naming.next(), tenant: acme,
                            demand: demand(7)), now: now, wall: wall)
                    if answer?.isReserved == true { tally.report(7) }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(tally.numbers.reduce(0, +) == 10_000 / 7 * 7)
    }
}
