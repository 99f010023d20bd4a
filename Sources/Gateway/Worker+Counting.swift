// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
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
        let limits = InspectionLimits(maxDepth: exchange.policy.http.maxJSONDepth)
        let body = unsafe exchange.prompt(exchange.content(server))
        if body.count <= shared.counting.policy.inline.count {
            let count = unsafe ExactCount.of(
                body.bytes, dialect, limits, tokenizer, counter, &recount)
            shared.counting.counts.inline.add(1, ordering: .relaxed)
            take(count, exchange)
            return budget(exchange)
        }
        let job = unsafe CountingThreads.Job(
            request: exchange.id, body: Array(body), dialect: dialect, limits: limits,
            tokenizer: tokenizer, reply: shared.mailboxes[index])
        guard shared.counting.count(job) else { return budget(exchange) }
        exchange.state = .counting
        startClock(exchange)
    }

    /// The threads have counted: the request goes on, unless it is over.
    func counted(_ request: RequestID, _ count: ExactCount?) {
        guard let exchange = exchanges[request.key], exchange.state == .counting else { return }
        take(count, exchange)
        budget(exchange)
    }

    private func take(_ count: ExactCount?, _ exchange: Exchange) {
        guard let count else { return }
        exchange.arrival?.input = promptTokens(exchange, text: count.text, tools: count.tools)
    }
}
