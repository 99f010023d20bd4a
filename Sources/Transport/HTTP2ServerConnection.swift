// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import HTTP2
public import Units

/// What a client's HTTP/2 connection has to say. Ask until `.none`, after it was driven and after
/// the owner has done something to one of its streams from outside of their events.
public enum HTTP2ServerEvent {
    /// Nothing more for now.
    case none
    /// This stream may have something to say: ask it until it has not.
    case stream(HTTP2ServerStream)
    /// The connection is over and its descriptor closed: drop it.
    case closed
}

/// A client's HTTP/2 connection (RFC 9113): many requests at once, each a `ServerStream`.
///
/// The owner drives it as one of HTTP/1.1, and each stream that `next` gives. The socket, its
/// buffers and all times are held here; frames are the session's.
public final class HTTP2ServerConnection {
    private enum Phase {
        /// → closing, closed.
        case open
        /// The session is over; what there is to say about it goes out; → lingering, closed.
        case closing
        /// Everything is sent, our end of the connection included; what still comes is read away;
        /// → closed.
        case lingering
        case closed
    }

    private enum Drain {
        case none
        /// The client was told that the end is near; the second word follows by then at the latest.
        case announced(until: Instant)
        case done
    }

    private struct Flags {
        var isBlocked = false
        var isUnwritten = false
        /// The client sends no more.
        var hasEnded = false
        /// Nothing can be sent or received any more.
        var isBroken = false
        var isExpired = false
        var isClosedTold = false
    }

    /// Frames are made as long as less than this waits for the kernel.
    private static let outputLimit = 65_536
    /// Frames that wait for a client that does not read before it is no longer read either.
    private static let queueLimit = 2_000
    /// How long a client has to answer that it knows of the end.
    private static let drainPatience = Duration.seconds(1)

    /// Under which the owner has it.
    public let key: SlabKey
    /// Which of the owner's doors it came through.
    public let door: Int
    let session: HTTP2Session
    private let loop: Loop
    private let token: Token
    private let limits: ServerLimits
    private let descriptor: Int32
    private var channel: Channel?
    private var clientPeer: ClientPeer?
    private var interest = Interest.read + .peerClosed
    private var phase = Phase.open
    private var state = Flags()
    private var drain = Drain.none
    private var streams: [Int32: HTTP2ServerStream] = [:]
    private var output = ByteBuffer()
    private var deadline = LazyDeadline()
    /// Since when the client owes the rest of a preface or of a header block.
    private var headBegan: Instant?
    /// Since when there is no stream.
    private var idleSince: Instant
    /// Since when the kernel has taken nothing.
    private var blockedSince = Instant.distantFuture
    private var discarded = 0

    /// Who the client is, as far as that is known: each stream's too.
    public var peer: ClientPeer? {
        get { clientPeer }
        set { clientPeer = newValue }
    }

    /// Registers the channel with the loop's poller, unless that was done under the same token:
    /// then `received` is what has come already.
    public init(
        key: SlabKey, door: Int, token: Token, channel: consuming Channel, limits: ServerLimits,
        http2: HTTP2Limits, loop: Loop, received: UnsafeRawBufferPointer? = nil
    ) throws(SystemFault) {
        self.key = key
        self.door = door
        self.loop = loop
        self.token = token
        self.limits = limits
        descriptor = channel.descriptor
        self.channel = consume channel
        session = HTTP2Session(isServer: true, limits: http2, now: loop.now)
        headBegan = loop.now
        idleSince = loop.now
        if unsafe received == nil { try loop.poller.add(descriptor, interest, token) }
        deadline.set(loop.now + limits.headTimeout, token, loop)
        if let received = unsafe received { unsafe take(received) }
        flush()
    }

    /// The turn's time.
    var now: Instant { loop.now }
    /// Nothing reaches the client any more, or nothing that it would believe.
    var isLost: Bool { state.isBroken || session.isTerminated || phase == .closed }

    // MARK: driving

    /// The descriptor is ready.
    public func ready(_ readiness: Readiness) {
        if readiness.has(.writable) {
            state.isBlocked = false
            transmit()
        }
        guard phase != .closed else { return }
        // Before this side has sent its end, a hang-up is a reset.
        if readiness.has(.failed) || (readiness.has(.hungUp) && phase != .lingering) {
            state.isBroken = true
            return
        }
        if readiness.has(.readable) { receive() }
        if readiness.has(.peerClosed), !isReading { state.hasEnded = true }
    }

    /// The wheel fired this connection's token.
    public func timerFired() {
        if deadline.fired(token, loop) { state.isExpired = true }
    }

    /// The next thing that happened; `.none` when the connection waits.
    public func next() -> HTTP2ServerEvent {
        guard phase != .closed else { return tellClosed() }
        if state.isExpired {
            state.isExpired = false
            expire()
        }
        repeat {
            if let stream = nextStream() { return .stream(stream) }
        } while takesBuffered()
        settlePhase()
        guard phase != .closed else { return tellClosed() }
        settleInterest()
        return .none
    }

    private func tellClosed() -> HTTP2ServerEvent {
        // Who had an answer coming hears first that there is none.
        if let stream = popStream() { return .stream(stream) }
        if state.isClosedTold { return .none }
        state.isClosedTold = true
        return .closed
    }

    private func popStream() -> HTTP2ServerStream? {
        guard let (id, stream) = streams.first else { return nil }
        streams.removeValue(forKey: id)
        return stream
    }

    private func nextStream() -> HTTP2ServerStream? {
        // Who closes its side has left, as nginx and Envoy see it too.
        if state.hasEnded, phase == .open { state.isBroken = true }
        if isLost, let stream = popStream() { return stream }
        while let news = session.nextNews() {
            if let known = streams[news.id] {
                if news.closeCode != nil { forget(news.id) }
                return known
            }
            guard news.closeCode == nil, !news.isFaulted, news.hasHead, !isLost else { continue }
            let stream = HTTP2ServerStream(news, of: self, limits: limits)
            streams[news.id] = stream
            return stream
        }
        return nil
    }

    private func forget(_ id: Int32) {
        streams.removeValue(forKey: id)
        guard streams.isEmpty else { return }
        idleSince = loop.now
        expect(by: loop.now + limits.idleTimeout)
    }

    // MARK: receiving

    private func receive(from source: Channel.Source = .kernel) {
        guard wantsBytes, case .bytes(let count) = read(from: source) else { return }
        if phase == .open {
            unsafe take(UnsafeRawBufferPointer(rebasing: loop.scratch[..<count]))
        } else {
            discarded += count
        }
    }

    /// Takes what TLS holds already; false where that is nothing, or nobody wants it now.
    private func takesBuffered() -> Bool {
        let isHeld = channel?.hasBuffered ?? false
        guard isHeld, !state.hasEnded, !state.isBroken, wantsBytes else { return false }
        receive(from: .buffer)
        return true
    }

    private func read(from source: Channel.Source) -> Transfer {
        let taken = unsafe channel?.receive(loop.scratch, from: source) ?? .closed
        switch taken {
        case .bytes, .wouldBlock: break
        case .closed: state.hasEnded = true
        case .failed: state.isBroken = true
        }
        return taken
    }

    private func take(_ bytes: UnsafeRawBufferPointer) {
        unsafe session.receive(bytes, now: loop.now)
        if session.isWithinHead || !session.isGreeted {
            if headBegan == nil {
                headBegan = loop.now
                expect(by: loop.now + limits.headTimeout)
            }
        } else {
            headBegan = nil
        }
        if session.hasAnsweredPing, case .announced = drain { finishDrain() }
        flush()
    }

    // MARK: sending

    func respond(
        _ stream: HTTP2StreamState, status: Int, fields: borrowing ByteBuffer, length: Int?,
        hasContent: Bool
    ) {
        unsafe session.respond(
            stream, status: status, lines: fields.readable, date: loop.dateLine, length: length,
            hasContent: hasContent)
    }

    /// Hands what was written to the kernel, at once or at the turn's end.
    func flush() {
        guard phase != .closed else { return }
        guard loop.defersWrites else { return transmit() }
        guard !state.isUnwritten else { return }
        state.isUnwritten = true
        loop.enqueue(.http2(self))
    }

    /// Hands to the kernel what it takes.
    func transmit() {
        state.isUnwritten = false
        while phase != .closed, phase != .lingering, !state.isBroken, !state.isBlocked {
            if output.capacity == 0 { output = loop.lend() }
            session.produce(into: &output, limit: Self.outputLimit, now: loop.now)
            guard !output.isEmpty else {
                loop.takeBack(&output)
                break
            }
            send()
        }
        if session.hasWaiting { expect(by: loop.now + limits.writeTimeout) }
    }

    private func send() {
        switch unsafe channel?.send(output.readable) ?? .closed {
        case .bytes(let count):
            output.consume(count)
            blockedSince = .distantFuture
            if !output.isEmpty { block() }
        case .wouldBlock:
            block()
        case .closed, .failed:
            state.isBroken = true
        }
    }

    private func block() {
        state.isBlocked = true
        guard blockedSince == .distantFuture else { return }
        blockedSince = loop.now
        expect(by: loop.now + limits.writeTimeout)
    }

    // MARK: time

    /// Something has to have happened by then.
    func expect(by instant: Instant) {
        guard phase != .closed else { return }
        if instant < deadline.current { deadline.set(instant, token, loop) }
    }

    private func expire() {
        let now = loop.now
        if phase == .lingering { return tearDown() }
        if blockedSince != .distantFuture, blockedSince + limits.writeTimeout <= now {
            // The kernel need not keep what the client will not take.
            channel?.resetOnClose()
            state.isBroken = true
            return
        }
        if case .announced(let latest) = drain, latest <= now { finishDrain() }
        if let began = headBegan, began + limits.headTimeout <= now {
            session.calm()
        } else if streams.isEmpty, session.openStreams == 0,
            idleSince + limits.idleTimeout <= now
        {
            session.close()
        }
        for stream in Array(streams.values) where stream.deadline <= now { stream.expire() }
        flush()
        rearm()
    }

    private func rearm() {
        var next = Instant.distantFuture
        if blockedSince != .distantFuture { next = blockedSince + limits.writeTimeout }
        if case .announced(let latest) = drain { next = min(next, latest) }
        if let began = headBegan { next = min(next, began + limits.headTimeout) }
        if streams.isEmpty { next = min(next, idleSince + limits.idleTimeout) }
        for stream in streams.values { next = min(next, stream.deadline) }
        // What has passed has been dealt with; what came of it shows within a second.
        if next <= loop.now { next = loop.now + .seconds(1) }
        deadline.set(next, token, loop)
    }

    // MARK: ends

    /// No stream is served but those that the client has opened, and those that are on their way.
    public func closeAfterAnswers() {
        guard phase == .open, case .none = drain else { return }
        session.announceShutdown()
        let latest = loop.now + Self.drainPatience
        drain = .announced(until: latest)
        expect(by: latest)
        flush()
    }

    private func finishDrain() {
        drain = .done
        session.goAway()
    }

    /// Cuts every answer that is not complete, and closes.
    func abort() {
        guard phase != .closed else { return }
        for stream in streams.values { stream.abort() }
        transmit()
        session.close()
        transmit()
        streams.removeAll()
        tearDown()
    }

    private func settlePhase() {
        if state.isBroken { return tearDown() }
        switch phase {
        case .open where session.hasEnded:
            phase = .closing
            discarded = 0
            deadline.set(loop.now + limits.writeTimeout, token, loop)
            settlePhase()
        case .closing where output.isEmpty && !session.wantsToSend: finishClosing()
        case .lingering where state.hasEnded || discarded > limits.maxLinger: tearDown()
        case .open, .closing, .lingering, .closed: return
        }
    }

    /// Everything is with the kernel. To close while the client sends would reset the connection,
    /// and the last word might be lost with it.
    private func finishClosing() {
        receive()
        if state.hasEnded || state.isBroken || (discarded == 0 && session.isPeaceful) {
            return tearDown()
        }
        phase = .lingering
        channel?.shutdownWrite()
        deadline.set(loop.now + limits.lingerTimeout, token, loop)
    }

    private func tearDown() {
        guard phase != .closed else { return }
        phase = .closed
        deadline.cancel(loop)
        loop.poller.remove(descriptor)
        if !state.isBroken { channel?.sayGoodbye() }
        channel = nil
        loop.takeBack(&output)
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
        if state.isBlocked || (!output.isEmpty && !state.isUnwritten) { wanted = wanted + .write }
        guard wanted != interest else { return }
        interest = wanted
        // A change takes no memory: there is nothing that could fail.
        try? loop.poller.change(descriptor, wanted, token)
    }

    private var isReading: Bool { interest.rawValue & Interest.read.rawValue != 0 }

    private var wantsBytes: Bool {
        switch phase {
        case .open: session.queuedFrames < Self.queueLimit
        case .closing, .lingering: discarded <= limits.maxLinger
        case .closed: false
        }
    }
}

@available(*, unavailable)
extension HTTP2ServerConnection: Sendable {}
