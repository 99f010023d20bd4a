// SPDX-License-Identifier: Apache-2.0

import Dialects
import Transport
import Units
import Wire

/// One request of a replay, over all of its tries.
final class ReplayCall {
    /// Where it stands.
    enum Phase: Equatable {
        /// Sent, no head of an answer yet; → events, whole, refused, or over.
        case sent
        /// An event stream comes in; → over.
        case events
        /// Any other answer comes in; → waiting, or over.
        case whole
        /// Refused, and will be sent again; → sent.
        case waiting
    }

    /// What is known of it. Times are of the last try.
    struct Facts {
        var phase = Phase.sent
        var status = 0
        var retryAfter: Duration?
        /// Tries that ended in a refusal with a time to return.
        var returns = 0
        var isResent = false
        var sentAt: Instant
        var firstAt: Instant?
        var lastAt: Instant?
        var client: SlabKey?
    }

    /// The longest answer, or event, that is kept to be read.
    static let maxHeld = 4 << 20

    let number: Int
    private var state: Facts
    private var reader = StreamReader(.chatCompletions, asked: .atEnd, scope: .answer)
    private var splitter = SSESplitter()
    private var held = ByteBuffer()
    private var scanned = 0
    private var timer = LazyDeadline()

    init(number: Int, now: Instant) {
        self.number = number
        state = Facts(sentAt: now)
    }

    var facts: Facts {
        get { state }
        _modify { yield &state }
    }
    /// The end of its patience with the answer, or the moment of its return.
    var deadline: LazyDeadline {
        get { timer }
        _modify { yield &timer }
    }

    /// Forgets the try before.
    func begin(now: Instant) {
        state.phase = .sent
        state.status = 0
        state.retryAfter = nil
        state.sentAt = now
        state.firstAt = nil
        state.lastAt = nil
        reader = StreamReader(.chatCompletions, asked: .atEnd, scope: .answer)
        splitter.reset()
        held.removeAll()
        scanned = 0
    }

    /// Takes a piece of the answer; false when it is longer than can be.
    func take(_ bytes: UnsafeRawBufferPointer, now: Instant) -> Bool {
        if state.phase == .whole {
            if state.firstAt == nil { state.firstAt = now }
            state.lastAt = now
            if held.count + bytes.count <= Self.maxHeld { unsafe held.append(bytes) }
            return true
        }
        unsafe held.append(bytes)
        readEvents(now: now)
        return held.count <= Self.maxHeld
    }

    private func readEvents(now: Instant) {
        var start = 0
        while let end = unsafe splitter.nextBlockEnd(held.readable.bytes, from: scanned) {
            scanned = end
            let block = unsafe SSEBlock(held.readable.bytes, start..<end)
            if block.kind == .data, block.dataLines == 1 {
                let event = unsafe reader.read(held.readable.bytes.extracting(block.data.range))
                if event.pieces > 0 {
                    if state.firstAt == nil { state.firstAt = now }
                    state.lastAt = now
                }
            }
            start = end
        }
        held.consume(start)
        scanned = held.count
    }

    /// What the answer took, once it is complete; nil when it is not what was asked for.
    func outcome(_ delivery: ReplaySetup.Delivery) -> Usage? {
        switch delivery {
        case .stream:
            guard state.phase == .events, reader.sawDone, !reader.sawError else { return nil }
            return reader.usage ?? Usage(input: .zero, output: reader.counted)
        case .whole:
            return unsafe usage(
                inAnswer: held.readable.bytes, of: .chatCompletions, scope: .answer)
        }
    }
}

@available(*, unavailable)
extension ReplayCall: Sendable {}
