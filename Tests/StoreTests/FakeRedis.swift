// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Glibc
import Synchronization
import TestSupport

/// A server that greets like Redis and then says what a test wants. One connection at a time.
final class FakeRedis: Sendable {
    /// What it says to the first command after the greeting.
    enum Reply: Sendable {
        case bytes(String)
        /// The first once, then the second until the other side has had enough.
        case endless(String, [UInt8])
        /// One byte at a time, each with a packet of its own.
        case trickle(String)
        /// Says the bytes and closes.
        case close(String)
    }

    let path: String
    private let directory = TemporaryDirectory()
    private let listener: Int32
    private let thread: LoopThread
    private let heard = Flag()

    fileprivate final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    /// Whether it has heard of that after its reply.
    func hasHeard() -> Bool { heard.isSet.load(ordering: .relaxed) }

    /// `greeting`: whether the commands of the greeting get their proper answers first.
    /// `listensFor`: a word of what is said after the reply.
    init(_ reply: Reply, greeting: Bool = true, listensFor word: String = "") throws {
        let heard = self.heard
        path = directory.file("fake.sock")
        let listener = Self.listen(path)
        self.listener = listener
        thread = try LoopThread(name: "fake redis") {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                FakeConnection(connection).serve(reply, greeting: greeting) {
                    if $0 == word { heard.isSet.store(true, ordering: .relaxed) }
                }
            }
        }
    }

    private static func listen(_ path: String) -> Int32 {
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let bound = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(bound == 0 && Glibc.listen(listener, 8) == 0, "no socket to listen on")
        return listener
    }

    deinit {
        // Ends the accept, and with it the thread.
        shutdown(listener, Int32(SHUT_RDWR))
        thread.join()
        close(listener)
    }
}

/// One connection of a `FakeRedis`, served by blocking calls.
private final class FakeConnection {
    private let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    func serve(_ reply: FakeRedis.Reply, greeting: Bool, heard: (String) -> Void) {
        if greeting {
            guard readCommand() else { return }
            send(Array("$40\r\n\(String(repeating: "a", count: 40))\r\n".utf8))
            guard readCommand() else { return }
            send(Array("$4\r\ndone\r\n".utf8))
        }
        guard readCommand() else { return }
        switch reply {
        case .bytes(let text): send(Array(text.utf8))
        case .endless(let text, let rest):
            send(Array(text.utf8))
            while send(rest) {}
        case .trickle(let text):
            for byte in text.utf8 where !send([byte]) { return }
        case .close(let text):
            send(Array(text.utf8))
            return
        }
        // Until the other side closes.
        while let line = readLine() { heard(line) }
    }

    /// Reads one array of bulk strings; false at the end of the stream.
    private func readCommand() -> Bool {
        guard let head = readLine(), let count = Int(head.dropFirst()) else { return false }
        for _ in 0..<count {
            guard let length = readLine(), var rest = Int(length.dropFirst()) else { return false }
            rest += 2
            while rest > 0 {
                var bytes = [UInt8](repeating: 0, count: rest)
                let received = unsafe recv(descriptor, &bytes, rest, 0)
                guard received > 0 else { return false }
                rest -= received
            }
        }
        return true
    }

    private func readLine() -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe recv(descriptor, &byte, 1, 0) == 1 {
            if byte == 0x0A { return String(decoding: bytes.dropLast(), as: UTF8.self) }
            bytes.append(byte)
        }
        return nil
    }

    @discardableResult
    private func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.send(
                    descriptor, buffer.baseAddress.map { unsafe $0 + sent }, bytes.count - sent,
                    Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
