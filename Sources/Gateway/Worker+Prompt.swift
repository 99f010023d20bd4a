// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import Estimation
import Policy
import Routing
import Synchronization
import Transport
import Units
import Wire

/// What a body holds for the decision, and what is left out of a prompt that is too long.
extension Worker {
    /// One pass over a body: into the exchange's inspection and both meters.
    func readPrompt(
        _ exchange: Exchange, _ dialect: Dialect, _ body: UnsafeRawBufferPointer
    ) throws(BodyFault) {
        try unsafe reading(exchange, dialect, exchange.server).read(
            body.bytes, texts: &textMeter, tools: &toolMeter, into: &exchange.inspection)
    }

    func reading(
        _ exchange: Exchange, _ dialect: Dialect, _ server: ServerStream?
    ) -> BodyReading {
        BodyReading(
            policy: exchange.policy, dialect: dialect,
            named: server.flatMap { named(exchange, $0) }, blocks: prefixBlocks(exchange))
    }

    /// Of what was read last.
    func arrival(_ exchange: Exchange, _ model: ModelID, until deadline: Instant) -> Arrival {
        // Asked in place: copies of the meters and of the inspection would cost more.
        let estimate = PromptEstimate(textMeter, tools: toolMeter, exchange.inspection)
        var arrival = Arrival(
            tenant: exchange.tenant, model: model, trafficClass: exchange.trafficClass,
            input: estimate.tokens, bound: exchange.inspection.bound ?? usualBound(exchange),
            choices: exchange.inspection.choices, isForced: isForced(exchange),
            isOutputless: !exchange.dialect.generates, isStreamed: exchange.inspection.stream,
            prefix: textMeter.prefix(behind: toolMeter), deadline: deadline)
        arrival.fixed = estimate.fixed
        arrival.isChat = exchange.inspection.messages > 0
        return arrival
    }

    // MARK: Prompts that are too long

    /// Of the middle of a text more may have to go than its size told.
    private static let cuts = 4

    /// Leaves out of a prompt that is too long what its tenant's policy says: true where the
    /// exchange has a shorter body now, that was read anew. Where not enough can be left out it
    /// stays as it was, to be refused.
    func shorten(
        _ exchange: Exchange, _ arrival: Arrival, _ body: UnsafeRawBufferPointer
    ) -> Bool {
        guard exchange.dialect != .countTokens else { return false }
        let limits = exchange.policy.tenants[exchange.tenant.index].limits
        let truncation: Truncation
        switch limits.overlongPrompt {
        case .reject: return false
        case .oldestMessages: truncation = .oldestMessages
        case .middle: truncation = .middle
        }
        guard
            let most = shared.decider.withLock({ $0.truncatedEstimate(arrival) }),
            let dialect = exchange.route
        else { return false }
        var shorter = ByteBuffer()
        unsafe shorter.append(body)
        var excess = arrival.input.count - most.count
        for _ in 0..<Self.cuts {
            var cut = ByteBuffer()
            let isCut = unsafe truncate(
                shorter.readable.bytes, exchange.inspection, truncation, excess: excess,
                meter: textMeter.fresh, cost: PromptMeter.cost, into: &cut)
            guard isCut, (unsafe try? readPrompt(exchange, dialect, cut.readable)) != nil else {
                break
            }
            shorter = cut
            let input = PromptEstimate(textMeter, tools: toolMeter, exchange.inspection).tokens
            excess = input.count - most.count
            if excess <= 0 {
                heldBodies += shorter.count
                exchange.heldBody += shorter.count
                exchange.shorten(to: shorter)
                return true
            }
        }
        // What it says is the client's own again.
        unsafe try? readPrompt(exchange, dialect, body)
        return false
    }
}

extension PromptEstimate {
    /// Of what meters were fed of a body.
    init(
        _ texts: borrowing PromptMeter, tools: borrowing PromptMeter,
        _ inspection: borrowing Inspection
    ) {
        self.init(
            text: texts.tokens, tools: tools.tokens, inspection, of: texts.family)
    }

    /// Of what the texts and the tools of a body come to.
    init(
        text: Tokens, tools: Tokens, _ inspection: borrowing Inspection, of family: TokenizerFamily
    ) {
        var media = inspection.images * MediaTokens.image(family)
        for size in inspection.imageSizes {
            media += MediaTokens.image(
                width: size.width, height: size.height, isLow: size.isLow, family)
        }
        media += Int((inspection.soundSeconds * MediaTokens.perSecond).rounded(.up))
        self.init(
            text: text, messages: inspection.messages, tools: inspection.tools ? tools : nil,
            images: inspection.otherMedia, media: media, ids: inspection.promptTokenIDs)
    }
}

extension PromptMeter {
    /// The same family, and nothing fed.
    var fresh: PromptMeter {
        var meter = self
        meter.begin(family: family, maxBlocks: 0)
        return meter
    }

    /// Tokens of a text, or of a message with what the template puts around it.
    static func cost(_ texts: PromptMeter, _ inspection: Inspection) -> Int {
        let all = PromptEstimate(texts, tools: texts, inspection).tokens.count
        return inspection.messages > 0 ? all - PromptEstimate.base : all
    }
}
