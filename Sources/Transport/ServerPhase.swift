// SPDX-License-Identifier: Apache-2.0

/// Where a client's connection stands.
enum ServerPhase {
    /// Between requests or in the middle of a head; → body, answering (a fault), closing,
    /// closed.
    case head
    /// The head was told of, its body is being read; → answering, closed.
    case body
    /// The request is complete or given up, the answer owed or under way; → head, skipping,
    /// closing, closed.
    case answering
    /// Answered before its body was there, of which little is missing; → head, closing,
    /// closed.
    case skipping
    /// The last answer goes out; → lingering, closed.
    case closing
    /// Everything is sent, our end of the stream included; what still comes is read away;
    /// → closed.
    case lingering
    case closed

    /// No answer can be given any more.
    var isOver: Bool { self == .closing || self == .lingering || self == .closed }
}

/// What is so beside the phase.
struct ServerFlags {
    /// An answer is owed or under way: if the client leaves now, the owner is told.
    var isOwed = false
    /// No request is read after the present one.
    var isLast = false
    /// The present request was read to its end.
    var isWhole = false
    /// Stands in the loop's row of those that write at the turn's end.
    var isUnwritten = false
    /// The client was invited to send the present body.
    var isInvited = false
    /// A head's time runs: from its first byte, and on a new connection from the beginning.
    var isHeadAwaited = true
    /// Nothing but the beginning of an HTTP/2 preface has come, if anything.
    var mayUpgrade = false
    /// The client sends no more.
    var hasEnded = false
    /// Nothing can be sent or received any more.
    var isBroken = false
    var isExpired = false
    var isClosedTold = false
}
