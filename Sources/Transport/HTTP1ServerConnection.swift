// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units
public import Wire

/// A client's HTTP/1.1 connection: requests one after the other, answers in their order (RFC 9112).
///
/// The owner drives it: `ready` when its descriptor is, `timerFired` when its token is due, then
/// `next` until `.none`. After a fault or an early answer nothing of what the client sends is
/// looked at again: it is read away, within bounds, so that the answer can be read, and then the
/// connection closes.
public final class HTTP1ServerConnection: ServerStream {
    /// What a step came to.
    private enum Step {
        case again
        case wait
        case tell(ServerEvent)
    }

    let loop: Loop
    let token: Token
    let limits: ServerLimits
    private let descriptor: Int32
    var channel: Channel?
    private var interest = Interest.read + .peerClosed
    var phase = ServerPhase.head
    var intake: RequestIntake
    private var output = AnswerOutput()
    private var state = ServerFlags()
    var times: ServerTimes
    private var bodyBegan = Instant(nanoseconds: 0)
    /// Bytes read away since the last answer's end.
    private var discarded = 0

    /// Registers a channel whose handshake is done with the loop's poller.
    public init(
        key: SlabKey, door: Int, token: Token, channel: consuming Channel, limits: ServerLimits,
        loop: Loop
    ) throws(SystemFault) {
        self.loop = loop
        self.token = token
        self.limits = limits
        descriptor = channel.descriptor
        self.channel = consume channel
        intake = RequestIntake(limits: limits)
        times = ServerTimes(token: token, loop: loop)
        state.mayUpgrade = limits.allowsHTTP2
        super.init(key: key, door: door)
        try loop.poller.add(descriptor, interest, token)
        times.expectBytes(by: loop.now + limits.headTimeout)
    }

    // MARK: the request

    public override var method: Method { intake.head.method }
    public override var methodName: UnsafeRawBufferPointer {
        unsafe intake.bytes(intake.head.methodName)
    }
    public override var target: UnsafeRawBufferPointer {
        unsafe intake.bytes(intake.head.target)
    }
    public override func value(_ id: FieldName) -> UnsafeRawBufferPointer? {
        unsafe intake.head.first(id).map { unsafe intake.bytes($0.value) }
    }
    public override func count(_ id: FieldName) -> Int { intake.head.count(id) }
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
    public override var body: UnsafeRawBufferPointer { unsafe intake.body }
    public override var heldRequestBytes: Int { intake.capacity }
    public override var heldAnswerBytes: Int { output.capacity }

    public override func dropRequest() { if phase == .answering { intake.drop(loop) } }

    public override func inviteBody() {
        guard phase == .body, !state.isInvited, intake.head.expectsContinue, intake.isHeadOnly
        else { return }
        state.isInvited = true
        output.invite(loop)
        flush()
    }

    // MARK: driving

    /// The descriptor is ready.
    public func ready(_ readiness: Readiness) {
        if readiness.has(.writable) {
            output.unblock()
            transmit()
        }
        guard phase != .closed else { return }
        // Before this side has sent its end, a hang-up is a reset.
        if readiness.has(.failed) || (readiness.has(.hungUp) && phase != .lingering) {
            state.isBroken = true
            return
        }
        if readiness.has(.readable) { receive() }
        // Who closes its side while an answer is owed has left, as nginx and Envoy see it too;
        // otherwise what was sent before is read first.
        if readiness.has(.peerClosed), state.isOwed || !isReading {
            state.hasEnded = true
        }
    }

    /// The wheel fired this connection's token.
    public func timerFired() {
        if times.fired() { state.isExpired = true }
    }

    public override func next() -> ServerEvent {
        while true {
            switch step() {
            case .again: continue
            case .tell(let event): return event
            case .wait:
                // Of what TLS holds already the poller does not tell.
                if takesBuffered() { continue }
                settleInterest()
                return .none
            }
        }
    }

    private func step() -> Step {
        guard phase != .closed else {
            defer { state.isClosedTold = true }
            return state.isClosedTold ? .wait : .tell(.closed)
        }
        if state.isBroken || (state.hasEnded && state.isOwed) { return leave() }
        if state.isExpired {
            state.isExpired = false
            return expire()
        }
        if output.takeDrained(), phase == .answering { return .tell(.drained) }
        switch phase {
        case .head: return readHead()
        case .body: return readBody()
        case .skipping: return skipBody()
        case .closing where output.isEmpty: return finishClosing()
        case .lingering where state.hasEnded || discarded > limits.maxLinger: return tearDown()
        case .answering, .closing, .lingering, .closed: return .wait
        }
    }

    // MARK: reading

    private func receive() { take(from: .kernel) }

    /// Takes what TLS holds already; false where that is nothing, or nobody wants it now.
    private func takesBuffered() -> Bool {
        let isHeld = channel?.hasBuffered ?? false
        guard isHeld, !state.hasEnded, wantsBytes else { return false }
        take(from: .buffer)
        return true
    }

    private func take(from source: Channel.Source) {
        let taken: Transfer
        switch phase {
        case .closing, .lingering:
            guard discarded <= limits.maxLinger else { return }
            taken = unsafe channel?.receive(loop.scratch, from: source) ?? .closed
            if case .bytes(let count) = taken { discarded += count }
        case .head, .body, .answering, .skipping:
            let place = self.place
            let room = unsafe intake.room(for: place, loop)
            guard unsafe !room.isEmpty else { return }
            taken = unsafe channel?.receive(room, from: source) ?? .closed
            if case .bytes(let count) = taken { intake.took(count, for: place) }
        case .closed:
            return
        }
        switch taken {
        case .bytes, .wouldBlock: break
        case .closed: state.hasEnded = true
        case .failed: state.isBroken = true
        }
    }

    /// What the next bytes are for. While an answer has not gone out no further head is read.
    private var place: RequestIntake.Place {
        switch phase {
        case .body, .skipping: .body
        case .head where output.isEmpty: .head
        case .head, .answering, .closing, .lingering, .closed: .later
        }
    }

    private func readHead() -> Step {
        guard output.isEmpty else {
            if state.hasEnded { close() }
            return .wait
        }
        if intake.isEmpty {
            intake.giveBack(loop)
            return state.isLast || state.hasEnded ? tearDown() : .wait
        }
        if state.mayUpgrade, intake.preface != .none {
            return intake.preface == .whole ? .tell(.preface) : state.hasEnded ? tearDown() : .wait
        }
        do throws(HeadFault) {
            if try intake.readHead() { return begin() }
        } catch {
            return fault(.head(error))
        }
        if state.hasEnded { return tearDown() }
        if !state.isHeadAwaited {
            state.isHeadAwaited = true
            times.expectBytes(by: loop.now + limits.headTimeout)
        }
        return .wait
    }

    /// The head is complete.
    private func begin() -> Step {
        phase = .body
        bodyBegan = loop.now
        state.mayUpgrade = false
        state.isOwed = true
        state.isWhole = false
        state.isInvited = false
        state.isHeadAwaited = false
        if !intake.head.keepAlive { state.isLast = true }
        if case .length(let count) = intake.head.framing, count > limits.maxBody {
            return fault(.bodyTooLarge(limit: limits.maxBody))
        }
        return .tell(.head)
    }

    private func readBody() -> Step {
        do throws(ServerFault) {
            if try intake.readBody() {
                state.isWhole = true
                awaitAnswer()
                return .tell(.request)
            }
        } catch {
            return fault(error)
        }
        let earned = Duration.seconds(
            intake.bodyReceived / max(1, limits.bodyFloorPerSecond))
        times.expectBytes(by: bodyBegan + limits.bodyTimeout + earned)
        return .wait
    }

    /// Reads the rest of an answered request's body away.
    private func skipBody() -> Step {
        if let isWhole = try? intake.readBody(), isWhole {
            nextRequest()
        } else if state.hasEnded {
            close()
        } else {
            return .wait
        }
        return .again
    }

    /// From now on the client waits for the owner.
    private func awaitAnswer() {
        phase = .answering
        times.expectBytes(by: .distantFuture)
    }

    private func fault(_ fault: ServerFault) -> Step {
        if phase == .head { intake.forgetHead() }
        state.isLast = true
        state.isOwed = true
        state.isWhole = false
        awaitAnswer()
        return .tell(.fault(fault))
    }

    // MARK: answering

    public override func respond(
        status: Int, fields: borrowing ByteBuffer, length: AnswerLength
    ) {
        guard !phase.isOver else { return }
        invariant(state.isOwed && output.framing == .idle, "one answer to one request")
        if phase == .body { giveUpBody() }
        var head = AnswerHead(status: status, length: length, to: intake.head)
        if head.framing == .untilClose { state.isLast = true }
        head.isLast = state.isLast
        output.begin(head, fields, loop)
    }

    /// The answer comes before the body was read. Where all of it is here, or a little of a known
    /// length is missing, the connection can go on. A client that waits for an invitation may send
    /// the body or not (RFC 9110 section 10.1.1), and then nobody knows where the next request
    /// begins.
    private func giveUpBody() {
        state.isWhole = (try? intake.readBody()) ?? false
        let mayCome = !intake.head.expectsContinue || state.isInvited || !intake.isHeadOnly
        let isShort = (intake.missingBytes ?? .max) <= limits.maxSkipped
        if !state.isWhole, !mayCome || !isShort { state.isLast = true }
        awaitAnswer()
    }

    public override func write(_ payload: UnsafeRawBufferPointer) {
        guard unsafe !payload.isEmpty, phase != .closed, !state.isBroken else { return }
        unsafe output.write(payload, loop)
        if output.count >= limits.streamBuffer { flush() }
    }

    public override func end(trailers: [UInt8] = []) {
        guard !phase.isOver else { return }
        invariant(output.framing != .idle, "an answer begins before it ends")
        guard output.end(trailers: trailers, loop) else { return abort() }
        state.isOwed = false
        if state.isLast { return close() }
        if state.isWhole { return nextRequest() }
        phase = .skipping
        times.expectBytes(by: loop.now + limits.bodyTimeout)
    }

    private func nextRequest() {
        intake.drop(loop)
        phase = .head
        times.expectBytes(by: loop.now + limits.idleTimeout)
    }

    public override func abort() {
        guard phase != .closed else { return }
        transmit()
        state.isOwed = false
        // What a slow client has not taken yet is still its own; only the end stays away.
        if output.isEmpty || state.isBroken || !output.breakOff() {
            _ = tearDown()
        } else {
            state.isLast = true
            close()
        }
    }

    public override func closeAfterAnswer() {
        state.isLast = true
        guard phase == .head, intake.isEmpty, output.isEmpty else { return }
        // A request that has just come is still answered.
        receive()
        if intake.isEmpty { _ = tearDown() }
    }

    public override var isCongested: Bool { output.isCongested }
    public override var hasResponded: Bool { output.framing != .idle }

    public override func flush() {
        guard loop.defersWrites, output.count < limits.streamBuffer else { return transmit() }
        guard !state.isUnwritten, phase != .closed else { return }
        state.isUnwritten = true
        loop.enqueue(.http1(self))
    }

    /// Hands to the kernel what it takes.
    func transmit() {
        state.isUnwritten = false
        guard phase != .closed, !state.isBroken else { return }
        if !output.isEmpty, !output.isBlocked { send() }
        output.weigh(limit: limits.streamBuffer)
    }

    private func send() {
        switch unsafe channel?.send(output.unsent) ?? .closed {
        case .bytes(let count):
            output.sent(count, loop)
            if output.isBlocked {
                times.expectRoom(by: loop.now + limits.writeTimeout)
                settleInterest()
            } else if times.isWriting {
                times.expectRoom(by: .distantFuture)
                settleInterest()
            }
        case .wouldBlock:
            output.block()
            if !times.isWriting { times.expectRoom(by: loop.now + limits.writeTimeout) }
            settleInterest()
        case .closed, .failed:
            state.isBroken = true
        }
    }

    // MARK: time

    private func expire() -> Step {
        if times.isWriteOver {
            // A client that takes nothing for so long is as good as gone, and the kernel need not
            // keep what it will not take.
            channel?.resetOnClose()
            state.isBroken = true
            return .again
        }
        guard times.isReadOver else {
            times.settle()
            return .again
        }
        times.expectBytes(by: .distantFuture)
        switch phase {
        case .head where !output.isEmpty:
            // It does not idle while it still has to take an answer.
            times.expectBytes(by: loop.now + limits.idleTimeout)
            return .again
        case .head where intake.isEmpty: return tearDown()
        case .head where state.isHeadAwaited: return fault(.headTimeout)
        case .body: return fault(.bodyTimeout)
        case .skipping:
            close()
            return .again
        case .lingering: return tearDown()
        case .head, .answering, .closing, .closed: return .again
        }
    }

    // MARK: ends

    /// The client has left.
    private func leave() -> Step {
        let wasOwed = state.isOwed
        state.isOwed = false
        _ = tearDown()
        return wasOwed ? .tell(.left) : .again
    }

    /// No request follows any more: what is written goes out, what comes is read away.
    private func close() {
        state.isWhole = state.isWhole && intake.laterBytes == 0
        phase = .closing
        discarded = 0
        intake.discard(loop)
        times.expectBytes(by: loop.now + limits.lingerTimeout)
    }

    /// Everything is with the kernel. To close while the client sends would reset the connection,
    /// and the answer might be lost with it (RFC 9112 section 9.6).
    private func finishClosing() -> Step {
        if state.hasEnded || (state.isWhole && isQuiet) { return tearDown() }
        phase = .lingering
        channel?.shutdownWrite()
        times.expectBytes(by: loop.now + limits.lingerTimeout)
        return .again
    }

    /// Nothing has come after the last request.
    private var isQuiet: Bool {
        guard discarded == 0 else { return false }
        receive()
        return discarded == 0
    }

    private func tearDown() -> Step {
        phase = .closed
        times.cancel()
        loop.poller.remove(descriptor)
        if output.looksWholeWhenClosed { channel?.resetOnClose() }
        if !output.looksWholeWhenClosed, !state.isBroken { channel?.sayGoodbye() }
        channel = nil
        intake.discard(loop)
        output.discard(loop)
        return .again
    }

    // MARK: interest

    /// Registers what this connection waits for, where it changed.
    private func settleInterest() {
        guard phase != .closed else { return }
        var wanted = Interest(rawValue: 0)
        if !state.hasEnded {
            wanted = wantsBytes ? .read + .peerClosed : .peerClosed
        }
        // What is written at the turn's end anyway needs no word from the kernel.
        if !output.isEmpty, !state.isUnwritten { wanted = wanted + .write }
        guard wanted != interest else { return }
        interest = wanted
        // A change takes no memory: there is nothing that could fail.
        try? loop.poller.change(descriptor, wanted, token)
    }

    private var isReading: Bool { interest.rawValue & Interest.read.rawValue != 0 }

    private var wantsBytes: Bool {
        switch phase {
        case .closing, .lingering: discarded <= limits.maxLinger
        case .head, .body, .answering, .skipping, .closed: intake.hasRoom(for: place)
        }
    }
}

@available(*, unavailable)
extension HTTP1ServerConnection: Sendable {}
