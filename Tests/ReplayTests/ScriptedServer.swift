// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Glibc
import Synchronization
import Testing

/// A server that gives out prepared answers, one a connection, and keeps what it was asked.
final class ScriptedServer: Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let thread: LoopThread
    private let asked: Asked

    /// The requests in the order of their arrival, as they came.
    private final class Asked: Sendable {
        private let texts = Mutex<[String]>([])
        var all: [String] { texts.withLock { $0 } }
        func add(_ text: String) { texts.withLock { $0.append(text) } }
    }

    var requests: [String] { asked.all }

    /// Answers as many connections as there are answers; each is closed after its answer.
    init(_ answers: [String]) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { system in
                _ = unsafe bind(descriptor, system, length)
                _ = unsafe getsockname(descriptor, system, &length)
            }
        }
        try #require(listen(descriptor, 64) == 0)
        let asked = Asked()
        self.descriptor = descriptor
        self.asked = asked
        port = UInt16(bigEndian: address.sin_port)
        thread = try LoopThread(name: "scripted") {
            for answer in answers {
                let client = accept(descriptor, nil, nil)
                guard client >= 0 else { return }
                asked.add(Self.readRequest(client))
                let bytes = Array(answer.utf8)
                _ = unsafe send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                close(client)
            }
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        thread.join()
        close(descriptor)
    }

    /// Head and body, whose length has to be stated.
    private static func readRequest(_ client: Int32) -> String {
        var text = ""
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let parts = text.split(
                separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 {
                let stated = parts[0].split(separator: "\r\n").first {
                    $0.lowercased().hasPrefix("content-length: ")
                }
                if parts[1].utf8.count >= stated.flatMap({ Int($0.dropFirst(16)) }) ?? 0 {
                    return text
                }
            }
            let count = unsafe recv(client, &chunk, chunk.count, 0)
            guard count > 0 else { return text }
            text += String(decoding: chunk[..<count], as: UTF8.self)
        }
    }

    // MARK: answers

    static func answer(
        _ status: String, _ fields: [String] = [], _ body: String = ""
    ) -> String {
        (["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)", "Connection: close"] + fields)
            .joined(separator: "\r\n") + "\r\n\r\n" + body
    }

    /// A stream of two tokens and its usage, with or without its proper end.
    static func stream(isComplete: Bool = true) -> String {
        func chunk(_ text: String) -> String {
            "\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n"
        }
        let token =
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},"
            + "\"finish_reason\":null}]}\n\n"
        let usage =
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n"
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        let end = isComplete ? chunk(usage) + chunk("data: [DONE]\n\n") + "0\r\n\r\n" : ""
        return head + chunk(token) + chunk(token) + end
    }
}
