// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import EventLoop
import Policy
import Telemetry
import Transport
import Units
import Wire

/// Signs of life for the client of a stream that waits, in a queue or for its engine's first token:
/// what stands between counts the silence, and hangs up.
///
/// With the first of them the client gets the head of its answer: what is refused after that is
/// told in the stream.
extension Worker {
    /// Whether a client that gives up after `silence` will hear enough.
    func keepsAlive(_ exchange: Exchange, within silence: Duration) -> Bool {
        guard let interval = exchange.timeouts.keepAlive, exchange.inspection.stream,
            exchange.dialect.generates
        else { return false }
        return interval < silence
    }

    /// From here on its client may have to be told that it lives.
    func awaitSigns(_ exchange: Exchange) {
        guard let interval = exchange.timeouts.keepAlive, exchange.inspection.stream,
            exchange.dialect.generates
        else { return }
        exchange.nextSign = exchange.arrivedAt + interval
    }

    /// When the exchange is over unless something happens.
    func setDeadline(_ exchange: Exchange, _ due: Instant) {
        exchange.dueAt = due
        exchange.deadline.set(min(due, exchange.nextSign), token(exchange), loop)
    }

    /// The earlier of its two times has come.
    func due(_ exchange: Exchange) {
        if exchange.dueAt <= loop.now { return expire(exchange) }
        sign(exchange)
        // Its client may have turned out to be gone.
        if exchange.state != .over { setDeadline(exchange, exchange.dueAt) }
    }

    private func sign(_ exchange: Exchange) {
        guard let interval = exchange.timeouts.keepAlive, let server = exchange.server,
            exchange.firstTokenAt == nil, canBeTold(exchange)
        else {
            exchange.nextSign = .distantFuture
            return
        }
        exchange.nextSign = loop.now + interval
        open(exchange, server)
        // A client that does not take what it has needs no more.
        guard !server.isCongested else { return }
        server.write(exchange.dialect.errors == .anthropic ? Self.ping : Self.comment)
        server.flush()
        if let connection = servers[server.key] { pump(connection) }
    }

    private static let comment: StaticString = ": keep-alive\n\n"
    private static let ping: StaticString = "event: ping\ndata: {\"type\": \"ping\"}\n\n"

    /// Not while an answer comes that is no stream.
    private func canBeTold(_ exchange: Exchange) -> Bool {
        switch exchange.state {
        case .budgeting, .waiting: true
        case .sending: exchange.isOpened || exchange.body != .whole
        case .answering: exchange.body == .events
        case .reading, .counting, .over: false
        }
    }

    private func open(_ exchange: Exchange, _ server: ServerStream) {
        guard !exchange.isOpened, exchange.state != .answering else { return }
        exchange.isOpened = true
        fields.removeAll()
        fields.append("Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n")
        decisionFields(exchange)
        server.respond(status: 200, fields: fields, length: .unknown)
    }

    /// Writes the error that stands in `text` as an event.
    func tellInStream(_ exchange: Exchange) {
        guard let server = exchange.server else { return }
        if exchange.dialect.errors == .anthropic { server.write("event: error\n") }
        server.write("data: ")
        unsafe server.write(text.readable)
        server.write("\n\n")
    }

    /// The engine's answer is no stream, but its client has the head of one: what the engine says
    /// is its one event.
    func finishOpened(_ exchange: Exchange) {
        guard let server = exchange.server else { return }
        respond(exchange)
        text.removeAll()
        // White space between its tokens: within a text it would be escaped.
        let held = unsafe exchange.held
        for place in 0..<held.count {
            let byte = unsafe held[place]
            text.append(byte: byte == 0x0A || byte == 0x0D ? 0x20 : byte)
        }
        if text.isEmpty {
            let errors = exchange.dialect.errors
            errors.write(
                Refusal(.upstreamFailed).detail(
                    "The engine answered with status \(exchange.status).", nil, errors,
                    exchange.name), into: &text)
        }
        tellInStream(exchange)
        server.end()
        close(exchange, exchange.status == 200 ? .completed : .engineFailed)
        server.flush()
        if let connection = servers[server.key] { pump(connection) }
    }
}

extension ServerStream {
    fileprivate func write(_ text: StaticString) {
        unsafe write(
            UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
