// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Testing
import Units

/// One book over one store that answers at once, spoken to in milliseconds.
private struct Desk {
    var store: Fixture
    let book: GrantBook
    let owner = Owner()
    private var naming = ReservationNaming(nonce: 3, worker: 2)
    var orders = 0
    var reports = 0

    final class Owner: Sendable {}

    init(
        _ rates: [LimitKind: Double], window: Duration = .milliseconds(500), workers: Int = 1
    ) {
        store = Fixture(rates, lease: .seconds(30))
        book = GrantBook(
            GrantBook.Terms(window: window, workers: workers, lease: .seconds(30)),
            naming: ReservationNaming(nonce: 9, worker: 2))
    }

    static func instant(_ milliseconds: Int) -> Instant {
        Instant(nanoseconds: 1_000_000_000 + UInt64(milliseconds) * 1_000_000)
    }

    static func wall(_ milliseconds: Int) -> WallTime { Fixture.wall(Int64(milliseconds) * 1_000) }

    /// Nil where the store would have to be asked.
    mutating func reserve(_ size: Int, at time: Int) -> (ReservationID, LimitsSnapshot)? {
        let id = naming.next()
        let standing = book.reserve(
            id, tokens(size), store.limits, owner: owner, now: Self.instant(time))
        exchange(at: time)
        return standing.map { (id, $0) }
    }

    func settle(_ id: ReservationID, _ size: Int, at time: Int) -> Bool {
        book.settle(id, .used(tokens(size)), now: Self.instant(time))
    }

    /// All that is to be sent is sent, and answered at once.
    mutating func exchange(at time: Int) {
        let now = Self.instant(time)
        book.tick(now: now)
        while true {
            if let (report, _) = book.nextReport(now: now) {
                reports += 1
                book.answered(report, store.budgets.report(report, wall: Self.wall(time)))
            } else if let (order, _) = book.nextOrder(now: now) {
                orders += 1
                let outcome = store.budgets.grant(order, wall: Self.wall(time))
                book.answered(order, outcome, now: now)
            } else {
                return
            }
        }
    }

    mutating func warm(at time: Int, _ size: Int = 100) {
        for _ in 0..<8 { _ = reserve(size, at: time) }
    }

    mutating func used(at time: Int) -> Double {
        store.used(.tokensPerDay, at: Int64(time) * 1_000)
    }
}

@Suite("Grant book")
struct GrantBookTests {
    @Test("an account that is seldom asked of is never granted")
    func cold() {
        var desk = Desk([.tokensPerDay: 1e6])
        for time in stride(from: 0, to: 60_000, by: 400) {
            #expect(desk.reserve(100, at: time) == nil)
        }
        #expect(desk.orders == 0)
    }

    @Test("of a hot account nearly every request is admitted without a question")
    func hot() {
        var desk = Desk([.tokensPerDay: 1e9, .tokensPerMinute: 1e8])
        var admitted = 0
        for step in 0..<20_000 {
            if let (id, _) = desk.reserve(100, at: step / 4) {
                admitted += 1
                #expect(desk.settle(id, 60, at: step / 4))
            }
        }
        #expect(admitted > 19_900)
        // Two grants a life at the very most, and two reports of each.
        #expect(desk.orders < 60)
        #expect(desk.reports < 120)
        desk.exchange(at: 60_000)
        #expect(desk.used(at: 60_000) == Double(admitted) * 60)
        #expect(desk.book.grantCount == 0)
        #expect(desk.store.budgets.openCount == 0)
    }

    @Test("what nobody took is back when the grant's time is over")
    func unused() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        #expect(desk.used(at: 1) > 0)
        #expect(desk.book.nextDue.map { $0 <= Desk.instant(500) } == true)
        desk.exchange(at: 500)
        #expect(desk.used(at: 500) == Double(desk.book.openCount * 100))
    }

    @Test("after its time a grant admits nothing, however much is left")
    func over() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        #expect(desk.reserve(100, at: 400) != nil)
        // Nobody has looked at the clock meanwhile, and nothing new is asked for in time.
        let id = ReservationID(nonce: 1, number: 1)
        let late = desk.book.reserve(
            id, tokens(1), desk.store.limits, owner: desk.owner, now: Desk.instant(5_000))
        #expect(late == nil)
    }

    @Test("a grant ends with the window of a calendar")
    func windowEnd() {
        // The fixture begins at midnight: an hour before the next one.
        let hour = 23 * 3_600_000
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: hour + 3_599_900)
        #expect(desk.reserve(1, at: hour + 3_599_950) != nil)
        #expect(desk.reserve(1, at: hour + 3_600_000) == nil)
    }

    @Test("places among concurrent requests are decided by the store alone")
    func concurrent() {
        var desk = Desk([.tokensPerDay: 1e9, .concurrentRequests: 1_000])
        for _ in 0..<1_000 { #expect(desk.reserve(1, at: 0) == nil) }
        #expect(desk.orders == 0)
    }

    @Test("near its end a limit is not granted any more")
    func nearTheEnd() {
        var desk = Desk([.tokensPerDay: 100_000])
        var ahead = 0
        var asked = 0
        for step in 0..<1_100 {
            if desk.reserve(100, at: step * 10) != nil {
                ahead += 100
            } else if desk.store.reserve(tokens(100), at: Int64(step) * 10_000).0.isReserved {
                asked += 100
            }
        }
        #expect(ahead + asked == 100_000)
        #expect(ahead > 50_000)
        // The last grant took a sixteenth of what was left.
        #expect(asked >= 100_000 / 8 * 15 / 16)
    }

    @Test("the numbers told are the store's, less what nobody took")
    func standing() throws {
        var desk = Desk([.tokensPerDay: 1e6])
        var expected = 0.0
        for _ in 0..<100 {
            if let (_, standing) = desk.reserve(100, at: 0) {
                expected += 100
                #expect(standing[.tokensPerDay]?.used == expected)
                #expect(standing[.tokensPerDay]?.remaining == 1e6 - expected)
            }
        }
        #expect(expected > 5_000)
    }

    @Test("a reservation settles once, and only where it was made")
    func once() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        guard let (id, _) = desk.reserve(100, at: 0) else {
            Issue.record("not warm")
            return
        }
        #expect(desk.settle(id, 40, at: 1))
        #expect(!desk.settle(id, 40, at: 2))
        #expect(!desk.settle(ReservationID(nonce: 0, number: 0), 40, at: 2))
    }

    @Test("what other requests of the root need is given back when asked for")
    func giveBack() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        #expect(desk.book.unused != .none)
        #expect(desk.book.giveBack(root: desk.store.limits.root, now: Desk.instant(1)))
        #expect(!desk.book.giveBack(root: desk.store.limits.root, now: Desk.instant(1)))
        desk.exchange(at: 1)
        #expect(desk.book.unused == .none)
        #expect(desk.used(at: 1) == Double(desk.book.openCount * 100))
        #expect(desk.reserve(1, at: 2) == nil)
    }

    @Test("an answer that never came is given up, and the store is told")
    func lostOrder() {
        var desk = Desk([.tokensPerDay: 1e6])
        let now = Desk.instant(0)
        for number in 0..<5 as Range<UInt64> {
            _ = desk.book.reserve(
                ReservationID(nonce: 2, number: number), tokens(10), desk.store.limits,
                owner: desk.owner, now: now)
        }
        guard let (order, _) = desk.book.nextOrder(now: now) else {
            Issue.record("nothing is asked for")
            return
        }
        _ = desk.store.budgets.grant(order, wall: Desk.wall(0))
        #expect(desk.used(at: 0) > 0)
        desk.book.lost(order, now: now)
        desk.exchange(at: 1)
        #expect(desk.used(at: 1) == 0)
        #expect(desk.book.grantCount == 0)
    }

    @Test("a report that may be lost is made again, with all that is new")
    func lostReport() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        guard let (id, _) = desk.reserve(100, at: 0) else {
            Issue.record("not warm")
            return
        }
        desk.book.closeAll(now: Desk.instant(1))
        guard let (report, _) = desk.book.nextReport(now: Desk.instant(1)) else {
            Issue.record("nothing is reported")
            return
        }
        _ = desk.settle(id, 70, at: 2)
        desk.book.lost(report)
        desk.exchange(at: 3)
        #expect(desk.used(at: 3) == Double(desk.book.openCount * 100 + 70))
    }

    @Test("a store that has lost its data is not told what it does not know")
    func forgotten() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        guard let (id, _) = desk.reserve(100, at: 0) else {
            Issue.record("not warm")
            return
        }
        desk.store = Fixture([.tokensPerDay: 1e6], lease: .seconds(30))
        desk.exchange(at: 600)
        let before = desk.reports
        _ = desk.settle(id, 50, at: 700)
        desk.exchange(at: 30_000)
        #expect(desk.reports == before)
        #expect(desk.used(at: 30_000) == 0)
    }

    @Test("rows that nobody asks of are forgotten")
    func idle() {
        var desk = Desk([.tokensPerDay: 1e6])
        desk.warm(at: 0)
        desk.exchange(at: 600)
        #expect(desk.book.rowCount == 1)
        desk.exchange(at: 20_000)
        #expect(desk.book.rowCount == 0)
    }
}
