// SPDX-License-Identifier: Apache-2.0

import EventLoop
package import Units
package import Wire

/// Sizes and times of one client connection.
package struct ServerLimits: Sendable {
    package var head = HeadLimits(maxTarget: 8_192, maxHead: 32_768, maxFields: 128)
    package var maxBody = 16 << 20
    package var maxTrailers = 8_192
    package var maxChunkExtensions = 4_096
    /// Answer bytes held before the stream counts as congested.
    package var streamBuffer = 64 << 10
    /// Bytes of later requests read while one is being answered.
    package var maxPipelined = 16 << 10
    package var headTimeout = Duration.seconds(10)
    package var bodyTimeout = Duration.seconds(10)
    /// A body earns a second for each so many bytes.
    package var bodyFloorPerSecond = 1_024
    package var idleTimeout = Duration.seconds(60)
    package var writeTimeout = Duration.seconds(60)
    /// Bytes of an answered request that are still waited for, so that the connection can go on.
    package var maxSkipped = 64 << 10
    /// How long, and for how many bytes, a refused client's rest is read away before the close: so
    /// much of it is in flight, or sent by clients that read an answer only after their request.
    package var lingerTimeout = Duration.seconds(2)
    package var maxLinger = 32 << 20
    /// Send buffer asked of the kernel, which takes twice that. Without it the kernel's own choice
    /// may grow to megabytes, all of them ahead of a client that does not read.
    package var kernelBuffer = Bytes.kibi(512)

    package init() {}
}

/// What a client did wrong, in a form that can still be answered.
package enum ServerFault: Error, Sendable, Equatable {
    case head(HeadFault)
    case chunk(ChunkFault)
    case bodyTooLarge(limit: Int)
    case headTimeout
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
    package let key: SlabKey
    /// Which of the owner's doors it came through.
    package let door: Int

    init(key: SlabKey, door: Int) {
        self.key = key
        self.door = door
    }

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
