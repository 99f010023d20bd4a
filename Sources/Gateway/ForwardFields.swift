// SPDX-License-Identifier: Apache-2.0

import Policy
import Telemetry
import Transport
import Units
import Wire

/// Which fields of a client's request an engine sees, and which are Penstock's own.
///
/// Dropped: what belongs to the one connection (RFC 9110 section 7.6.1), credentials, everything
/// that Penstock gives meaning to, what would make the answer unreadable (`Accept-Encoding`), and
/// what would let a client steer an engine behind the gateway's back. So are names with an
/// underscore: servers in the manner of CGI (RFC 3875 section 4.1.18; WSGI too) cannot tell them
/// from those with a hyphen, and `Content_Length` would be their `Content-Length`. What tells where
/// a client is (`X-Forwarded-…`, `X-Real-IP`, `Forwarded`) is dropped too, and the one address that
/// is known takes its place. All else passes as it came.
enum ForwardFields {
    static func write(
        _ server: ServerStream, _ exchange: Exchange, key: Secret?, to fields: inout ByteBuffer
    ) {
        let nominated = ConnectionOptions(server)
        unsafe server.forEachField { id, name, value in
            guard passes(id) else { return }
            if id == .other {
                guard unsafe !name.contains(0x5F), unsafe !nominated.contains(name) else { return }
            }
            unsafe fields.append(name)
            fields.append(": ")
            unsafe fields.append(value)
            fields.append("\r\n")
        }
        fields.append("Content-Type: application/json\r\nVia: 1.1 penstock\r\nX-Request-Id: ")
        exchange.name.append(to: &fields)
        fields.append("\r\n")
        if let address = exchange.address {
            fields.append("X-Forwarded-For: ")
            address.append(to: &fields)
            fields.append("\r\n")
        }
        if let key {
            fields.append("Authorization: Bearer ")
            fields.append(key.revealed)
            fields.append("\r\n")
        }
    }

    private static func passes(_ id: FieldName) -> Bool {
        switch id {
        case .other, .accept, .userAgent, .traceparent, .tracestate, .cacheControl,
            .anthropicVersion, .xStainlessRetryCount, .xStainlessReadTimeout, .via, .lastEventID:
            true
        default: false
        }
    }
}

/// Which fields of an engine's answer a client sees. Framing, dates, limits and identifiers are
/// Penstock's own.
enum AnswerFields {
    static func write(_ client: ClientStream, to fields: inout ByteBuffer) {
        let nominated = ConnectionOptions(client)
        unsafe client.forEachField { id, name, value in
            guard passes(id) else { return }
            guard unsafe id != .other || !nominated.contains(name) else { return }
            unsafe fields.append(name)
            fields.append(": ")
            unsafe fields.append(value)
            fields.append("\r\n")
        }
        if client.status == 429 || client.status == 503 { wait(client, to: &fields) }
    }

    private static func passes(_ id: FieldName) -> Bool {
        switch id {
        case .other, .contentType, .contentEncoding, .cacheControl, .location, .xAccelBuffering,
            .via, .endpointLoadMetrics:
            true
        default: false
        }
    }

    /// An engine's own refusal also says when to come back: as the engine says in seconds, or in
    /// one.
    private static func wait(_ client: ClientStream, to fields: inout ByteBuffer) {
        let seconds = unsafe client.value(.retryAfter)?.positiveNumber ?? 1
        fields.append("Retry-After: ")
        fields.append(decimal: seconds)
        fields.append("\r\nretry-after-ms: ")
        fields.append(decimal: seconds * 1_000)
        fields.append("\r\n")
        if seconds > 60 { fields.append("x-should-retry: false\r\n") }
    }
}

/// The field names that `Connection` declares to be of this connection only.
private struct ConnectionOptions {
    private var options: [String] = []

    init(_ server: ServerStream) {
        guard server.count(.connection) > 0 else { return }
        unsafe server.forEachField { id, _, value in
            if id == .connection { unsafe add(value) }
        }
    }

    init(_ client: ClientStream) {
        unsafe client.forEachField { id, _, value in
            if id == .connection { unsafe add(value) }
        }
    }

    private mutating func add(_ value: UnsafeRawBufferPointer) {
        let text = unsafe String(decoding: unsafe value, as: UTF8.self)
        for option in text.split(separator: ",") {
            let name = option.filter { $0 != " " && $0 != "\t" }.lowercased()
            if !name.isEmpty, name != "close", name != "keep-alive" { options.append(name) }
        }
    }

    func contains(_ name: UnsafeRawBufferPointer) -> Bool {
        guard !options.isEmpty else { return false }
        return unsafe options.contains(String(decoding: unsafe name, as: UTF8.self).lowercased())
    }
}
