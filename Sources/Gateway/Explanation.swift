// SPDX-License-Identifier: Apache-2.0

import Decision
import Policy
import Transport
import Units
import Wire

/// What a refusal says in words: the numbers compared, and when to come back.
///
/// A client may show nothing but this text. `Please try again in 1.574s.` is OpenAI's wording,
/// which some clients read the wait from.
enum Explanation {
    /// A refusal of a request that was inspected.
    static func write(
        _ refusal: Refusal, _ policy: Policy, _ exchange: Exchange, to text: inout ByteBuffer
    ) {
        switch refusal.reason {
        case .limit(let kind):
            text.append("Rate limit reached for ")
            text.append(policy.tenants[exchange.tenant.index].name)
            text.append(" on ")
            text.append(kind.words)
            text.append(owner(refusal.scope))
            text.append(": ")
            numbers(refusal, to: &text)
            retry(refusal, to: &text)
        case .contextLengthExceeded:
            text.append("This request's prompt is about ")
            number(refusal.requested, to: &text)
            text.append(" tokens; at most ")
            number(refusal.limit, to: &text)
            text.append(" are allowed.")
        case .requestExceedsLimit:
            text.append("This request needs more than can ever be admitted")
            if let kind = refusal.kind {
                text.append(" by ")
                text.append(kind.words)
                text.append(owner(refusal.scope))
            }
            text.append(": ")
            numbers(refusal, to: &text)
        case .modelNotAllowed:
            text.append("The model is not available to this key.")
        default:
            write(refusal, to: &text)
        }
    }

    /// A refusal of which no more is known than itself.
    static func write(_ refusal: Refusal, to text: inout ByteBuffer) {
        text.append(sentence(refusal.reason))
        if refusal.reason == .requestTooLarge, refusal.limit != nil {
            text.append(" At most ")
            number(refusal.limit, to: &text)
            text.append(" bytes are accepted.")
        }
        retry(refusal, to: &text)
    }

    static func write(_ fault: ServerFault, to text: inout ByteBuffer) {
        switch fault {
        case .head(let fault): text.append(fault.reason)
        case .chunk(let fault): text.append(fault.reason)
        case .bodyTooLarge(let limit):
            text.append("The request's body is too large. At most ")
            text.append(decimal: limit)
            text.append(" bytes are accepted.")
        case .headTimeout: text.append("The request's head did not come in time.")
        case .bodyTimeout: text.append("The request's body did not come in time.")
        }
    }

    private static func sentence(_ reason: RefusalReason) -> StaticString {
        switch reason {
        case .badRequest: "The request is not well-formed HTTP."
        case .invalidRequest: "The request is not valid."
        case .invalidAPIKey:
            "No valid API key was given. Send it as Authorization: Bearer, x-api-key or api-key."
        case .apiKeyExpired: "The API key has expired."
        case .apiKeyNotYetValid: "The API key is not valid yet."
        case .invalidToken: "The token is not one that is accepted here."
        case .tokenExpired: "The token has expired."
        case .modelNotAllowed: "The model is not available to this key."
        case .classNotAllowed: "This key may not use the traffic class asked for."
        case .unknownClass: "X-Traffic-Class names no traffic class."
        case .modelNotFound: "The model does not exist here."
        case .notFound: "There is nothing at this path."
        case .methodNotAllowed: "The method is not allowed at this path."
        case .requestTooLarge: "The request's body is too large."
        case .contextLengthExceeded: "The prompt is too long."
        case .requestExceedsLimit: "The request needs more than can ever be admitted."
        case .headerTooLarge: "The request's header fields are too large."
        case .unsupportedEncoding:
            "The body's Content-Encoding is not supported. Send gzip, or none."
        case .damagedEncoding: "The request's body is not valid gzip."
        case .bodyTooDense: "The request's body unpacks to too many times its size."
        case .limit: "Rate limit reached."
        case .kvCachePressure: "The engines' memory is full."
        case .queueFull: "Too many requests are waiting."
        case .queueWaitTooLong: "The wait would be too long."
        case .noHealthyEndpoint: "No engine is available at the moment."
        case .budgetStoreUnavailable: "Budgets cannot be checked at the moment."
        case .ledgerUnavailable: "Usage cannot be written down at the moment."
        case .gatewayOverloaded: "The gateway has no room for more requests."
        case .draining: "The gateway is shutting down."
        case .upstreamFailed: "The engine failed before it answered."
        case .deadlineExceeded: "The request did not get an answer in time."
        }
    }

    /// Whose limit it is, where it is not the tenant's own.
    private static func owner(_ scope: LimitScope?) -> StaticString {
        switch scope {
        case .organisation: " of the organisation"
        case .team: " of the team"
        case .model: " of this model"
        case .key: " of this key"
        case .tenant, nil: ""
        }
    }

    /// `Limit 200000, Used 162960, Requested 42288.`
    private static func numbers(_ refusal: Refusal, to text: inout ByteBuffer) {
        text.append("Limit ")
        number(refusal.limit, to: &text)
        if let used = refusal.used {
            text.append(", Used ")
            number(used, to: &text)
        }
        text.append(", Requested ")
        number(refusal.requested, to: &text)
        text.append(".")
    }

    private static func number(_ value: Double?, to text: inout ByteBuffer) {
        guard let value else { return text.append("unknown") }
        if value.magnitude < 9e15, value.rounded() == value {
            text.append(decimal: Int(value))
        } else {
            text.append("\(value)")
        }
    }

    private static func retry(_ refusal: Refusal, to text: inout ByteBuffer) {
        guard let wait = refusal.retryAfter else { return }
        let milliseconds = max(1, wait.millisecondsRoundedUp)
        text.append(" Please try again in ")
        text.append(decimal: milliseconds / 1_000)
        text.append(".")
        let rest = milliseconds % 1_000
        text.append(byte: UInt8(0x30 + rest / 100))
        text.append(byte: UInt8(0x30 + rest / 10 % 10))
        text.append(byte: UInt8(0x30 + rest % 10))
        text.append("s.")
    }
}
