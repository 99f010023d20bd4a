// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import EventLoop
import Policy
import Synchronization
import Telemetry
import Transport
import Units
import Wire

/// The engine's side: from an admission to the last byte of the answer.
extension Worker {
    // MARK: sending

    func forward(_ exchange: Exchange, to endpoint: EndpointID) {
        if endpoint.index >= policy.endpoints.count {
            adopt(shared.decider.withLock { $0.policy })
        }
        exchange.endpoint = endpoint
        exchange.state = .sending
        send(exchange, fresh: false)
    }

    /// Sends the request over a kept connection, or over a new one.
    private func send(_ exchange: Exchange, fresh: Bool) {
        guard let endpoint = exchange.endpoint, let server = exchange.server else { return }
        guard let client = stream(to: endpoint, fresh: fresh) else { return bounce(exchange) }
        exchange.client = client
        client.tag = exchange.id.key
        exchange.forwardedAt = loop.now
        setDeadline(
            exchange, min(exchange.totalDeadline, loop.now + exchange.timeouts.firstToken))
        fields.removeAll()
        let known = self.policy(of: exchange, knowing: endpoint)
        ForwardFields.write(
            server, exchange, key: known.pools[known.endpoints[endpoint.index].pool.index].key,
            to: &fields)
        text.removeAll()
        writePath(exchange)
        unsafe client.request(
            method: .post, target: text.readable,
            authority: known.endpoints[endpoint.index].authority, fields: fields,
            body: edit(exchange, server, known.pools[known.endpoints[endpoint.index].pool.index]))
        // The loop's clock stands still during a turn, and most of the overhead lies within one.
        if !exchange.wasQueued { exchange.overhead = MonotonicClock.now() - exchange.readAt }
        if let connection = clients[client.key] { pump(connection) }
    }

    /// The configuration that admitted the request, or, where a reload has added the endpoint
    /// since, the present one.
    private func policy(of exchange: Exchange, knowing endpoint: EndpointID) -> Policy {
        endpoint.index < exchange.policy.endpoints.count ? exchange.policy : policy
    }

    /// The body as the engine gets it: the client's own bytes where nothing has to change.
    private func edit(
        _ exchange: Exchange, _ server: ServerStream, _ pool: PoolPolicy
    ) -> UnsafeRawBufferPointer {
        let body = unsafe exchange.prompt(exchange.content(server))
        var edits = BodyEdits()
        let name = modelName(exchange)
        let asked = exchange.inspection.model
        let isInBody = exchange.dialect.namesModelIn == .body
        var isAlias = isInBody && (asked.isEscaped || asked.range.count != name.utf8.count)
        if isInBody, !isAlias {
            let spelled = unsafe UnsafeRawBufferPointer(rebasing: body[asked.range])
            isAlias = unsafe !spelled.elementsEqual(name.utf8)
        }
        if isAlias { edits.model = name }
        edits.bound = exchange.bound
        edits.askUsage =
            exchange.inspection.stream && !exchange.inspection.includeUsage
            && exchange.dialect.asksForUsage
        if pool.takesPriority, exchange.dialect.generates {
            let level = exchange.policy.classes[exchange.trafficClass.index].priority
            edits.priority = pool.engine.family.priority(level)
        }
        edited.removeAll()
        let outcome = unsafe apply(
            body: body.bytes, inspection: exchange.inspection, edits: edits, into: &edited)
        return unsafe outcome == .edited ? edited.readable : body
    }

    /// The name that engines know the model by. What was forwarded has one.
    func modelName(_ exchange: Exchange) -> String {
        exchange.model.map { exchange.policy.models[$0.index].name } ?? ""
    }

    /// Nothing reached an engine: the machine may choose another.
    private func bounce(_ exchange: Exchange) {
        exchange.endpoint = nil
        guard let ticket = exchange.ticket else { return }
        exchange.state = .waiting
        setDeadline(exchange, exchange.totalDeadline)
        decide(.bounced(ticket))
    }

    // MARK: the answer

    /// Drives an engine's connection until it has nothing more to say.
    func pump(_ connection: ClientConnection) {
        switch connection {
        case .http1(let client): pump(client)
        case .http2(let connection): pump(connection)
        }
    }

    private func pump(_ connection: HTTP2ClientConnection) {
        while true {
            switch connection.next() {
            case .none: return
            case .stream(let stream): pump(stream)
            case .closed:
                upstreams.forget(connection.key, to: EndpointID(connection.destination))
                clients.remove(connection.key)
                return
            }
        }
    }

    private func pump(_ client: ClientStream) {
        var hasSpoken = false
        while true {
            switch unsafe client.next() {
            case .none:
                if hasSpoken { flushServer(of: client) }
                return
            case .connected: continue
            case .head:
                hasSpoken = true
                guard let exchange = exchange(of: client) else { return drop(client) }
                begin(exchange, client)
            case .payload(let bytes):
                hasSpoken = true
                guard let exchange = exchange(of: client) else { return drop(client) }
                unsafe take(exchange, bytes)
            case .end:
                hearUnasked(client)
                guard let exchange = exchange(of: client) else { return drop(client) }
                exchange.trailers = client.trailers
                release(client, exchange)
                return finish(exchange)
            case .fault(let fault):
                hearUnasked(client)
                let exchange = exchange(of: client)
                if exchange == nil, !client.isShared {
                    upstreams.forget(client.key, to: EndpointID(client.destination))
                }
                drop(client)
                if let exchange { fail(exchange, client, fault) }
                return
            case .closed:
                upstreams.forget(client.key, to: EndpointID(client.destination))
                drop(client)
                return
            }
        }
    }

    private func hearUnasked(_ client: ClientStream) {
        guard client.hasSpokenUnasked else { return }
        upstreams.distrust(EndpointID(client.destination), now: loop.now)
    }

    private func exchange(of client: ClientStream) -> Exchange? {
        client.tag.flatMap { exchanges[$0] }
    }

    /// What was written in this turn goes out; a client that does not keep up stops its engine.
    private func flushServer(of client: ClientStream) {
        guard let exchange = exchange(of: client), let server = exchange.server else { return }
        server.flush()
        if server.isCongested { client.pauseReading() }
        if let connection = servers[server.key] { pump(connection) }
    }

    /// The head of the engine's answer. A stream's head waits for its first event, so that an
    /// engine that answers at once but never begins can still be told from one that works.
    private func begin(_ exchange: Exchange, _ client: ClientStream) {
        let isStream = unsafe client.value(.contentType).map {
            unsafe $0.startsWith("text/event-stream")
        }
        if client.status == 200, isStream ?? false {
            exchange.body = .events
            var asked: AskedUsage = []
            if exchange.inspection.includeUsage { asked.insert(.atEnd) }
            if exchange.inspection.continuousUsage { asked.insert(.continuous) }
            exchange.reader = StreamReader(
                exchange.dialect, asked: asked, scope: usageScope(exchange))
        } else {
            exchange.body = client.status == 200 ? .whole : .opaque
        }
        text.removeAll()
        AnswerFields.write(client, to: &text)
        // A stream that has begun cannot become anything else.
        if exchange.isOpened, exchange.body == .opaque { exchange.body = .whole }
        exchange.status = client.status
        exchange.answerLength = client.announcedLength
        guard exchange.body != .opaque else { return unsafe respond(exchange, text.readable) }
        exchange.keepFields(text)
    }

    /// Passes on the head that was kept, unless that was done.
    func respond(_ exchange: Exchange) {
        guard exchange.state == .sending else { return }
        unsafe respond(exchange, exchange.keptFields)
        exchange.dropFields()
    }

    /// Passes the head on: from here on there is no way back to another engine.
    private func respond(_ exchange: Exchange, _ answerFields: UnsafeRawBufferPointer) {
        guard exchange.state == .sending, let server = exchange.server else { return }
        exchange.state = .answering
        releaseBody(exchange)
        if exchange.isOpened { return }
        fields.removeAll()
        unsafe fields.append(answerFields)
        decisionFields(exchange)
        let length: AnswerLength =
            exchange.body == .events
            ? .unknown : exchange.answerLength.map { .exact($0) } ?? .unknown
        server.respond(status: exchange.status, fields: fields, length: length)
    }

    private func take(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) {
        switch exchange.body {
        case .events: unsafe takeEvents(exchange, bytes)
        case .whole:
            noteToken(exchange)
            unsafe takeWhole(exchange, bytes)
        case .opaque, .undecided:
            unsafe exchange.server?.write(bytes)
        }
    }

    /// A part of an answer that is no stream. It is held back until all of it is here: of an answer
    /// that broke off clients would ask for a second one, and pay twice.
    private func takeWhole(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) {
        if exchange.isOpened {
            guard exchange.heldCount + bytes.count <= policy.upstream.maxEvent.count else {
                return cut(exchange, .engineFailed)
            }
            return unsafe exchange.hold(bytes)
        }
        if bytes.count == exchange.answerLength {
            // All of it at once: nothing need be kept.
            exchange.usage = unsafe usage(
                inAnswer: bytes.bytes, of: exchange.dialect, scope: usageScope(exchange))
        } else if exchange.state == .sending,
            exchange.heldCount + bytes.count <= policy.upstream.maxBufferedAnswer.count
        {
            return unsafe exchange.hold(bytes)
        }
        passHeld(exchange)
        unsafe exchange.server?.write(bytes)
    }

    /// The head, and what was held of the body.
    private func passHeld(_ exchange: Exchange) {
        guard exchange.state == .sending else { return }
        respond(exchange)
        if exchange.heldCount > 0 { unsafe exchange.server?.write(exchange.held) }
        exchange.releaseHeld()
    }

    /// llama.cpp's usage speaks of one choice, all others' of the whole answer.
    private func usageScope(_ exchange: Exchange) -> UsageScope {
        guard exchange.dialect.hasChoices, let endpoint = exchange.endpoint else {
            return .answer
        }
        let known = policy(of: exchange, knowing: endpoint)
        let pool = known.endpoints[endpoint.index].pool
        return known.pools[pool.index].engine.family.usageScope(
            choicesPerPrompt: exchange.inspection.choicesPerPrompt)
    }

    /// The path at the engine, into `text`: where it names the model, by the engine's name for it.
    private func writePath(_ exchange: Exchange) {
        text.append(exchange.dialect.path)
        guard exchange.dialect.namesModelIn == .path else { return }
        Route.append(pathSegment: modelName(exchange), to: &text)
        text.append(exchange.dialect == .tritonStream ? "/generate_stream" : "/generate")
    }

    // MARK: ends

    /// The engine's answer is complete.
    private func finish(_ exchange: Exchange) {
        guard let server = exchange.server else { return }
        if exchange.body == .events {
            endLastEvent(exchange)
            exchange.usage = exchange.reader?.usage
            respond(exchange)
        } else if exchange.body == .whole {
            if exchange.heldCount > 0 {
                exchange.usage = unsafe usage(
                    inAnswer: exchange.held.bytes, of: exchange.dialect,
                    scope: usageScope(exchange))
            }
            if exchange.isOpened { return finishOpened(exchange) }
            // Now its length is known, also where the engine did not say.
            if exchange.state == .sending, exchange.trailers.isEmpty {
                exchange.answerLength = exchange.heldCount
            }
            passHeld(exchange)
        }
        server.end(trailers: exchange.trailers)
        // Settled before the client can know that it is over: its next request finds the room.
        close(exchange, exchange.status == 200 ? .completed : .engineFailed)
        server.flush()
        if let connection = servers[server.key] { pump(connection) }
    }

    /// An engine's last event may lack its blank line, or the end of its own: it gets what is
    /// missing, and is judged like the rest.
    private func endLastEvent(_ exchange: Exchange) {
        let lineEnd: StaticString = "\n"
        for _ in 0..<2 where exchange.heldCount > 0 {
            unsafe takeEvents(
                exchange, UnsafeRawBufferPointer(start: lineEnd.utf8Start, count: 1))
        }
    }

    /// The engine's connection broke. Before a byte was sent to the client it may be tried again,
    /// if the engine cannot have begun; after it the client must see that the answer is not
    /// complete.
    private func fail(_ exchange: Exchange, _ client: ClientStream, _ fault: ClientFault) {
        exchange.client = nil
        if exchange.state == .sending {
            switch fault {
            case .connect, .connectTimeout, .tls: return bounce(exchange)
            case .closedEarly, .reset:
                // The engine closed a kept connection while the request was under way to it. What
                // has arrived there may have been begun, and is not asked for a second time.
                if client.wasReused, client.isUnread, !exchange.wasResent {
                    exchange.wasResent = true
                    return send(exchange, fresh: true)
                }
            case .refused:
                // It has not begun. Who refuses twice is full: another may not be.
                if exchange.wasResent { return bounce(exchange) }
                exchange.wasResent = true
                return send(exchange, fresh: true)
            case .head, .chunk, .unexpectedBytes: break
            }
        }
        giveUp(exchange)
    }

    /// Nothing more comes from the engine: the client is told, or sees its answer break off.
    func giveUp(_ exchange: Exchange) {
        exchange.isEngineFault = true
        guard exchange.state == .sending else { return cut(exchange, .engineFailed) }
        refuseLate(exchange, Refusal(.upstreamFailed, isFinal: true))
    }
}

extension UnsafeRawBufferPointer {
    /// Compares without regard to the case of letters.
    func startsWith(_ text: StaticString) -> Bool {
        guard count >= text.utf8CodeUnitCount else { return false }
        for place in 0..<text.utf8CodeUnitCount {
            let byte = unsafe self[place]
            let lower = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
            guard unsafe lower == text.utf8Start[place] else { return false }
        }
        return true
    }
}
