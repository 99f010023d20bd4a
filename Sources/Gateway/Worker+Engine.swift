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
        exchange.deadline.set(
            min(exchange.totalDeadline, loop.now + exchange.timeouts.firstToken),
            token(exchange), loop)
        fields.removeAll()
        let known = self.policy(of: exchange, knowing: endpoint)
        ForwardFields.write(
            server, exchange, key: known.pools[known.endpoints[endpoint.index].pool.index].key,
            to: &fields)
        unsafe client.request(
            method: .post, target: path(exchange.dialect),
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
        var isAlias = asked.isEscaped || asked.range.count != name.utf8.count
        if !isAlias {
            let spelled = unsafe UnsafeRawBufferPointer(rebasing: body[asked.range])
            isAlias = unsafe !spelled.elementsEqual(name.utf8)
        }
        if isAlias { edits.model = name }
        edits.bound = exchange.bound
        edits.askUsage =
            exchange.inspection.stream && !exchange.inspection.includeUsage
            && exchange.dialect != .embeddings
        if pool.takesPriority, exchange.dialect != .embeddings {
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
        exchange.deadline.set(exchange.totalDeadline, token(exchange), loop)
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
        exchange.status = client.status
        exchange.answerLength = client.announcedLength
        guard exchange.body == .events else { return unsafe respond(exchange, text.readable) }
        exchange.keepFields(text)
    }

    /// Passes on the head that was kept, unless that was done.
    private func respond(_ exchange: Exchange) {
        guard exchange.state == .sending else { return }
        unsafe respond(exchange, exchange.keptFields)
        exchange.dropFields()
    }

    /// Passes the head on: from here on there is no way back to another engine.
    private func respond(_ exchange: Exchange, _ answerFields: UnsafeRawBufferPointer) {
        guard exchange.state == .sending, let server = exchange.server else { return }
        exchange.state = .answering
        releaseBody(exchange)
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
            if bytes.count == exchange.answerLength {
                // All of it at once: nothing need be kept.
                exchange.usage = unsafe usage(inAnswer: bytes.bytes, scope: usageScope(exchange))
            } else if exchange.heldCount + bytes.count <= policy.upstream.maxBufferedAnswer.count {
                unsafe exchange.hold(bytes)
            }
            unsafe exchange.server?.write(bytes)
        case .opaque, .undecided:
            unsafe exchange.server?.write(bytes)
        }
    }

    // MARK: events

    private func takeEvents(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) {
        if exchange.heldCount == 0 {
            let used = unsafe passEvents(exchange, bytes)
            if used < bytes.count {
                unsafe exchange.hold(UnsafeRawBufferPointer(rebasing: bytes[used...]))
            }
        } else {
            unsafe exchange.hold(bytes)
            let used = unsafe passEvents(exchange, exchange.held)
            exchange.dropHeld(used)
        }
        if exchange.heldCount > policy.upstream.maxEvent.count {
            // An event without an end is no stream any more.
            cut(exchange, .engineFailed)
        }
    }

    /// Passes on every complete event in `bytes`, neighbours in one piece; says how many bytes that
    /// were.
    private func passEvents(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) -> Int {
        var start = 0
        var passed = 0
        while let end = unsafe exchange.splitter.nextBlockEnd(bytes.bytes, from: start) {
            let block = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            switch unsafe judge(exchange, block) {
            case .pass: break
            case .drop:
                unsafe write(exchange, bytes, passed..<start)
                passed = end
            case .cut(let range):
                unsafe write(exchange, bytes, passed..<start + range.lowerBound)
                passed = start + range.upperBound
            }
            start = end
        }
        unsafe write(exchange, bytes, passed..<start)
        if start > 0 { report(exchange) }
        return start
    }

    private enum Verdict {
        case pass
        case drop
        /// This part of the block is left out.
        case cut(Range<Int>)
    }

    private func judge(_ exchange: Exchange, _ block: UnsafeRawBufferPointer) -> Verdict {
        let view = unsafe SSEBlock(
            block.bytes, 0..<block.count, exchange.sawBlock ? .later : .first)
        exchange.sawBlock = true
        guard case .data = view.kind else {
            // Comments keep a stream alive; fields without data make clients stumble.
            return view.kind == .comment || view.kind == .empty ? .pass : .drop
        }
        guard var reader = exchange.reader.take() else { return .pass }
        defer { exchange.reader = reader }
        let event: StreamEvent
        if view.dataLines == 1 {
            let data = view.data.range
            // SDKs hand an empty text to their JSON parser, and fail.
            guard !data.isEmpty else { return .drop }
            event = unsafe reader.read(UnsafeRawBufferPointer(rebasing: block[data]).bytes)
        } else {
            text.removeAll()
            unsafe view.appendData(block.bytes, to: &text)
            guard unsafe text.readable.contains(where: { $0 != 0x0A }) else { return .drop }
            event = unsafe reader.read(text.readable.bytes)
        }
        note(exchange, event)
        switch event.action {
        case .pass: return .pass
        case .drop: return .drop
        case .cut(let part): return .cut(unsafe view.place(ofData: part, in: block.bytes))
        }
    }

    private func note(_ exchange: Exchange, _ event: StreamEvent) {
        guard event.pieces > 0 else { return }
        exchange.counted += Tokens(event.pieces)
        noteToken(exchange)
    }

    /// llama.cpp's usage speaks of one choice, all others' of the whole answer.
    private func usageScope(_ exchange: Exchange) -> UsageScope {
        guard let endpoint = exchange.endpoint else { return .answer }
        let known = policy(of: exchange, knowing: endpoint)
        let pool = known.endpoints[endpoint.index].pool
        return known.pools[pool.index].engine.family.usageScope(
            choicesPerPrompt: exchange.inspection.choicesPerPrompt)
    }

    private func path(_ dialect: Dialect) -> UnsafeRawBufferPointer {
        let path = dialect.path
        return unsafe UnsafeRawBufferPointer(
            start: path.utf8Start, count: path.utf8CodeUnitCount)
    }

    private func write(
        _ exchange: Exchange, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>
    ) {
        guard !range.isEmpty else { return }
        respond(exchange)
        unsafe exchange.server?.write(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }

    /// A token has come: the clocks of the stream start anew.
    private func noteToken(_ exchange: Exchange) {
        if exchange.firstTokenAt == nil { exchange.firstTokenAt = loop.now }
        exchange.lastTokenAt = loop.now
        let between = exchange.timeouts.betweenTokens
        exchange.deadline.set(
            min(exchange.totalDeadline, loop.now + between), token(exchange), loop)
    }

    /// Lets the ledger follow a stream: its first token at once, then a few times a second.
    private func report(_ exchange: Exchange) {
        guard let ticket = exchange.ticket, exchange.counted > exchange.reported else { return }
        if let last = exchange.lastReportAt, loop.now - last < .milliseconds(100) { return }
        exchange.lastReportAt = loop.now
        exchange.reported = exchange.counted
        shared.decide(.streamed(ticket, output: exchange.counted), now: loop.now, into: &actions)
    }

    // MARK: ends

    /// The engine's answer is complete.
    private func finish(_ exchange: Exchange) {
        guard let server = exchange.server else { return }
        if exchange.body == .events {
            endLastEvent(exchange)
            exchange.usage = exchange.reader?.usage
        } else if exchange.body == .whole, exchange.heldCount > 0 {
            exchange.usage = unsafe usage(
                inAnswer: exchange.held.bytes, scope: usageScope(exchange))
        }
        respond(exchange)
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
                // The engine closed a kept connection while the request was under way to it.
                if client.wasReused, client.isUnanswered, !exchange.wasResent {
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
