// SPDX-License-Identifier: Apache-2.0

import EventLoop
public import Transport
import Units
public import Wire

/// What a client's connection told its owner.
public enum Told: Equatable, Sendable, CustomStringConvertible {
    /// Method and target.
    case head(String)
    /// The body.
    case request(String)
    case fault(ServerFault)
    case drained
    case left
    case closed

    public var description: String {
        switch self {
        case .head(let line): "head \(line)"
        case .request(let body): "request \(body.prefix(80))"
        case .fault(let fault): "fault \(fault)"
        case .drained: "drained"
        case .left: "left"
        case .closed: "closed"
        }
    }
}

/// What an engine's connection told its owner; neighbouring payloads are one.
public enum Heard: Equatable, Sendable {
    case connected
    case head(Int)
    case payload(String)
    case end
    case fault(ClientFault)
    case closed
}

/// What the owner in a test does about events; by default it answers everything with `ok`.
public struct Owner {
    public var head: (HTTP1ServerConnection) -> Void = { $0.inviteBody() }
    public var request: (HTTP1ServerConnection) -> Void = { $0.answer("ok") }
    public var fault: (HTTP1ServerConnection, ServerFault) -> Void = { server, fault in
        server.answer("\(fault)", status: fault.answerStatus)
    }
    public var drained: (HTTP1ServerConnection) -> Void = { _ in }
    public var left: (HTTP1ServerConnection) -> Void = { _ in }
    /// Called after each event of an engine's connection.
    public var heard: (HTTP1ClientConnection, Heard) -> Void = { _, _ in }

    public init() {}
}

extension ServerFault {
    /// The status that a gateway answers it with.
    public var answerStatus: Int {
        switch self {
        case .head(let fault): fault.status
        case .chunk(let fault): fault.status
        case .bodyTooLarge: 413
        case .headTimeout, .bodyTimeout: 408
        }
    }
}

extension ServerStream {
    /// A whole answer in one go.
    public func answer(_ text: String, status: Int = 200, fields: String = "") {
        begin(status, .exact(text.utf8.count), fields: fields)
        write(text)
        end()
        flush()
    }

    /// An answer's head.
    public func begin(_ status: Int, _ length: AnswerLength, fields: String = "") {
        var lines = ByteBuffer()
        lines.append(fields)
        respond(status: status, fields: lines, length: length)
    }

    public func write(_ text: String) {
        var text = text
        text.withUTF8 { unsafe write(UnsafeRawBufferPointer($0)) }
    }

    public func write(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe write($0) }
    }

    public var targetText: String { unsafe String(decoding: target, as: UTF8.self) }
    public var bodyText: String { unsafe String(decoding: body, as: UTF8.self) }
    public func text(of id: FieldName) -> String? {
        unsafe value(id).map { unsafe String(decoding: $0, as: UTF8.self) }
    }
}

extension ClientStream {
    /// A request with a body, if it is not empty.
    public func ask(
        _ method: Method = .get, _ target: String = "/", fields: String = "", body: [UInt8] = []
    ) {
        var lines = ByteBuffer()
        lines.append(fields)
        var target = target
        target.withUTF8 { target in
            unsafe body.withUnsafeBytes { body in
                unsafe request(
                    method: method, target: UnsafeRawBufferPointer(target), authority: "engine",
                    fields: lines, body: body)
            }
        }
    }
}
