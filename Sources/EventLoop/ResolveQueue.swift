// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Synchronization

/// One name to look up, and who wants to know.
struct Question: Sendable {
    let host: String
    let port: UInt16
    let deliver: @Sendable (ResolveOutcome) -> Void

    /// Asks the system; blocks.
    func answer() -> ResolveOutcome {
        // The system would see the part before it.
        if host.utf8.contains(0) { return .unknown }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV
        var first: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, String(port), &hints, &first)
        guard code == 0 else {
            return penstock_is_unknown_name(code) != 0 ? .unknown : .unavailable
        }
        defer { unsafe freeaddrinfo(first) }
        let found = unsafe Question.addresses(first)
        return found.isEmpty ? .unknown : .addresses(found)
    }

    private static func addresses(_ first: UnsafeMutablePointer<addrinfo>?) -> [SocketAddress] {
        var found: [SocketAddress] = []
        var next = unsafe first
        while let entry = unsafe next, found.count < Resolver.mostAddresses {
            if let system = unsafe entry.pointee.ai_addr,
                let address = unsafe SocketAddress(
                    copying: system, length: Int(entry.pointee.ai_addrlen)),
                !found.contains(address)
            {
                found.append(address)
            }
            unsafe next = entry.pointee.ai_next
        }
        return found
    }
}

/// The questions of a `Resolver` that wait for its thread, bounded together with the one being
/// answered.
final class ResolveQueue: Sendable {
    enum Message: Sendable {
        case question(Question)
        /// The last message.
        case stop
    }
    private struct State {
        /// Questions accepted and not yet answered.
        var open = 0
        var isStopped = false
    }
    private let mailbox: Mailbox<Message>
    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) throws(SystemFault) {
        // One place more for `stop`.
        mailbox = try Mailbox(limit: limit + 1)
        self.limit = limit
    }

    var descriptor: Int32 { mailbox.descriptor }
    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// False when full or stopped.
    func add(_ question: Question) -> Bool {
        state.withLock { state in
            guard !state.isStopped, state.open < limit else { return false }
            state.open += 1
            return mailbox.post(.question(question))
        }
    }

    func answered() { state.withLock { $0.open -= 1 } }

    func stop() {
        state.withLock { state in
            if state.isStopped { return }
            state.isStopped = true
            mailbox.post(.stop)
        }
    }

    func drain(into batch: inout [Message]) { mailbox.drain(into: &batch) }
}
