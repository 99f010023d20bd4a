// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Dialects
import Policy
import Store
import Transport
import Units
import Wire

/// One request from its head to its end: what couples a client's stream to an engine's.
///
/// The worker moves it from state to state; every way out goes through `Worker.close`, once.
final class Exchange {
    enum State: Equatable {
        /// The head is known, the body is not; → counting, budgeting, over.
        case reading
        /// A big prompt is with the threads that count; → budgeting, over.
        case counting
        /// The store was asked; → waiting, sending, over.
        case budgeting
        /// In a queue; → sending, over.
        case waiting
        /// With an endpoint, the answer's head not passed on; → sending (again), answering, over.
        case sending
        /// The answer flows; → over.
        case answering
        case over
    }

    /// How the answer is passed on.
    enum Body: Equatable {
        /// Nothing was decided yet.
        case undecided
        /// Bytes pass, a copy is kept to read the usage from.
        case whole
        /// Events pass one by one.
        case events
        /// Bytes pass unread: an engine's error.
        case opaque
    }

    let id: RequestID
    var state = State.reading
    var server: ServerStream?
    var client: ClientStream?
    var policy: Policy
    /// Nil for the list of models, which the gateway answers itself.
    var route: Dialect?
    var dialect = Dialect.chatCompletions
    var name: RequestName
    let tenant: TenantID
    /// The key that was shown; nil where none was needed.
    let key: KeyHash?
    /// What it is charged to: of the tenant until the model is known.
    var account: BudgetAccount
    /// Of the class, as the configuration that admitted the request has them.
    private(set) var timeouts: TimeoutPolicy
    private(set) var trafficClass: ClassID
    /// It is served in another class than it came in.
    private(set) var wasDeferred = false
    /// Its prompt was too long, and part of it was left out.
    private(set) var wasTruncated = false
    /// Nil until the body has told it.
    var model: ModelID?
    var inspection = Inspection()
    var arrival: Arrival?
    var ticket: Ticket?
    /// The number of its trace; zero where it has none.
    var trace: UInt64 = 0
    var ask: BudgetAsk?
    var reservation: ReservationID?
    var snapshot: LimitsSnapshot?
    var endpoint: EndpointID?
    var bound: Tokens?
    /// A kept connection died under this request before, and it was sent again.
    var wasResent = false
    var wasQueued = false
    var isClosing = false
    /// Who holds the reservation: outstanding until the store has answered.
    var holder = ReservationHolder.nobody
    /// The engine broke off, or was silent for too long.
    var isEngineFault = false
    /// Request bytes counted against the worker's bound.
    var heldBody = 0
    /// Of the engine's answer.
    var status = 0
    var answerLength: Int?
    var trailers: [UInt8] = []

    var body = Body.undecided
    var reader: StreamReader?
    var splitter = SSESplitter()
    var sawBlock = false
    var usage: Usage?
    /// Pieces of output seen, where no usage came.
    var counted = Tokens.zero
    var reported = Tokens.zero

    /// Of the earlier of the next two.
    var deadline = LazyDeadline()
    /// When something must have happened.
    var dueAt = Instant.distantFuture
    /// When its client gets a sign of life, if nothing has happened.
    var nextSign = Instant.distantFuture
    /// Its client has the head of a stream that no engine has begun.
    var isOpened = false
    var arrivedAt: Instant
    var readAt: Instant
    var forwardedAt: Instant?
    /// From the complete request to its bytes for the engine, where it did not wait.
    var overhead: Duration?
    var firstTokenAt: Instant?
    var lastTokenAt: Instant?
    var lastReportAt: Instant?
    /// When the whole of it must be over.
    var totalDeadline = Instant.distantFuture

    /// The part of an event, or the whole of an answer, that has come.
    private var heldBytes = ByteBuffer()
    private var answerFields = ByteBuffer()
    /// Where its client is; nil for Unix sockets.
    var address: ClientAddress?
    /// Its body is packed by gzip.
    var isPacked = false
    private var inflater: Inflater?
    private var unpackedBody = ByteBuffer()
    /// The client's body without what its prompt had too much.
    private var shortened = ByteBuffer()

    init(
        id: RequestID, server: ServerStream, policy: Policy, name: RequestName,
        tenant: TenantID, key: KeyHash?, account: BudgetAccount, trafficClass: ClassID,
        now: Instant
    ) {
        self.id = id
        self.server = server
        self.policy = policy
        self.name = name
        self.account = account
        self.tenant = tenant
        self.key = key
        timeouts = policy.classes[trafficClass.index].timeouts
        self.trafficClass = trafficClass
        arrivedAt = now
        readAt = now
    }

    func transfer(to other: ClassID) {
        trafficClass = other
        timeouts = policy.classes[other.index].timeouts
        wasDeferred = true
    }

    private var isTruncated: Bool { !shortened.isEmpty }
    func shorten(to body: consuming ByteBuffer) {
        shortened = body
        wasTruncated = true
    }
    func dropShortened() { shortened.release() }
    /// What the engine is to get but for edits: the client's own, or what was left of it.
    func prompt(_ body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        unsafe isTruncated ? shortened.readable : body
    }

    /// The client's body, unpacked.
    func content(_ server: ServerStream) -> UnsafeRawBufferPointer {
        unsafe isPacked ? unpackedBody.readable : server.body
    }
    /// Unpacks the next piece of what came.
    func unpackPiece(
        _ packed: UnsafeRawBufferPointer, limit: Int, ratio: Int
    ) -> Inflater.Outcome {
        let inflater = inflater ?? Inflater(limit: limit, ratio: ratio)
        self.inflater = inflater
        return unsafe inflater.step(packed, into: &unpackedBody)
    }
    func endUnpacking() { inflater = nil }
    /// Memory held for what was unpacked, in bytes.
    var heldUnpacked: Int { unpackedBody.capacity }
    func dropUnpacked() {
        inflater = nil
        unpackedBody.release()
    }

    var heldCount: Int { heldBytes.count }
    var held: UnsafeRawBufferPointer { unsafe heldBytes.readable }
    func hold(_ bytes: UnsafeRawBufferPointer) { unsafe heldBytes.append(bytes) }
    func dropHeld(_ count: Int) {
        heldBytes.consume(count)
        if heldBytes.isEmpty { heldBytes.release() }
    }
    func releaseHeld() { heldBytes.release() }

    /// The answer's fields, while its head is not passed on.
    var keptFields: UnsafeRawBufferPointer { unsafe answerFields.readable }
    func keepFields(_ fields: borrowing ByteBuffer) {
        answerFields.removeAll()
        unsafe answerFields.append(fields.readable)
    }
    func dropFields() { answerFields.release() }

    /// From the first token to the last.
    var generating: Duration {
        guard let first = firstTokenAt, let last = lastTokenAt else { return .zero }
        return last - first
    }
}

@available(*, unavailable)
extension Exchange: Sendable {}
