// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Simulation
import Transport
import Units
import Wire

/// One simulated engine behind one door, on one thread: connections, routes, and the pace of the
/// tokens.
final class EngineWorker {
    private enum Kind {
        static let mailbox: UInt8 = 1
        static let door: UInt8 = 2
        static let server: UInt8 = 3
        static let pace: UInt8 = 4
    }

    private let loop: Loop
    private let mailbox: Mailbox<EngineMessage>
    private let listener: Listener
    private let limits = ServerLimits()
    private var servers: Slab<HTTP1ServerConnection>
    private var engine: SimulatedEngine
    private var pace = LazyDeadline()
    private let startedAt: Int
    private var isStopping = false
    private var isResting = false
    private var touched: [SlabKey] = []
    private var fields = ByteBuffer()
    private var text = ByteBuffer()

    init(
        _ setup: EngineSetup, listener: consuming Listener, mailbox: Mailbox<EngineMessage>
    ) throws(SystemFault) {
        loop = try Loop(timers: setup.maxConnections + 16)
        self.mailbox = mailbox
        self.listener = listener
        servers = Slab(limit: setup.maxConnections)
        engine = SimulatedEngine(setup, now: loop.now)
        startedAt = Int(loop.wall.nanoseconds / 1_000_000_000)
    }

    /// Runs until it is told to stop, or dies as it was set up to.
    func run() throws(SystemFault) {
        try loop.poller.add(
            mailbox.descriptor, .read, Token(kind: Kind.mailbox, key: SlabKey(raw: 0)))
        try openDoor()
        while !isStopping { try turn() }
        servers.each(Self.cut)
    }

    private static func cut(_ key: SlabKey, _ server: HTTP1ServerConnection) { server.abort() }

    private func turn() throws(SystemFault) {
        let ready = try loop.wait()
        for place in 0..<ready {
            let (token, readiness) = loop.poller.event(place)
            switch token.kind {
            case Kind.server:
                guard let server = servers[token.key] else { continue }
                server.ready(readiness)
                pump(server)
            case Kind.door: accept()
            case Kind.mailbox:
                var messages: [EngineMessage] = []
                mailbox.drain(into: &messages)
                if !messages.isEmpty { isStopping = true }
            default: continue
            }
        }
        for token in loop.dueTimers() { fire(token) }
        goOn()
    }

    private func fire(_ token: Token) {
        if token.kind == Kind.pace {
            _ = pace.fired(token, loop)
        } else if let server = servers[token.key] {
            server.timerFired()
            pump(server)
        }
    }

    /// Lets the engine do what is due, and passes on what it made. Once a turn, so that what
    /// arrived together is batched together.
    private func goOn() {
        engine.advance(to: loop.now, touched: &touched)
        for key in touched {
            if let generation = engine[key] { tell(generation, key) }
        }
        touched.removeAll(keepingCapacity: true)
        if engine.isDead { isStopping = true }
        pace.set(
            engine.deadline ?? .distantFuture, Token(kind: Kind.pace, key: SlabKey(raw: 0)), loop)
    }

    // MARK: connections

    private func openDoor() throws(SystemFault) {
        try loop.poller.add(
            listener.descriptor, .read, Token(kind: Kind.door, key: SlabKey(raw: 0)))
    }

    private func accept() {
        for _ in 0..<32 {
            switch listener.accept() {
            case .none: return
            case .exhausted:
                // It would stay ready and the loop spin: it rests until a connection has closed.
                isResting = true
                loop.poller.remove(listener.descriptor)
                return
            case .socket(let socket, _):
                guard let key = servers.nextKey else {
                    _ = consume socket
                    continue
                }
                let server = try? HTTP1ServerConnection(
                    key: key, door: 0, token: Token(kind: Kind.server, key: key),
                    channel: Channel(socket),
                    limits: limits, loop: loop)
                if let server { _ = servers.insert(server) }
            }
        }
    }

    private func pump(_ server: HTTP1ServerConnection) {
        while true {
            switch server.next() {
            case .none: return
            case .head:
                server.tag = nil
                server.inviteBody()
            case .request:
                answer(server)
            case .fault(let fault):
                respond(server, status: status(of: fault), type: nil)
            case .drained:
                if let key = server.tag, let generation = engine[key] { tell(generation, key) }
            case .left:
                if let key = server.tag { engine.cancel(key, now: loop.now) }
                server.tag = nil
            case .preface: continue
            case .closed:
                servers.remove(server.key)
                if isResting {
                    isResting = false
                    try? openDoor()
                }
                return
            }
        }
    }

    private func status(of fault: ServerFault) -> Int {
        switch fault {
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout: 408
        case .head, .chunk: 400
        }
    }

    // MARK: answers

    private func answer(_ server: HTTP1ServerConnection) {
        text.removeAll()
        let route = unsafe EngineRoute(server.method, server.target.bytes)
        switch route {
        case .generate(let kind): generate(server, kind)
        case .health: respond(server, status: 200, type: nil)
        case .version:
            text.append("{\"version\":\"0.32.0\"}")
            respond(server, status: 200, type: "application/json")
        case .models:
            ModelPage.write(engine.setup, created: startedAt, to: &text)
            respond(server, status: 200, type: "application/json")
        case .metrics:
            var page = ByteBuffer()
            swap(&page, &text)
            text = EngineMetricsPage.write(engine, into: page)
            respond(server, status: 200, type: EngineMetricsPage.contentType)
        case .wrongMethod(let allowed): refuse(server, .wrongMethod(allowed: allowed))
        case .unknown: refuse(server, .notFound)
        }
    }

    private func generate(_ server: HTTP1ServerConnection, _ kind: GenerationRequest.Kind) {
        let key: SlabKey
        do throws(RequestFault) {
            guard let type = unsafe server.value(.contentType), unsafe isJSON(type.bytes) else {
                throw .wrongContentType
            }
            let request = unsafe try GenerationReader.read(
                server.body.bytes, as: kind, context: engine.setup.contextLimit)
            key = try engine.begin(
                request, server: server.key,
                created: Int(loop.wall.nanoseconds / 1_000_000_000), now: loop.now)
        } catch {
            return refuse(server, error, as: kind)
        }
        server.tag = key
        server.dropRequest()
        guard engine[key]?.isStream == true else { return }
        // As vLLM does, before the request is even looked at.
        fields.removeAll()
        fields.append("Content-Type: text/event-stream; charset=utf-8\r\n")
        server.respond(status: 200, fields: fields, length: .unknown)
        server.flush()
    }

    /// The media type alone, case aside (RFC 9110 section 8.3.1).
    private func isJSON(_ type: RawSpan) -> Bool {
        let wanted: StaticString = "application/json"
        guard type.byteCount >= wanted.utf8CodeUnitCount else { return false }
        for at in 0..<wanted.utf8CodeUnitCount
        where type.octet(at) | 0x20 != wanted.octet(at) | 0x20 {
            return false
        }
        guard type.byteCount > wanted.utf8CodeUnitCount else { return true }
        let following = type.octet(wanted.utf8CodeUnitCount)
        return following == UInt8(ascii: ";") || following == 0x20
    }

    private func refuse(
        _ server: HTTP1ServerConnection, _ fault: RequestFault,
        as kind: GenerationRequest.Kind = .chat
    ) {
        text.removeAll()
        fault.write(to: &text, as: kind)
        fields.removeAll()
        if case .wrongMethod(let allowed) = fault {
            fields.append("Allow: ")
            fields.append(allowed.literal)
            fields.append("\r\n")
        }
        fields.append("Content-Type: application/json\r\n")
        finish(server, status: fault.status)
    }

    /// Answers with `text` as it stands.
    private func respond(
        _ server: HTTP1ServerConnection, status: Int, type: StaticString?
    ) {
        fields.removeAll()
        if let type {
            fields.append("Content-Type: ")
            fields.append(type)
            fields.append("\r\n")
        }
        finish(server, status: status)
    }

    private func finish(_ server: HTTP1ServerConnection, status: Int) {
        server.respond(status: status, fields: fields, length: .exact(text.count))
        unsafe server.write(text.readable)
        text.removeAll()
        server.end()
        server.flush()
    }

    // MARK: generations

    /// Passes on what a generation has made since the last time.
    private func tell(_ generation: Generation, _ key: SlabKey) {
        guard let server = servers[generation.server] else { return }
        if generation.isStream {
            stream(generation, key, server)
        } else if generation.isFinished {
            text.removeAll()
            WholeShape.append(generation, model: engine.setup.model, to: &text)
            engine.close(key)
            server.tag = nil
            respond(server, status: 200, type: "application/json")
        } else {
            return
        }
        // The connection may go on with the next request.
        pump(server)
    }

    /// A client that does not keep up is not waited for: the engine goes on, and what it made is
    /// told when the client takes it. Nothing is held for that but a count.
    private func stream(
        _ generation: Generation, _ key: SlabKey, _ server: HTTP1ServerConnection
    ) {
        if !generation.hasToldRole {
            text.removeAll()
            begin(generation)
            unsafe server.write(text.readable)
        }
        generation.hasToldRole = true
        for place in generation.choices.indices {
            while generation.choices[place].told < generation.choices[place].made,
                !server.isCongested
            {
                let choice = generation.choices[place]
                text.removeAll()
                append(generation, choice)
                unsafe server.write(text.readable)
                generation.choices[place].told += 1
            }
        }
        if generation.isToldWhole, !server.isCongested { endStream(generation, key, server) }
        server.flush()
    }

    /// What a stream begins with, together with its first token.
    private func begin(_ generation: Generation) {
        switch generation.kind {
        case .chat:
            for choice in generation.choices.indices {
                StreamShape.appendRole(generation, choice: choice, to: &text)
            }
        case .messages:
            MessagesShape.begin(generation, model: engine.setup.model, to: &text)
        case .responses:
            ResponsesShape.begin(generation, model: engine.setup.model, to: &text)
        case .completions, .embeddings: return
        }
    }

    /// The next token of a choice.
    private func append(_ generation: Generation, _ choice: Choice) {
        switch generation.kind {
        case .chat, .completions, .embeddings:
            StreamShape.appendToken(generation, choice, number: choice.told, to: &text)
        case .messages: MessagesShape.appendToken(choice, number: choice.told, to: &text)
        case .responses:
            ResponsesShape.appendToken(generation, choice, number: choice.told, to: &text)
        }
    }

    private func endStream(
        _ generation: Generation, _ key: SlabKey, _ server: HTTP1ServerConnection
    ) {
        text.removeAll()
        switch generation.kind {
        case .chat, .completions, .embeddings:
            if generation.usage != .none { StreamShape.appendUsage(generation, to: &text) }
            text.append(StreamShape.done)
        case .messages: MessagesShape.end(generation, to: &text)
        case .responses: ResponsesShape.end(generation, model: engine.setup.model, to: &text)
        }
        unsafe server.write(text.readable)
        server.end()
        server.tag = nil
        engine.close(key)
    }
}

@available(*, unavailable)
extension EngineWorker: Sendable {}
