// SPDX-License-Identifier: Apache-2.0

import Budget
import EventLoop
import Policy
import Units

/// The way from one owner to Redis, however many servers that is: one link to a single server or to
/// the master that sentinels name, or one to each primary of a cluster.
///
/// It is used like a link. In a cluster a task goes to the server that has its key's slot, and
/// again where that says it has moved; all keys of a task have one hash tag. While the slot is on
/// its way, the server that it leaves names the other one (ASK), for this task alone, as soon as it
/// has nothing of the task's keys; as long as it has some of them, nobody can run it (TRYAGAIN),
/// and the task rests and is tried again. Nothing of this takes longer than the task's time.
///
/// It is up while every server with slots that ever was is: who is told that a part is away decides
/// without it for all.
final class RedisWay {
    /// Tasks that wait for a server that was only just heard of.
    private static let mostParked = 512

    /// Between two attempts to run what is between two servers.
    private static let rest = Duration.milliseconds(5)

    private struct Parked {
        var task: ScriptRun
        let deadline: Instant
        let place: Int
        let route: RedisCommand.Route
        /// Not before.
        let at: Instant
    }

    private let shared: RedisShared
    private let poller: Poller
    private let tokenKind: UInt8
    private let seed: UInt64
    private let role: RedisLink.Role
    private let tls: RedisTLSContext?
    private let watch: RedisWatch?
    /// Nil where a server was and is not any more.
    private var links: [RedisLink?] = []
    /// By slot the place of its link, or -1.
    private var owners: [Int16] = []
    /// By place, whether the servers say that it has slots.
    private var isServing: [Bool] = []
    /// Tells of the watch after which links to servers that it does not know end; a redirection
    /// may be ahead of it.
    private var pruneAt: Int?
    private var parked: [Parked] = []
    private var generation = 0
    private var wasUp = false
    private var attemptsBefore = 0
    /// When it is told that nobody says which servers there are; nil once it was.
    private var absentAt: Instant?
    private var hasBegun = false
    private var time: WallTime?
    private var events: [LinkEvent] = []
    private var taken: [LinkEvent] = []

    init(
        shared: RedisShared, poller: Poller, tokenKind: UInt8, seed: UInt64,
        role: RedisLink.Role = .budgets
    ) {
        self.shared = shared
        self.poller = poller
        self.tokenKind = tokenKind
        self.seed = seed
        self.role = role
        // A fault of the files is told of by each attempt to connect.
        tls = shared.policy.tls.flatMap { try? RedisTLSContext($0) }
        switch shared.policy.mode {
        case .single:
            watch = nil
            links.append(link(at: 0, to: nil))
        case .sentinel:
            watch = RedisWatch(
                shared: shared, tls: tls, poller: poller, tokenKind: tokenKind, seed: seed)
            links.append(link(at: 0, to: nil))
        case .cluster:
            watch = RedisWatch(
                shared: shared, tls: tls, poller: poller, tokenKind: tokenKind, seed: seed)
            owners = [Int16](repeating: -1, count: RedisSlot.count)
        }
    }

    private var isCluster: Bool { shared.policy.mode == .cluster }

    private func link(at place: Int, to target: RedisTarget?) -> RedisLink {
        let link = RedisLink(
            shared: shared, tls: tls, poller: poller, tokenKind: tokenKind,
            seed: seed &+ UInt64(place) &* 0x9E37_79B9, role: role, place: place, target: target)
        if let time { link.replaceClock(by: time) }
        return link
    }

    /// For tests: the script takes this time for Redis's own.
    func replaceClock(by time: WallTime) {
        self.time = time
        for link in links { link?.replaceClock(by: time) }
    }

    /// Every server that there is has been there, and none has gone.
    var isUp: Bool {
        guard isCluster else { return links[0]?.isUp ?? false }
        return wasUp
    }

    var attempts: Int { links.reduce(attemptsBefore) { $0 + ($1?.attempts ?? 0) } }

    /// Tasks that were sent and have no reply. What is between two servers is not among them: it
    /// must not keep others waiting.
    var tasksInFlight: Int { links.reduce(0) { $0 + ($1?.tasksInFlight ?? 0) } }

    /// When `tick` wants to be called at the latest.
    var nextDeadline: Instant? {
        var next = watch?.nextDeadline ?? .distantFuture
        if let absentAt { next = min(next, absentAt) }
        for link in links where knowsServers {
            if let deadline = link?.nextDeadline { next = min(next, deadline) }
        }
        for task in parked {
            let half = Duration(nanoseconds: shared.policy.timeout.nanoseconds / 2)
            next = min(next, task.deadline - half)
            if links[task.place]?.isUp ?? false { next = min(next, task.at) }
        }
        return next == .distantFuture ? nil : next
    }

    /// Gives what happened in exchange for an empty array.
    func takeEvents(into taken: inout [LinkEvent]) { swap(&events, &taken) }

    /// Sends a task with the next flush. Only while up.
    func send(_ task: ScriptRun, now: Instant) {
        guard isCluster else {
            links[0]?.send(task, now: now)
            return
        }
        let owner = Int(owners[RedisSlot.of(key(of: task))])
        deliver(task, to: owner, RedisCommand.Route(), deadline: now + shared.policy.timeout)
    }

    /// A key of the task, or what has the same hash tag.
    private func key(of task: ScriptRun) -> String {
        let prefix = shared.policy.keyPrefix
        return switch task {
        case .exchange: "{\(prefix)sharing}"
        case .ledger(let run): run.keys[0]
        default: "{\(prefix):\(task.limits.root)}"
        }
    }

    private func deliver(
        _ task: ScriptRun, to place: Int, _ route: RedisCommand.Route, deadline: Instant
    ) {
        guard place >= 0, place < links.count, let link = links[place] else {
            return lose(task, .refused(.clusterDown))
        }
        if link.isUp {
            link.send(task, deadline: deadline, route)
        } else if parked.count < Self.mostParked {
            parked.append(
                Parked(
                    task: task, deadline: deadline, place: place, route: route,
                    at: Instant(nanoseconds: 0)))
        } else {
            lose(task, .unresolved)
        }
    }

    private func lose(_ task: ScriptRun, _ fault: StoreFault) {
        events.append(.undelivered(fault, task))
    }

    /// Lets a reservation's answer go nowhere; false when none is in flight.
    func abandon(_ reservation: ReservationID) -> Bool {
        for link in links where link?.abandon(reservation) ?? false { return true }
        for place in parked.indices {
            guard case .reserve(let request) = parked[place].task,
                request.reservation == reservation
            else { continue }
            parked[place].task = .abandoned(request)
            return true
        }
        return false
    }

    /// Takes an event of the poller; one of an earlier connection is dropped.
    func ready(_ token: Token, _ readiness: Readiness, now: Instant) {
        if let watch, watch.isOwn(token) {
            watch.ready(readiness, now: now)
        } else {
            let place = RedisLink.place(of: token)
            if place < links.count { links[place]?.ready(token, readiness, now: now) }
        }
        collect(now: now)
    }

    func tick(now: Instant) {
        watch?.tick(now: now)
        if knowsServers {
            for link in links { link?.tick(now: now) }
        } else {
            wait(now: now)
        }
        expire(now: now)
        collect(now: now)
    }

    /// At the start the owner has the same patience as with one server.
    private func wait(now: Instant) {
        if !hasBegun {
            hasBegun = true
            absentAt = now + .milliseconds(RedisLink.openMilliseconds)
        }
        guard let absent = absentAt, absent <= now else { return }
        absentAt = nil
        events.append(.lost(watch?.fault ?? .unknownMaster, []))
    }

    /// Somebody has said which servers there are.
    private var knowsServers: Bool {
        switch shared.policy.mode {
        case .single: true
        case .sentinel: links[0]?.target != nil
        case .cluster: !links.isEmpty
        }
    }

    /// Sends what has been written since the last time.
    func flush(now: Instant) {
        watch?.flush(now: now)
        for link in links { link?.flush(now: now) }
        collect(now: now)
    }
}

@available(*, unavailable)
extension RedisWay: Sendable {}

// Which servers there are.
extension RedisWay {
    private func adopt(now: Instant) {
        guard let watch else { return }
        let mustPrune = pruneAt.map { $0 <= watch.answers } ?? false
        guard watch.generation != generation || mustPrune else { return }
        generation = watch.generation
        if mustPrune { pruneAt = nil }
        absentAt = nil
        if let master = watch.master { links[0]?.aim(at: master, now: now) }
        if let nodes = watch.nodes { adopt(nodes, now: now) }
    }

    private func adopt(_ nodes: RedisNodes, now: Instant) {
        for (place, link) in links.enumerated() {
            guard let link, let target = link.target, !nodes.targets.contains(target),
                !nodes.idle.contains(where: { $0.address == target.address })
            else { continue }
            link.leave(now: now)
            take(from: link, now: now)
            attemptsBefore += link.attempts
            links[place] = nil
        }
        let places = nodes.targets.map { Int16(place(of: $0) ?? add($0)) }
        for slot in owners.indices {
            let owner = nodes.owners[slot]
            owners[slot] = owner < 0 ? -1 : places[Int(owner)]
        }
        isServing = [Bool](repeating: false, count: links.count)
        for place in places { isServing[Int(place)] = true }
        judge()
    }

    private func place(of target: RedisTarget) -> Int? {
        links.firstIndex { $0?.target?.address == target.address }
    }

    private func add(_ target: RedisTarget) -> Int {
        let place = links.firstIndex { $0 == nil } ?? links.count
        if place == links.count { links.append(nil) }
        links[place] = link(at: place, to: target)
        return place
    }

    /// Whether the way is there: at first when all are, later until one goes.
    private func judge() {
        guard isCluster else { return }
        var hasFallen = links.isEmpty
        var areAllUp = !links.isEmpty
        for (place, link) in links.enumerated() {
            guard let link, place < isServing.count, isServing[place] else { continue }
            if !link.isUp { areAllUp = false }
            if !link.isUp, link.wasUp { hasFallen = true }
        }
        let isNow = wasUp ? !hasFallen : areAllUp
        guard isNow != wasUp else { return }
        wasUp = isNow
        if isNow {
            watch?.calm()
            events.append(.up)
        }
    }

    private func collect(now: Instant) {
        for link in links {
            if let link { take(from: link, now: now) }
        }
        adopt(now: now)
        unpark(now: now)
    }

    private func take(from link: RedisLink, now: Instant) {
        link.takeEvents(into: &taken)
        let fresh = taken
        taken.removeAll(keepingCapacity: true)
        for event in fresh {
            switch event {
            case .up:
                if isCluster { judge() } else { events.append(.up) }
            case .answered, .refused, .sentAgain: events.append(event)
            case .lost:
                watch?.hurry(now: now)
                // Before the owner hears of it, so that it finds the way gone.
                judge()
                events.append(event)
            case .redirected(let task, let deadline, let redirect, let hops):
                watch?.hurry(now: now)
                if isTooLate(deadline, now: now) || hops >= RedisCommand.Route.mostHops {
                    lose(task, .refused(.moved))
                } else {
                    events.append(.sentAgain(task, deadline: deadline))
                    follow(redirect, task, deadline, hops: hops + 1)
                }
            case .between(let task, let deadline):
                if isTooLate(deadline, now: now) || task.isPatient {
                    lose(task, .refused(.tryAgain))
                } else {
                    events.append(.sentAgain(task, deadline: deadline))
                    park(task, until: now + Self.rest, deadline)
                }
            case .undelivered(let fault, let task): lose(task, fault)
            }
        }
    }

    /// What is left is too little for an answer: the next server would pass for one that is late.
    private func isTooLate(_ deadline: Instant, now: Instant) -> Bool {
        deadline - now < Duration(nanoseconds: shared.policy.timeout.nanoseconds / 2)
    }

    private func follow(
        _ redirect: RedisRedirect, _ task: ScriptRun, _ deadline: Instant, hops: Int
    ) {
        guard let place = place(of: redirect) ?? roomFor(redirect.target) else {
            return lose(task, .refused(.moved))
        }
        if !redirect.isAsking { owners[redirect.slot] = Int16(place) }
        let route = RedisCommand.Route(isAsking: redirect.isAsking, hops: hops)
        deliver(task, to: place, route, deadline: deadline)
    }

    private func place(of redirect: RedisRedirect) -> Int? {
        guard let target = redirect.target else {
            return links.firstIndex { $0?.target?.isNamed(redirect.server) ?? false }
        }
        return place(of: target)
    }

    private func park(_ task: ScriptRun, until time: Instant, _ deadline: Instant) {
        guard isCluster, parked.count < Self.mostParked else {
            return lose(task, .refused(.tryAgain))
        }
        let place = Int(owners[RedisSlot.of(key(of: task))])
        parked.append(
            Parked(
                task: task, deadline: deadline, place: max(0, place),
                route: RedisCommand.Route(), at: time))
    }

    /// A server that the others have not told of yet is believed for a short time: until they are
    /// asked, and one answer more, since that may be on its way already.
    private func roomFor(_ target: RedisTarget?) -> Int? {
        guard let target, let watch, links.count < RedisNodes.most else { return nil }
        pruneAt = watch.answers + 2
        return add(target)
    }

    private func unpark(now: Instant) {
        guard !parked.isEmpty else { return }
        let waiting = parked
        parked.removeAll(keepingCapacity: true)
        for task in waiting {
            if task.at > now {
                parked.append(task)
            } else {
                deliver(task.task, to: task.place, task.route, deadline: task.deadline)
            }
        }
    }

    private func expire(now: Instant) {
        let late = parked.filter { isTooLate($0.deadline, now: now) }
        guard !late.isEmpty else { return }
        parked.removeAll { isTooLate($0.deadline, now: now) }
        for task in late {
            lose(task.task, .deadline(milliseconds: shared.policy.timeout.millisecondsRoundedUp))
        }
    }
}

/// Where a server of a cluster says a task belongs.
struct RedisRedirect {
    let slot: Int
    /// As it was said: a cluster may tell names.
    let server: Substring
    /// Nil where that is no address.
    let target: RedisTarget?
    /// This once (ASK), and not from now on (MOVED).
    let isAsking: Bool

    /// Of `MOVED 3999 127.0.0.1:6381`; nil for any other error. `asked`: who said it, and may leave
    /// its own address out.
    init?(_ message: String, asked: RedisTarget) {
        let words = message.split(separator: " ")
        guard words.count == 3, words[0] == "MOVED" || words[0] == "ASK",
            let slot = Int(words[1]), (0..<RedisSlot.count).contains(slot)
        else { return nil }
        self.slot = slot
        server = words[2]
        target =
            server.hasPrefix(":")
            ? UInt16(server.dropFirst()).flatMap { asked.at(port: $0) } : RedisTarget(server)
        isAsking = words[0] == "ASK"
    }
}
