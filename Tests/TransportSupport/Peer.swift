// SPDX-License-Identifier: Apache-2.0

import EventLoop
public import Units

/// The other end of a connection, moving raw bytes: it does what a test says and nothing more.
public final class Peer {
    private var socket: Socket?
    private var outgoing = ByteBuffer()
    private var incoming: [UInt8] = []
    private var isReading = true
    private var isFinishing = false
    private var ended = false
    private var broken = false
    private let most: Int

    /// `most` bytes are received in one turn at most.
    init(_ socket: consuming Socket, most: Int = 262_144) {
        self.socket = consume socket
        self.most = most
    }

    /// Everything received so far.
    public var bytes: [UInt8] { incoming }
    public var text: String { String(decoding: incoming, as: UTF8.self) }
    /// The other side has sent its last byte, in an orderly way.
    public var hasEnded: Bool { ended }
    /// The connection was reset.
    public var isReset: Bool { broken }
    /// There is nothing more to come, one way or the other.
    public var isOver: Bool { ended || broken }
    /// What was given to be sent and is not with the kernel.
    public var unsentBytes: Int { outgoing.count }

    public func send(_ text: String) { send(Array(text.utf8)) }
    public func send(_ bytes: [UInt8]) {
        unsafe outgoing.append(bytes.span.bytes)
        push()
    }

    /// Stops and restarts receiving.
    public func stopReading() { isReading = false }
    public func startReading() { isReading = true }

    /// Ends the sending side once everything is sent; receiving goes on.
    public func finish() {
        isFinishing = true
        push()
    }

    /// Closes with a reset.
    public func reset() {
        socket?.resetOnClose()
        socket = nil
    }

    /// Closes; the kernel sends what it has.
    public func close() { socket = nil }

    public func setReceiveBuffer(_ size: Bytes) { socket?.setReceiveBuffer(size) }
    public func setSendBuffer(_ size: Bytes) { socket?.setSendBuffer(size) }

    /// Forgets what was received.
    public func clear() { incoming.removeAll() }

    /// Whether something moved.
    func turn() -> Bool {
        let before = outgoing.count
        push()
        return pull() || outgoing.count != before
    }

    private func push() {
        while !outgoing.isEmpty {
            guard case .bytes(let count)? = unsafe socket?.send(outgoing.readable) else { return }
            outgoing.consume(count)
        }
        guard isFinishing else { return }
        isFinishing = false
        socket?.shutdownWrite()
    }

    private func pull() -> Bool {
        guard isReading, !isOver else { return false }
        let before = incoming.count
        unsafe withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 1) { room in
            while !isOver, incoming.count - before < most {
                switch unsafe socket?.receive(room) ?? .wouldBlock {
                case .bytes(let count): unsafe incoming.append(contentsOf: room[..<count])
                case .wouldBlock: return
                case .closed: ended = true
                case .failed: broken = true
                }
            }
        }
        return isOver || incoming.count > before
    }
}

@available(*, unavailable)
extension Peer: Sendable {}
