// SPDX-License-Identifier: Apache-2.0

import Budget
import Decision
import Dialects
import Policy
import Telemetry
import Transport
import Units
import Wire

/// The only place where a refusal or a fault becomes an answer.
extension Worker {
    /// Answers `exchange` itself: 200 with what stands in `text`.
    func answer(_ exchange: Exchange, status: Int) {
        guard let server = exchange.server else { return }
        fields.removeAll()
        fields.append("Content-Type: application/json\r\n")
        requestFields(exchange.name, exchange.dialect.errors)
        respond(server, status: status)
        exchange.arrival = nil
        close(exchange, .completed)
        server.flush()
    }

    /// Refuses a request that is known; the closing step included.
    func refuse(_ exchange: Exchange, _ refusal: Refusal) {
        text.removeAll()
        Explanation.write(refusal, exchange.policy, exchange, to: &text)
        refuse(exchange, refusal, parameter: Self.parameter(of: refusal, exchange.dialect))
    }

    /// Refuses outside of its connection's own turn: what the client has sent behind it goes on.
    func refuseLate(_ exchange: Exchange, _ refusal: Refusal) {
        let server = exchange.server
        refuse(exchange, refusal)
        if let server, let connection = servers[server.key] { pump(connection) }
    }

    func refuse(_ exchange: Exchange, _ fault: BodyFault) {
        text.removeAll()
        text.append(fault.message)
        refuse(exchange, Refusal(.invalidRequest), parameter: fault.param)
    }

    /// `status` is the reason's own, unless a fault has a more exact one.
    private func refuse(
        _ exchange: Exchange, _ refusal: Refusal, parameter: String?, status: Int? = nil
    ) {
        guard let server = exchange.server, exchange.state != .over else { return }
        guard exchange.state != .answering else { return cut(exchange, .engineFailed) }
        wrapError(refusal, parameter: parameter, exchange.dialect.errors, exchange.name)
        if exchange.isOpened {
            tellInStream(exchange)
            server.end()
        } else {
            fields.removeAll()
            refusalFields(refusal)
            requestFields(exchange.name, exchange.dialect.errors)
            limitFields(exchange, refusal)
            respond(server, status: status ?? refusal.reason.status)
        }
        note(exchange, refusal)
        let outcome: Outcome =
            switch refusal.reason {
            case .upstreamFailed: .engineFailed
            case .deadlineExceeded: .timedOut
            default: .refused
            }
        close(exchange, outcome, refusal: refusal)
        server.flush()
    }

    /// Refuses a request of which only the head is known.
    func refuse(
        _ server: ServerStream, _ name: RequestName, _ refusal: Refusal,
        tenant: TenantID? = nil, allow: StaticString? = nil
    ) {
        fields.removeAll()
        if let allow {
            fields.append("Allow: ")
            fields.append(allow)
            fields.append("\r\n")
        }
        refusalFields(refusal)
        let errors = unsafe Route.errors(of: server.target.bytes)
        requestFields(name, errors)
        text.removeAll()
        Explanation.write(refusal, to: &text)
        wrapError(refusal, parameter: nil, errors, name)
        respond(server, status: refusal.reason.status)
        server.flush()
        guard let tenant else { return }
        traceRefusal(name, tenant, refusal, server)
        if refusal.reason.isThrottle {
            shared.throttles.append(
                ThrottleRecord(
                    at: loop.wall, request: name, tenant: tenant, trafficClass: nil, model: nil,
                    input: .zero, output: .zero, refusal: refusal))
        }
    }

    /// Answers what could not be read as a request; the connection closes after it.
    func refuse(_ server: ServerStream, _ fault: ServerFault) {
        if let exchange = exchange(of: server) {
            text.removeAll()
            Explanation.write(fault, to: &text)
            return refuse(exchange, Refusal(fault), parameter: nil, status: fault.status)
        }
        fields.removeAll()
        let refusal = Refusal(fault)
        let name = RequestName(random: &random)
        let errors = errors(of: server, fault)
        requestFields(name, errors)
        fields.append("X-Penstock-Decision: ")
        fields.append(refusal.reason.code)
        fields.append("\r\nContent-Type: application/json\r\n")
        text.removeAll()
        Explanation.write(fault, to: &text)
        wrapError(refusal, parameter: nil, errors, name)
        respond(server, status: fault.status)
        server.flush()
    }

    /// Where the head could be read, its path says in which form its client expects an error.
    private func errors(of server: ServerStream, _ fault: ServerFault) -> ErrorShape {
        switch fault {
        case .head, .headTimeout: .openAI
        case .chunk, .bodyTooLarge, .bodyTimeout: unsafe Route.errors(of: server.target.bytes)
        }
    }

    // MARK: pieces

    private func respond(_ server: ServerStream, status: Int) {
        server.respond(status: status, fields: fields, length: .exact(text.count))
        unsafe server.write(text.readable)
        server.end()
    }

    /// Turns the message in `text` into the error body.
    private func wrapError(
        _ refusal: Refusal, parameter: String?, _ errors: ErrorShape, _ name: RequestName
    ) {
        let message = unsafe String(decoding: unsafe text.readable, as: UTF8.self)
        text.removeAll()
        errors.write(refusal.detail(message, parameter, errors, name), into: &text)
    }

    private func refusalFields(_ refusal: Refusal) {
        fields.append("Content-Type: application/json\r\nX-Penstock-Decision: ")
        fields.append(refusal.reason.code)
        fields.append("\r\n")
        // RFC 9110 section 15.5.16.
        if refusal.reason == .unsupportedEncoding { fields.append("Accept-Encoding: gzip\r\n") }
        switch refusal.reason {
        // RFC 6750 section 3.1.
        case .invalidToken, .tokenExpired:
            fields.append("WWW-Authenticate: Bearer error=\"invalid_token\"\r\n")
        case .invalidAPIKey, .apiKeyExpired, .apiKeyNotYetValid:
            fields.append("WWW-Authenticate: Bearer\r\n")
        default: break
        }
        if let wait = refusal.retryAfter {
            let milliseconds = max(1, wait.millisecondsRoundedUp)
            fields.append("Retry-After: ")
            fields.append(decimal: (milliseconds + 999) / 1_000)
            fields.append("\r\nretry-after-ms: ")
            fields.append(decimal: milliseconds)
            fields.append("\r\n")
        }
        if refusal.isFinal { fields.append("x-should-retry: false\r\n") }
    }

    private func requestFields(_ name: RequestName, _ errors: ErrorShape) {
        fields.append("X-Request-Id: ")
        name.append(to: &fields)
        // The name that Anthropic's SDKs look for.
        if errors == .anthropic {
            fields.append("\r\nrequest-id: ")
            name.append(to: &fields)
        }
        fields.append("\r\n")
    }

    private func limitFields(_ exchange: Exchange, _ refusal: Refusal?) {
        guard let snapshot = exchange.snapshot else { return }
        RateLimitFields.write(snapshot, refused: refusal, to: &fields)
        if exchange.dialect.errors == .anthropic {
            AnthropicLimitFields.write(snapshot, refused: refusal, now: loop.wall, to: &fields)
        }
    }

    /// What an admitted answer says of its admission.
    func decisionFields(_ exchange: Exchange) {
        requestFields(exchange.name, exchange.dialect.errors)
        fields.append("X-Penstock-Decision: ")
        fields.append(
            exchange.wasDeferred
                ? "deferred"
                : exchange.wasTruncated
                    ? "truncated"
                    : exchange.bound != nil ? "clamped" : exchange.wasQueued ? "queued" : "admitted"
        )
        fields.append("\r\n")
        if exchange.wasDeferred {
            fields.append("X-Traffic-Class: ")
            fields.append(exchange.policy.classes[exchange.trafficClass.index].name)
            fields.append("\r\n")
        }
        if let bound = exchange.bound {
            fields.append("X-Penstock-Max-Tokens: ")
            fields.append(decimal: bound.count)
            fields.append("\r\n")
        }
        limitFields(exchange, nil)
    }

    /// Keeps a throttling decision for the operator.
    private func note(_ exchange: Exchange, _ refusal: Refusal) {
        guard refusal.reason.isThrottle else { return }
        shared.throttles.append(
            ThrottleRecord(
                at: loop.wall, request: exchange.name, tenant: exchange.tenant,
                trafficClass: exchange.trafficClass, model: exchange.model,
                input: exchange.arrival?.input ?? .zero, output: exchange.ask?.output ?? .zero,
                refusal: refusal))
    }

    private static func parameter(of refusal: Refusal, _ dialect: Dialect) -> String? {
        switch refusal.reason {
        case .contextLengthExceeded, .requestExceedsLimit:
            dialect.content.name.description
        case .modelNotFound, .modelNotAllowed: "model"
        default: nil
        }
    }
}

extension ServerFault {
    /// The status of the answer, before the connection closes.
    var status: Int {
        switch self {
        case .head(let fault): fault.status
        case .chunk(let fault): fault.status
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout: 408
        }
    }
}

extension Refusal {
    /// What its error body says, in the words of a family of dialects.
    func detail(
        _ message: String, _ parameter: String?, _ errors: ErrorShape, _ name: RequestName
    ) -> ErrorDetail {
        switch errors {
        case .openAI:
            ErrorDetail(
                message: message, type: reason.errorType, param: parameter, code: reason.code)
        case .anthropic:
            ErrorDetail(
                message: message, type: reason.anthropicErrorType, code: reason.code,
                requestID: name.text)
        case .textGeneration, .triton:
            ErrorDetail(
                message: message, type: reason.textGenerationErrorType, code: reason.code)
        }
    }

    init(_ fault: ServerFault) {
        switch fault {
        case .bodyTooLarge(let limit): self.init(.requestTooLarge, limit: Double(limit))
        case .head, .chunk, .headTimeout, .bodyTimeout:
            switch fault.status {
            case 413: self.init(.requestTooLarge)
            case 431: self.init(.headerTooLarge)
            default: self.init(.badRequest)
            }
        }
    }
}
