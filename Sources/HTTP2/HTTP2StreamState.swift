// SPDX-License-Identifier: Apache-2.0

public import Units
public import Wire

/// One stream of a session: what has come on it, and what waits to go.
///
/// The session changes it; its owner asks it and changes it through the session.
public final class HTTP2StreamState {
    /// Which of them, as the frames say.
    public let id: Int32

    // What came.
    var request: HTTP2RequestBlock
    var response: HTTP2ResponseBlock
    var trailerBlock: HTTP2TrailerBlock?
    var trailerLines: [UInt8] = []
    /// The method that the response answers.
    var method = Method.get
    var input = ByteBuffer()
    var received = 0
    /// Bytes that came and count against the peer's windows.
    var unaccepted = 0
    var isHeadHere = false
    var isInputWhole = false
    var isInputWanted = true
    var interims = 0
    var code: UInt32?
    var wasResetByPeer = false
    var wasFaulted = false
    /// It is reset from here, for reasons of our own.
    var isGivenUp = false

    // What goes.
    var output = ByteBuffer()
    var outputTrailers: [UInt8] = []
    var isOutputBegun = false
    var isOutputWhole = false
    var isOutputCut = false
    var isDeferred = false
    var isOverfull = false
    var hasDrained = false
    /// Counts among those of which something waits to go.
    var isCounted = false
    /// When the peer last took something, or when something began to wait for it.
    var movedAt = Instant(nanoseconds: 0)

    /// Stands in the session's row of those with news.
    var isNoted = false

    init(id: Int32, limits: HTTP2Limits) {
        self.id = id
        request = HTTP2RequestBlock(limits: limits.head)
        response = HTTP2ResponseBlock(limits: limits.head)
    }

    /// The head is complete, or at fault.
    public var hasHead: Bool { isHeadHere }
    /// What is wrong with the head.
    public var headFault: HeadFault? { request.fault }
    /// Of a server's stream, once it has a head.
    public var requestHead: RequestHead { request.head }
    /// Of a client's stream, once it has a head.
    public var responseHead: ResponseHead { response.head }
    /// A part of a request's head.
    public func requestPart(_ range: ByteRange) -> UnsafeRawBufferPointer {
        unsafe request.part(range)
    }
    /// A part of a response's head.
    public func responsePart(_ range: ByteRange) -> UnsafeRawBufferPointer {
        unsafe response.part(range)
    }
    /// The content as far as it has come and was not taken.
    public var content: UnsafeRawBufferPointer { unsafe input.readable }
    /// So many bytes of content have come in all.
    public var contentReceived: Int { received }
    /// The peer has sent all of its message.
    public var isReceived: Bool { isInputWhole }
    /// The trailer section of a message that was received, as complete field lines.
    public var trailers: [UInt8] { trailerLines }
    /// Memory held for what came, in bytes.
    public var heldInput: Int { input.capacity + request.capacity }
    /// Memory held for what goes, in bytes.
    public var heldOutput: Int { output.capacity }
    /// Something waits to go.
    public var isWaiting: Bool { !output.isEmpty }
    /// When the peer last took something.
    public var lastMoved: Instant { movedAt }
    /// More waits than may.
    public var isCongested: Bool { isOverfull }
    /// The stream is over, and why: 0 without a fault (RFC 9113 section 7).
    public var closeCode: UInt32? { code }
    /// The peer did what ends the stream: the reset for it is on its way, and whoever answers it
    /// need not begin.
    public var isFaulted: Bool { wasFaulted }
    /// The peer has not begun with it (RFC 9113 section 8.7).
    public var isRefused: Bool { code == 7 && wasResetByPeer }
    /// The peer has reset it.
    public var isResetByPeer: Bool { wasResetByPeer }

    /// Whether what had waited has gone since the last time that this was asked.
    public func takeDrained() -> Bool {
        defer { hasDrained = false }
        return hasDrained
    }
}

@available(*, unavailable)
extension HTTP2StreamState: Sendable {}
