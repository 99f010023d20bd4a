// SPDX-License-Identifier: Apache-2.0

import HTTP2
public import Units
public import Wire

/// One request and its answer on a client's HTTP/2 connection.
///
/// Its `key` is the connection's: whoever has done something to it from outside drives that.
public final class HTTP2ServerStream: ServerStream {
    private enum Phase {
        /// Nothing was told; → body, answering, over.
        case fresh
        /// The head was told of, its body is being read; → answering, over.
        case body
        /// The answer is owed or under way; → over.
        case answering
        /// Nothing more is told or taken.
        case over
    }

    private let connection: HTTP2ServerConnection
    private let state: HTTP2StreamState
    private let limits: ServerLimits
    private var phase = Phase.fresh
    private var bodyBegan = Instant(nanoseconds: 0)
    private var isInvited = false
    private var isLate = false
    private var isAnswered = false
    /// The answer has a body, and what it lacks of an announced length.
    private var hasContent = false
    private var left: Int?

    init(
        _ state: HTTP2StreamState, of connection: HTTP2ServerConnection, limits: ServerLimits
    ) {
        self.state = state
        self.connection = connection
        self.limits = limits
        super.init(key: connection.key, door: connection.door)
        peer = connection.peer
    }

    // MARK: the request

    public override var method: Method { state.requestHead.method }
    public override var methodName: UnsafeRawBufferPointer {
        unsafe state.requestPart(state.requestHead.methodName)
    }
    public override var target: UnsafeRawBufferPointer {
        unsafe state.requestPart(state.requestHead.target)
    }
    public override func value(_ id: FieldName) -> UnsafeRawBufferPointer? {
        unsafe state.requestHead.first(id).map { unsafe state.requestPart($0.value) }
    }
    public override func count(_ id: FieldName) -> Int { state.requestHead.count(id) }
    public override func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        for field in state.requestHead.fields {
            unsafe body(field.id, state.requestPart(field.name), state.requestPart(field.value))
        }
    }
    public override var announcedLength: Int? {
        switch state.requestHead.framing {
        case .length(let count): count
        case .none: 0
        case .chunked, .untilClose: nil
        }
    }
    public override var body: UnsafeRawBufferPointer { unsafe state.content }
    public override var heldRequestBytes: Int { state.heldInput }
    public override var heldAnswerBytes: Int { state.heldOutput }
    public override func dropRequest() { connection.session.dropInput(of: state) }

    public override func inviteBody() {
        guard phase == .body, !isInvited, state.requestHead.expectsContinue,
            state.contentReceived == 0
        else { return }
        isInvited = true
        connection.session.invite(state)
        flush()
    }

    // MARK: driving

    /// The client is not heard of any more, or has given this stream up.
    private var isLost: Bool {
        state.closeCode != nil || state.isFaulted || connection.isLost
    }

    public override func next() -> ServerEvent {
        guard phase != .over else { return .none }
        if isLost {
            let wasTold = phase != .fresh
            phase = .over
            dropRequest()
            return wasTold ? .left : .none
        }
        if state.takeDrained(), phase == .answering { return .drained }
        switch phase {
        case .fresh: return state.hasHead ? begin() : .none
        case .body: return readBody()
        case .answering, .over: return .none
        }
    }

    private func begin() -> ServerEvent {
        if let fault = state.headFault { return refuse(.head(fault)) }
        if let length = announcedLength, length > limits.maxBody {
            return refuse(.bodyTooLarge(limit: limits.maxBody))
        }
        phase = .body
        bodyBegan = connection.now
        if !state.isReceived { connection.expect(by: bodyDeadline) }
        return .head
    }

    private func readBody() -> ServerEvent {
        if state.contentReceived > limits.maxBody {
            return refuse(.bodyTooLarge(limit: limits.maxBody))
        }
        if state.isReceived {
            phase = .answering
            return .request
        }
        return isLate ? refuse(.bodyTimeout) : .none
    }

    private func refuse(_ fault: ServerFault) -> ServerEvent {
        phase = .answering
        dropRequest()
        return .fault(fault)
    }

    // MARK: time

    /// A body earns time by what comes of it.
    private var bodyDeadline: Instant {
        let earned = state.contentReceived / max(1, limits.bodyFloorPerSecond)
        return bodyBegan + limits.bodyTimeout + .seconds(earned)
    }

    /// When something has to have happened.
    var deadline: Instant {
        if state.closeCode != nil { return .distantFuture }
        if phase == .body, !state.isReceived { return bodyDeadline }
        return state.isWaiting ? state.lastMoved + limits.writeTimeout : .distantFuture
    }

    /// The deadline has passed.
    func expire() {
        if phase == .body {
            isLate = true
            connection.session.note(state)
        } else {
            // A client that takes nothing for so long is as good as gone.
            connection.session.cancel(state)
        }
    }

    // MARK: answering

    /// RFC 9110 sections 6.4.1 and 8.6: neither content nor a word about it.
    private static func forbidsContent(_ status: Int) -> Bool {
        status < 200 || status == 204 || status == 304
    }

    public override func respond(
        status: Int, fields: borrowing ByteBuffer, length: AnswerLength
    ) {
        guard phase != .over, !isLost else { return }
        invariant(!isAnswered, "one answer to one request")
        if phase == .body { dropRequest() }
        phase = .answering
        isAnswered = true
        var announced: Int?
        if !Self.forbidsContent(status) {
            switch length {
            case .exact(let count): announced = count
            case .bodiless: announced = method == .head ? nil : 0
            case .unknown: break
            }
            hasContent = method != .head && announced != 0
        }
        left = hasContent ? announced : nil
        connection.respond(
            state, status: status, fields: fields, length: announced, hasContent: hasContent)
    }

    public override func write(_ payload: UnsafeRawBufferPointer) {
        guard phase == .answering, hasContent, unsafe !payload.isEmpty, !isLost else { return }
        if let left {
            invariant(payload.count <= left, "an answer as long as announced")
            self.left = left - payload.count
        }
        unsafe connection.session.write(payload, to: state)
        if state.isCongested { connection.transmit() }
    }

    public override func end(trailers: [UInt8] = []) {
        guard phase != .over else { return }
        guard !isLost else {
            phase = .over
            return
        }
        invariant(isAnswered, "an answer begins before it ends")
        guard left ?? 0 == 0 else { return abort() }
        phase = .over
        connection.session.end(state, trailers: trailers)
    }

    public override func abort() {
        guard phase != .over else { return }
        phase = .over
        dropRequest()
        connection.session.cut(state)
        flush()
    }

    public override var mayComeLate: Bool { true }
    public override var isCongested: Bool { state.isCongested && !isLost }
    public override var hasResponded: Bool { isAnswered }
    public override func flush() { connection.flush() }
    public override func closeAfterAnswer() { connection.closeAfterAnswers() }
}

@available(*, unavailable)
extension HTTP2ServerStream: Sendable {}
