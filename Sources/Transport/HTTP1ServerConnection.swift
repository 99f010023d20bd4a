// SPDX-License-Identifier: Apache-2.0

package import EventLoop
package import Units
package import Wire

/// A client's HTTP/1.1 connection: requests one after the other, answers in their order (RFC 9112).
///
/// The owner drives it: `ready` when its descriptor is, `timerFired` when its token is due, then
/// `next` until `.none`. A request's bytes stay in one buffer, head first, the body decoded in place.
package final class HTTP1ServerConnection: ServerStream {
    /// Where the reading side stands.
    private enum Phase: Equatable {
        /// Waiting for a head or in the middle of one; → body, answering, closing.
        case head
        /// The head was told of; reading the body; → answering, closing.
        case body
        /// The request is complete or given up; the answer is owed or under way; → head, closing.
        case answering
        /// The last answer is written: flush, then close or linger; → lingering, closed.
        case closing
        /// Reading away what a refused client still sends; → closed.
        case lingering
        case closed
    }

    /// Where the answer stands.
    private enum Answer: Equatable {
        case none
        case length(left: Int)
        case chunked
        case untilClose
        case bodiless
    }

    private let loop: Loop
    private let token: Token
    private var limits: ServerLimits
    private var socket: Socket?
    private let descriptor: Int32
    private var interest = Interest.read + .peerClosed
    private var phase = Phase.head
    private var answer = Answer.none
    private var parser: RequestParser
    private var decoder: ChunkedDecoder
    private var head = RequestHead()
    private var input = ByteBuffer()
    private var output = ByteBuffer()
    private var headLength = 0
    /// Decoded body bytes behind the head.
    private var bodyLength = 0
    /// Body bytes as received, for the floor.
    private var bodyReceived = 0
    private var bodyBegan = Instant(nanoseconds: 0)
    private var lingered = 0
    private var deadline = LazyDeadline()
    private var state = Flags()

    private struct Flags {
        var endOfInput = false
        var lastAnswer = false
        var congested = false
        var drained = false
        var told = false
        var dropped = false
        var expired = false
        var writeBlocked = false
        var closedTold = false
        /// The present request was read to its end.
        var bodyRead = false
    }

    /// Registers the socket with the loop's poller.
    package init(
        key: SlabKey, door: Int, token: Token, socket: consuming Socket, limits: ServerLimits,
        loop: Loop
    ) throws(SystemFault) {
        self.loop = loop
        self.token = token
        self.limits = limits
        descriptor = socket.descriptor
        self.socket = consume socket
        parser = RequestParser(limits: limits.head)
        decoder = ChunkedDecoder(
            maxExtensions: limits.maxChunkExtensions, maxTrailers: limits.maxTrailers,
            maxFields: limits.head.maxFields)
        super.init(key: key, door: door)
        try loop.poller.add(descriptor, interest, token)
        deadline.set(loop.now + limits.headTimeout, token, loop)
    }

    // MARK: the request

    package override var method: Method { head.method }
    package override var methodName: UnsafeRawBufferPointer {
        unsafe bytes(head.methodName)
    }
    package override var target: UnsafeRawBufferPointer { unsafe bytes(head.target) }
    package override func value(_ id: FieldName) -> UnsafeRawBufferPointer? {
        unsafe head.first(id).map { unsafe bytes($0.value) }
    }
    package override func count(_ id: FieldName) -> Int { head.count(id) }
    package override func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        for field in head.fields {
            unsafe body(field.id, bytes(field.name), bytes(field.value))
        }
    }
    package override var announcedLength: Int? {
        switch head.framing {
        case .length(let count): count
        case .none: 0
        case .chunked, .untilClose: nil
        }
    }
    package override var body: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(
            rebasing: input.readable[headLength..<headLength + bodyLength])
    }
    package override var heldRequestBytes: Int { input.capacity }

    private func bytes(_ range: ByteRange) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: input.readable[range.range])
    }

    package override func dropRequest() {
        guard phase == .answering, !state.dropped else { return }
        state.dropped = true
        input.consume(headLength + bodyLength)
        headLength = 0
        bodyLength = 0
        giveBackInput()
    }

    // MARK: events

    /// The descriptor is ready.
    package func ready(_ readiness: Readiness) {
        if readiness.has(.writable) { flush() }
        if readiness.has(.input) {
            receive(readiness)
        }
    }

    /// The wheel fired this connection's token.
    package func timerFired() {
        if deadline.fired(token, loop) { state.expired = true }
    }

    package override func next() -> ServerEvent {
        while true {
            if phase == .closed {
                if state.closedTold { return .none }
                state.closedTold = true
                return .closed
            }
            if state.endOfInput, phase != .closing, phase != .lingering {
                let open = state.told
                tearDown()
                if open { return .left }
                continue
            }
            if state.expired {
                state.expired = false
                if let event = expire() { return event }
                continue
            }
            if state.drained {
                state.drained = false
                if phase == .answering { return .drained }
            }
            switch phase {
            case .head:
                guard output.isEmpty else { return settleInterest() }
                if let event = readHead() { return event }
                if phase == .head { return settleInterest() }
            case .body:
                if let event = readBody() { return event }
                return settleInterest()
            case .answering:
                return settleInterest()
            case .closing:
                guard output.isEmpty else { return settleInterest() }
                finishClosing()
            case .lingering:
                lingered += input.count
                input.removeAll()
                if !state.endOfInput, lingered <= limits.maxLinger { return settleInterest() }
                tearDown()
            case .closed:
                continue
            }
        }
    }

    // MARK: reading

    private func receive(_ readiness: Readiness) {
        guard phase != .closed else { return }
        if readiness.has(.broken) {
            state.endOfInput = true
            return
        }
        let wanted = roomWanted
        if readiness.has(.readable), wanted > 0 {
            if input.capacity == 0 { input = loop.lend() }
            let room = unsafe input.room(wanted)
            let taken = unsafe socket?.receive(
                UnsafeMutableRawBufferPointer(rebasing: room[..<wanted]))
            switch taken ?? .closed {
            case .bytes(let count):
                input.wrote(count)
                if phase == .body { bodyReceived += count }
            case .wouldBlock: break
            case .closed, .failed: state.endOfInput = true
            }
        }
        // While an answer is owed, a client that has closed its side has left (as nginx and Envoy
        // see it); before that, what it sent is read to its end first.
        if readiness.has(.peerClosed), state.told { state.endOfInput = true }
    }

    /// How much to read next: a block, or the rest of a known body in larger steps.
    private var roomWanted: Int {
        switch phase {
        case .head, .lingering: return 4_096
        case .answering, .closing:
            let held = input.count - (state.dropped ? 0 : headLength + bodyLength)
            return max(0, min(4_096, limits.maxPipelined - held))
        case .body:
            guard case .length(let count) = head.framing else { return 16_384 }
            // What has come doubles what may come: an announcement alone reserves nothing.
            return min(max(count - bodyLength, 1), max(16_384, min(bodyReceived, 262_144)))
        case .closed: return 0
        }
    }

    private func readHead() -> ServerEvent? {
        if input.isEmpty {
            giveBackInput()
            return nil
        }
        do throws(HeadFault) {
            let parsed = try unsafe parser.parse(input.readable.bytes, into: &head)
            guard let length = parsed else {
                if !state.writeBlocked, deadline.current > loop.now + limits.headTimeout {
                    deadline.set(loop.now + limits.headTimeout, token, loop)
                }
                return nil
            }
            headLength = length
            return begin()
        } catch {
            return fault(.head(error))
        }
    }

    /// The head is complete: announces it, and sets up the reading of the body.
    private func begin() -> ServerEvent {
        parser.reset()
        bodyLength = 0
        bodyReceived = input.count - headLength
        bodyBegan = loop.now
        answer = .none
        state.told = true
        state.dropped = false
        state.bodyRead = false
        if !head.keepAlive { state.lastAnswer = true }
        phase = .body
        switch head.framing {
        case .length(let count):
            if count > limits.maxBody { return fault(.bodyTooLarge(limit: limits.maxBody)) }
        case .chunked: decoder.reset()
        case .none, .untilClose: break
        }
        return .head
    }

    private func readBody() -> ServerEvent? {
        switch head.framing {
        case .none, .untilClose:
            return complete()
        case .length(let count):
            bodyLength = min(count, input.count - headLength)
            if bodyLength == count { return complete() }
        case .chunked:
            do throws(ChunkFault) {
                if try decode() {
                    return bodyLength > limits.maxBody
                        ? fault(.bodyTooLarge(limit: limits.maxBody)) : complete()
                }
            } catch {
                return fault(.chunk(error))
            }
            if bodyLength > limits.maxBody {
                return fault(.bodyTooLarge(limit: limits.maxBody))
            }
        }
        let earned = Duration.seconds(bodyReceived / max(1, limits.bodyFloorPerSecond))
        deadline.set(bodyBegan + limits.bodyTimeout + earned, token, loop)
        return nil
    }

    private func complete() -> ServerEvent {
        phase = .answering
        state.bodyRead = true
        deadline.set(.distantFuture, token, loop)
        return .request
    }

    /// Moves payload down behind the head as far as it has come; true at the body's end.
    private func decode() throws(ChunkFault) -> Bool {
        let all = unsafe input.mutable
        var read = headLength + bodyLength
        var write = read
        var ended = false
        scan: while read < all.count {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: all[read...])
            switch try unsafe decoder.next(rest.bytes) {
            case .payload(let range, let consumed):
                if write != read + range.lowerBound, !range.isEmpty {
                    unsafe memoryMove(all, from: read + range.lowerBound, to: write, range.count)
                }
                write += range.count
                read += consumed
            case .more(let consumed):
                read += consumed
                break scan
            case .end(let consumed):
                read += consumed
                ended = true
                break scan
            }
        }
        let left = all.count - read
        if left > 0, write != read { unsafe memoryMove(all, from: read, to: write, left) }
        bodyLength = write - headLength
        input.dropLast(read - write)
        return ended
    }

    // MARK: answering

    package override func inviteBody() {
        guard phase == .body, head.expectsContinue, input.count == headLength else { return }
        borrowOutput()
        output.append("HTTP/1.1 100 Continue\r\n\r\n")
        flush()
    }

    package override func respond(
        status: Int, fields: borrowing ByteBuffer, length: AnswerLength
    ) {
        guard phase != .closed else { return }
        invariant(answer == .none && state.told, "one answer to one request")
        borrowOutput()
        if phase == .body, !bodyIsHere { state.lastAnswer = true }
        output.append("HTTP/1.1 ")
        output.append(decimal: status)
        output.append(byte: 0x20)
        output.append(StatusText.reason(status))
        output.append("\r\n")
        unsafe output.append(fields.readable)
        unsafe output.append(loop.dateLine)
        switch length {
        case .exact(let count):
            output.append("Content-Length: ")
            output.append(decimal: count)
            output.append("\r\n")
            answer = head.method == .head ? .bodiless : .length(left: count)
        case .bodiless:
            answer = .bodiless
        case .unknown where head.method == .head:
            answer = .bodiless
        case .unknown where head.minorVersion == 0:
            answer = .untilClose
            state.lastAnswer = true
        case .unknown:
            output.append("Transfer-Encoding: chunked\r\n")
            answer = .chunked
        }
        if state.lastAnswer {
            output.append("Connection: close\r\n")
        } else if head.minorVersion == 0 {
            output.append("Connection: keep-alive\r\n")
        }
        output.append("\r\n")
    }

    package override func write(_ payload: UnsafeRawBufferPointer) {
        guard unsafe !payload.isEmpty, phase != .closed else { return }
        switch answer {
        case .chunked:
            borrowOutput()
            output.appendChunkHeader(payload.count)
            unsafe output.append(payload)
            output.appendChunkEnd()
        case .length(let left):
            invariant(payload.count <= left, "an answer as long as announced")
            borrowOutput()
            unsafe output.append(payload)
            answer = .length(left: left - payload.count)
        case .untilClose:
            borrowOutput()
            unsafe output.append(payload)
        case .bodiless, .none:
            break
        }
        if output.count >= limits.streamBuffer {
            flush()
            state.congested = output.count >= limits.streamBuffer
        }
    }

    package override func end(trailers: [UInt8] = []) {
        guard phase != .closed else { return }
        if case .length(let left) = answer, left > 0 { return abort() }
        if answer == .chunked {
            borrowOutput()
            unsafe output.appendLastChunk(trailers: trailers.span.bytes)
        }
        answer = .none
        state.told = false
        if phase == .body, bodyIsHere { _ = readBody() }
        if state.lastAnswer || phase != .answering {
            phase = .closing
            return
        }
        if !state.dropped { input.consume(headLength + bodyLength) }
        headLength = 0
        bodyLength = 0
        phase = .head
        deadline.set(loop.now + limits.idleTimeout, token, loop)
    }

    package override func abort() {
        guard phase != .closed else { return }
        flush()
        // Without framing only a reset tells the client that the answer is not complete.
        if answer == .untilClose { socket?.resetOnClose() }
        state.told = false
        tearDown()
    }

    package override func closeAfterAnswer() {
        state.lastAnswer = true
        if phase == .head, input.isEmpty, output.isEmpty { tearDown() }
    }

    package override var isCongested: Bool { state.congested }
    package override var hasResponded: Bool { answer != .none }

    package override func flush() {
        while !output.isEmpty {
            switch unsafe socket?.send(output.readable) ?? .closed {
            case .bytes(let count):
                output.consume(count)
                if state.writeBlocked {
                    deadline.set(loop.now + limits.writeTimeout, token, loop)
                }
            case .wouldBlock:
                if !state.writeBlocked {
                    state.writeBlocked = true
                    deadline.set(loop.now + limits.writeTimeout, token, loop)
                    _ = settleInterest()
                }
                return relieve()
            case .closed, .failed:
                state.endOfInput = true
                output.removeAll()
                if phase == .closing || phase == .lingering { tearDown() }
                return
            }
        }
        loop.takeBack(&output)
        if state.writeBlocked {
            state.writeBlocked = false
            let idle = phase == .head ? loop.now + limits.idleTimeout : .distantFuture
            deadline.set(idle, token, loop)
        }
        relieve()
    }

    private func relieve() {
        if state.congested, output.count < limits.streamBuffer / 2 {
            state.congested = false
            state.drained = true
        }
    }

    // MARK: ends

    private func fault(_ fault: ServerFault) -> ServerEvent {
        state.lastAnswer = true
        state.told = true
        answer = .none
        if phase == .head {
            head = RequestHead()
            headLength = 0
            bodyLength = 0
            state.dropped = false
        }
        state.bodyRead = false
        phase = .answering
        deadline.set(.distantFuture, token, loop)
        return .fault(fault)
    }

    private func expire() -> ServerEvent? {
        switch phase {
        case .head where input.isEmpty, .lingering, .closing:
            tearDown()
            return nil
        case .head: return fault(.headTimeout)
        case .body: return fault(.bodyTimeout)
        case .answering:
            // A client that takes nothing for the whole write timeout is as good as gone.
            if state.writeBlocked { state.endOfInput = true }
            return nil
        case .closed: return nil
        }
    }

    private var bodyIsHere: Bool {
        switch head.framing {
        case .none: true
        case .length(let count): input.count - headLength >= count
        case .chunked, .untilClose: false
        }
    }

    private func finishClosing() {
        let read = state.dropped ? 0 : headLength + bodyLength
        if state.endOfInput || (state.bodyRead && input.count <= read) { return tearDown() }
        phase = .lingering
        input.removeAll()
        lingered = 0
        socket?.shutdownWrite()
        deadline.set(loop.now + limits.lingerTimeout, token, loop)
    }

    private func tearDown() {
        guard phase != .closed else { return }
        phase = .closed
        deadline.cancel(loop)
        loop.poller.remove(descriptor)
        socket = nil
        loop.takeBack(&input)
        loop.takeBack(&output)
    }

    // MARK: leaves

    /// Registers what this connection waits for, where it changed.
    private func settleInterest() -> ServerEvent {
        var wanted = Interest.peerClosed
        if roomWanted > 0 { wanted = wanted + .read }
        if !output.isEmpty { wanted = wanted + .write }
        if wanted != interest, phase != .closed {
            interest = wanted
            try? loop.poller.change(descriptor, wanted, token)
        }
        return .none
    }

    private func borrowOutput() {
        if output.capacity == 0 { output = loop.lend() }
    }

    private func giveBackInput() {
        if input.isEmpty { loop.takeBack(&input) }
    }
}

@available(*, unavailable)
extension HTTP1ServerConnection: Sendable {}

/// Moves bytes within one buffer; the two places may overlap.
@inline(__always)
private func memoryMove(
    _ buffer: UnsafeMutableRawBufferPointer, from: Int, to: Int, _ count: Int
) {
    guard let base = buffer.baseAddress else { return }
    unsafe (base + to).copyMemory(from: base + from, byteCount: count)
}
