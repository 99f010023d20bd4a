// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Synchronization
import Units

/// Messages from any thread to the one that owns the box, bounded. Its descriptor is readable while
/// there are messages, so the owner's `Poller` wakes.
///
/// Only the first message since the last `drain` costs a system call: for the others the owner is
/// already called.
public final class Mailbox<Message: Sendable>: Sendable {
    private struct State {
        var messages: [Message] = []
        /// Whether the descriptor is readable; changed together with it, under the lock.
        var isCalled = false
    }
    private let handle: Descriptor
    private let limit: Int
    private let state = Mutex(State())

    /// Holds at most `limit` messages at once.
    public init(limit: Int) throws(SystemFault) {
        handle = try Descriptor(checking: System.once { penstock_event_descriptor() })
        self.limit = limit
    }

    /// For registration with the owner's `Poller`, for reading.
    public var descriptor: Int32 { handle.raw }

    /// Leaves a message; false when the box is full, and the message is not in it then.
    @discardableResult
    public func post(_ message: Message) -> Bool {
        state.withLock { state in
            guard state.messages.count < limit else { return false }
            state.messages.append(message)
            if !state.isCalled {
                state.isCalled = true
                call()
            }
            return true
        }
    }

    /// Takes all messages, oldest first, behind those in `messages`. With an empty array the two
    /// change places, and the memory of both is kept.
    public func drain(into messages: inout [Message]) {
        state.withLock { state in
            if messages.isEmpty {
                swap(&state.messages, &messages)
            } else {
                messages.append(contentsOf: state.messages)
                state.messages.removeAll(keepingCapacity: true)
            }
            if state.isCalled {
                state.isCalled = false
                clear()
            }
        }
    }

    private func call() {
        let raw = handle.raw
        var one: UInt64 = 1
        let result = System.retrying { unsafe write(raw, &one, 8) }
        invariant(result == 8, "a counter below its maximum takes one more")
    }

    private func clear() {
        let raw = handle.raw
        var counted: UInt64 = 0
        let result = System.retrying { unsafe read(raw, &counted, 8) }
        invariant(result == 8 && counted == 1, "a box is called once between drains")
    }
}
