// SPDX-License-Identifier: Apache-2.0

public import Units
public import Wire

/// What a client did wrong, in a form that can still be answered.
public enum ServerFault: Error, Sendable, Equatable {
    case head(HeadFault)
    case chunk(ChunkFault)
    /// Announced or found to be over `limit` bytes.
    case bodyTooLarge(limit: Int)
    /// The head did not come whole in time.
    case headTimeout
    /// The body came too slowly.
    case bodyTimeout
}

/// What a stream has to say. Ask until `.none`, after it was driven and after the owner has done
/// something to it from outside of its events: answered, aborted, asked it to close.
public enum ServerEvent: Sendable, Equatable {
    /// Nothing more for now.
    case none
    /// A request's head is here; read on by asking again, or answer at once.
    case head
    /// The request is complete: the answer is owed.
    case request
    /// The request cannot be read further: answer, and the connection closes after it.
    case fault(ServerFault)
    /// The client took what had been held back: go on writing.
    case drained
    /// The client left while an answer was owed or under way.
    case left
    /// The connection is over and its descriptor closed: drop it.
    case closed
    /// The client speaks HTTP/2: take the connection over with `upgrade`. Only where
    /// `ServerLimits.allowsHTTP2`.
    case preface
}

/// How long an answer's body is.
public enum AnswerLength: Sendable, Equatable {
    case exact(Int)
    /// Told by framing: chunked, or the connection's end for HTTP/1.0.
    case unknown
    /// None, because the status or the method forbids it; nothing is said about a length.
    case bodiless
}

/// One request and its answer on a client's connection, whatever the protocol.
///
/// Request bytes are valid from `.head` (fields) or `.request` (body) until `dropRequest` or the
/// answer's end.
public class ServerStream {
    /// What the owner keeps for this stream.
    private final var ownerTag: SlabKey?
    public final var tag: SlabKey? {
        get { ownerTag }
        set { ownerTag = newValue }
    }
    private final var knownPeer: ClientPeer?
    /// Who is at the other end; the owner says so once it knows.
    public final var peer: ClientPeer? {
        get { knownPeer }
        set { knownPeer = newValue }
    }
    /// Under which the owner has it.
    public let key: SlabKey
    /// Which of the owner's doors it came through.
    public let door: Int

    init(key: SlabKey, door: Int) {
        self.key = key
        self.door = door
    }

    /// The present request's method; `.other` for what has no name here.
    public var method: Method { abstract() }
    /// As received.
    public var methodName: UnsafeRawBufferPointer { abstract() }
    /// Path and query.
    public var target: UnsafeRawBufferPointer { abstract() }
    /// The first field of that name.
    public func value(_ id: FieldName) -> UnsafeRawBufferPointer? { abstract() }
    /// How many field lines have that name.
    public func count(_ id: FieldName) -> Int { abstract() }
    /// Calls `body` with each field's identity, name as received, and value.
    public func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) { abstract() }
    /// The announced length of the body; nil when it is chunked.
    public var announcedLength: Int? { abstract() }
    /// The body, decoded, as far as it has come.
    public var body: UnsafeRawBufferPointer { abstract() }
    /// Memory held for the request and for what came behind it, in bytes.
    public var heldRequestBytes: Int { abstract() }
    /// Memory held for answers that the client has not taken, in bytes.
    public var heldAnswerBytes: Int { abstract() }

    /// The next thing that happened; `.none` when the stream waits.
    public func next() -> ServerEvent { abstract() }
    /// Gives the request's memory back; its bytes are gone.
    public func dropRequest() { abstract() }

    /// Begins the answer, also before the request is complete: where much of it is missing the
    /// connection then ends with the answer. `fields` holds complete lines `name: value CR LF`,
    /// without framing, date and connection fields, which are the stream's own.
    public func respond(
        status: Int, fields: borrowing ByteBuffer, length: AnswerLength
    ) { abstract() }
    /// Adds payload to an answer under way.
    public func write(_ payload: UnsafeRawBufferPointer) { abstract() }
    /// Ends the answer; a stream of unknown length gets its proper end here and nowhere else.
    /// `trailers`: complete field lines, sent where the framing has a place for them.
    public func end(trailers: [UInt8] = []) { abstract() }
    /// Cuts the answer so that the client can tell that it is not complete.
    public func abort() { abstract() }
    /// Hands what was written to the kernel as far as it takes it.
    public func flush() { abstract() }
    /// No further request after this one: the client is told, and idle connections close.
    public func closeAfterAnswer() { abstract() }

    /// It may begin although no further request was wanted: its client could not know.
    public var mayComeLate: Bool { false }
    /// More is held than the client takes: stop writing until `.drained`.
    public var isCongested: Bool { abstract() }
    /// A head of an answer was written.
    public var hasResponded: Bool { abstract() }
    /// A 1xx answer that invites the body, when the client waits for it.
    public func inviteBody() { abstract() }
}

/// What a subclass did not provide.
private func abstract(function: StaticString = #function) -> Never { broken(function) }
