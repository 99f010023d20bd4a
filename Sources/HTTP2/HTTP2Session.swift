// SPDX-License-Identifier: Apache-2.0

import CNghttp2
public import Units
public import Wire

/// One HTTP/2 connection without its socket: bytes in, news of streams out, and bytes to send.
///
/// It knows no clock but the `now` that it is given. libnghttp2 frames, unpacks and holds the
/// protocol's rules; what it tells is noted here until the owner asks (`nextNews`), so that nothing
/// of the owner's runs while bytes are read.
public final class HTTP2Session {
    let isServer: Bool
    let limits: HTTP2Limits
    var now: Instant

    // Noted while bytes are read or made.
    var streams: [Int32: HTTP2StreamState] = [:]
    /// Whose header block is being read.
    var reading: HTTP2StreamState?
    private var news: [HTTP2StreamState] = []
    private var newsPlace = 0
    /// Content that belongs to no stream any more, and still counts against the connection.
    var orphaned = 0
    var isPeerLeaving = false
    /// Nothing more is read, as the peer is leaving and nothing is under way.
    var isDeaf = false
    var peerLastStream = Int32.max
    /// Answers to our PINGs.
    var pongs = 0
    /// The peer's first settings have come.
    var hasSettings = false
    /// Streams of which something waits to go.
    private var waiting = 0
    /// Why the session has to end, found while bytes were read or made.
    var fault: UInt32?
    /// What new streams may be sent at first, and the most that one may be sent now.
    var peerInitialWindow = 65_535
    var largestWindow = 0
    var resets: FrameBudget
    var idleFrames: FrameBudget
    /// WINDOW_UPDATE frames that still count as answers to what was sent.
    var windowCredit = 200
    var vector = FieldVector()

    let native: NativeSession
    /// Nothing more is read or sent, once what waits has gone.
    private var isOver = false
    private var endCode: UInt32?

    /// A session whose preface and settings wait to go.
    public init(isServer: Bool, limits: HTTP2Limits, now: Instant) {
        self.isServer = isServer
        self.limits = limits
        self.now = now
        resets = FrameBudget(perSecond: limits.maxResets, now: now)
        idleFrames = FrameBudget(perSecond: limits.maxIdleFrames, now: now)
        native = NativeSession(isServer: isServer, limits: limits)
        native.listen(self)
        native.settings(isServer: isServer, limits)
    }

    // MARK: coming in

    /// Takes in what has come; what it means is told by `nextNews`.
    public func receive(_ bytes: UnsafeRawBufferPointer, now: Instant) {
        guard !isOver, !isDeaf else { return }
        self.now = now
        switch unsafe native.receive(bytes) {
        case .taken: endOnFault()
        case .flooded where isDeaf: break
        case .flooded: terminate(fault ?? NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
        case .failed: terminate(NGHTTP2_PROTOCOL_ERROR.rawValue)
        }
        if isServer { acceptAll() }
        if orphaned > 0 {
            native.discard(orphaned)
            orphaned = 0
        }
    }

    private func endOnFault() {
        if let fault { terminate(fault) }
    }

    /// A server holds a whole request before it does anything: what is bounded is accepted as it
    /// comes.
    private func acceptAll() {
        for place in newsPlace..<news.count {
            let stream = news[place]
            guard stream.unaccepted > 0 else { continue }
            if stream.isInputWanted {
                native.accept(stream.unaccepted, of: stream.id)
            } else {
                native.discard(stream.unaccepted)
            }
            stream.unaccepted = 0
        }
    }

    /// The owner has taken so many bytes of a stream's content, from the front.
    public func take(_ count: Int, of stream: HTTP2StreamState) {
        stream.input.consume(count)
        if stream.input.isEmpty { stream.input.release() }
        guard stream.unaccepted > 0 else { return }
        let accepted = min(count, stream.unaccepted)
        stream.unaccepted -= accepted
        native.accept(accepted, of: stream.id)
    }

    /// Nothing that came, or comes, on a stream is wanted any more: its memory is given back.
    public func dropInput(of stream: HTTP2StreamState) {
        stream.isInputWanted = false
        stream.input.release()
        stream.request.release()
    }

    /// Puts a stream into the row of those that `nextNews` gives.
    public func note(_ stream: HTTP2StreamState) {
        guard !stream.isNoted else { return }
        stream.isNoted = true
        news.append(stream)
    }

    /// A stream to which something has happened; nil when there is none left.
    public func nextNews() -> HTTP2StreamState? {
        guard newsPlace < news.count else {
            if newsPlace > 0 {
                news.removeAll(keepingCapacity: newsPlace < 64)
                newsPlace = 0
            }
            return nil
        }
        let stream = news[newsPlace]
        newsPlace += 1
        stream.isNoted = false
        return stream
    }

    /// Streams that are open, the peer's and our own.
    public var openStreams: Int { streams.count }
    /// Calls `body` with each of them, in no order that means anything.
    public func each(_ body: (HTTP2StreamState) -> Void) {
        for stream in Array(streams.values) { body(stream) }
    }
    /// A header block has begun and not ended.
    public var isWithinHead: Bool { reading != nil }

    // MARK: going out

    /// Adds frames that are to go to `output`, as long as it holds less than `limit` bytes.
    public func produce(into output: inout ByteBuffer, limit: Int, now: Instant) {
        self.now = now
        while output.count < limit, let piece = unsafe native.send() {
            unsafe output.append(piece)
        }
        endOnFault()
    }

    /// There is something to go, were there room for it.
    public var wantsToSend: Bool { native.wantsToWrite }
    /// Frames that wait to go.
    public var queuedFrames: Int { native.queuedFrames }

    /// The interim answer that invites a body.
    public func invite(_ stream: HTTP2StreamState) {
        guard stream.code == nil else { return }
        vector.clear()
        vector.add(":status", "100")
        native.interim(stream.id, &vector)
    }

    /// Begins an answer. `lines` holds complete field lines of HTTP/1.1, those of the connection
    /// included, which do not go; without content the answer ends with its head.
    public func respond(
        _ stream: HTTP2StreamState, status: Int, lines: UnsafeRawBufferPointer,
        date: UnsafeRawBufferPointer, length: Int?, hasContent: Bool
    ) {
        guard stream.code == nil, !stream.isOutputBegun else { return }
        stream.isOutputBegun = true
        vector.clear()
        vector.add(":status", decimal: status)
        unsafe vector.add(lines: lines)
        unsafe vector.add(lines: date)
        if let length { vector.add("content-length", decimal: length) }
        native.respond(stream, &vector, hasContent: hasContent)
    }

    /// Sends a request; nil where the peer takes none now. `lines` as for `respond`.
    public func request(
        method: Method, scheme: StaticString, authority: String, target: UnsafeRawBufferPointer,
        lines: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer
    ) -> HTTP2StreamState? {
        guard mayRequest, let id = native.nextStream else { return nil }
        let stream = HTTP2StreamState(id: id, limits: limits)
        stream.method = method
        vector.clear()
        vector.add(":method", method.name)
        vector.add(":scheme", scheme)
        vector.add(":authority", authority)
        unsafe vector.add(":path", target)
        unsafe vector.add(lines: lines)
        let hasContent = unsafe !body.isEmpty
        if hasContent || method == .post || method == .put || method == .patch {
            vector.add("content-length", decimal: body.count)
        }
        streams[id] = stream
        unsafe stream.output.append(body)
        if hasContent { wait(stream) }
        stream.isOutputBegun = true
        stream.isOutputWhole = true
        stream.movedAt = now
        guard native.request(stream, &vector, hasContent: hasContent) else {
            streams[id] = nil
            settle(stream)
            return nil
        }
        return stream
    }

    private func wait(_ stream: HTTP2StreamState) {
        guard !stream.isCounted else { return }
        stream.isCounted = true
        waiting += 1
    }

    /// Nothing of a stream waits any more.
    func settle(_ stream: HTTP2StreamState) {
        if stream.output.capacity > 0 { stream.output.release() }
        guard stream.isCounted else { return }
        stream.isCounted = false
        waiting -= 1
    }

    /// Something waits that the peer has not taken.
    public var hasWaiting: Bool { waiting > 0 }

    /// Another stream may be opened from here: the peer is not leaving, and allows it.
    public var mayRequest: Bool {
        !isOver && !isPeerLeaving && native.mayRequest && streams.count < native.peerStreams
    }

    /// The peer has said that it serves no stream beyond this one.
    public var peerLast: Int32? { isPeerLeaving ? peerLastStream : nil }

    /// Adds content to an answer under way.
    public func write(_ bytes: UnsafeRawBufferPointer, to stream: HTTP2StreamState) {
        guard stream.code == nil, stream.isOutputBegun, !stream.isOutputWhole else { return }
        if stream.output.isEmpty { stream.movedAt = now }
        unsafe stream.output.append(bytes)
        wait(stream)
        if stream.output.count >= limits.streamBuffer { stream.isOverfull = true }
        resume(stream)
    }

    /// Nothing follows but these lines.
    public func end(_ stream: HTTP2StreamState, trailers: [UInt8] = []) {
        guard !stream.isOutputWhole else { return }
        stream.isOutputWhole = true
        stream.outputTrailers = trailers
        resume(stream)
    }

    /// What was written goes, and then a reset in place of an end.
    public func cut(_ stream: HTTP2StreamState) {
        guard stream.code == nil, !stream.isOutputWhole else { return }
        guard stream.isOutputBegun else {
            return reset(stream, NGHTTP2_INTERNAL_ERROR.rawValue)
        }
        stream.isOutputCut = true
        stream.isGivenUp = true
        resume(stream)
    }

    private func resume(_ stream: HTTP2StreamState) {
        guard stream.isDeferred else { return }
        stream.isDeferred = false
        native.resume(stream.id)
    }

    /// The stream is over at once.
    public func reset(_ stream: HTTP2StreamState, _ code: UInt32) {
        guard stream.code == nil else { return }
        settle(stream)
        stream.isGivenUp = true
        native.reset(stream.id, code)
    }

    /// Resets a stream that is not wanted any more (RFC 9113 section 7, CANCEL).
    public func cancel(_ stream: HTTP2StreamState) {
        reset(stream, NGHTTP2_CANCEL.rawValue)
    }

    // MARK: ends

    /// The first half of a shutdown: the peer shall open no more streams, and an answer to a PING
    /// shows that it knows (RFC 9113 section 6.8).
    public func announceShutdown() {
        guard !isOver else { return }
        if isServer { native.announceShutdown() }
        native.ping()
    }

    /// The peer has answered a PING.
    public var hasAnsweredPing: Bool { pongs > 0 }

    /// The second half: what the peer opens from here on is not served.
    public func goAway() {
        if !isOver { native.goAway() }
    }

    /// Ends the session, streams included: what there is to say about it waits to go.
    public func terminate(_ code: UInt32) {
        guard !isOver else { return }
        isOver = true
        endCode = code
        native.terminate(code)
    }

    /// Ends a session in which nothing is under way.
    public func close() { terminate(NGHTTP2_NO_ERROR.rawValue) }
    /// Ends a session whose peer asks too much (RFC 9113 section 7, ENHANCE_YOUR_CALM).
    public func calm() { terminate(NGHTTP2_ENHANCE_YOUR_CALM.rawValue) }

    /// Neither side has anything more to say: the connection may close once all is sent.
    public var hasEnded: Bool { isOver || !native.wantsToRead }
    /// It was ended from here, and its streams with it.
    public var isTerminated: Bool { isOver }
    /// Why it was ended from here; 0 without a fault.
    public var ownCode: UInt32? { endCode }
    /// No fault has ended it.
    public var isPeaceful: Bool { endCode ?? 0 == 0 }
    /// The peer's preface and settings have come.
    public var isGreeted: Bool { hasSettings }
}

@available(*, unavailable)
extension HTTP2Session: Sendable {}
