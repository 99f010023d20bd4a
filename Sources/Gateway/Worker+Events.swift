// SPDX-License-Identifier: Apache-2.0

import Decision
import Dialects
import EventLoop
import Policy
import Synchronization
import Telemetry
import Transport
import Units
import Wire

/// The events of a stream on their way from an engine to its client.
extension Worker {
    func takeEvents(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) {
        if exchange.heldCount == 0 {
            let used = unsafe passEvents(exchange, bytes)
            if used < bytes.count {
                unsafe exchange.hold(UnsafeRawBufferPointer(rebasing: bytes[used...]))
            }
        } else {
            unsafe exchange.hold(bytes)
            let used = unsafe passEvents(exchange, exchange.held)
            exchange.dropHeld(used)
        }
        if exchange.heldCount > policy.upstream.maxEvent.count {
            // An event without an end is no stream any more.
            cut(exchange, .engineFailed)
        }
    }

    /// Passes on every complete event in `bytes`, neighbours in one piece; says how many bytes that
    /// were.
    private func passEvents(_ exchange: Exchange, _ bytes: UnsafeRawBufferPointer) -> Int {
        var start = 0
        var passed = 0
        while let end = unsafe exchange.splitter.nextBlockEnd(bytes.bytes, from: start) {
            let block = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            switch unsafe judge(exchange, block) {
            case .pass: break
            case .drop:
                unsafe write(exchange, bytes, passed..<start)
                passed = end
            case .cut(let range):
                unsafe write(exchange, bytes, passed..<start + range.lowerBound)
                passed = start + range.upperBound
            case .error(let message):
                unsafe write(exchange, bytes, passed..<start)
                passed = end
                unsafe tellError(exchange, block, message)
            }
            start = end
        }
        unsafe write(exchange, bytes, passed..<start)
        if start > 0 { report(exchange) }
        return start
    }

    private enum Verdict {
        case pass
        case drop
        /// This part of the block is left out.
        case cut(Range<Int>)
        /// An error that SDKs do not see as one; its text stands in this part of the block.
        case error(Range<Int>?)
    }

    /// An engine's error as clients of the dialect understand it.
    private func tellError(
        _ exchange: Exchange, _ block: UnsafeRawBufferPointer, _ message: Range<Int>?
    ) {
        var text = "The engine failed."
        if let message {
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: block[message]).bytes
            text = JSONString(range: 0..<message.count, isEscaped: true).string(in: bytes)
        }
        var event = ByteBuffer()
        if exchange.dialect.errors == .anthropic { event.append("event: error\n") }
        event.append("data: ")
        let errors = exchange.dialect.errors
        errors.write(
            Refusal(.upstreamFailed).detail(text, nil, errors, exchange.name), into: &event)
        event.append("\n\n")
        respond(exchange)
        unsafe exchange.server?.write(event.readable)
    }

    private func judge(_ exchange: Exchange, _ block: UnsafeRawBufferPointer) -> Verdict {
        let view = unsafe SSEBlock(
            block.bytes, 0..<block.count, exchange.sawBlock ? .later : .first)
        exchange.sawBlock = true
        guard case .data = view.kind else {
            // Comments keep a stream alive; fields without data make clients stumble.
            return view.kind == .comment || view.kind == .empty ? .pass : .drop
        }
        guard var reader = exchange.reader.take() else { return .pass }
        defer { exchange.reader = reader }
        let event: StreamEvent
        if view.dataLines == 1 {
            let data = view.data.range
            // SDKs hand an empty text to their JSON parser, and fail.
            guard !data.isEmpty else { return .drop }
            event = unsafe reader.read(UnsafeRawBufferPointer(rebasing: block[data]).bytes)
        } else {
            text.removeAll()
            unsafe view.appendData(block.bytes, to: &text)
            guard unsafe text.readable.contains(where: { $0 != 0x0A }) else { return .drop }
            event = unsafe reader.read(text.readable.bytes)
        }
        note(exchange, event)
        switch event.action {
        case .pass: return .pass
        case .drop: return .drop
        case .cut(let part): return .cut(unsafe view.place(ofData: part, in: block.bytes))
        case .rewriteError(let message):
            guard view.dataLines == 1 else { return .error(nil) }
            let start = view.data.range.lowerBound
            return .error(message.map { $0.lowerBound + start..<$0.upperBound + start })
        }
    }

    private func note(_ exchange: Exchange, _ event: StreamEvent) {
        guard event.pieces > 0 else { return }
        exchange.counted += Tokens(event.pieces)
        noteToken(exchange)
    }

    private func write(
        _ exchange: Exchange, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>
    ) {
        guard !range.isEmpty else { return }
        respond(exchange)
        unsafe exchange.server?.write(UnsafeRawBufferPointer(rebasing: bytes[range]))
    }

    /// A token has come: the clocks of the stream start anew.
    func noteToken(_ exchange: Exchange) {
        if exchange.firstTokenAt == nil { exchange.firstTokenAt = loop.now }
        exchange.lastTokenAt = loop.now
        exchange.nextSign = .distantFuture
        setDeadline(
            exchange, min(exchange.totalDeadline, loop.now + exchange.timeouts.betweenTokens))
    }

    /// Lets the ledger follow a stream: its first token at once, then a few times a second.
    private func report(_ exchange: Exchange) {
        guard let ticket = exchange.ticket, exchange.counted > exchange.reported else { return }
        if let last = exchange.lastReportAt, loop.now - last < .milliseconds(100) { return }
        exchange.lastReportAt = loop.now
        exchange.reported = exchange.counted
        shared.decide(.streamed(ticket, output: exchange.counted), now: loop.now, into: &actions)
    }
}
