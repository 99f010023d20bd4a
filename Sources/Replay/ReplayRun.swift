// SPDX-License-Identifier: Apache-2.0

import Dialects
public import EventLoop
public import Simulation
import Transport
import Units
import Wire

/// Why a replay did not start.
public enum ReplayFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// The target's name has no address, or none was found in time.
    case unknownHost(String)
    case system(SystemFault)

    public var description: String {
        switch self {
        case .unknownHost(let host): "\(host) has no address"
        case .system(let fault): "\(fault)"
        }
    }
}

/// Replays a trace over sockets: every request is sent at its time, whatever became of those before
/// it.
public final class ReplayRun {
    private enum Kind {
        static let client: UInt8 = 1
        static let call: UInt8 = 2
        static let arrival: UInt8 = 3
        static let tick: UInt8 = 4
        static let signal: UInt8 = 5
    }

    private let setup: ReplaySetup
    private let trace: Trace
    private let addresses: [SocketAddress]
    private let loop: Loop
    private let signals: ReplaySignals?
    private let target: String
    private var clients: Slab<HTTP1ClientConnection>
    private var idle: [SlabKey] = []
    private var calls: Slab<ReplayCall>
    private var tally = ReplayTally()
    private var next = 0
    private var turn = 0
    private var isStopping = false
    private let begunAt: Instant
    private var lastEnd: Instant
    private var tokensAtTick = Tokens.zero
    private var body = ByteBuffer()
    private var fields = ByteBuffer()

    /// Finds the target's addresses, which may take ten seconds. With `signals` a termination ends
    /// the replay early, with a report of what there is.
    public init(
        _ setup: ReplaySetup, _ trace: Trace, signals: ReplaySignals? = nil
    ) throws(ReplayFault) {
        self.setup = setup
        self.trace = trace
        addresses = try ReplayResolving.addresses(of: setup.target)
        do throws(SystemFault) {
            loop = try Loop(timers: 2 * setup.maxOpen + 64)
        } catch {
            throw .system(error)
        }
        self.signals = signals
        target = setup.target.base + "/v1/chat/completions"
        clients = Slab(limit: 2 * setup.maxOpen)
        calls = Slab(limit: setup.maxOpen)
        begunAt = loop.now
        lastEnd = loop.now
    }

    /// Returns when everything sent has been answered, has failed or was cut by a signal.
    public func run() throws(ReplayFault) -> ReplayReport {
        do throws(SystemFault) {
            if let descriptor = signals?.descriptor {
                try loop.poller.add(
                    descriptor, .read, Token(kind: Kind.signal, key: SlabKey(raw: 0)))
            }
            if setup.progress == .everySecond { tick() }
            sendDue()
            while !isStopping, next < trace.requests.count || calls.count > 0 { try step() }
        } catch {
            throw .system(error)
        }
        calls.each(cut)
        clients.each(Self.close)
        return ReplayReport(tally, span: lastEnd - begunAt)
    }

    private func step() throws(SystemFault) {
        let ready = try loop.wait()
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            if token.kind == Kind.client, let client = clients[token.key] {
                client.ready(readiness)
                pump(client)
            } else if token.kind == Kind.signal {
                isStopping = signals?.askForTheEnd() ?? false
            }
        }
        for token in loop.dueTimers() {
            switch token.kind {
            case Kind.client:
                guard let client = clients[token.key] else { continue }
                client.timerFired()
                pump(client)
            case Kind.call: due(token)
            case Kind.arrival: sendDue()
            default: tick()
            }
        }
    }

    // MARK: arrivals

    /// Sends everything whose time has come, and sets the clock for the next.
    private func sendDue() {
        while next < trace.requests.count {
            let offset = trace.requests[next].arrival.seconds / setup.speed
            guard Duration.seconds(offset) < setup.duration else {
                next = trace.requests.count
                return
            }
            let due = begunAt + .seconds(offset)
            guard due <= loop.now else {
                let token = Token(kind: Kind.arrival, key: SlabKey(raw: 0))
                invariant(loop.schedule(token, at: due) != nil, "a timer for the next arrival")
                return
            }
            let call = ReplayCall(number: next, now: loop.now)
            next += 1
            guard let key = calls.insert(call) else {
                tally.unsent += 1
                continue
            }
            tally.sent += 1
            tally.delays.append(1e3 * (loop.now - due).seconds)
            send(call, key)
        }
    }

    private func send(_ call: ReplayCall, _ key: SlabKey) {
        call.begin(now: loop.now)
        var client: HTTP1ClientConnection?
        while client == nil, let kept = idle.popLast() { client = clients[kept] }
        guard let client = client ?? dial() else { return fail(call, key) }
        send(call, key, over: client)
    }

    private func send(_ call: ReplayCall, _ key: SlabKey, over client: HTTP1ClientConnection) {
        call.facts.client = client.key
        call.deadline.set(loop.now + setup.timeout, Token(kind: Kind.call, key: key), loop)
        client.tag = key
        body.removeAll()
        ReplayBody.write(trace.requests[call.number], number: call.number, setup, to: &body)
        writeFields(of: trace.requests[call.number])
        var target = target
        target.withUTF8 { target in
            unsafe client.request(
                method: .post, target: UnsafeRawBufferPointer(target),
                authority: setup.target.authority, fields: fields, body: body.readable)
        }
        pump(client)
    }

    private func writeFields(of request: TraceRequest) {
        fields.removeAll()
        fields.append("Content-Type: application/json\r\nUser-Agent: penstock-replay\r\n")
        if !setup.keys.isEmpty {
            fields.append("Authorization: Bearer ")
            fields.append(setup.keys[request.tenant % setup.keys.count])
            fields.append("\r\n")
        }
        if let name = setup.trafficClass {
            fields.append("X-Traffic-Class: ")
            fields.append(name)
            fields.append("\r\n")
        }
    }

    private func dial() -> HTTP1ClientConnection? {
        guard let key = clients.nextKey else { return nil }
        turn = (turn + 1) % addresses.count
        let client = try? HTTP1ClientConnection(
            key: key, destination: 0, token: Token(kind: Kind.client, key: key),
            address: addresses[turn], limits: ClientLimits(), loop: loop)
        if let client { _ = clients.insert(client) }
        return client
    }

    // MARK: answers

    private func pump(_ client: HTTP1ClientConnection) {
        while true {
            switch unsafe client.next() {
            case .none: return
            case .connected: continue
            case .head:
                guard let (call, _) = call(of: client) else { return drop(client) }
                begin(call, client)
            case .payload(let bytes):
                guard let (call, key) = call(of: client) else { return drop(client) }
                guard unsafe call.take(bytes, now: loop.now) else {
                    drop(client)
                    return fail(call, key)
                }
            case .end:
                guard let (call, key) = call(of: client) else { return drop(client) }
                release(client)
                return finish(call, key)
            case .fault:
                let owner = call(of: client)
                clients.remove(client.key)
                guard let (call, key) = owner else { return }
                return broke(call, key, client)
            case .closed:
                clients.remove(client.key)
                return
            }
        }
    }

    private func call(of client: HTTP1ClientConnection) -> (ReplayCall, SlabKey)? {
        guard let key = client.tag, let call = calls[key] else { return nil }
        return (call, key)
    }

    private func begin(_ call: ReplayCall, _ client: HTTP1ClientConnection) {
        call.facts.status = client.status
        let isStream =
            client.status == 200
            && (unsafe client.value(.contentType).map { unsafe Self.isEventStream($0) }) == true
        call.facts.phase = isStream ? .events : .whole
        if client.status == 429 || client.status == 503 {
            call.facts.retryAfter = RetryAfter.read(client)
        }
    }

    private static func isEventStream(_ type: UnsafeRawBufferPointer) -> Bool {
        unsafe type.starts(with: "text/event-stream".utf8)
    }

    /// The connection broke before the answer's end. A kept one may have been closed under the
    /// request.
    private func broke(_ call: ReplayCall, _ key: SlabKey, _ client: HTTP1ClientConnection) {
        guard client.wasReused, client.isUnanswered, !call.facts.isResent else {
            return fail(call, key)
        }
        call.facts.isResent = true
        guard let fresh = dial() else { return fail(call, key) }
        call.begin(now: call.facts.sentAt)
        send(call, key, over: fresh)
    }

    private func release(_ client: HTTP1ClientConnection) {
        client.tag = nil
        if client.isReusable { idle.append(client.key) } else { drop(client) }
    }

    private func drop(_ client: HTTP1ClientConnection) {
        clients.remove(client.key)
        client.close()
    }

    private func finish(_ call: ReplayCall, _ key: SlabKey) {
        let status = call.facts.status
        if call.facts.returns == 1, status == 200 { tally.admittedAtFirstReturn += 1 }
        if let wait = call.facts.retryAfter {
            if call.facts.returns == 0 { tally.refused += 1 }
            if comesBack(call, key, after: wait) { return }
        }
        guard status == 200 else {
            tally.count(status: status)
            return close(call, key)
        }
        guard let usage = call.outcome(setup.delivery) else { return fail(call, key) }
        tally.count(status: status)
        tally.done += 1
        tally.tokensIn += usage.input
        tally.tokensOut += usage.output
        measure(call.facts, output: usage.output)
        close(call, key)
    }

    /// Times of the admitted try: of a whole answer its first byte stands for the first token.
    private func measure(_ facts: ReplayCall.Facts, output: Tokens) {
        guard let first = facts.firstAt, let last = facts.lastAt else { return }
        let ttft = first - facts.sentAt
        tally.firstTokens.append(1e3 * ttft.seconds)
        var isGood = ttft <= setup.targets.firstToken
        if output > Tokens(1) {
            let each = (last - first).seconds / Double(output.count - 1)
            tally.perTokens.append(1e3 * each)
            isGood = isGood && each <= setup.targets.perToken.seconds
        }
        if isGood {
            tally.good += 1
            tally.goodTokens += output
        }
    }

    // MARK: refusals and ends

    private func comesBack(_ call: ReplayCall, _ key: SlabKey, after wait: Duration) -> Bool {
        guard case .obeys(let returns) = setup.patience, call.facts.returns < returns else {
            return false
        }
        if call.facts.returns == 0 { tally.obeyed += 1 }
        call.facts.returns += 1
        call.facts.phase = .waiting
        call.facts.client = nil
        call.deadline.set(loop.now + wait, Token(kind: Kind.call, key: key), loop)
        return true
    }

    /// A call's timer: it comes back, or its answer takes too long.
    private func due(_ token: Token) {
        guard let call = calls[token.key], call.deadline.fired(token, loop) else { return }
        if call.facts.phase == .waiting { return send(call, token.key) }
        if let client = call.facts.client.flatMap({ clients[$0] }) { drop(client) }
        fail(call, token.key)
    }

    private func fail(_ call: ReplayCall, _ key: SlabKey) {
        tally.errors += 1
        close(call, key)
    }

    private func close(_ call: ReplayCall, _ key: SlabKey) {
        call.deadline.cancel(loop)
        calls.remove(key)
        lastEnd = loop.now
    }

    private func cut(_ key: SlabKey, _ call: ReplayCall) {
        tally.errors += 1
        lastEnd = loop.now
    }

    private static func close(_ key: SlabKey, _ client: HTTP1ClientConnection) { client.close() }

    // MARK: progress

    private func tick() {
        let elapsed = loop.now - begunAt
        if setup.progress == .everySecond, elapsed > .zero {
            let tokens = tally.tokensOut - tokensAtTick
            tokensAtTick = tally.tokensOut
            let line =
                "\(Int(elapsed.seconds.rounded())) s: sent \(tally.sent) of "
                + "\(trace.requests.count), open \(calls.count), done \(tally.done), refused "
                + "\(tally.refused), errors \(tally.errors + tally.unsent), \(tokens) tokens/s\n"
            Terminal.write(line, to: .error)
        }
        _ = loop.schedule(
            Token(kind: Kind.tick, key: SlabKey(raw: 0)), at: loop.now + .seconds(1))
    }
}

@available(*, unavailable)
extension ReplayRun: Sendable {}
