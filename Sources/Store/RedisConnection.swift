// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Units

/// One connection to Redis, from connect to close: bytes out, replies in, with or without TLS.
/// Closed when it goes.
final class RedisConnection {
    let token: Token
    let address: SocketAddress
    private let poller: Poller
    private let socket: Socket
    private let reader: RedisReplyReader
    private let session: RedisTLSSession?
    /// Bounded by the commands in flight.
    private var output = ByteBuffer()
    /// What TLS makes of it, and of its own.
    private var wire = ByteBuffer()
    private var interest: Interest = [.read, .write]
    private var isConnected = false

    /// Begins to connect and registers with the poller. `limit`: of one reply, in bytes.
    init(
        to address: SocketAddress, session: RedisTLSSession?, poller: Poller, token: Token,
        limit: Int
    ) throws(StoreFault) {
        reader = RedisReplyReader(limit: limit)
        self.session = session
        do {
            socket = try Socket.connect(to: address)
            try poller.add(socket.descriptor, interest, token)
        } catch {
            throw .connection(error)
        }
        self.address = address
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
        guard let session else { return try drain(&output) }
        try session.shake()
        if session.isEstablished, !output.isEmpty {
            try unsafe session.write(output.readable)
            output.removeAll()
        }
        session.takeOutput(into: &wire)
        try drain(&wire)
    }

    private func drain(_ buffer: inout ByteBuffer) throws(StoreFault) {
        while !buffer.isEmpty {
            switch unsafe socket.send(buffer.readable) {
            case .bytes(let count): buffer.consume(count)
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
            buffer in
            Result { () throws(StoreFault) in
                if let session { return try unsafe receive(through: session, buffer) }
                return try unsafe receivePlain(buffer)
            }
        }
        return try outcome.get()
    }

    private func receivePlain(
        _ buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreFault) -> Received {
        switch unsafe socket.receive(buffer) {
        case .bytes(let count):
            try unsafe reader.feed(
                UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
            return .some
        case .wouldBlock: return .nothing
        case .closed: throw .closedByServer
        case .failed(let fault): throw .connection(fault)
        }
    }

    /// What was decrypted already comes first; else what the wire has brought is fed.
    private func receive(
        through session: RedisTLSSession, _ buffer: UnsafeMutableRawBufferPointer
    ) throws(StoreFault) -> Received {
        while true {
            try session.shake()
            if session.isEstablished {
                let count = try unsafe session.read(buffer)
                if count > 0 {
                    try unsafe reader.feed(
                        UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
                    return .some
                }
            }
            switch unsafe socket.receive(buffer) {
            case .bytes(let count):
                try unsafe session.feed(
                    UnsafeRawBufferPointer(start: buffer.baseAddress, count: count))
            case .wouldBlock:
                // The handshake may have an answer to send.
                try flush()
                return .nothing
            case .closed: throw .closedByServer
            case .failed(let fault): throw .connection(fault)
            }
        }
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
