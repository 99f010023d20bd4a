// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// Requests of one account ask so much that it is granted in advance; or they may one day.
final class GrantRow {
    let limits: LimitSet
    /// Whoever asked, given back with what is to be sent.
    let owner: any GrantOwner
    /// For how long a grant admits; zero where these limits are never granted.
    let life: Duration
    var current: Grant?
    /// Granted ahead, for when the current one is used up or over.
    var next: Grant?
    var isAsking = false
    /// Not before.
    var askAgainAt = Instant(nanoseconds: 0)
    var lastUse: Instant

    /// What was asked for since then, and in the span before.
    private var since: Instant
    private var asked = Amounts.none
    private var before = Amounts.none

    init(_ limits: LimitSet, owner: any GrantOwner, window: Duration, now: Instant) {
        self.limits = limits
        self.owner = owner
        life = limits.grantLife(window)
        lastUse = now
        since = now
    }

    func note(_ demand: Amounts, now: Instant) {
        lastUse = now
        let elapsed = now - since
        if elapsed >= life {
            before = elapsed.nanoseconds < 2 * life.nanoseconds ? asked : .none
            asked = .none
            since = now
        }
        asked += demand
    }

    /// What the span of a grant's life takes by the look of it; nil where it is too little.
    var expected: Amounts? {
        let most = asked.union(before)
        return most.requests >= GrantBook.hotRequests ? most.share(1_250_000) : nil
    }

    /// Nobody has asked for long, and no grant is known by it.
    func isIdle(_ now: Instant) -> Bool {
        current == nil && next == nil && !isAsking && now - lastUse >= GrantBook.idle
    }
}

/// One grant, from the question to the answer to its last report.
final class Grant {
    enum Phase {
        /// Exits: live, closed, gone.
        case asked
        /// Requests are admitted. Exit: closed.
        case live
        /// None is admitted any more; open ones still hold. Exit: gone, with its last report.
        case closed
    }

    let id: ReservationID
    let row: GrantRow
    var wanted = Amounts.none
    var phase = Phase.asked
    var size = Amounts.none
    var held = Amounts.none
    var spent = Amounts.none
    var openCount = 0
    var sentAt = Instant(nanoseconds: 0)
    var endsAt = Instant(nanoseconds: 0)
    /// As limits stood with all of it charged, when it was granted.
    var levels: LimitsSnapshot?
    /// Of the one before it, what was charged then and has been given back.
    var returned = Amounts.none

    // Of its reports.
    var number = 0
    var isQueued = false
    var dueAt = Instant.distantFuture
    var lastReportAt = Instant(nanoseconds: 0)
    /// The store does not know it, so that nothing is to be told.
    var isForgotten = false

    init(_ id: ReservationID, of row: GrantRow) {
        self.id = id
        self.row = row
    }

    /// Of a live one, what nobody has.
    var free: Amounts { size - spent - held }

    func isLive(_ now: Instant) -> Bool { phase == .live && now < endsAt }

    /// Half of something is gone, or half of its time.
    func isLow(_ now: Instant) -> Bool {
        let free = free
        return endsAt - now < Duration(nanoseconds: row.life.nanoseconds / 2)
            || free.requests * 2 < size.requests || free.input * 2 < size.input
            || free.output * 2 < size.output || free.costMicros * 2 < size.costMicros
    }

    func take(_ demand: Amounts) {
        held += demand
        openCount += 1
    }

    func end(_ demand: Amounts, used: Amounts) {
        held -= demand
        spent += used
        openCount -= 1
    }
}

extension LimitSet {
    /// A sliding window drains while a grant is unused: over any time at most a twentieth of the
    /// limit more is admitted than without grants.
    static let lifeParts = 20.0

    /// For how long a grant of these may admit; zero where they are never granted. Concurrent
    /// requests are no matter of tokens: a place that is kept for nobody is a request refused.
    func grantLife(_ window: Duration) -> Duration {
        var life = window
        for limit in limits {
            switch limit.form {
            case .concurrent: return .zero
            case .sliding(let microseconds):
                let most = Int(microseconds / Self.lifeParts)
                life = min(life, Duration.microseconds(most))
            case .calendar: break
            }
        }
        return limits.isEmpty ? .zero : life
    }
}

extension LimitsSnapshot {
    /// How limits stand now that so much of a grant is not used, and that much later.
    func after(_ elapsed: Duration, unused: Amounts) -> LimitsSnapshot {
        let microseconds = Double(elapsed.nanoseconds / 1_000)
        var levels = self.levels
        for (place, limit) in limits.limits.enumerated() {
            let level = levels[place]
            var used = level.used - unused.counted(limit.quantity)
            var reset = level.reset - microseconds
            if case .sliding = limit.form {
                used = max(0, used - microseconds * limit.rate)
                reset = min((used / limit.rate).rounded(.up), LimitState.longestWait)
            }
            levels[place] = Level(used: max(0, used), reset: max(0, reset))
        }
        return LimitsSnapshot(
            limits: limits, levels: levels, time: time + Int64(microseconds))
    }

    /// Until the first of the calendar's windows ends; nil where there is none.
    var firstWindowEnd: Duration? {
        var first: Double?
        for (place, limit) in limits.limits.enumerated() {
            guard case .calendar = limit.form else { continue }
            first = min(first ?? .infinity, levels[place].reset)
        }
        return first.map { .microseconds(Int(min($0, LimitState.longestWait))) }
    }
}
