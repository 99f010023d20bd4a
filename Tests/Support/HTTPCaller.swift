// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A blocking HTTP/1.1 client over a plain socket, for tests: it says and shows exactly what is on
/// the wire.
public final class HTTPCaller {
    /// What did not happen within ten seconds, or what the kernel said.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public struct Answer {
        public var status = 0
        /// Names in lowercase.
        public var fields: [(name: String, value: String)] = []
        public var body: [UInt8] = []

        public func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
        public var text: String { String(decoding: body, as: UTF8.self) }
        public var json: JSONValue? { JSONValue(body) }
    }

    private let descriptor: Int32
    private var received: [UInt8] = []
    private var isOpen = true

    /// Connects to 127.0.0.1.
    public init(port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let descriptor = descriptor
        let result = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { system in
                unsafe connect(descriptor, system, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 {
            Glibc.close(descriptor)
            isOpen = false
            throw Failure(description: "connect: errno \(errno)")
        }
    }

    deinit { close() }

    public func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }

    // MARK: sending

    public func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let rest = bytes[sent...]
            let descriptor = descriptor
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(
                    descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(description: "send: errno \(errno)") }
            sent += count
        }
    }

    /// One request with `Host`, and with length and type where it has a body.
    public func send(
        _ method: String, _ path: String, fields: [(String, String)] = [], body: String? = nil
    ) throws {
        var text = "\(method) \(path) HTTP/1.1\r\nHost: test\r\n"
        for (name, value) in fields { text += "\(name): \(value)\r\n" }
        if let body {
            if !fields.contains(where: { $0.0.lowercased() == "content-type" }) {
                text += "Content-Type: application/json\r\n"
            }
            text += "Content-Length: \(body.utf8.count)\r\n"
        }
        try send(Array((text + "\r\n" + (body ?? "")).utf8))
    }

    /// Sends one request and reads the whole answer.
    public func call(
        _ method: String, _ path: String, fields: [(String, String)] = [], body: String? = nil
    ) throws -> Answer {
        try send(method, path, fields: fields, body: body)
        return try answer(hasBody: method != "HEAD")
    }

    // MARK: receiving

    /// Reads a head and its whole body.
    public func answer(hasBody: Bool = true) throws -> Answer {
        var answer = try head()
        guard hasBody else { return answer }
        if answer.value("transfer-encoding") == "chunked" {
            while let chunk = try chunk() { answer.body += chunk }
        } else if let length = answer.value("content-length").flatMap(Int.init) {
            answer.body = try take(length)
        } else {
            while try more() {}
            answer.body = received
            received = []
        }
        return answer
    }

    /// Reads a head alone.
    public func head() throws -> Answer {
        var answer = Answer()
        answer.status = try line().split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        while true {
            let text = try line()
            if text.isEmpty { return answer }
            guard let colon = text.firstIndex(of: ":") else { continue }
            let value = text[text.index(after: colon)...].drop { $0 == " " }
            answer.fields.append((text[..<colon].lowercased(), String(value)))
        }
    }

    /// The payload of the next chunk; nil at the proper end of the body.
    public func chunk() throws -> [UInt8]? {
        guard let size = Int(try line(), radix: 16) else {
            throw Failure(description: "a chunk without a size")
        }
        let payload = try take(size)
        _ = try line()
        return size == 0 ? nil : payload
    }

    /// The data of every event of a chunked stream, in order, to its proper end.
    public func events() throws -> [String] {
        var text: [UInt8] = []
        while let chunk = try chunk() { text += chunk }
        return Self.events(in: text)
    }

    /// Lines are cut as bytes: to a `String`, CR LF is one character.
    public static func events(in text: [UInt8]) -> [String] {
        text.split(separator: 0x0A).compactMap { line in
            let line = String(decoding: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self)
            return line.hasPrefix("data: ") ? String(line.dropFirst(6)) : nil
        }
    }

    /// Whether the other side closes, having sent nothing more than what is thrown away here.
    public func isClosedByPeer() -> Bool {
        do {
            while try more() {}
            return true
        } catch {
            return false
        }
    }

    private func line() throws -> String {
        while true {
            if let end = received.firstIndex(of: 0x0A) {
                var line = received[..<end]
                if line.last == 0x0D { line.removeLast() }
                let text = String(decoding: line, as: UTF8.self)
                received.removeSubrange(...end)
                return text
            }
            guard try more() else { throw Failure(description: "closed within a line") }
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard try more() else { throw Failure(description: "closed within a body") }
        }
        let taken = Array(received[..<count])
        received.removeFirst(count)
        return taken
    }

    /// Waits for bytes, ten seconds at most; false when the other side has closed.
    private func more() throws -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&waiting, 1, 10_000) == 1 else {
            throw Failure(description: "nothing came within ten seconds")
        }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let descriptor = descriptor
        let count = unsafe chunk.withUnsafeMutableBytes {
            unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
        }
        if count < 0, errno == ECONNRESET { return false }
        guard count >= 0 else { throw Failure(description: "receive: errno \(errno)") }
        received += chunk[..<count]
        return count > 0
    }
}

@available(*, unavailable)
extension HTTPCaller: Sendable {}
