// SPDX-License-Identifier: Apache-2.0

import HTTP2
public import Units
public import Wire

/// One request to an engine and its answer, on a connection that has others too.
///
/// Its `key` is the connection's: whoever has done something to it from outside drives that.
public final class HTTP2ClientStream: ClientStream {
    private let connection: HTTP2ClientConnection
    private var state: HTTP2StreamState?
    private var isAsked = false
    private var isHeadTold = false
    private var isPaused = false
    private var isOver = false
    /// Payload that was handed out, and is taken back with the next call.
    private var given = 0
    /// The connection had answered before this request.
    private let wasUsed: Bool

    init(of connection: HTTP2ClientConnection, wasUsed: Bool) {
        self.connection = connection
        self.wasUsed = wasUsed
        super.init(key: connection.key, destination: connection.destination)
    }

    // MARK: the request

    public override func request(
        method: Method, target: UnsafeRawBufferPointer, authority: String,
        fields: borrowing ByteBuffer, body: UnsafeRawBufferPointer
    ) {
        invariant(!isAsked, "one request a stream")
        isAsked = true
        state = unsafe connection.request(
            self, method: method, target: target, authority: authority, fields: fields, body: body)
    }

    // MARK: the answer

    public override var status: Int { state?.responseHead.status ?? 0 }
    public override func value(_ id: FieldName) -> UnsafeRawBufferPointer? {
        guard let state, let field = state.responseHead.first(id) else { return nil }
        return unsafe state.responsePart(field.value)
    }
    public override func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        guard let state else { return }
        for field in state.responseHead.fields {
            unsafe body(field.id, state.responsePart(field.name), state.responsePart(field.value))
        }
    }
    public override var announcedLength: Int? {
        switch state?.responseHead.framing {
        case .length(let count): count
        case .some(.none), nil: 0
        case .chunked, .untilClose: nil
        }
    }
    public override var trailers: [UInt8] { state?.trailers ?? [] }
    public override var isBodiless: Bool { state?.responseHead.framing == Framing.none }

    public override func next() -> ClientEvent {
        takeBack()
        guard isAsked, !isOver else { return unsafe .none }
        guard let state else { return unsafe fail(.refused) }
        if state.hasHead, !isHeadTold {
            isHeadTold = true
            return unsafe .head
        }
        if isHeadTold, unsafe !state.content.isEmpty {
            if isPaused { return unsafe .none }
            given = unsafe state.content.count
            return unsafe .payload(state.content)
        }
        if isHeadTold, state.isReceived { return unsafe finish(state) }
        if state.closeCode != nil { return unsafe fail(fault(of: state)) }
        if let fault = connection.fault { return unsafe fail(fault) }
        return unsafe .none
    }

    private func takeBack() {
        guard given > 0, let state else { return }
        connection.take(given, of: state)
        given = 0
    }

    /// The answer is whole; of a request that is not, the rest need not go.
    private func finish(_ state: HTTP2StreamState) -> ClientEvent {
        isOver = true
        connection.finished(state)
        return unsafe .end
    }

    private func fail(_ fault: ClientFault) -> ClientEvent {
        isOver = true
        if let state { connection.give(up: state) }
        return unsafe .fault(fault)
    }

    /// RFC 9113 section 8.7: what was refused, or lies behind the last that is served, was not
    /// begun.
    private func fault(of state: HTTP2StreamState) -> ClientFault {
        if state.isRefused { return .refused }
        if let last = connection.lastServed, state.id > last { return .refused }
        return .reset
    }

    // MARK: leaves

    public override func pauseReading() { isPaused = true }
    public override func resumeReading() {
        guard isPaused else { return }
        isPaused = false
        if let state, !isOver { connection.wake(state) }
    }
    public override var isShared: Bool { true }
    public override var isReusable: Bool { false }
    public override var hasSpokenUnasked: Bool { false }
    public override var wasReused: Bool { wasUsed }
    /// What was not begun is refused by name (RFC 9113 section 8.7); of the rest nothing is known.
    public override var isUnread: Bool { false }
    public override var isUnanswered: Bool { !(state?.hasHead ?? false) }

    public override func close() {
        guard !isOver else { return }
        isOver = true
        given = 0
        if let state { connection.give(up: state) }
    }
}

@available(*, unavailable)
extension HTTP2ClientStream: Sendable {}
