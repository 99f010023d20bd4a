// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Units

/// The two times that run on a client's connection, for what it has to send and for what it has to
/// take, in one timer.
struct ServerTimes {
    private let token: Token
    private let loop: Loop
    private var deadline = LazyDeadline()
    private var readBy = Instant.distantFuture
    private var writeBy = Instant.distantFuture

    init(token: Token, loop: Loop) {
        self.token = token
        self.loop = loop
    }

    /// The client has taken nothing of what waits for it, for too long.
    var isWriteOver: Bool { writeBy <= loop.now }
    /// The client has not sent what it is to send.
    var isReadOver: Bool { readBy <= loop.now }
    /// Something waits to be taken.
    var isWriting: Bool { writeBy != .distantFuture }

    mutating func expectBytes(by instant: Instant) {
        readBy = instant
        settle()
    }

    /// That the client takes something.
    mutating func expectRoom(by instant: Instant) {
        writeBy = instant
        settle()
    }

    /// To be called when the wheel fires the token: whether one of the times is over.
    mutating func fired() -> Bool { deadline.fired(token, loop) }

    /// Waits on for what has not come yet.
    mutating func settle() { deadline.set(min(readBy, writeBy), token, loop) }

    mutating func cancel() { deadline.cancel(loop) }
}
