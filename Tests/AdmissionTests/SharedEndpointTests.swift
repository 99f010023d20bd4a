// SPDX-License-Identifier: Apache-2.0

import Admission
import Testing
import Units

@Suite("Shared endpoint")
struct SharedEndpointTests {
    private let start = Instant(nanoseconds: 5_000_000_000)
    private let lease = Duration.seconds(2)

    private func gateway(_ number: Int) -> GatewayID { GatewayID(raw: UInt64(number)) }

    private func account(_ sequences: [PeakWalk.Sequence]) -> EndpointAccount {
        var account = EndpointAccount()
        for sequence in sequences { account.cohorts.add(sequence) }
        return account
    }

    private func sequence(_ held: Int, _ rest: Int) -> PeakWalk.Sequence {
        PeakWalk.Sequence(held: Tokens(held), rest: Tokens(rest))
    }

    private func want(_ held: Int, _ rest: Int, limit: Int = 8_500) -> SharedEndpoint.Want {
        SharedEndpoint.Want(
            sequence(held, rest), limit: Tokens(limit), beside: Tokens(limit))
    }

    private func ask(
        _ account: EndpointAccount, _ want: SharedEndpoint.Want?, slack: Int = 0
    ) -> SharedEndpoint.Ask {
        SharedEndpoint.Ask(account, want: want, slack: Tokens(slack), easy: Tokens(7_000))
    }

    @Test("of two that want the last room one gets it")
    func lastRoom() {
        var store = SharedEndpoint()
        let held = account([sequence(7_000, 100)])
        let first = store.exchange(
            ask(held, want(1_000, 100)), of: gateway(1), lease: lease, now: start)
        #expect(first.isGranted && first.peers.isEmpty)
        let second = store.exchange(
            ask(EndpointAccount(), want(1_000, 100)), of: gateway(2), lease: lease, now: start)
        #expect(!second.isGranted)
        // What was granted is in the account of the first, without its saying so.
        #expect(second.peers.map(\.account.resident) == [Tokens(8_000)])
    }

    @Test("a lease that has run out counts no more")
    func lease_() {
        var store = SharedEndpoint()
        _ = store.exchange(
            ask(account([sequence(8_000, 0)]), nil), of: gateway(1), lease: lease, now: start)
        let during = store.exchange(
            ask(EndpointAccount(), want(1_000, 0)), of: gateway(2), lease: lease,
            now: start + .milliseconds(1_999))
        #expect(!during.isGranted)
        let after = store.exchange(
            ask(EndpointAccount(), want(1_000, 0)), of: gateway(2), lease: lease,
            now: start + .seconds(2))
        #expect(after.isGranted && after.peers.isEmpty)
    }

    @Test("slack is granted in the easy part only, half of it at most, and counts for others")
    func slack() {
        var store = SharedEndpoint()
        let one = store.exchange(
            ask(account([sequence(3_000, 0)]), nil, slack: 10_000), of: gateway(1), lease: lease,
            now: start)
        #expect(one.slack.count == (7_000 - 3_008) / 2 || one.slack.count == 2_000)
        let two = store.exchange(
            ask(EndpointAccount(), want(6_000, 0), slack: 500), of: gateway(2), lease: lease,
            now: start)
        #expect(!two.isGranted)
        let three = store.exchange(
            ask(EndpointAccount(), want(3_000, 0), slack: 500), of: gateway(2), lease: lease,
            now: start)
        #expect(three.isGranted)
        #expect(three.slack == .zero)
    }

    @Test("one that has to be alone is granted nothing beside others")
    func alone() {
        var store = SharedEndpoint()
        let whole = SharedEndpoint.Want(
            sequence(9_000, 100), limit: Tokens(9_800), beside: Tokens(200))
        _ = store.exchange(
            ask(account([sequence(500, 0)]), nil), of: gateway(1), lease: lease, now: start)
        let beside = store.exchange(
            ask(EndpointAccount(), whole), of: gateway(2), lease: lease, now: start)
        #expect(!beside.isGranted)
        _ = store.exchange(
            ask(EndpointAccount(), nil), of: gateway(1), lease: lease, now: start)
        let alone = store.exchange(
            ask(EndpointAccount(), whole), of: gateway(2), lease: lease, now: start)
        #expect(alone.isGranted)
    }

    @Test("no more than 64 gateways have a field, and more are told no")
    func bounded() {
        var store = SharedEndpoint()
        for number in 0..<SharedEndpoint.most {
            let reply = store.exchange(
                ask(account([sequence(1, 0)]), nil), of: gateway(number), lease: lease,
                now: start)
            #expect(reply.peers.count == number)
        }
        let reply = store.exchange(
            ask(EndpointAccount(), want(1, 0), slack: 100), of: gateway(1_000), lease: lease,
            now: start)
        #expect(!reply.isGranted && reply.slack == .zero)
        #expect(reply.peers.count == SharedEndpoint.most)
    }

    @Test(
        "what is reserved stays within the limit on every history, and comes back",
        arguments: 0..<100 as Range<UInt64>)
    func histories(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var store = SharedEndpoint()
        var own = [[PeakWalk.Sequence]](repeating: [], count: 4)
        var slack = [Int](repeating: 0, count: 4)
        var now = start
        for step in 0..<400 {
            now = now + .milliseconds(draw(100))
            let place = draw(4)
            if draw(3) == 0, !own[place].isEmpty { own[place].remove(at: draw(own[place].count)) }
            if draw(2) == 0 {
                // What the slack allows goes without asking: by all that it will ever hold.
                let new = sequence(draw(300), draw(200))
                if (new.held + new.rest).count <= slack[place] {
                    slack[place] -= (new.held + new.rest).count
                    own[place].append(new)
                }
            }
            let wish = draw(2) == 0 ? want(draw(2_000), draw(500)) : nil
            let reply = store.exchange(
                ask(account(own[place]), wish, slack: draw(1_000)), of: gateway(place),
                lease: .seconds(60), now: now)
            if reply.isGranted, let wish { own[place].append(wish.sequence) }
            slack[place] = reply.slack.count
            let reserved = store.reserved(now: now)
            // Those that end leave a cohort with another mean: a tenth at most, until the next
            // claim.
            let most = reply.isGranted ? 8_500 : 9_350
            guard reserved >= .zero, reserved <= Tokens(most) else {
                Issue.record("seed \(seed), step \(step): \(reserved)")
                return
            }
        }
        for place in own.indices {
            _ = store.exchange(
                ask(EndpointAccount(), nil), of: gateway(place), lease: lease, now: now)
        }
        #expect(store.reserved(now: now) == .zero)
    }
}

/// What gateways begin alike, and what nobody can exceed.
@Suite("Sums of accounts")
struct EndpointSumTests {
    private func account(
        _ held: Int, _ rest: Int, runs: [(key: UInt64, tokens: Int)] = [], isShared: Bool = false
    ) -> EndpointAccount {
        var account = EndpointAccount()
        let sequence = PeakWalk.Sequence(held: Tokens(held), rest: Tokens(rest))
        account.cohorts.add(sequence)
        let place = isShared ? CommonRun.everybodys : Cohorts.place(of: sequence.rest)
        account.runs = runs.map { CommonRun(key: $0.key, tokens: $0.tokens, place: place) }
        return account
    }

    private func sum(_ accounts: [EndpointAccount]) -> EndpointSum {
        var sum = EndpointSum()
        for account in accounts { sum.add(account) }
        return sum
    }

    @Test("what two begin with is there once, by the longer of both, and belongs to neither")
    func once() {
        let first = account(1_000, 0, runs: [(7, 6_000), (8, 100)])
        let second = account(500, 0, runs: [(7, 5_900), (9, 200)])
        #expect(first.resident == Tokens(7_100))
        let alone = sum([first])
        #expect(alone.held == Tokens(7_100) && alone.fixed == .zero)
        for accounts in [[first, second], [second, first]] {
            let both = sum(accounts)
            #expect(both.held == Tokens(1_500 + 6_000 + 300))
            #expect(both.fixed == Tokens(6_000) && both.alone == Tokens(300))
        }
    }

    @Test("what one has alone leaves with it, what two have stays")
    func leaves() {
        // Six that grow by 1,000 each, and one that ends at once with all that it begins with.
        var six = EndpointAccount()
        for _ in 0..<6 { six.cohorts.add(PeakWalk.Sequence(held: .zero, rest: Tokens(1_000))) }
        let short = account(0, 1, runs: [(7, 5_000)])
        #expect(sum([six, short]).projection < Tokens(6_100))
        let two = sum([six, short, account(0, 0, runs: [(7, 5_000)])])
        #expect(two.projection > Tokens(11_000))
    }

    @Test("what is counted elsewhere is left out, and comes back")
    func omitted() {
        var both = sum([
            account(100, 0, runs: [(7, 600)]), account(100, 0, runs: [(7, 500)], isShared: true),
            account(100, 9, runs: [(8, 40)]),
        ])
        #expect(both.held == Tokens(940))
        for key: UInt64 in [7, 7, 8, 99] { both.omit(key, true) }
        #expect(both.held == Tokens(300) && both.fixed == .zero && both.alone == .zero)
        #expect(!both.counts(7) && !both.counts(99) && both.run(8)?.tokens == 40)
        both.add(account(0, 0, runs: [(7, 900)]))
        #expect(both.held == Tokens(300))
        both.omit(7, false)
        #expect(both.held == Tokens(1_200) && both.counts(7))
    }

    @Test("a request that begins as another gateway's does needs room for its rest alone")
    func claim() {
        let (start, lease) = (Instant(nanoseconds: 5_000_000_000), Duration.seconds(2))
        for isAlike in [true, false] {
            var store = SharedEndpoint()
            let there = account(500, 10, runs: [(7, 6_000)])
            _ = store.exchange(
                SharedEndpoint.Ask(there, slack: .zero, easy: .zero), of: GatewayID(raw: 1),
                lease: lease, now: start)
            var want = SharedEndpoint.Want(
                PeakWalk.Sequence(held: Tokens(500), rest: Tokens(10)), limit: Tokens(8_000),
                beside: Tokens(8_000))
            want.runs = [
                CommonRun(
                    key: isAlike ? 7 : 8, tokens: 6_000, place: CommonRun.everybodys)
            ]
            let reply = store.exchange(
                SharedEndpoint.Ask(EndpointAccount(), want: want, slack: .zero, easy: .zero),
                of: GatewayID(raw: 2), lease: lease, now: start)
            #expect(reply.isGranted == isAlike)
            let reserved = store.reserved(now: start)
            #expect(reserved <= Tokens(7_100))
            // Who has it alone when the first one's lease is over keeps all of it.
            let later = store.reserved(now: start + .seconds(1))
            #expect(later == reserved)
        }
    }

    /// Whether a claim is granted that goes beyond its first limit and is within its second one.
    private func isGranted(
        _ there: EndpointAccount, most: Int, slack: Int = 0, own: EndpointAccount
    ) -> Bool {
        let (start, lease) = (Instant(nanoseconds: 5_000_000_000), Duration.seconds(2))
        var store = SharedEndpoint()
        _ = store.exchange(
            SharedEndpoint.Ask(there, slack: Tokens(slack), easy: Tokens(100_000)),
            of: GatewayID(raw: 1), lease: lease, now: start)
        var want = SharedEndpoint.Want(
            PeakWalk.Sequence(held: Tokens(1_000), rest: Tokens(100)), limit: Tokens(8_500),
            beside: Tokens(8_500))
        want.longest = PeakWalk.Sequence(held: Tokens(1_000), rest: Tokens(200))
        want.most = Tokens(most)
        let reply = store.exchange(
            SharedEndpoint.Ask(own, want: want, slack: .zero, easy: .zero),
            of: GatewayID(raw: 2), lease: lease, now: start)
        return reply.isGranted
    }

    @Test("beyond its limit a claim is granted where all bounds fit, and all tell them")
    func bounds() {
        var there = account(8_000, 100)
        var own = EndpointAccount()
        own.bounds = Cohorts()
        #expect(!isGranted(there, most: 9_500, own: own), "it tells no bounds")
        there.bounds = Cohorts()
        there.bounds?.add(PeakWalk.Sequence(held: Tokens(8_000), rest: Tokens(100)))
        #expect(isGranted(there, most: 9_500, own: own))
        #expect(!isGranted(there, most: 0, own: own), "nobody asks for it")
        #expect(!isGranted(there, most: 9_200, own: own), "they do not fit")
        #expect(!isGranted(there, most: 9_500, slack: 1, own: own), "somebody may come unasked")
        #expect(!isGranted(there, most: 9_500, own: EndpointAccount()), "it tells none itself")
        there.runs = [CommonRun(key: 7, tokens: 300, place: 3)]
        #expect(!isGranted(there, most: 9_500, own: own), "what it begins with counts too")
    }
}

@Suite("Cohorts")
struct CohortsTests {
    @Test(
        "the sum of several gateways' cohorts is what one would have that had them all",
        arguments: 0..<50 as Range<UInt64>)
    func sums(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        func draw(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
        var parts = [Cohorts](repeating: Cohorts(), count: 3)
        var whole = Cohorts()
        var walk = PeakWalk()
        for _ in 0..<(9 + draw(60)) {
            let sequence = PeakWalk.Sequence(
                held: Tokens(draw(4_000)), rest: Tokens(draw(1_000)), width: 1 + draw(3))
            parts[draw(3)].add(sequence)
            whole.add(sequence)
            walk.append(sequence)
        }
        var sum = parts[0]
        sum.add(parts[1])
        var others = parts[1]
        others.add(parts[2])
        #expect(parts[0].projection(beside: others) == whole.projection())
        sum.add(parts[2])
        #expect(sum == whole)
        #expect(walk.cohorts == whole)
        let newcomer = PeakWalk.Sequence(held: Tokens(draw(900)), rest: Tokens(draw(900)))
        var more = whole
        more.add(newcomer)
        #expect(
            parts[0].projection(adding: newcomer, beside: others) == more.projection())
        // A request that is let in without asking adds no more than all it will ever hold, and
        // half a block.
        let most = whole.projection() + newcomer.held + newcomer.rest + Tokens(8)
        #expect(more.projection() <= most + Tokens(whole.projection().count / 8))
        #expect(!whole.isEmpty)
    }

    @Test("what cannot be is nobody")
    func nonsense() {
        var cohorts = Cohorts()
        cohorts.add(Cohorts.Cohort(held: 1, rest: 1, width: 0), at: 3)
        cohorts.add(Cohorts.Cohort(held: -1, rest: 1, width: 1), at: 3)
        cohorts.add(Cohorts.Cohort(held: 1, rest: -1, width: 1), at: 3)
        cohorts.add(Cohorts.Cohort(held: 1, rest: 1, width: 1), at: 64)
        cohorts.add(Cohorts.Cohort(held: 1, rest: 1, width: 1), at: -1)
        cohorts.add(Cohorts.Cohort(held: 1 << 41, rest: 1, width: 1), at: 3)
        #expect(cohorts == Cohorts())
        #expect(cohorts.projection() == .zero)
    }
}
