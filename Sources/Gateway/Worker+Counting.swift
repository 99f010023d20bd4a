// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import Estimation
import Policy
import Synchronization
import Transport
import Units

/// Exact counts in place of estimates, where the model has a tokenizer.
extension Worker {
    /// The request is complete and its model known. A small body is counted at once, a big one by
    /// other threads, after which `counted` goes on; where they are behind, the estimate stands.
    func count(_ server: ServerStream, _ exchange: Exchange, _ dialect: Dialect) {
        guard let model = exchange.model,
            let tokenizer = exchange.policy.models[model.index].tokenizer
        else { return budget(exchange) }
        let reading = reading(exchange, dialect, server)
        let body = unsafe exchange.prompt(exchange.content(server))
        if body.count <= shared.counting.policy.inline.count {
            let count = unsafe ExactCount.of(
                body.bytes, dialect, reading.limits, tokenizer, counter, &recount)
            shared.counting.counts.inline.add(1, ordering: .relaxed)
            take(count, exchange)
            return budget(exchange)
        }
        let job = unsafe CountingThreads.Job(
            request: exchange.id, body: Array(body), reading: reading, work: .count(tokenizer),
            reply: shared.mailboxes[index])
        guard shared.counting.take(job) else { return budget(exchange) }
        exchange.state = .counting
        startClock(exchange)
    }

    /// The threads have counted: the request goes on, unless it is over.
    func counted(_ request: RequestID, _ count: ExactCount?) {
        guard let exchange = exchanges[request.key], exchange.state == .counting else { return }
        take(count, exchange)
        budget(exchange)
    }

    func take(_ count: ExactCount?, _ exchange: Exchange) {
        guard let count, let model = exchange.model else { return }
        exchange.arrival?.input =
            PromptEstimate(
                text: count.text, tools: count.tools, exchange.inspection,
                of: exchange.policy.models[model.index].family
            ).tokens
    }

    // MARK: big bodies

    /// Has a body read by other threads whose reading would hold up the worker's streams; false
    /// where it is small, or too much waits there.
    func handOver(_ server: ServerStream, _ exchange: Exchange, _ dialect: Dialect) -> Bool {
        let body = unsafe exchange.content(server)
        guard body.count > shared.counting.policy.readInline.count else { return false }
        let job = unsafe CountingThreads.Job(
            request: exchange.id, body: Array(body), reading: reading(exchange, dialect, server),
            work: .read, reply: shared.mailboxes[index])
        guard shared.counting.take(job) else { return false }
        exchange.state = .counting
        startClock(exchange)
        return true
    }

    /// The threads have read it: the request goes on, unless it is over.
    func bodyRead(_ request: RequestID, _ result: Result<ReadBody, BodyFault>) {
        guard let exchange = exchanges[request.key], exchange.state == .counting,
            let server = exchange.server, let dialect = exchange.route
        else { return }
        switch result {
        case .failure(let fault): refuse(exchange, fault)
        case .success(let body):
            exchange.inspection = body.inspection
            textMeter = body.texts
            toolMeter = body.tools
            understand(server, exchange, dialect, body.count)
        }
        // Outside of the connection's own turn: what the client has sent behind it goes on.
        if exchange.state == .over, let connection = servers[server.key] { pump(connection) }
    }
}
