// SPDX-License-Identifier: Apache-2.0

package import EventLoop
package import Units
package import Wire

/// Sizes and times of one connection to an engine.
package struct ClientLimits: Sendable {
    package var head = HeadLimits(maxTarget: 8_192, maxHead: 65_536, maxFields: 256)
    package var maxTrailers = 8_192
    package var maxChunkExtensions = 4_096
    /// Receive buffer asked of the kernel, which takes twice that. Without it the kernel's own
    /// choice may grow to tens of megabytes, all of them ahead of a client that does not read.
    package var kernelBuffer = Bytes.kibi(512)
    package var connectTimeout = Duration.seconds(2)
    /// A connection that was kept for less than this is used again without a look at what it may
    /// have brought meanwhile: for owners that deliver engines' events before clients'.
    package var quietFor = Duration.zero

    package init() {}
}

/// How an engine failed us.
package enum ClientFault: Error, Sendable, Equatable {
    case connect(SystemFault)
    case connectTimeout
    /// The connection ended before the answer's end.
    case closedEarly
    case reset
    case head(HeadFault)
    case chunk(ChunkFault)
    /// Bytes came that nobody had asked for.
    case unexpectedBytes
}

/// What an engine's stream has to say. Ask until `.none`, after it was driven and after the owner
/// has done something to it from outside of its events.
@unsafe
package enum ClientEvent {
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
package class ClientStream {
    private final var ownerTag: SlabKey?
    /// What the owner keeps for this stream.
    package final var tag: SlabKey? {
        get { ownerTag }
        set { ownerTag = newValue }
    }
    package let key: SlabKey
    /// Which of the owner's destinations it leads to.
    package let destination: Int

    init(key: SlabKey, destination: Int) {
        self.key = key
        self.destination = destination
    }

    /// Sends a request; the one before was answered whole. `fields` holds complete lines `name:
    /// value CR LF` without `Host`, framing and connection fields. The body is copied as far as the
    /// kernel does not take it at once.
    package func request(
        method: Method, target: UnsafeRawBufferPointer, authority: String,
        fields: borrowing ByteBuffer, body: UnsafeRawBufferPointer
    ) { abstract() }

    /// The next thing that happened; `.none` when the stream waits.
    package func next() -> ClientEvent { abstract() }

    /// Of the present answer, from `.head` to the next request.
    package var status: Int { abstract() }
    /// The first field of that name; empty after the turn in which `.head` was told.
    package func value(_ id: FieldName) -> UnsafeRawBufferPointer? { abstract() }
    /// Calls `body` with each field's identity, name as received, and value, like `value`.
    package func forEachField(
        _ body: (FieldName, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) { abstract() }
    /// The length that the answer's body will have; nil when only its end will tell.
    package var announcedLength: Int? { abstract() }
    /// The trailer section that followed the answer's body, as complete field lines; at `.end`.
    package var trailers: [UInt8] { abstract() }
    /// The answer has no body by its nature.
    package var isBodiless: Bool { abstract() }

    /// Stops reading, for a client that is slower than its engine: after `next` gave `.none`. What
    /// the engine sends then waits in the kernel, and an end with it.
    package func pauseReading() { abstract() }
    /// Reads on.
    package func resumeReading() { abstract() }
    /// Another request may follow on the same connection.
    package var isReusable: Bool { abstract() }
    /// It had answered an earlier request before the present one.
    package var wasReused: Bool { abstract() }
    /// Not one byte of an answer to the present request has come.
    package var isUnanswered: Bool { abstract() }
    /// Ends the connection at once; the engine learns of it.
    package func close() { abstract() }
}

private func abstract(function: StaticString = #function) -> Never { broken(function) }
