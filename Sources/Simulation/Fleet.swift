// SPDX-License-Identifier: Apache-2.0

import BasicContainers
import Budget
import Decision
import Policy
import Units

/// Gateways in front of engines, in virtual time: the decisions are those of the gateway, the
/// engines are models, the clients do as they are told.
///
/// The rim's part is done as the gateway does it: a stream's first and last token are reported at
/// once, tokens between them ten times a second, and queues are looked through every 5 ms while
/// somebody waits. Nothing takes time but engines and waiting: no network, no store. Timeouts of
/// the rim are left out. Equal input gives equal output: there is no chance but the setup's seed.
public struct Fleet: ~Copyable {
    /// What is planned to happen.
    enum Moment {
        /// A refused client returns.
        case visit(Int)
        /// An engine changes, if nothing came between: `version` tells.
        case engine(Int, version: UInt32)
        /// A gateway asks all engines how they are.
        case scrape(Int)
        /// A gateway looks through its queues.
        case tick(Int)
        /// Streams of an engine are reported.
        case report(Int)
        case loss(FleetLoss)
        case join(FleetJoin)
        /// Engines' counters are noted, some time after the first join.
        case mark
        /// A gateway looks through what it should tell the others.
        case sharing(Int)
        /// The store hears of a gateway, and a gateway of the store.
        case told(Int, ExchangeAsk)
        case answered(Int, ExchangeAnswer)
        case sample
    }

    /// One request under way, beside its outcome.
    struct Client {
        var gateway = 0
        var ticket: Ticket?
        var engine = -1
        var sequence: SequenceID?
        /// Its place among those at its engine.
        var seat = 0
        /// Tokens made as they were last reported, counted as service, and charged.
        var reported = 0
        var counted = 0
        var charged = 0
        var isAdmitted = false
        var wasQueued = false
        var reservation: ReservationID?
    }

    /// How long after the last arrival whoever still waits is given up.
    static let patience = Duration.seconds(24 * 3_600)
    static let reportInterval = Duration.milliseconds(100)
    static let tickInterval = Duration.milliseconds(5)
    /// The same for baselines: about a step of an engine.
    static let planTickInterval = Duration.milliseconds(25)

    let setup: FleetSetup
    let workload: Workload
    var random: SplitMix64
    var now = Instant(nanoseconds: 0)
    var heap = EventHeap<Moment>()
    var outcomes: [FleetOutcome] = []
    var clients: [Client] = []
    /// Requests without an end, those to come included.
    var unresolved: Int

    var engines: [EngineModel]
    var isLost: [Bool]
    /// Engines that are there, or were.
    var joined: Int
    var marked: [EngineCounters] = []
    var isGatewayLost: [Bool]
    /// What gateways tell each other, where they are several.
    var store: SharedStore?
    /// When each engine's change is planned, and the version of that plan.
    var planned: [Instant]
    var versions: [UInt32]
    /// The requests at each engine, in no order, and by the engine's slot.
    var open: [[Int]]
    var owners: [[Int]]
    var forwarded: [Int]
    var isReporting: [Bool]
    /// Engines that got or lost something at this moment.
    var touched: [Int] = []
    var events: [EngineEvent] = []

    /// One or the other is there, a place for each gateway.
    var deciders = UniqueArray<Decider>()
    var gates: [PlainGate] = []
    let plain: PlainRule?
    var isTicking: [Bool]
    var actions: [Action] = []
    var budgets: Budgets?
    /// By tenant.
    private(set) var limitSets: [LimitSet] = []
    var reservations = ReservationNaming(nonce: 0, worker: 0)
    let policy: Policy

    var service: [Double]
    var waitingToBegin: [Int]
    /// Since the last sample, there was a moment in which none of a tenant's requests waited.
    var stoppedWaiting: [Bool]
    var samples: [ServiceSample] = []
    var wastedPrefill = 0
    var end = Instant(nanoseconds: 0)
    var returned = 0
    var returns: [(at: Instant, tokens: Tokens)] = []
    var admittedAtFirstReturn = 0

    /// Runs the workload through the fleet, to the end of its last request.
    public static func run(_ workload: Workload, _ setup: FleetSetup) -> FleetResult {
        var fleet = Fleet(workload, setup)
        fleet.run()
        return fleet.result
    }

    init(_ workload: Workload, _ setup: FleetSetup) {
        invariant(setup.endpoints > 0 && setup.gateways > 0, "a fleet has gateways and endpoints")
        self.setup = setup
        self.workload = workload
        random = SplitMix64(seed: setup.seed ^ 0x5045_4E53)
        let count = setup.allEndpoints
        var model = EngineModel(
            setup.profile, prefixUnit: setup.prefixUnit,
            maxHeld: max(1, workload.trace.requests.count))
        model.detail = .milestones
        engines = [EngineModel](repeating: model, count: count)
        isLost = (0..<count).map { $0 >= setup.endpoints }
        joined = setup.endpoints
        isGatewayLost = [Bool](repeating: false, count: setup.gateways)
        planned = [Instant](repeating: .distantFuture, count: count)
        versions = [UInt32](repeating: 0, count: count)
        open = [[Int]](repeating: [], count: count)
        owners = [[Int]](repeating: [], count: count)
        forwarded = [Int](repeating: 0, count: count)
        isReporting = [Bool](repeating: false, count: count)
        isTicking = [Bool](repeating: false, count: setup.gateways)
        unresolved = workload.trace.requests.count
        let tenants = workload.tenants
        service = [Double](repeating: 0, count: tenants)
        waitingToBegin = [Int](repeating: 0, count: tenants)
        stoppedWaiting = [Bool](repeating: true, count: tenants)
        policy =
            setup.policy ?? setup.plainPolicy(tenants: tenants, weights: workload.weights)
        if case .plain(let rule) = setup.rule { plain = rule } else { plain = nil }
        outcomes.reserveCapacity(unresolved)
        clients.reserveCapacity(unresolved)
        makeGateways(tenants)
    }

    private mutating func makeGateways(_ tenants: Int) {
        if let plain {
            let weights = (0..<tenants).map {
                $0 < workload.weights.count ? workload.weights[$0] : 1
            }
            let gate = PlainGate(plain, setup, weights: weights)
            gates = [PlainGate](repeating: gate, count: setup.gateways)
            return
        }
        for place in 0..<setup.gateways {
            deciders.append(
                Decider(
                    policy: policy.without(from: joined), limit: max(1, unresolved),
                    seed: setup.seed &+ UInt64(place) &* 0x9E37_79B9,
                    sharing: setup.sharesStore
                        ? SharingPolicy(GatewayID(raw: UInt64(place))) : nil))
        }
        for place in deciders.indices {
            deciders[place].learnsPrompts = setup.learnsPrompts
            if !setup.givesBack { deciders[place].keepAccounts() }
        }
        if setup.sharesStore { store = SharedStore(endpoints: setup.allEndpoints) }
        if policy.tenants.contains(where: { !$0.limits.rates.isEmpty }) {
            budgets = Budgets(lease: .seconds(365 * 86_400), maxReservations: unresolved)
            limitSets = policy.tenants.map {
                LimitSet(policy, tenant: $0, wall: WallTime(nanoseconds: 0))
            }
        }
    }

    var result: FleetResult {
        FleetResult(
            setup: setup, weights: workload.weights, outcomes: outcomes,
            engines: engines.map(\.counters), marked: marked, forwarded: forwarded,
            samples: samples,
            wastedPrefill: Tokens(wastedPrefill), end: end, returned: returned,
            admittedAtFirstReturn: admittedAtFirstReturn, returns: returns,
            blocksAreConserved: engines.indices.allSatisfy {
                isLost[$0] || engines[$0].blocksAreConserved
            })
    }
}

// MARK: - Time

extension Fleet {
    mutating func run() {
        plan()
        let requests = workload.trace.requests.count
        let last = Instant(nanoseconds: 0) + workload.trace.span + Self.patience
        while unresolved > 0 {
            let arrival =
                outcomes.count < requests
                ? Instant(nanoseconds: 0) + workload.trace.requests[outcomes.count].arrival
                : .distantFuture
            // All that comes at one instant is in before the engines begin anything.
            if arrival > now, !touched.isEmpty { settle() }
            let moment = heap.first ?? .distantFuture
            // What arrives as a step ends may join the next step, as in an engine's own queue.
            if outcomes.count < requests, arrival <= moment {
                now = max(now, arrival)
                arrive()
                continue
            }
            guard moment <= last, let next = heap.pop() else { break }
            now = max(now, moment)
            happen(next)
        }
        settle()
        if setup.sampling != nil { sample() }
        giveUp()
    }

    private mutating func plan() {
        let needsScrapes = plain.map { $0.admission == .reactive } ?? true
        if needsScrapes {
            for gateway in 0..<setup.gateways {
                let phase = setup.scrapeInterval.nanoseconds / Int64(setup.gateways)
                heap.push(
                    .scrape(gateway),
                    at: Instant(nanoseconds: 0) + Duration(nanoseconds: phase * Int64(gateway)))
            }
        }
        if store != nil { planSharing() }
        for loss in setup.losses {
            heap.push(.loss(loss), at: Instant(nanoseconds: 0) + loss.after)
        }
        planJoins()
        if let sampling = setup.sampling { heap.push(.sample, at: now + sampling) }
    }

    private mutating func happen(_ moment: Moment) {
        switch moment {
        case .visit(let client): visit(client)
        case .engine(let engine, let version):
            guard version == versions[engine] else { return }
            planned[engine] = .distantFuture
            advance(engine)
        case .scrape(let gateway):
            guard !isGatewayLost[gateway] else { return }
            scrape(gateway)
            heap.push(.scrape(gateway), at: now + setup.scrapeInterval)
        case .tick(let gateway):
            guard !isGatewayLost[gateway] else { return }
            isTicking[gateway] = false
            if plain == nil { decide(gateway, .ticked) } else { expirePlain(gateway) }
        case .report(let engine): report(engine)
        case .loss(let loss): lose(loss)
        case .join(let join): self.join(join)
        case .mark: mark()
        case .sharing(let gateway): share(gateway)
        case .told(let gateway, let ask): tell(gateway, ask)
        case .answered(let gateway, let answer):
            if !isGatewayLost[gateway] { decide(gateway, .exchanged(answer)) }
        case .sample:
            sample()
            if let sampling = setup.sampling { heap.push(.sample, at: now + sampling) }
        }
    }

    /// Whoever still waits at the very end has not been served.
    private mutating func giveUp() {
        for client in outcomes.indices where outcomes[client].fate == .open {
            outcomes[client].fate = .shed
        }
        while outcomes.count < workload.trace.requests.count {
            let request = workload.trace.requests[outcomes.count]
            var outcome = FleetOutcome(
                request, arrival: Instant(nanoseconds: 0) + request.arrival)
            outcome.fate = .shed
            outcomes.append(outcome)
        }
    }

    /// Looks through a gateway's queues soon, if anybody waits there.
    mutating func planTick(_ gateway: Int, isWaiting: Bool) {
        guard isWaiting, !isTicking[gateway] else { return }
        isTicking[gateway] = true
        let interval = plain == nil ? Self.tickInterval : Self.planTickInterval
        heap.push(.tick(gateway), at: now + interval)
    }
}
