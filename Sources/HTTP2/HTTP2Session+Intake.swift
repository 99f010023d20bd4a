// SPDX-License-Identifier: Apache-2.0

import CNghttp2
import Units
import Wire

// What the library tells while it reads and writes: noted here, for the owner to ask. Those that
// return false end the session, with `fault`.

extension HTTP2Session {
    /// A frame's first nine bytes are here, whatever becomes of it.
    func began(_ frame: nghttp2_frame_hd) -> Bool {
        guard fault == nil else { return false }
        // The library reads nothing more from its next call on: so nothing of this call either, or
        // it would depend on the cuts what is read.
        if isPeerLeaving, !native.wantsToRead {
            isDeaf = true
            return false
        }
        switch UInt32(frame.type) {
        case NGHTTP2_RST_STREAM.rawValue:
            return countFault()
        case NGHTTP2_DATA.rawValue:
            // Nothing in it, or padding alone.
            let isEnd = frame.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
            let isPadded = frame.flags & UInt8(NGHTTP2_FLAG_PADDED.rawValue) != 0
            guard frame.length == 0 || (isPadded && frame.length <= 256), !isEnd else {
                return true
            }
            return countIdle()
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_CONTINUATION.rawValue:
            return true
        case NGHTTP2_WINDOW_UPDATE.rawValue:
            if windowCredit > 0 {
                windowCredit -= 1
                return true
            }
            return countIdle()
        case NGHTTP2_SETTINGS.rawValue:
            largestWindow = streams.keys.reduce(0) { max($0, native.peerWindow($1)) }
            return countIdle()
        case NGHTTP2_PRIORITY.rawValue where frame.stream_id == 0:
            // The library leaves it at that where priorities are switched off.
            fault = NGHTTP2_PROTOCOL_ERROR.rawValue
            return false
        default:
            return countIdle()
        }
    }

    private func countIdle() -> Bool { idleFrames.take(now: now) || isTooMuch() }

    /// A stream was reset by the peer, or has to be for what the peer did.
    func countFault() -> Bool { resets.take(now: now) || isTooMuch() }

    private func isTooMuch() -> Bool {
        fault = NGHTTP2_ENHANCE_YOUR_CALM.rawValue
        return false
    }

    /// A frame that cannot be: its stream's end is counted, unless it never was one.
    func faulted(_ id: Int32) -> Bool {
        guard let stream = streams[id] else { return countFault() }
        // The library ends it once the reset has gone out. Until then nobody is to work for it
        // (CVE-2025-8671, "MadeYouReset").
        stream.wasFaulted = true
        note(stream)
        return true
    }

    /// A header block begins: a message's own, or its trailers.
    func beganHead(_ id: Int32, isFirst: Bool) {
        if isServer, isFirst {
            let stream = HTTP2StreamState(id: id, limits: limits)
            streams[id] = stream
            native.share(id)
            reading = stream
            return
        }
        reading = streams[id]
        guard let stream = reading, stream.isHeadHere else { return }
        stream.trailerBlock = HTTP2TrailerBlock(
            maxBytes: limits.maxTrailers, maxFields: limits.head.maxFields)
    }

    func header(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        guard let stream = reading else { return true }
        let size: Int
        if stream.isHeadHere {
            unsafe stream.trailerBlock?.add(name.bytes, value.bytes)
            size = stream.trailerBlock?.size ?? 0
        } else if isServer {
            unsafe stream.request.add(name.bytes, value.bytes)
            size = stream.request.size
        } else {
            unsafe stream.response.add(name.bytes, value.bytes)
            size = stream.response.size
        }
        // A little too much gets an answer. What a few bytes on the wire unfold into does not.
        return size <= Self.unfolding * limits.head.maxHead || isTooMuch()
    }

    /// How much larger than allowed a header block may be before the session ends.
    private static let unfolding = 16

    /// A frame is complete and valid.
    func received(_ frame: nghttp2_frame) -> Bool {
        let header = unsafe frame.hd
        let isEnd = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            guard let stream = streams[header.stream_id] else { return true }
            reading = nil
            endBlock(stream, isEnd: isEnd)
        case NGHTTP2_DATA.rawValue:
            guard let stream = streams[header.stream_id], isEnd else { return true }
            endMessage(stream)
        case NGHTTP2_RST_STREAM.rawValue:
            streams[header.stream_id]?.wasResetByPeer = true
        case NGHTTP2_GOAWAY.rawValue:
            isPeerLeaving = true
            peerLastStream = unsafe frame.goaway.last_stream_id
        case NGHTTP2_SETTINGS.rawValue:
            hasSettings = true
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 {
                return unsafe areWindowsFine(frame.settings)
            }
        case NGHTTP2_PING.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0 { pongs += 1 }
        default: break
        }
        return true
    }

    /// RFC 9113 section 6.9.2: where one change makes any window too large, all is over. The
    /// library ends the stream alone.
    private func areWindowsFine(_ settings: nghttp2_settings) -> Bool {
        for place in unsafe 0..<settings.niv {
            let entry = unsafe settings.iv[place]
            guard entry.settings_id == Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue) else {
                continue
            }
            let change = Int(entry.value) - peerInitialWindow
            peerInitialWindow = Int(entry.value)
            largestWindow += change
            guard largestWindow <= Int(Int32.max) else {
                fault = NGHTTP2_FLOW_CONTROL_ERROR.rawValue
                return false
            }
        }
        return true
    }

    private func endBlock(_ stream: HTTP2StreamState, isEnd: Bool) {
        if let trailers = stream.trailerBlock.take() {
            if trailers.fault != nil {
                native.reset(stream.id, NGHTTP2_PROTOCOL_ERROR.rawValue)
                return
            }
            stream.trailerLines = trailers.lines
        } else if isServer {
            _ = stream.request.finish(isWhole: isEnd)
            stream.isHeadHere = true
        } else if !endResponse(stream, isEnd: isEnd) {
            native.reset(stream.id, NGHTTP2_PROTOCOL_ERROR.rawValue)
            return
        }
        note(stream)
        if isEnd { endMessage(stream) }
    }

    /// False where it is no response.
    private func endResponse(_ stream: HTTP2StreamState, isEnd: Bool) -> Bool {
        guard stream.response.finish(isWhole: isEnd, method: stream.method) else { return false }
        if stream.response.head.status < 200 {
            stream.interims += 1
            stream.response = HTTP2ResponseBlock(limits: limits.head)
            return stream.interims <= Self.maxInterims
        }
        stream.isHeadHere = true
        return true
    }

    /// Interim answers before the one that counts: more is no conversation.
    private static let maxInterims = 32

    private func endMessage(_ stream: HTTP2StreamState) {
        stream.isInputWhole = true
        note(stream)
    }

    /// Content has come; whether it is accepted is seen after all that has come was read.
    func content(_ id: Int32, _ bytes: UnsafeRawBufferPointer) {
        guard let stream = streams[id], stream.code == nil else {
            orphaned += bytes.count
            return
        }
        stream.received += bytes.count
        stream.unaccepted += bytes.count
        if stream.isInputWanted {
            unsafe stream.input.append(bytes)
        }
        note(stream)
    }

    /// A stream is over, for whatever reason.
    func closed(_ id: Int32, _ code: UInt32) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        if reading === stream { reading = nil }
        stream.code = code
        // What came and was not accepted makes room for other streams.
        orphaned += stream.unaccepted
        stream.unaccepted = 0
        settle(stream)
        note(stream)
        // A reset for what the peer sent is as good as one by the peer.
        if code != 0, !stream.wasResetByPeer, !stream.isGivenUp { _ = countFault() }
    }

    // MARK: going out

    /// What a stream has to give.
    enum Giving {
        case some(Int)
        /// And nothing after it.
        case last(Int)
        case lastBeforeTrailers(Int)
        /// Nothing now.
        case later
        /// The answer breaks off.
        case never
    }

    func give(_ stream: HTTP2StreamState, to room: UnsafeMutableRawBufferPointer) -> Giving {
        let count = min(room.count, stream.output.count)
        if count > 0 {
            unsafe room.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: stream.output.readable[..<count]))
            stream.output.consume(count)
            stream.movedAt = now
            if stream.isOverfull, stream.output.count < max(1, limits.streamBuffer / 2) {
                stream.isOverfull = false
                stream.hasDrained = true
                note(stream)
            }
        }
        if stream.output.isEmpty {
            settle(stream)
            if stream.isOutputCut { return count > 0 ? .some(count) : .never }
            if stream.isOutputWhole { return end(stream, count) }
        }
        if count > 0 { return .some(count) }
        stream.isDeferred = true
        return .later
    }

    private func end(_ stream: HTTP2StreamState, _ count: Int) -> Giving {
        guard !stream.outputTrailers.isEmpty else { return .last(count) }
        vector.clear()
        unsafe stream.outputTrailers.withUnsafeBytes {
            unsafe vector.add(lines: $0, isTrailing: true)
        }
        stream.outputTrailers = []
        guard !vector.isEmpty, native.trail(stream.id, &vector) else { return .last(count) }
        return .lastBeforeTrailers(count)
    }

    /// A frame has gone out.
    func sent(_ frame: nghttp2_frame_hd) {
        let type = UInt32(frame.type)
        guard type == NGHTTP2_DATA.rawValue || type == NGHTTP2_HEADERS.rawValue else { return }
        if type == NGHTTP2_DATA.rawValue {
            windowCredit = min(windowCredit + Self.updatesPerFrame, Self.maxWindowCredit)
        }
        // An answer before the end of its request: the rest need not be sent (RFC 9113 section
        // 8.1).
        guard isServer, frame.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
            let stream = streams[frame.stream_id], !stream.isInputWhole
        else { return }
        native.reset(frame.stream_id, NGHTTP2_NO_ERROR.rawValue)
    }

    /// WINDOW_UPDATE frames that each DATA frame allows, and how many are saved up.
    private static let updatesPerFrame = 4
    private static let maxWindowCredit = 10_000
}
