// SPDX-License-Identifier: Apache-2.0

import CNghttp2
import Units

/// What libnghttp2 calls while it reads and writes: each finds its session, notes what happened
/// there, and returns. Nothing of the owner's runs in here.
enum HTTP2Callbacks {
    private typealias Heard = HTTP2Callbacks
    private static let fine: Int32 = 0
    /// Ends the session.
    private static let failed = NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
    /// Ends the stream.
    private static let refused = NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue

    static func register(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) {
            _, header, owner in
            guard let header = unsafe header?.pointee else { return Heard.fine }
            return unsafe Heard.session(owner).began(header) ? Heard.fine : Heard.failed
        }
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) {
            _, frame, owner in
            guard let frame = unsafe frame else { return Heard.fine }
            unsafe Heard.session(owner).beganHead(
                frame.pointee.hd.stream_id,
                isFirst: frame.pointee.headers.cat != NGHTTP2_HCAT_HEADERS)
            return Heard.fine
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameCount, value, valueCount, _, owner in
            let isFine = unsafe Heard.session(owner).header(
                UnsafeRawBufferPointer(start: name, count: nameCount),
                UnsafeRawBufferPointer(start: value, count: valueCount))
            return isFine ? Heard.fine : Heard.failed
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) {
            _, frame, owner in
            guard let frame = unsafe frame else { return Heard.fine }
            return unsafe Heard.session(owner).received(frame.pointee) ? Heard.fine : Heard.failed
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) {
            _, frame, _, owner in
            guard let frame = unsafe frame else { return Heard.fine }
            return unsafe Heard.session(owner).faulted(frame.pointee.hd.stream_id)
                ? Heard.fine : Heard.failed
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, stream, bytes, count, owner in
            unsafe Heard.session(owner).content(
                stream, UnsafeRawBufferPointer(start: bytes, count: count))
            return Heard.fine
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) {
            _, stream, code, owner in
            unsafe Heard.session(owner).closed(stream, code)
            return Heard.fine
        }
        // Of a frame that nobody knows nothing is kept.
        unsafe nghttp2_session_callbacks_set_unpack_extension_callback(callbacks) {
            _, _, _, _ in NGHTTP2_ERR_CANCEL.rawValue
        }
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) {
            _, frame, owner in
            guard let frame = unsafe frame else { return Heard.fine }
            unsafe Heard.session(owner).sent(frame.pointee.hd)
            return Heard.fine
        }
    }

    private static func session(_ owner: UnsafeMutableRawPointer?) -> HTTP2Session {
        guard let owner = unsafe owner else { broken("a session has an owner") }
        return unsafe Unmanaged<HTTP2Session>.fromOpaque(owner).takeUnretainedValue()
    }

    /// Gives the library what waits to go on a stream.
    static let readContent: nghttp2_data_source_read_callback = {
        _, _, room, count, flags, source, owner in
        guard let stream = unsafe source?.pointee.ptr, let room = unsafe room,
            let flags = unsafe flags
        else { return Int(Heard.refused) }
        let state = unsafe Unmanaged<HTTP2StreamState>.fromOpaque(stream).takeUnretainedValue()
        let place = unsafe UnsafeMutableRawBufferPointer(start: room, count: count)
        switch unsafe Heard.session(owner).give(state, to: place) {
        case .some(let count): return count
        case .last(let count):
            unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            return count
        case .lastBeforeTrailers(let count):
            unsafe flags.pointee |=
                NGHTTP2_DATA_FLAG_EOF.rawValue | NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
            return count
        case .later: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        case .never: return Int(Heard.refused)
        }
    }
}
