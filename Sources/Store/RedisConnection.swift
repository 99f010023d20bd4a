// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Units

/// One connection to Redis, from connect to close: bytes out, replies in. Closed when it goes.
final class RedisConnection {
    let token: Token
    private let poller: Poller
    private let socket: Socket
    private let reader: RedisReplyReader
    /// Bounded by the commands in flight.
    private var output = ByteBuffer()
    private var interest: Interest = [.read, .write]
    private var isConnected = false

    /// Begins to connect and registers with the poller. `limit`: of one reply, in bytes.
    init(
        to address: SocketAddress, poller: Poller, token: Token, limit: Int
    ) throws(StoreFault) {
        reader = RedisReplyReader(limit: limit)
        do {
            socket = try Socket.connect(to: address)
            try poller.add(socket.descriptor, interest, token)
        } catch {
            throw .connection(error)
        }
        self.poller = poller
        self.token = token
    }

    deinit { poller.remove(socket.descriptor) }

    /// Adds to what the next `flush` sends.
    func write(_ body: (inout ByteBuffer) -> Void) { body(&output) }

    /// Learns the outcome of connecting, once.
    func becameWritable() throws(StoreFault) {
        if isConnected { return }
        if let fault = socket.connectOutcome() { throw .connection(fault) }
        isConnected = true
    }

    /// Sends what has been written, as far as the kernel takes it.
    func flush() throws(StoreFault) {
        guard isConnected else { return }
        while !output.isEmpty {
            switch unsafe socket.send(output.readable) {
            case .bytes(let count): output.consume(count)
            case .wouldBlock: return try want([.read, .write])
            case .closed: throw .closedByServer
            case .failed(let fault): throw .connection(fault)
            }
        }
        try want(.read)
    }

    enum Received {
        case some
        case nothing
    }

    /// Takes at most one piece of what has arrived; then `nextReply` until there is none.
    func receive() throws(StoreFault) -> Received {
        guard isConnected else { return .nothing }
        let size = RedisReplyReader.feedBytes
        let outcome = unsafe withUnsafeTemporaryAllocation(byteCount: size, alignment: 16) {
            buffer -> Result<Received, StoreFault> in
            switch unsafe socket.receive(buffer) {
            case .bytes(let count):
                return Result { () throws(StoreFault) in
                    try unsafe reader.feed(
                        UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
                    return .some
                }
            case .wouldBlock: return .success(.nothing)
            case .closed: return .failure(.closedByServer)
            case .failed(let fault): return .failure(.connection(fault))
            }
        }
        return try outcome.get()
    }

    func nextReply() throws(StoreFault) -> RedisReply? { try reader.next() }

    private func want(_ wanted: Interest) throws(StoreFault) {
        if wanted == interest { return }
        do {
            try poller.change(socket.descriptor, wanted, token)
        } catch {
            throw .connection(error)
        }
        interest = wanted
    }
}

@available(*, unavailable)
extension RedisConnection: Sendable {}
