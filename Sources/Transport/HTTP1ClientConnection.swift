// SPDX-License-Identifier: Apache-2.0

package import EventLoop
package import Units
package import Wire

/// An HTTP/1.1 connection to an engine: one request at a time, kept for the next where both sides agree.
///
/// Answers are read into the loop's scratch and handed on in the same turn: of a long stream nothing is held.
package final class HTTP1ClientConnection: ClientStream {
    /// Where the connection stands.
    private enum Phase: Equatable {
        /// The handshake is under way; → idle, awaiting, failed.
        case connecting
        /// No request; → awaiting, failed.
        case idle
        /// A request is out, its answer's head not here; → body, idle.
        case awaiting
        /// The answer's body; → idle.
        case body
        case failed
    }

    private let loop: Loop
    private let token: Token
    private let limits: ClientLimits
    private var socket: Socket?
    private let descriptor: Int32
    private var interest = Interest.read + .write + .peerClosed
    private var phase = Phase.connecting
    private var parser: ResponseParser
    private var decoder: ChunkedDecoder
    private var head = ResponseHead()
    private var requestMethod = Method.get
    private var output = ByteBuffer()
    /// The beginning of an answer that did not come whole.
    private var carry = ByteBuffer()
    /// What of this turn's bytes is not dealt with: in scratch, or in the carry.
    private var pending: Range<Int> = 0..<0
    private var pendingInCarry = false
    private var headLength = 0
    private var bodyLeft = 0
    private var connectDeadline = LazyDeadline()
    private var state = Flags()

    private struct Flags {
        var connectedTold = false
        var requestOut = false
        var endOfInput = false
        var reset = false
        var answered = false
        var reused = false
        var reading = true
        var detached = false
        var bodyEnded = false
        var faultTold = false
        var expired = false
        var connectFault: SystemFault?
    }

    /// Begins to connect, and registers with the loop's poller.
    package init(
        key: SlabKey, destination: Int, token: Token, address: SocketAddress,
        limits: ClientLimits, loop: Loop
    ) throws(SystemFault) {
        self.loop = loop
        self.token = token
        self.limits = limits
        let socket = try Socket.connect(to: address)
        descriptor = socket.descriptor
        self.socket = consume socket
        parser = ResponseParser(limits: limits.head)
        decoder = ChunkedDecoder(
            maxExtensions: limits.maxChunkExtensions, maxTrailers: limits.maxTrailers,
            maxFields: limits.head.maxFields)
        super.init(key: key, destination: destination)
        try loop.poller.add(descriptor, interest, token)
        connectDeadline.set(loop.now + limits.connectTimeout, token, loop)
    }

    // MARK: the request

    package override func request(
        method: Method, target: UnsafeRawBufferPointer, authority: String,
        fields: borrowing ByteBuffer, body: UnsafeRawBufferPointer
    ) {
        invariant(!state.requestOut, "one request at a time")
        state.requestOut = true
        state.answered = false
        state.bodyEnded = false
        requestMethod = method
        if phase == .idle { phase = .awaiting }
        if output.capacity == 0 { output = loop.lend() }
        output.append(method.name)
        output.append(byte: 0x20)
        unsafe output.append(target)
        output.append(" HTTP/1.1\r\nHost: ")
        output.append(authority)
        output.append("\r\n")
        unsafe output.append(fields.readable)
        if unsafe !body.isEmpty || method == .post || method == .put {
            output.append("Content-Length: ")
            output.append(decimal: body.count)
            output.append("\r\n")
        }
        output.append("\r\n")
        guard phase != .connecting, phase != .failed else {
            unsafe output.append(body)
            return
        }
        unsafe transmit(body)
    }

    /// Sends head and body with one call; what the kernel does not take is kept.
    private func transmit(_ body: UnsafeRawBufferPointer) {
        if body.count <= 4_096 {
            unsafe output.append(body)
            return flush()
        }
        let headBytes = output.count
        switch unsafe socket?.send(output.readable, body) ?? .closed {
        case .bytes(let count) where count >= headBytes:
            output.removeAll()
            unsafe output.append(UnsafeRawBufferPointer(rebasing: body[(count - headBytes)...]))
            if output.isEmpty { loop.takeBack(&output) }
        case .bytes(let count):
            output.consume(count)
            unsafe output.append(body)
        case .wouldBlock:
            unsafe output.append(body)
        case .closed, .failed:
            state.endOfInput = true
            state.reset = true
        }
        settleInterest()
    }

    private func flush() {
        while !output.isEmpty {
            switch unsafe socket?.send(output.readable) ?? .closed {
            case .bytes(let count): output.consume(count)
            case .wouldBlock: return settleInterest()
            case .closed, .failed:
                // The engine may have answered before it closed: read that first.
                output.removeAll()
                state.reset = true
                return settleInterest()
            }
        }
        loop.takeBack(&output)
        settleInterest()
    }

    // MARK: the answer

    package override var status: Int { head.status }
    package override func value(_ id: FieldName) -> UnsafeRawBufferPointer? {
        unsafe head.first(id).map { unsafe bytes($0.value) }
    }
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
    package override var trailers: [UInt8] {
        head.framing == .chunked ? decoder.trailers : []
    }
    package override var isBodiless: Bool { head.framing == .none }

    /// Valid during the turn in which `.head` was told.
    private func bytes(_ range: ByteRange) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: arrived[headStart..<headStart + headLength])[
            rebased: range.range]
    }
    private var headStart: Int { pending.lowerBound - headLength }

    private var arrived: UnsafeRawBufferPointer {
        unsafe pendingInCarry ? carry.readable : UnsafeRawBufferPointer(loop.scratch)
    }

    // MARK: events

    /// The descriptor is ready.
    package func ready(_ readiness: Readiness) {
        if phase == .connecting { finishConnecting(readiness) }
        guard phase != .failed, phase != .connecting else { return }
        if readiness.has(.writable) { flush() }
        guard state.reading else {
            // Nobody reads, and the kernel would tell of the end again and again: off the poller.
            if readiness.has(.broken), !state.detached {
                state.detached = true
                loop.poller.remove(descriptor)
            }
            return
        }
        if readiness.has(.input) { receive() }
    }

    /// The wheel fired this connection's token.
    package func timerFired() {
        if connectDeadline.fired(token, loop), phase == .connecting { state.expired = true }
    }

    private func finishConnecting(_ readiness: Readiness) {
        if let fault = socket?.connectOutcome() {
            state.connectFault = fault
            return
        }
        guard readiness.has(.writable) else { return }
        connectDeadline.cancel(loop)
        phase = state.requestOut ? .awaiting : .idle
    }

    private func receive() {
        invariant(pending.isEmpty, "a turn's bytes are dealt with in the turn")
        let taken: Transfer?
        if carry.isEmpty {
            taken = unsafe socket?.receive(loop.scratch)
            pendingInCarry = false
        } else {
            let room = unsafe carry.room(8_192)
            taken = unsafe socket?.receive(
                UnsafeMutableRawBufferPointer(rebasing: room[..<8_192]))
            pendingInCarry = true
        }
        switch taken ?? .closed {
        case .bytes(let count):
            if pendingInCarry { carry.wrote(count) }
            pending = 0..<(pendingInCarry ? carry.count : count)
            if state.requestOut { state.answered = true }
        case .wouldBlock: break
        case .closed: state.endOfInput = true
        case .failed:
            state.endOfInput = true
            state.reset = true
        }
    }

    package override func next() -> ClientEvent {
        while true {
            if phase == .failed { return unsafe .none }
            if let fault = state.connectFault { return unsafe fail(.connect(fault)) }
            if state.expired { return unsafe fail(.connectTimeout) }
            switch phase {
            case .connecting, .failed:
                return unsafe .none
            case .idle:
                if !state.connectedTold {
                    state.connectedTold = true
                    return unsafe .connected
                }
                if !pending.isEmpty { return unsafe fail(.unexpectedBytes) }
                if state.endOfInput {
                    close()
                    return unsafe .closed
                }
                return unsafe .none
            case .awaiting:
                state.connectedTold = true
                if let event = unsafe readHead() { return unsafe event }
                return unsafe .none
            case .body:
                if let event = unsafe readBody() { return unsafe event }
                return unsafe .none
            }
        }
    }

    private func readHead() -> ClientEvent? {
        while !pending.isEmpty {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: arrived[pending])
            do throws(HeadFault) {
                guard
                    let length = try unsafe parser.parse(
                        rest.bytes, requestMethod: requestMethod, into: &head)
                else {
                    keepPending()
                    break
                }
                parser.reset()
                headLength = length
                pending = pending.lowerBound + length..<pending.upperBound
            } catch {
                return unsafe fail(.head(error))
            }
            if head.status / 100 == 1 { continue }
            beginBody()
            return unsafe .head
        }
        guard state.endOfInput else { return nil }
        return unsafe fail(state.reset ? .reset : .closedEarly)
    }

    private func beginBody() {
        phase = .body
        switch head.framing {
        case .none: state.bodyEnded = true
        case .length(let count):
            bodyLeft = count
            state.bodyEnded = count == 0
        case .chunked: decoder.reset()
        case .untilClose: break
        }
    }

    private func readBody() -> ClientEvent? {
        while true {
            if state.bodyEnded { return unsafe finish() }
            if pending.isEmpty { break }
            let rest = unsafe UnsafeRawBufferPointer(rebasing: arrived[pending])
            switch head.framing {
            case .length, .none:
                let count = min(bodyLeft, rest.count)
                bodyLeft -= count
                state.bodyEnded = bodyLeft == 0
                advance(count)
                return unsafe .payload(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            case .untilClose:
                advance(rest.count)
                return unsafe .payload(rest)
            case .chunked:
                do throws(ChunkFault) {
                    switch try unsafe decoder.next(rest.bytes) {
                    case .payload(let range, let consumed):
                        advance(consumed)
                        return unsafe .payload(UnsafeRawBufferPointer(rebasing: rest[range]))
                    case .more(let consumed): advance(consumed)
                    case .end(let consumed):
                        advance(consumed)
                        state.bodyEnded = true
                    }
                } catch {
                    return unsafe fail(.chunk(error))
                }
            }
        }
        guard state.endOfInput else { return nil }
        if head.framing == .untilClose, !state.reset {
            state.bodyEnded = true
            return unsafe finish()
        }
        return unsafe fail(state.reset ? .reset : .closedEarly)
    }

    private func finish() -> ClientEvent {
        state.requestOut = false
        state.reused = true
        phase = .idle
        state.connectedTold = true
        if !pending.isEmpty || state.endOfInput || !head.keepAlive || !output.isEmpty
            || head.framing == .untilClose
        {
            close()
        } else {
            carry.release()
        }
        return unsafe .end
    }

    // MARK: ends and leaves

    package override var isReusable: Bool { phase == .idle }
    package override var wasReused: Bool { state.reused }
    package override var isUnanswered: Bool { !state.answered }

    package override func pauseReading() {
        state.reading = false
        settleInterest()
    }
    package override func resumeReading() {
        guard phase != .failed else { return }
        state.reading = true
        if state.detached {
            state.detached = false
            interest = .read + .peerClosed
            try? loop.poller.add(descriptor, interest, token)
        }
        settleInterest()
    }

    package override func close() {
        guard phase != .failed else { return }
        phase = .failed
        connectDeadline.cancel(loop)
        if !state.detached { loop.poller.remove(descriptor) }
        socket = nil
        loop.takeBack(&output)
        carry.release()
        pending = 0..<0
    }

    private func fail(_ fault: ClientFault) -> ClientEvent {
        close()
        return unsafe .fault(fault)
    }

    private func advance(_ count: Int) {
        pending = pending.lowerBound + count..<pending.upperBound
        guard pending.isEmpty, pendingInCarry else { return }
        // The payload just handed out lies in the carry: it is emptied, its memory stays.
        carry.removeAll()
        pending = 0..<0
    }

    /// Keeps the beginning of a head for the next turn.
    private func keepPending() {
        if !pendingInCarry {
            unsafe carry.append(UnsafeRawBufferPointer(rebasing: arrived[pending]))
        } else if pending.lowerBound > 0 {
            carry.consume(pending.lowerBound)
        }
        pending = 0..<0
    }

    private func settleInterest() {
        guard phase != .failed, !state.detached else { return }
        var wanted = state.reading ? .read + .peerClosed : Interest(rawValue: 0)
        if phase == .connecting || !output.isEmpty { wanted = wanted + .write }
        if wanted != interest {
            interest = wanted
            try? loop.poller.change(descriptor, wanted, token)
        }
    }
}

@available(*, unavailable)
extension HTTP1ClientConnection: Sendable {}

extension UnsafeRawBufferPointer {
    fileprivate subscript(rebased range: Range<Int>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: self[range])
    }
}
