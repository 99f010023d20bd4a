// SPDX-License-Identifier: Apache-2.0

import Wire

/// How far a stream of typed events has come: what has to be closed if the gateway ends it.
public struct StreamProgress: Sendable, Equatable {
    /// Characters of an answer's name that are kept: engines use some forty.
    private static let longestID = 128

    /// The answer has begun: `message_start`, or the first event of a response.
    public private(set) var hasBegun = false
    /// The block of messages that is open.
    public private(set) var openBlock: Int?
    /// The number of the next event, in responses.
    public private(set) var nextSequence = 0
    /// The engine's name of the response; empty where it has told none that is usable.
    public private(set) var id = ""

    mutating func note(_ event: TypedEvent, _ data: RawSpan) {
        switch event.kind {
        case .blockStart: openBlock = event.index
        case .blockStop: openBlock = nil
        default: break
        }
        // llama.cpp does not number its events.
        nextSequence = (event.sequence ?? nextSequence) + 1
        guard !hasBegun, event.kind == .messageStart || event.id != nil else { return }
        hasBegun = true
        if let id = event.id, !id.isEscaped, id.range.count <= Self.longestID {
            self.id = id.string(in: data)
        }
    }
}
