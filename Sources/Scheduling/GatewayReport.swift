// SPDX-License-Identifier: Apache-2.0

public import Units

/// What a gateway tells the others of its queues.
public struct GatewayReport: Sendable, Equatable {
    /// A tenant in a class.
    public struct Tenant: Sendable, Equatable {
        public var trafficClass: ClassID
        public var tenant: TenantID
        /// Cost that it was charged at this gateway since that began: now, and when the tenant had
        /// last been quiet for a while.
        public var served: Int
        public var servedBefore: Int
        /// By what it has its turn there: cost ÷ weight, as that gateway counts.
        public var counter: Int
        /// By how much it was lifted when it began to wait, since the beginning, as told by all.
        public var given = 0
        /// By how much its counter is beyond that to which one is lifted when nobody waits.
        public var lead = 0
        /// For how long the one has waited whose turn it is; nil when none of it waits.
        public var waited: Duration?
        /// It is the first of its class, and nobody should take the room that it waits for.
        public var holds = false

        public init(
            _ trafficClass: ClassID, _ tenant: TenantID, served: Int, servedBefore: Int,
            counter: Int, waited: Duration?
        ) {
            self.trafficClass = trafficClass
            self.tenant = tenant
            self.served = served
            self.servedBefore = servedBefore
            self.counter = counter
            self.waited = waited
        }
    }

    /// A class in which somebody waits.
    public struct Backlog: Sendable, Equatable {
        public var trafficClass: ClassID
        /// What those who wait will add to projections.
        public var needs: Tokens

        public init(_ trafficClass: ClassID, needs: Tokens) {
            self.trafficClass = trafficClass
            self.needs = needs
        }
    }

    /// An answer that came to its own end there: how long such answers are.
    public struct Lesson: Sendable, Equatable {
        /// Grows by one from lesson to lesson.
        public var number: Int
        public var model: ModelID
        public var tenant: TenantID
        public var bound: Tokens
        public var produced: Tokens

        public init(
            number: Int, model: ModelID, tenant: TenantID, bound: Tokens, produced: Tokens
        ) {
            self.number = number
            self.model = model
            self.tenant = tenant
            self.bound = bound
            self.produced = produced
        }
    }

    /// A prompt that was sent to an endpoint which had nothing of it: where prompts that begin like
    /// it are warm from now on.
    public struct Placement: Sendable, Equatable {
        /// Grows by one from placement to placement.
        public var number: Int
        public var endpoint: EndpointID
        /// Names of the prompt's first blocks.
        public var blocks: [UInt64]

        public init(number: Int, endpoint: EndpointID, blocks: [UInt64]) {
            self.number = number
            self.endpoint = endpoint
            self.blocks = blocks
        }
    }

    /// Tenants and backlogs at most, of either.
    public static let most = 64
    /// Lessons at most, the latest: more of them teach little more.
    public static let mostLessons = 32
    /// Placements at most, the latest, and blocks of each: 16 KiB of text.
    public static let mostPlacements = 8
    public static let mostBlocks = 32

    public var tenants: [Tenant] = []
    public var backlogs: [Backlog] = []
    /// The latest, by their numbers.
    public var lessons: [Lesson] = []
    /// The latest, by their numbers.
    public var placements: [Placement] = []

    /// Nobody waits, nobody was served.
    public init() {}
}

/// The report of another gateway.
public struct PeerReport: Sendable, Equatable {
    public var gateway: GatewayID
    public var report: GatewayReport

    public init(_ gateway: GatewayID, _ report: GatewayReport) {
        self.gateway = gateway
        self.report = report
    }
}

/// The reports of all gateways as the store keeps them, each with a lease.
public struct SharedReports: Sendable {
    /// As many gateways as share an endpoint.
    public static let most = 64

    private struct Field: Sendable {
        var gateway: GatewayID
        var report: GatewayReport
        var writtenAt: Instant
        var expiresAt: Instant
    }

    /// By their gateways.
    private var fields: [Field] = []

    /// Nobody has told anything yet.
    public init() {}

    /// The gateway's report becomes this one for the time of `lease`. The others' as of now: waits
    /// have grown since they were told.
    public mutating func exchange(
        _ report: GatewayReport, of gateway: GatewayID, lease: Duration, now: Instant
    ) -> [PeerReport] {
        fields.removeAll { $0.expiresAt <= now || $0.gateway == gateway }
        let peers = fields.map { field in
            var report = field.report
            for place in report.tenants.indices {
                if let waited = report.tenants[place].waited {
                    report.tenants[place].waited = waited + (now - field.writtenAt)
                }
            }
            return PeerReport(field.gateway, report)
        }
        if fields.count < Self.most {
            let place = fields.firstIndex { gateway < $0.gateway } ?? fields.count
            let field = Field(
                gateway: gateway, report: report, writtenAt: now, expiresAt: now + lease)
            fields.insert(field, at: place)
        }
        return peers
    }
}
