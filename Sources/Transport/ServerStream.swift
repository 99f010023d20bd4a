// SPDX-License-Identifier: Apache-2.0

package import Units
package import Wire

/// What a client did wrong, in a form that can still be answered.
package enum ServerFault: Error, Sendable, Equatable {
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
package enum ServerEvent: Sendable, Equatable {
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
}

/// How long an answer's body is.
package enum AnswerLength: Sendable, Equatable {
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
package class ServerStream {
    /// What the owner keeps for this stream.
    private final var ownerTag: SlabKey?
    package final var tag: SlabKey? {
        get { ownerTag }
        set { ownerTag = newValue }
    }
    /// Under which the owner has it.
    package let key: SlabKey
    /// Which of the owner's doors it came through.
    package let door: Int

    init(key: SlabKey, door: Int) {
        self.key = key
        self.door = door
    }

    /// The present request's method; `.other` for what has no name here.
    package var method: Method { abstract() }
    /// As received.
    package var methodName: UnsafeRawBufferPointer { abstract() }
    /// Path and query.
    package var target: UnsafeRawBufferPointer { abstract() }
    /// The first field of that name.
    package func value(_ id: FieldName) -> UnsafeRawBufferPointer? { abstract() }
    /// How many field lines have that name.
    package func count(_ id: FieldName) -> Int { abstract() }
    /// Calls `body` with each field's identity, name as received, and value.
    package func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) { abstract() }
    /// The announced length of the body; nil when it is chunked.
    package var announcedLength: Int? { abstract() }
    /// The body, decoded, as far as it has come.
    package var body: UnsafeRawBufferPointer { abstract() }
    /// Memory held for the request and for what came behind it, in bytes.
    package var heldRequestBytes: Int { abstract() }
    /// Memory held for answers that the client has not taken, in bytes.
    package var heldAnswerBytes: Int { abstract() }

    /// The next thing that happened; `.none` when the stream waits.
    package func next() -> ServerEvent { abstract() }
    /// Gives the request's memory back; its bytes are gone.
    package func dropRequest() { abstract() }

    /// Begins the answer, also before the request is complete: where much of it is missing the
    /// connection then ends with the answer. `fields` holds complete lines `name: value CR LF`,
    /// without framing, date and connection fields, which are the stream's own.
    package func respond(
        status: Int, fields: borrowing ByteBuffer, length: AnswerLength
    ) { abstract() }
    /// Adds payload to an answer under way.
    package func write(_ payload: UnsafeRawBufferPointer) { abstract() }
    /// Ends the answer; a stream of unknown length gets its proper end here and nowhere else.
    /// `trailers`: complete field lines, sent where the framing has a place for them.
    package func end(trailers: [UInt8] = []) { abstract() }
    /// Cuts the answer so that the client can tell that it is not complete.
    package func abort() { abstract() }
    /// Hands what was written to the kernel as far as it takes it.
    package func flush() { abstract() }
    /// No further request after this one: the client is told, and idle connections close.
    package func closeAfterAnswer() { abstract() }

    /// More is held than the client takes: stop writing until `.drained`.
    package var isCongested: Bool { abstract() }
    /// A head of an answer was written.
    package var hasResponded: Bool { abstract() }
    /// A 1xx answer that invites the body, when the client waits for it.
    package func inviteBody() { abstract() }
}

/// What a subclass did not provide.
private func abstract(function: StaticString = #function) -> Never { broken(function) }
