// SPDX-License-Identifier: Apache-2.0

import Admission
import Routing
import Scheduling
import Units

/// A request for which there is room as far as is known, and for which the store is asked.
struct SharedClaim: Sendable {
    var ticket: Ticket
    var endpoint: EndpointID
    /// Those before it in the queue that it passes.
    var passed: [Ticket]
    /// That of the exchange.
    var number = 0
    /// Nobody has been told that it waits.
    var isQuiet = false
}

/// The conversation with the store about one endpoint.
struct SharingLine: Sendable {
    /// The exchange that is under way; one at a time.
    var pending: (number: Int, sentAt: Instant)?
    /// When the store was told last.
    var toldAt: Instant?
    /// Something of ours has left since.
    var hasFreed = false
    /// The store has refused although there seemed to be room: no claim before that.
    var refusedUntil = Instant(nanoseconds: 0)
    /// What requests there need, the last one, and what all since the store was told needed.
    var lastNeed = Tokens.zero
    var needs = Tokens.zero
    var askedSlack = Tokens.zero
    /// What the own sequences there begin with, as it is told, and whether that has changed since.
    var runs: [HeldPrefixes.Run] = []
    var hasNewRuns = true
}

/// One other gateway.
struct SharingPeer: Sendable {
    var gateway: GatewayID
    /// Its tenants as they were told last, with the moment since which the head waits here.
    var tenants: [GatewayReport.Tenant] = []
    var backlogs: [GatewayReport.Backlog] = []
    /// Its tenants' service that was taken over, by class and tenant.
    var seen: [UInt64: Int] = [:]
    /// Heads for which others have waited in vain, by class and tenant: since when they wait.
    var ignored: [UInt64: Instant] = [:]
    /// The number of the last lesson that was learnt from it.
    var learnt = 0
    /// The same of placements.
    var placed = 0
    /// When it told.
    var toldAt: Instant
}

/// All that a gateway knows of the others.
struct Sharing: Sendable {
    enum Store: Sendable, Equatable {
        /// It answers.
        case there
        /// It does not: each gateway has one part in so many.
        case lost(parts: Int)
        /// It answers again, but not all others may have told it yet.
        case back(parts: Int, since: Instant)
    }

    let policy: SharingPolicy
    var store = Store.there
    var peers: [SharingPeer] = []
    /// By endpoint.
    var lines: [SharingLine] = []
    /// By pool.
    var claims: [SharedClaim?] = []
    /// By pool: since when its head has let others go first.
    var yieldsSince: [Instant?] = []
    /// By class: what waits at the others.
    var needs: [Tokens] = []
    var number = 0
    /// The own lessons of late.
    var lessons: [(lesson: GatewayReport.Lesson, at: Instant)] = []
    var lessonNumber = 0
    /// The own placements of late.
    var placements: [(placement: GatewayReport.Placement, at: Instant)] = []
    var placementNumber = 0
    /// Where prompts that begin alike were seen to go on differently.
    var cuts = PrefixCuts()
    /// When the store answered last, or the first exchange was sent.
    var heardAt: Instant?
    /// When the others' reports came last.
    var reportsAt = Instant(nanoseconds: 0)
    /// When a report was counted last, and where the next look at the endpoints begins.
    var reportedAt: Instant?
    var nextLine = 0

    init(_ policy: SharingPolicy) { self.policy = policy }

    var status: SharingStatus {
        switch store {
        case .there: SharingStatus(peers: peers.count, store: .there)
        case .lost: SharingStatus(peers: peers.count, store: .lost)
        case .back: SharingStatus(peers: peers.count, store: .back)
        }
    }

    /// There are others, and the store tells of them.
    var isShared: Bool { store == .there && !peers.isEmpty }

    /// Each gateway has one part in so many; 0: not now.
    var parts: Int {
        switch store {
        case .there: 0
        case .lost(let parts), .back(let parts, _): parts
        }
    }
}
