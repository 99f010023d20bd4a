// SPDX-License-Identifier: Apache-2.0

import CHiredis
import Units

/// One reply of Redis. Nothing that we ask is answered by an array.
public enum RedisReply: Sendable, Equatable {
    case status(String)
    case error(String)
    case integer(Int)
    case string(String)
    case null
}

/// hiredis's reply parser, and the only caller of hiredis: bytes in, replies out.
///
/// Only the parser is used, not its connections: it takes bytes as they come and gives the same
/// replies however they are cut, while sockets, deadlines, pipelining and every bound on memory
/// stay ours. The parser itself has none: it waits for 2 GB if a server announces them. So what it
/// holds is measured after every feed, and an array is a fault before memory is asked for.
@safe
public final class RedisReplyReader {
    /// The most bytes of one reply, unless told; those about budgets have less than 400.
    public static let limitBytes = 64 << 10
    /// The most bytes of one `feed`.
    public static let feedBytes = 16 << 10

    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    /// Where the parser leaves a reply.
    private let slot: UnsafeMutablePointer<RedisReply>

    private let limit: Int

    /// A reply of more than `limit` bytes is a fault.
    public init(limit: Int = RedisReplyReader.limitBytes) {
        self.limit = limit
        // Field by field: hiredis 1 has more of them. Without a function it makes up a reply, which
        // `next` tells by its address.
        var made = redisReplyObjectFunctions()
        unsafe made.createString = { unsafe RedisReplyReader.makeString($0, $1, Int($2)) }
        unsafe made.createArray = { _, _ in nil }
        unsafe made.createInteger = { unsafe RedisReplyReader.make($0, .integer(Int($1))) }
        unsafe made.createNil = { unsafe RedisReplyReader.make($0, .null) }
        unsafe made.freeObject = { _ in }
        unsafe functions = .allocate(capacity: 1)
        unsafe functions.initialize(to: made)
        unsafe slot = .allocate(capacity: 1)
        unsafe slot.initialize(to: .null)
        guard let parser = unsafe redisReaderCreateWithFunctions(functions) else {
            broken("memory for a reply parser")
        }
        unsafe reader = unsafe parser
        unsafe reader.pointee.privdata = unsafe UnsafeMutableRawPointer(slot)
    }

    deinit {
        unsafe redisReaderFree(reader)
        unsafe functions.deallocate()
        unsafe slot.deinitialize(count: 1)
        unsafe slot.deallocate()
    }

    /// Takes at most `feedBytes` bytes. Take all replies out before the next feed.
    public func feed(_ bytes: UnsafeRawBufferPointer) throws(StoreFault) {
        invariant(bytes.count <= Self.feedBytes, "replies are fed in pieces")
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        guard unsafe redisReaderFeed(reader, start, bytes.count) == REDIS_OK else {
            throw .malformedReply
        }
    }

    /// The next complete reply, or nil when more bytes are needed.
    public func next() throws(StoreFault) -> RedisReply? {
        var complete: UnsafeMutableRawPointer?
        guard unsafe redisReaderGetReply(reader, &complete) == REDIS_OK else {
            throw .malformedReply
        }
        if let complete = unsafe complete {
            guard unsafe complete == UnsafeMutableRawPointer(slot) else { throw .malformedReply }
            return unsafe slot.pointee
        }
        let waiting = unsafe reader.pointee.len - reader.pointee.pos
        if waiting > limit { throw .replyTooLarge(limitBytes: limit) }
        return nil
    }

    /// Leaves a reply in the slot. A reply within an array has a parent; without arrays there is
    /// none.
    private static func make(
        _ task: UnsafePointer<redisReadTask>?, _ reply: RedisReply
    ) -> UnsafeMutableRawPointer? {
        guard let slot = unsafe task?.pointee.privdata else { return nil }
        unsafe slot.assumingMemoryBound(to: RedisReply.self).pointee = reply
        return unsafe slot
    }

    private static func makeString(
        _ task: UnsafePointer<redisReadTask>?, _ bytes: UnsafeMutablePointer<CChar>?, _ count: Int
    ) -> UnsafeMutableRawPointer? {
        guard let task = unsafe task, let bytes = unsafe bytes else { return nil }
        let text = unsafe String(
            decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        switch unsafe task.pointee.type {
        case REDIS_REPLY_STATUS: return unsafe make(task, .status(text))
        case REDIS_REPLY_ERROR: return unsafe make(task, .error(text))
        default: return unsafe make(task, .string(text))
        }
    }
}

@available(*, unavailable)
extension RedisReplyReader: Sendable {}
