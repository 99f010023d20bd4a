// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Units
public import Wire

/// How an engine failed us.
public enum ClientFault: Error, Sendable, Equatable {
    case connect(SystemFault)
    /// The server did not prove who it has to be, or TLS failed otherwise.
    case tls(TLSFault)
    /// The connection was not made in time.
    case connectTimeout
    /// The connection ended before the answer's end.
    case closedEarly
    /// The same, and not in an orderly way.
    case reset
    case head(HeadFault)
    case chunk(ChunkFault)
    /// Bytes came that nobody had asked for.
    case unexpectedBytes
    /// The engine did not begin with the request, and said so.
    case refused
}

/// What an engine's stream has to say. Ask until `.none`, after it was driven and after the owner
/// has done something to it from outside of its events.
@unsafe
public enum ClientEvent {
    case none
    case connected
    /// The answer's head is here.
    case head
    /// Payload of the answer, never empty, valid until the next call.
    case payload(UnsafeRawBufferPointer)
    /// The answer is complete; whether the connection is, `isReusable` says.
    case end
    /// The stream is over and useless: drop it.
    case fault(ClientFault)
    /// An idle connection was closed by the engine: drop it.
    case closed
}

/// One request to an engine and its answer, whatever the protocol.
public class ClientStream {
    private final var ownerTag: SlabKey?
    /// What the owner keeps for this stream.
    public final var tag: SlabKey? {
        get { ownerTag }
        set { ownerTag = newValue }
    }
    /// Under which the owner has it.
    public let key: SlabKey
    /// Which of the owner's destinations it leads to.
    public let destination: Int

    init(key: SlabKey, destination: Int) {
        self.key = key
        self.destination = destination
    }

    /// Sends a request; the one before was answered whole. `fields` holds complete lines `name:
    /// value CR LF` without `Host`, framing and connection fields. The body is copied as far as the
    /// kernel does not take it at once.
    public func request(
        method: Method, target: UnsafeRawBufferPointer, authority: String,
        fields: borrowing ByteBuffer, body: UnsafeRawBufferPointer
    ) { abstract() }

    /// The next thing that happened; `.none` when the stream waits.
    public func next() -> ClientEvent { abstract() }

    /// Of the present answer, from `.head` to the next request.
    public var status: Int { abstract() }
    /// The first field of that name; empty after the turn in which `.head` was told.
    public func value(_ id: FieldName) -> UnsafeRawBufferPointer? { abstract() }
    /// Calls `body` with each field's identity, name as received, and value, like `value`.
    public func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) { abstract() }
    /// The length that the answer's body will have; nil when only its end will tell.
    public var announcedLength: Int? { abstract() }
    /// The trailer section that followed the answer's body, as complete field lines; at `.end`.
    public var trailers: [UInt8] { abstract() }
    /// The answer has no body by its nature.
    public var isBodiless: Bool { abstract() }

    /// Stops reading, for a client that is slower than its engine: after `next` gave `.none`. What
    /// the engine sends then waits in the kernel, and an end with it.
    public func pauseReading() { abstract() }
    /// Reads on.
    public func resumeReading() { abstract() }
    /// Its connection has other streams: when this one is over, that is not.
    public var isShared: Bool { false }
    /// Another request may follow on the same connection.
    public var isReusable: Bool { abstract() }
    /// The engine has sent something behind an answer that nobody asked for.
    public var hasSpokenUnasked: Bool { abstract() }
    /// It had answered an earlier request before the present one.
    public var wasReused: Bool { abstract() }
    /// Not one byte of an answer to the present request has come.
    public var isUnanswered: Bool { abstract() }
    /// The engine cannot have read the present request, nor a part of it: nothing was sent, or its
    /// kernel has acknowledged nothing. Told with a fault; false where it cannot be known.
    public var isUnread: Bool { abstract() }
    /// Ends the connection at once; the engine learns of it.
    public func close() { abstract() }
}

private func abstract(function: StaticString = #function) -> Never { broken(function) }
