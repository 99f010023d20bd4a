// SPDX-License-Identifier: Apache-2.0

import Admission
import BasicContainers
import Estimation
import Policy
import Routing
import Scheduling
import Units

/// When other gateways are told, who they are, whose turn it is among all, and what happens
/// without the store.
extension Decider {
    /// While requests of ours wait, the room at an endpoint is asked for so often.
    private static let waitingRefresh = Duration.milliseconds(50)
    /// Endpoints a beat at most: 1,280 a second.
    private static let exchangesPerBeat = 32
    /// A head this much younger than another gateway's lets that go first.
    private static let youth = Duration.milliseconds(100)
    /// But no longer than so when nobody takes the room; or so, where that is being kept.
    private static let mostYield = Duration.milliseconds(100)
    private static let mostHold = Duration.seconds(5)
    /// What is older all have heard.
    private static let lessonsAge = Duration.seconds(1)
    /// Cost that a report may add to a tenant.
    private static let mostServed = 1 << 30
    /// Two who began to wait at about the same moment are one.
    private static let sameHead = Duration.milliseconds(20)
    /// Counters come closer by so much with each report.
    private static let alignParts = 16

    // MARK: beats

    mutating func shareDue(now: Instant, into actions: inout [Action]) {
        guard sharing != nil else { return }
        giveUp(now: now, into: &actions)
        checkStore(now)
        guard var left = sharing?.lines.count, left > 0 else { return }
        countReport(now)
        var sent = 0
        while left > 0, sent < Self.exchangesPerBeat, let next = sharing?.nextLine {
            left -= 1
            let place = next % endpoints.count
            sharing?.nextLine = place + 1
            guard isDue(place, now: now) else { continue }
            exchange(EndpointID(place), hasReport: sent == 0, now: now, into: &actions)
            sent += 1
        }
    }

    /// The tables have grown.
    mutating func growSharing() {
        while let count = sharing?.lines.count, count < endpoints.count {
            sharing?.lines.append(SharingLine())
        }
        while let count = sharing?.claims.count, count < pools.count {
            sharing?.claims.append(nil)
            sharing?.yieldsSince.append(nil)
        }
        while let count = sharing?.needs.count, count < queues.count {
            sharing?.needs.append(.zero)
        }
        guard let sharing, sharing.isShared || sharing.parts > 1 else { return }
        for place in endpoints.indices where endpoints[place].shared == nil {
            endpoints[place].shared = SharedView()
            endpoints[place].shared?.parts = sharing.parts
        }
        gaugeAll(now: present)
    }

    private mutating func giveUp(now: Instant, into actions: inout [Action]) {
        guard let deadline = sharing?.policy.deadline, let lines = sharing?.lines else { return }
        for line in lines {
            guard let pending = line.pending, now - pending.sentAt >= deadline else { continue }
            exchangeFailed(pending.number, now: now, into: &actions)
        }
    }

    private mutating func countReport(_ now: Instant) {
        guard let sharing, sharing.reportedAt.map({ now - $0 >= sharing.policy.refresh }) ?? true
        else { return }
        self.sharing?.reportedAt = now
        self.sharing?.lessons.removeAll { now - $0.at > Self.lessonsAge }
        self.sharing?.placements.removeAll { now - $0.at > Self.lessonsAge }
        for place in queues.indices { queues[place].countReport() }
    }

    private func isDue(_ place: Int, now: Instant) -> Bool {
        guard let sharing, sharing.lines[place].pending == nil else { return false }
        if endpoints[place].isRemoved, endpoints[place].ledger.sequences == 0 { return false }
        guard let told = sharing.lines[place].toldAt else { return true }
        let age = now - told
        if age >= sharing.policy.refresh { return true }
        guard sharing.isShared else { return false }
        let pool = endpoints[place].pool
        if sharing.lines[place].hasFreed, hasBacklogElsewhere(pool) { return true }
        return waiting > 0 && age >= Self.waitingRefresh && hasBacklog(pool)
    }

    private func hasBacklog(_ pool: PoolID) -> Bool {
        queues.indices.contains { policy.classes[$0].pool == pool && !queues[$0].isEmpty }
    }

    func hasBacklogElsewhere(_ pool: PoolID) -> Bool {
        queues.indices.contains {
            policy.classes[$0].pool == pool && needsElsewhere($0) > .zero
        }
    }

    // MARK: reports

    func report(now: Instant) -> GatewayReport {
        var report = GatewayReport()
        for place in order {
            let left = GatewayReport.most - report.tenants.count
            guard left > 0 else { break }
            let turns = turnOrder(place, now: now)
            let first = report.tenants.count
            report.tenants += queues[place].report(of: ClassID(place), by: turns, most: left)
            guard let head = queues[place].first(by: turns)?.entry,
                let entry = entries[head.ticket], holds(entry, now: now)
            else { continue }
            for place in first..<report.tenants.count
            where report.tenants[place].tenant == head.tenant {
                report.tenants[place].holds = true
            }
        }
        for place in order where !queues[place].isEmpty {
            guard report.backlogs.count < GatewayReport.most else { break }
            report.backlogs.append(
                GatewayReport.Backlog(ClassID(place), needs: queues[place].needs))
        }
        report.lessons = sharing?.lessons.map(\.lesson) ?? []
        report.placements = sharing?.placements.map(\.placement) ?? []
        return report
    }

    /// The others learn from an answer too: an estimate counts fully after some dozens of them.
    mutating func teach(_ entry: Entry, _ produced: Tokens, now: Instant) {
        guard let number = sharing?.lessonNumber else { return }
        sharing?.lessonNumber = number + 1
        if sharing?.lessons.count == GatewayReport.mostLessons { sharing?.lessons.removeFirst() }
        let lesson = GatewayReport.Lesson(
            number: number + 1, model: entry.model, tenant: entry.tenant, bound: entry.bound,
            produced: produced)
        sharing?.lessons.append((lesson, now))
    }

    /// The others are told where a prompt has gone that was warm nowhere.
    mutating func tellPlace(_ blocks: [UInt64], on endpoint: EndpointID, now: Instant) {
        guard let number = sharing?.placementNumber else { return }
        sharing?.placementNumber = number + 1
        if sharing?.placements.count == GatewayReport.mostPlacements {
            sharing?.placements.removeFirst()
        }
        let placement = GatewayReport.Placement(
            number: number + 1, endpoint: endpoint,
            blocks: Array(blocks.prefix(GatewayReport.mostBlocks)))
        sharing?.placements.append((placement, now))
    }

    private mutating func note(
        _ placements: [GatewayReport.Placement], of peer: inout SharingPeer
    ) {
        for placement in placements where placement.number > peer.placed {
            peer.placed = placement.number
            guard placement.endpoint.index < endpoints.count, policy.routing.prefixBlocks > 0
            else { continue }
            prefixes.note(placement.blocks, on: placement.endpoint)
        }
    }

    private mutating func learn(_ lessons: [GatewayReport.Lesson], of peer: inout SharingPeer) {
        for lesson in lessons where lesson.number > peer.learnt {
            peer.learnt = lesson.number
            guard lesson.model.index < policy.models.count,
                lesson.tenant.index < policy.tenants.count
            else { continue }
            outputs.learn(
                model: lesson.model, tenant: lesson.tenant, bound: lesson.bound,
                produced: lesson.produced)
        }
    }

    mutating func take(_ reports: [PeerReport], now: Instant) {
        guard let old = sharing?.peers else { return }
        var peers: [SharingPeer] = []
        for new in reports {
            let known = old.first { $0.gateway == new.gateway }
            var peer = known ?? SharingPeer(gateway: new.gateway, toldAt: now)
            merge(new.report.tenants, of: &peer, isNew: known == nil)
            learn(new.report.lessons, of: &peer)
            note(new.report.placements, of: &peer)
            align(new, isNew: known == nil)
            peer.tenants = new.report.tenants
            peer.backlogs = new.report.backlogs
            peer.toldAt = now
            peers.append(peer)
        }
        let wasShared = sharing?.isShared == true
        sharing?.peers = peers
        sharing?.reportsAt = now
        noteBacklogs()
        guard let isShared = sharing?.isShared, isShared != wasShared else { return }
        if isShared { beginSharing() } else if sharing?.parts == 0 { endSharing() }
    }

    /// All gateways go by the counters of the one whose identifier is the least.
    private mutating func align(_ peer: PeerReport, isNew: Bool) {
        guard let sharing, peer.gateway < sharing.policy.gateway,
            sharing.peers.allSatisfy({ peer.gateway <= $0.gateway })
        else { return }
        for place in queues.indices {
            let told = peer.report.tenants.filter {
                $0.trafficClass.index == place && $0.waited != nil
                    && $0.tenant.index < policy.tenants.count
            }
            queues[place].align(
                told.map { ($0.tenant, $0.counter) }, by: isNew ? 1 : Self.alignParts)
        }
    }

    private mutating func merge(
        _ tenants: [GatewayReport.Tenant], of peer: inout SharingPeer, isNew: Bool
    ) {
        var floors = [Int?](repeating: nil, count: queues.count)
        for told in tenants
        where told.trafficClass.index < queues.count && told.tenant.index < policy.tenants.count {
            let place = told.trafficClass.index
            queues[place].raise(told.tenant, given: told.given, isNew: isNew)
            guard merge(told, of: &peer, isNew: isNew) else { continue }
            let floor = queues[place].fair.counter(of: told.tenant) - told.lead
            floors[place] = min(floors[place] ?? floor, floor)
        }
        for place in queues.indices {
            if let floor = floors[place] { queues[place].raiseFloor(to: floor) }
        }
    }

    /// Takes over what another gateway has served since it told before. Of what it had served
    /// when it was first heard of, nothing. True where it was something.
    private mutating func merge(
        _ told: GatewayReport.Tenant, of peer: inout SharingPeer, isNew: Bool
    ) -> Bool {
        let before = isNew ? told.served : peer.seen[told.key] ?? told.servedBefore
        peer.seen[told.key] = told.served
        // More than a gateway can serve in a lease is nonsense.
        let more = max(-Self.mostServed, min(told.served - before, Self.mostServed))
        guard more != 0 else { return false }
        queues[told.trafficClass.index].merge(told.tenant, cost: more)
        return true
    }

    private mutating func noteBacklogs() {
        guard let peers = sharing?.peers else { return }
        for place in queues.indices {
            var (needs, tenants) = (Tokens.zero, Set<TenantID>())
            for peer in peers {
                for backlog in peer.backlogs where backlog.trafficClass.index == place {
                    needs += backlog.needs
                }
                for tenant in peer.tenants
                where tenant.trafficClass.index == place && tenant.waited != nil
                    && tenant.tenant.index < policy.tenants.count
                {
                    tenants.insert(tenant.tenant)
                }
            }
            if place < (sharing?.needs.count ?? 0) { sharing?.needs[place] = needs }
            queues[place].waits(elsewhere: tenants.sorted())
        }
    }

    /// What waits in a class at other gateways.
    func needsElsewhere(_ place: Int) -> Tokens {
        guard let sharing, place < sharing.needs.count else { return .zero }
        return sharing.needs[place]
    }

    /// What waits in a class at all gateways.
    func needsOfAll(_ place: Int) -> Tokens { queues[place].needs + needsElsewhere(place) }

    // MARK: whose turn it is among all

    /// Somebody at another gateway should have the room first: one of an earlier class, of a tenant
    /// that was served less, or of the same tenant who has waited longer. For whom it has waited in
    /// vain, it does not wait again.
    mutating func yields(_ entry: Entry, now: Instant) -> Bool {
        guard let sharing else { return false }
        let pool = entry.pool.index
        var longest: Duration?
        for peer in sharing.peers {
            for told in peer.tenants where isBefore(told, of: peer, entry, now: now) {
                longest = max(longest ?? .zero, told.holds ? Self.mostHold : Self.mostYield)
            }
        }
        guard let longest else { return false }
        guard let since = sharing.yieldsSince[pool] else {
            self.sharing?.yieldsSince[pool] = now
            return true
        }
        if now - since < longest { return true }
        for place in sharing.peers.indices {
            let peer = sharing.peers[place]
            for told in peer.tenants where isBefore(told, of: peer, entry, now: now) {
                self.sharing?.peers[place].ignored[told.key] = told.since(peer.toldAt)
            }
        }
        return false
    }

    private func isBefore(
        _ told: GatewayReport.Tenant, of peer: SharingPeer, _ entry: Entry, now: Instant
    ) -> Bool {
        guard let since = told.since(peer.toldAt), told.trafficClass.index < queues.count,
            told.tenant.index < policy.tenants.count
        else { return false }
        let place = told.trafficClass.index
        let own = entry.trafficClass.index
        guard policy.classes[place].pool == entry.pool else { return false }
        if let ignored = peer.ignored[told.key], since - ignored < Self.sameHead { return false }
        guard place == own else { return policy.classes[place].rank < policy.classes[own].rank }
        if told.tenant == entry.tenant {
            return (entry.waitsFrom ?? now) - since > Self.youth
        }
        let fair = queues[own].fair
        let margin = fair.growth(of: entry.tenant, by: entry.tokens) / 2
        return fair.counter(of: told.tenant) + margin < fair.counter(of: entry.tenant)
    }

    // MARK: the store comes and goes

    /// The store has answered.
    mutating func heard(_ now: Instant) {
        guard let shared = sharing else { return }
        sharing?.heardAt = now
        switch shared.store {
        case .there: break
        case .lost(let parts): sharing?.store = .back(parts: parts, since: now)
        case .back(_, let since):
            guard now - since >= shared.policy.lease else { return }
            sharing?.store = .there
            if sharing?.isShared == true { beginSharing() } else { endSharing() }
        }
    }

    /// Half a lease without an answer: what others were told of us will soon be forgotten, and
    /// what we know of them is old.
    mutating func checkStore(_ now: Instant) {
        guard let shared = sharing, let heard = shared.heardAt else { return }
        let silence = Duration(nanoseconds: shared.policy.lease.nanoseconds / 2)
        guard now - heard >= silence else { return }
        switch shared.store {
        case .there: sharing?.store = .lost(parts: shared.peers.count + 1)
        case .back(let parts, _): sharing?.store = .lost(parts: parts)
        case .lost: return
        }
        if (sharing?.parts ?? 0) > 1 { beginSharing() } else { endSharing() }
    }

    private mutating func beginSharing() {
        let parts = sharing?.parts ?? 0
        for place in endpoints.indices {
            endpoints[place].shared = SharedView()
            endpoints[place].shared?.parts = parts
            if place < (sharing?.lines.count ?? 0) { sharing?.lines[place].toldAt = nil }
        }
        gaugeAll(now: present)
    }

    private mutating func endSharing() {
        for place in endpoints.indices { endpoints[place].shared = nil }
        gaugeAll(now: present)
    }
}

extension GatewayReport.Tenant {
    /// One for each tenant of a class.
    fileprivate var key: UInt64 { UInt64(trafficClass.raw) << 32 | UInt64(tenant.raw) }

    /// Since when its head waits, when it was told at this moment.
    fileprivate func since(_ told: Instant) -> Instant? { waited.map { told - $0 } }
}
