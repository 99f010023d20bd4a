// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Dialects
import Policy
import Telemetry
import Transport
import Units
import Wire

/// The ways out of a request. Every one of them ends in `close`.
extension Worker {
    /// Settles, counts and forgets: the one closing step of every request, whatever happened to it.
    func close(_ exchange: Exchange, _ outcome: Outcome, refusal: Refusal? = nil) {
        guard exchange.state != .over, !exchange.isClosing else { return }
        exchange.isClosing = true
        let wasForwarded = exchange.forwardedAt != nil && exchange.endpoint != nil
        exchange.deadline.cancel(loop)
        releaseBody(exchange)
        if let client = exchange.client {
            client.tag = nil
            exchange.client = nil
            drop(client)
        }
        let (used, source) = use(exchange, wasForwarded: wasForwarded, outcome)
        let cost =
            exchange.model.flatMap { exchange.policy.models[$0.index].price }
            .map { $0.cost(input: used.input, cached: used.cachedInput, output: used.output) }
            ?? 0
        settle(
            exchange,
            wasForwarded
                ? .used(Demand(input: used.input, output: used.output, cost: cost)) : .nothing)
        if wasForwarded, !shared.ledger.isEmpty { writeDown(exchange, outcome, used, source) }
        exchange.state = .over
        if let ticket = exchange.ticket {
            decide(
                .ended(
                    ticket,
                    Ending(
                        output: used.output, generating: exchange.generating,
                        input: source == .engine ? used.input : nil,
                        isComplete: outcome == .completed,
                        isEngineFault: exchange.isEngineFault)))
        }
        count(exchange, outcome, refusal, used, cost)
        endTrace(exchange, outcome, refusal, SettledUsage(used, cost, source))
        exchange.server?.tag = nil
        exchange.server = nil
        exchanges.remove(exchange.id.key)
    }

    /// One event for each sink of the ledger.
    private func writeDown(
        _ exchange: Exchange, _ outcome: Outcome, _ used: Usage, _ source: SettledUsage.Source
    ) {
        guard let model = exchange.model else { return }
        let named = exchange.policy.models[model.index]
        let event = LedgerEvent(
            at: loop.now, time: loop.wall, name: exchange.name,
            tenant: exchange.policy.tenants[exchange.tenant.index].name, key: exchange.key,
            trafficClass: exchange.policy.classes[exchange.trafficClass.index].name,
            model: named.name, price: named.price, outcome: outcome, usage: used, source: source)
        for lane in shared.ledger { lane.post(event) }
    }

    /// What the engine said it used; where it said nothing, what was counted.
    private func use(
        _ exchange: Exchange, wasForwarded: Bool, _ outcome: Outcome
    ) -> (Usage, SettledUsage.Source) {
        if let usage = exchange.usage ?? exchange.reader?.usage { return (usage, .engine) }
        guard wasForwarded, exchange.status == 200 || exchange.counted > .zero else {
            return (Usage(input: .zero, output: .zero), .none)
        }
        let counted = Usage(input: Self.promptTokens(exchange), output: exchange.counted)
        return (counted, .counted)
    }

    /// What its prompt was taken for.
    private static func promptTokens(_ exchange: Exchange) -> Tokens {
        exchange.ask?.input ?? exchange.arrival?.input ?? .zero
    }

    private func count(
        _ exchange: Exchange, _ outcome: Outcome, _ refusal: Refusal?, _ used: Usage,
        _ cost: Double
    ) {
        guard exchange.arrival != nil || refusal != nil else { return }
        let pool = exchange.policy.classes[exchange.trafficClass.index].pool
        var record = RequestRecord(
            tenant: exchange.tenant, trafficClass: exchange.trafficClass,
            model: exchange.model ?? RequestLabels.noModel, pool: pool)
        record.outcome = outcome
        record.refusal = refusal?.reason.number
        record.input = used.input
        record.cachedInput = used.cachedInput
        record.output = used.output
        record.cost = cost
        record.overhead = exchange.overhead
        if let forwarded = exchange.forwardedAt {
            record.queueWait = forwarded - exchange.readAt
            if let first = exchange.firstTokenAt, exchange.body == .events {
                record.timeToFirstToken = first - exchange.arrivedAt
                let steps = used.output.count - 1
                if steps > 0, exchange.generating > .zero {
                    record.timePerOutputToken = Duration(
                        nanoseconds: exchange.generating.nanoseconds / Int64(steps))
                }
            }
        }
        if let arrival = exchange.arrival, exchange.usage != nil, used.input > .zero {
            let estimate = exchange.ask?.input ?? arrival.input
            record.estimateRatio = Double(estimate.count) / Double(used.input.count)
        }
        shared.metrics[index].count(record)
    }

    /// The request's bytes are not needed any more.
    func releaseBody(_ exchange: Exchange) {
        heldBodies -= exchange.heldBody
        exchange.heldBody = 0
        exchange.dropShortened()
        exchange.dropUnpacked()
        exchange.server?.dropRequest()
    }

    /// Breaks an answer off so that the client can tell that it is not complete.
    func cut(_ exchange: Exchange, _ outcome: Outcome) {
        guard let server = exchange.server else { return }
        server.abort()
        close(exchange, outcome)
        if let connection = servers[server.key] { pump(connection) }
    }

    // MARK: time

    /// A deadline has passed: of the first token, between tokens, or of the whole.
    func expire(_ exchange: Exchange) {
        let isTotal = exchange.totalDeadline <= loop.now
        switch exchange.state {
        case .over: return
        case .reading, .counting, .budgeting, .waiting, .sending:
            let isPaid = exchange.state == .sending
            exchange.isEngineFault = isPaid && !isTotal
            refuseLate(exchange, Refusal(.deadlineExceeded, isFinal: isPaid || isTotal))
        case .answering where isTotal && exchange.body == .events:
            endEarly(exchange)
        case .answering:
            if exchange.server?.isCongested ?? false {
                // The client is the slow one: its own write timeout decides.
                setDeadline(exchange, exchange.totalDeadline)
                return
            }
            exchange.isEngineFault = !isTotal
            cut(exchange, .timedOut)
        }
    }

    /// The hard time budget of a stream is spent: the client gets what there is, and a valid end.
    private func endEarly(_ exchange: Exchange) {
        guard let server = exchange.server, let reader = exchange.reader else { return }
        text.removeAll()
        let used = Usage(input: Self.promptTokens(exchange), output: exchange.counted)
        EarlyEnd(
            dialect: exchange.dialect, id: exchange.name.text,
            model: modelName(exchange),
            created: Int(loop.wall.nanoseconds / 1_000_000_000), usage: reader.usage ?? used,
            isUsageAsked: exchange.inspection.includeUsage, progress: reader.progress
        ).write(to: &text)
        unsafe server.write(text.readable)
        server.end()
        close(exchange, .timedOut)
        server.flush()
        if let connection = servers[server.key] { pump(connection) }
    }
}
