// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units
public import Wire

/// An HTTP/1.1 connection to an engine: one request at a time, kept for the next where both sides
/// agree.
///
/// The owner drives it as it does a client's connection. Answers are read into the loop's scratch
/// and handed on in the same turn: of a long stream nothing is held.
public final class HTTP1ClientConnection: ClientStream {
    /// Where the connection stands.
    private enum Phase {
        /// The handshake is under way; → idle, awaiting, closed.
        case connecting
        /// No request; → awaiting, closed.
        case idle
        /// A request is out, or on its way, and its answer's head not here; → body, closed.
        case awaiting
        /// The answer's body; → idle, closed.
        case body
        case closed
    }

    private struct Flags {
        var isConnectedTold = false
        /// The present request has not been answered whole.
        var isAsked = false
        /// A byte of an answer to the present request has come.
        var isAnswered = false
        /// Stands in the loop's row of those that write at the turn's end: of the present request
        /// nothing is sent.
        var isUnwritten = false
        /// It broke, and nothing of the present request was acknowledged.
        var isUnread = false
        /// An earlier request was answered whole.
        var wasReused = false
        /// The engine sends no more, or nothing but what is with the kernel.
        var isEnding = false
        /// The engine's last byte was read.
        var hasEnded = false
        /// The connection broke: an end that it makes is not a clean one.
        var isReset = false
        /// The owner does not want to read now.
        var isPaused = false
        /// Not with the poller, which would tell of the end of a paused connection for ever.
        var isDetached = false
        var isExpired = false
        /// The engine sent what was asked for by nobody.
        var hasSpokenUnasked = false
        var connectFault: ClientFault?
        /// The kernel has connected; TLS may not have shaken hands.
        var isConnected = false
    }

    private let loop: Loop
    private let token: Token
    private let descriptor: Int32
    private var channel: Channel?
    private var interest = Interest.read + .write + .peerClosed
    private var phase = Phase.connecting
    private var intake: AnswerIntake
    private var method = Method.get
    /// What the kernel has not taken of the present request.
    private var output = ByteBuffer()
    /// Bytes of the present request that the kernel has taken.
    private var sent = 0
    private var deadline = LazyDeadline()
    private var state = Flags()

    /// Begins to connect, through TLS where `security` says with whom, and registers with the
    /// loop's poller.
    public init(
        key: SlabKey, destination: Int, token: Token, address: SocketAddress,
        security: ClientSecurity = .none, limits: ClientLimits, loop: Loop
    ) throws(SystemFault) {
        self.loop = loop
        self.token = token
        let socket = try Socket.connect(to: address)
        socket.setReceiveBuffer(limits.kernelBuffer)
        descriptor = socket.descriptor
        channel = try security.open(socket)
        intake = AnswerIntake(limits: limits, loop: loop)
        super.init(key: key, destination: destination)
        try loop.poller.add(descriptor, interest, token)
        deadline.set(loop.now + limits.connectTimeout, token, loop)
    }

    // MARK: the request

    /// A body up to this size is copied behind its head; a longer one goes out from where it is.
    private static let copiedBody = 4_096

    public override func request(
        method: Method, target: UnsafeRawBufferPointer, authority: String,
        fields: borrowing ByteBuffer, body: UnsafeRawBufferPointer
    ) {
        invariant(!state.isAsked, "one request at a time")
        state.isAsked = true
        state.isAnswered = false
        sent = 0
        self.method = method
        intake.begin()
        guard phase != .closed else { return }
        if phase == .idle {
            phase = .awaiting
            // At the turn's end the loop's owner looks.
            let isDeferred = loop.defersWrites && body.count <= Self.copiedBody
            guard isDeferred || isQuiet else { return }
        }
        output = loop.lend()
        output.append(method.name)
        output.append(byte: 0x20)
        unsafe output.append(target)
        output.append(" HTTP/1.1\r\nHost: ")
        output.append(authority)
        output.append("\r\n")
        unsafe output.append(fields.readable)
        if unsafe !body.isEmpty || method == .post || method == .put || method == .patch {
            output.append("Content-Length: ")
            output.append(decimal: body.count)
            output.append("\r\n")
        }
        output.append("\r\n")
        if phase == .connecting || body.count <= Self.copiedBody {
            unsafe output.append(body)
            if phase != .connecting { flush() }
        } else {
            unsafe send(body)
        }
    }

    /// Whether a kept connection is still what it was. A byte that nobody asked for must not pass
    /// for the beginning of the answer to what is asked now, and to an engine that has closed
    /// nothing need be sent. The poller would tell of both, but not before the next turn.
    private var isQuiet: Bool {
        var byte: UInt8 = 0
        let found = unsafe withUnsafeMutableBytes(of: &byte) {
            unsafe channel?.receive($0) ?? .closed
        }
        if found == .wouldBlock { return true }
        if case .bytes = found { state.hasSpokenUnasked = true }
        state.hasEnded = true
        return false
    }

    /// Sends head and body with one call; what the kernel does not take is kept.
    private func send(_ body: UnsafeRawBufferPointer) {
        let headCount = output.count
        switch unsafe channel?.send(output.readable, body) ?? .closed {
        case .bytes(let count) where count < headCount:
            sent += count
            output.consume(count)
            unsafe output.append(body)
        case .bytes(let count):
            sent += count
            output.removeAll()
            let left = unsafe UnsafeRawBufferPointer(rebasing: body[(count - headCount)...])
            unsafe output.append(left)
            if output.isEmpty { loop.takeBack(&output) }
        case .wouldBlock:
            unsafe output.append(body)
        case .closed, .failed:
            stopSending()
        }
        settleInterest()
    }

    private func flush() {
        guard loop.defersWrites else { return transmit() }
        guard !state.isUnwritten else { return }
        state.isUnwritten = true
        loop.enqueue(.http1(self))
    }

    /// Lets a request go that waited for the turn's end; where nobody has looked for what came
    /// before it, that is done here.
    func transmitFirst(checking: Bool) {
        if checking, state.isUnwritten, state.wasReused, phase != .closed, !isQuiet {
            state.isUnwritten = false
            return
        }
        transmit()
    }

    /// Hands to the kernel what it takes.
    func transmit() {
        state.isUnwritten = false
        guard !output.isEmpty, phase != .closed, phase != .connecting else { return }
        switch unsafe channel?.send(output.readable) ?? .closed {
        case .bytes(let count):
            sent += count
            output.consume(count)
            if output.isEmpty { loop.takeBack(&output) }
        case .wouldBlock:
            break
        case .closed, .failed:
            stopSending()
        }
        settleInterest()
    }

    /// The connection broke, but the engine may have answered before: that is read first.
    private func stopSending() {
        state.isReset = true
        loop.takeBack(&output)
    }

    // MARK: the answer

    public override var status: Int { intake.head.status }
    public override func value(_ id: FieldName) -> UnsafeRawBufferPointer? {
        unsafe intake.head.first(id).map { unsafe intake.bytes($0.value) }
    }
    public override func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        for field in intake.head.fields {
            unsafe body(field.id, intake.bytes(field.name), intake.bytes(field.value))
        }
    }
    public override var announcedLength: Int? {
        switch intake.head.framing {
        case .length(let count): count
        case .none: 0
        case .chunked, .untilClose: nil
        }
    }
    public override var trailers: [UInt8] { intake.trailers }
    public override var isBodiless: Bool { intake.head.framing == .none }

    // MARK: driving

    /// The descriptor is ready.
    public func ready(_ readiness: Readiness) {
        let wasConnecting = phase == .connecting
        if wasConnecting { finishConnecting(readiness) }
        guard phase != .closed, phase != .connecting else { return }
        if readiness.has(.writable) || wasConnecting { transmit() }
        if readiness.has(.peerClosed) || readiness.has(.broken) { state.isEnding = true }
        if state.isPaused {
            if readiness.has(.broken) { detach() }
        } else if readiness.has(.input) {
            receive()
        }
    }

    /// The wheel fired this connection's token.
    public func timerFired() {
        if deadline.fired(token, loop), phase == .connecting { state.isExpired = true }
    }

    private func finishConnecting(_ readiness: Readiness) {
        if !state.isConnected {
            state.connectFault = channel?.connectOutcome().map { .connect($0) }
            guard state.connectFault == nil, readiness.has(.writable) else { return }
            state.isConnected = true
        }
        switch channel?.handshake() ?? .done {
        case .done: break
        case .wantsRead: return shakeLater(awaiting: .read)
        case .wantsWrite: return shakeLater(awaiting: .write)
        case .failed(let fault):
            state.connectFault = .tls(fault)
            return
        }
        deadline.cancel(loop)
        phase = state.isAsked ? .awaiting : .idle
        if output.isEmpty { settleInterest() }
    }

    private func shakeLater(awaiting wanted: Interest) {
        guard interest != wanted + .peerClosed else { return }
        interest = wanted + .peerClosed
        try? loop.poller.change(descriptor, interest, token)
    }

    private func receive() {
        guard !state.hasEnded else { return }
        took(unsafe channel?.receive(intake.room()) ?? .closed)
    }

    /// Takes what TLS holds already; false where that is nothing, or nobody wants it now.
    private func takesBuffered() -> Bool {
        guard let isHeld = channel?.hasBuffered, isHeld, phase != .connecting, !state.isPaused,
            !state.hasEnded
        else { return false }
        took(unsafe channel?.receive(intake.room(), from: .buffer) ?? .closed)
        return true
    }

    private func took(_ taken: Transfer) {
        switch taken {
        // Before a byte of the request has gone out nothing can be its answer.
        case .bytes where state.isUnwritten:
            state.hasEnded = true
            state.hasSpokenUnasked = true
        case .bytes(let count):
            intake.took(count)
            if state.isAsked { state.isAnswered = true }
        case .wouldBlock: break
        case .closed: state.hasEnded = true
        case .failed:
            state.hasEnded = true
            state.isReset = true
        }
    }

    public override func next() -> ClientEvent {
        while true {
            let event = unsafe step()
            // Of what TLS holds already the poller does not tell.
            if case .none = unsafe event, takesBuffered() { continue }
            return unsafe event
        }
    }

    private func step() -> ClientEvent {
        switch phase {
        case .closed: return unsafe .none
        case .connecting:
            if let fault = state.connectFault { return unsafe fail(fault) }
            return unsafe state.isExpired ? fail(.connectTimeout) : .none
        case .idle: return unsafe idle()
        case .awaiting: return unsafe readHead()
        case .body: return unsafe readBody()
        }
    }

    private func idle() -> ClientEvent {
        if !state.isConnectedTold {
            state.isConnectedTold = true
            return unsafe .connected
        }
        if !intake.isEmpty {
            state.hasSpokenUnasked = true
            return unsafe fail(.unexpectedBytes)
        }
        guard state.hasEnded || state.isReset else { return unsafe .none }
        close()
        return unsafe .closed
    }

    private func readHead() -> ClientEvent {
        state.isConnectedTold = true
        do throws(HeadFault) {
            if try intake.readHead(of: method) {
                phase = .body
                return unsafe .head
            }
        } catch {
            return unsafe fail(.head(error))
        }
        return unsafe state.hasEnded ? fail(lost) : .none
    }

    private func readBody() -> ClientEvent {
        do throws(ChunkFault) {
            switch unsafe try intake.readBody() {
            case .payload(let bytes): return unsafe .payload(bytes)
            case .end: return unsafe finish()
            case .more: break
            }
        } catch {
            return unsafe fail(.chunk(error))
        }
        guard state.hasEnded else { return unsafe .none }
        guard intake.head.framing == .untilClose, !state.isReset else {
            return unsafe fail(lost)
        }
        intake.endBody()
        return unsafe finish()
    }

    /// The answer is whole. The connection is kept where the engine agrees, nothing came behind the
    /// answer, and the whole request has gone out.
    private func finish() -> ClientEvent {
        let isClean =
            intake.isEmpty && output.isEmpty && !state.isEnding && !state.hasEnded
            && !state.isReset && intake.head.keepAlive
        state.isAsked = false
        if !intake.isEmpty { state.hasSpokenUnasked = true }
        guard isClean else {
            close()
            return unsafe .end
        }
        phase = .idle
        state.wasReused = true
        intake.discard()
        return unsafe .end
    }

    // MARK: ends and leaves

    public override var isReusable: Bool { phase == .idle }
    public override var hasSpokenUnasked: Bool { state.hasSpokenUnasked }
    public override var wasReused: Bool { state.wasReused }
    public override var isUnanswered: Bool { !state.isAnswered }
    public override var isUnread: Bool { state.isUnread }

    public override func pauseReading() {
        invariant(intake.isEmpty, "reading pauses after `next` gave none")
        state.isPaused = true
        settleInterest()
    }

    public override func resumeReading() {
        guard phase != .closed, state.isPaused else { return }
        state.isPaused = false
        if state.isDetached { attach() } else { settleInterest() }
        // Of what TLS holds the poller does not tell: the owner drives it with what is written.
        if let isHeld = channel?.hasBuffered, isHeld { loop.enqueue(.http1(self)) }
    }

    /// Off the poller: the other end is gone, and only what it sent before is left to read.
    private func detach() {
        guard !state.isDetached else { return }
        state.isDetached = true
        loop.poller.remove(descriptor)
    }

    private func attach() {
        state.isDetached = false
        interest = .read + .peerClosed
        do throws(SystemFault) {
            try loop.poller.add(descriptor, interest, token)
        } catch {
            // Without the poller nothing would ever be heard of it again.
            state.isDetached = true
            state.hasEnded = true
            state.isReset = true
        }
    }

    public override func close() {
        guard phase != .closed else { return }
        phase = .closed
        deadline.cancel(loop)
        if !state.isDetached { loop.poller.remove(descriptor) }
        channel = nil
        loop.takeBack(&output)
        intake.discard()
    }

    private func fail(_ fault: ClientFault) -> ClientEvent {
        if state.isAsked, !state.isAnswered {
            state.isUnread = sent == 0 || isUnacknowledged
        }
        close()
        return unsafe .fault(fault)
    }

    /// An orderly end acknowledges what had come before it. A reset does not: who sends one may
    /// have read without having said so.
    private var isUnacknowledged: Bool {
        guard !state.isReset, let left = channel?.unacknowledgedBytes() else { return false }
        return left >= sent
    }

    private var lost: ClientFault { state.isReset ? .reset : .closedEarly }

    private func settleInterest() {
        guard phase != .closed, !state.isDetached else { return }
        var wanted = state.isPaused ? Interest(rawValue: 0) : .read + .peerClosed
        if phase == .connecting || !output.isEmpty { wanted = wanted + .write }
        guard wanted != interest else { return }
        interest = wanted
        // A change takes no memory: there is nothing that could fail.
        try? loop.poller.change(descriptor, wanted, token)
    }
}

@available(*, unavailable)
extension HTTP1ClientConnection: Sendable {}
