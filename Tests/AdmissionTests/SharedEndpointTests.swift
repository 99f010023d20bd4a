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
