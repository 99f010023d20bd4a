// SPDX-License-Identifier: Apache-2.0

import CNghttp2
import Units
import Wire

/// The only caller of libnghttp2's session: owns it, and gives its calls names and types.
@safe
struct NativeSession: ~Copyable {
    private let raw: OpaquePointer

    /// Say `listen` before it is used.
    init(isServer: Bool, limits: HTTP2Limits) {
        var options: OpaquePointer?
        var callbacks: OpaquePointer?
        var made: OpaquePointer?
        let hasOptions = unsafe nghttp2_option_new(&options)
        let hasCallbacks = unsafe nghttp2_session_callbacks_new(&callbacks)
        invariant(hasOptions == 0 && hasCallbacks == 0, "memory for a session's options")
        defer {
            unsafe nghttp2_option_del(options)
            unsafe nghttp2_session_callbacks_del(callbacks)
        }
        unsafe Self.choose(options, limits)
        unsafe HTTP2Callbacks.register(callbacks)
        let result =
            unsafe isServer
            ? nghttp2_session_server_new2(&made, callbacks, nil, options)
            : nghttp2_session_client_new2(&made, callbacks, nil, options)
        guard result == 0, let made = unsafe made else { broken("memory for a session") }
        unsafe raw = made
    }

    deinit { unsafe nghttp2_session_del(raw) }

    /// `owner` hears what comes, and outlives this.
    func listen(_ owner: HTTP2Session) {
        unsafe nghttp2_session_set_user_data(
            raw, Unmanaged.passUnretained(owner).toOpaque())
    }

    private static func choose(_ options: OpaquePointer?, _ limits: HTTP2Limits) {
        unsafe nghttp2_option_set_no_auto_window_update(options, 1)
        unsafe nghttp2_option_set_no_closed_streams(options, 1)
        unsafe nghttp2_option_set_max_continuations(options, limits.maxContinuations)
        unsafe nghttp2_option_set_max_settings(options, limits.maxSettings)
        unsafe nghttp2_option_set_max_outbound_ack(options, limits.maxPendingAcks)
        unsafe nghttp2_option_set_max_reserved_remote_streams(options, 0)
        // The session counts resets itself, by its own time and to say why it ends.
        unsafe nghttp2_option_set_stream_reset_rate_limit(options, 1 << 40, 1 << 40)
        // So that frames that nobody knows are told of when they begin.
        for type in firstUnknownType...UInt8.max {
            unsafe nghttp2_option_set_user_recv_extension_type(options, type)
        }
    }

    // MARK: bytes

    /// What became of bytes that were received.
    enum Intake {
        case taken
        /// The peer has sent more of something than it may.
        case flooded
        /// The session cannot go on: what there is to say about it waits to go.
        case failed
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> Intake {
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let result = unsafe nghttp2_session_mem_recv(raw, start, bytes.count)
        if result >= 0 { return .taken }
        let code = Int32(truncatingIfNeeded: result)
        switch code {
        case NGHTTP2_ERR_FLOODED.rawValue, NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue,
            NGHTTP2_ERR_CALLBACK_FAILURE.rawValue:
            return .flooded
        default: return .failed
        }
    }

    /// The next piece that is to go, valid until the next call; nil when there is none.
    func send() -> UnsafeRawBufferPointer? {
        var start: UnsafePointer<UInt8>?
        let count = unsafe nghttp2_session_mem_send(raw, &start)
        guard count > 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: start, count: count)
    }

    var wantsToRead: Bool { unsafe nghttp2_session_want_read(raw) != 0 }
    var wantsToWrite: Bool { unsafe nghttp2_session_want_write(raw) != 0 }
    /// Frames that wait to go.
    var queuedFrames: Int { unsafe nghttp2_session_get_outbound_queue_size(raw) }
    /// Whether another stream may be opened from here.
    var mayRequest: Bool { unsafe nghttp2_session_check_request_allowed(raw) != 0 }
    /// What a stream may be sent at present.
    func peerWindow(_ stream: Int32) -> Int {
        Int(unsafe nghttp2_session_get_stream_remote_window_size(raw, stream))
    }
    /// Streams that the peer allows at once.
    var peerStreams: Int {
        Int(
            unsafe nghttp2_session_get_remote_settings(
                raw, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
    }

    // MARK: frames

    func settings(isServer: Bool, _ limits: HTTP2Limits) {
        func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
            nghttp2_settings_entry(
                settings_id: Int32(bitPattern: id.rawValue), value: UInt32(clamping: value))
        }
        var entries = [
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.streamWindow),
            entry(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits.maxFrame),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.head.maxHead),
        ]
        if isServer {
            entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.maxStreams))
            entries.append(entry(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1))
        } else {
            entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
        }
        check(unsafe nghttp2_submit_settings(raw, Self.noFlags, entries, entries.count))
        check(
            unsafe nghttp2_session_set_local_window_size(
                raw, Self.noFlags, 0, Int32(clamping: limits.connectionWindow)))
    }

    /// Bytes of a stream were accepted: the peer may send as many more.
    func accept(_ count: Int, of stream: Int32) {
        _ = unsafe nghttp2_session_consume(raw, stream, count)
    }

    /// The same for the connection alone: the stream is not to go on.
    func discard(_ count: Int) {
        _ = unsafe nghttp2_session_consume_connection(raw, count)
    }

    func respond(
        _ stream: HTTP2StreamState, _ fields: inout FieldVector, hasContent: Bool
    ) {
        let id = stream.id
        var provider = unsafe Self.provider(stream)
        unsafe withUnsafePointer(to: &provider) { provider in
            unsafe fields.use { lines in
                _ = unsafe nghttp2_submit_response(
                    raw, id, lines.baseAddress, lines.count, hasContent ? provider : nil)
            }
        }
    }

    /// An interim response (RFC 9113 section 8.1).
    func interim(_ stream: Int32, _ fields: inout FieldVector) {
        unsafe fields.use { lines in
            _ = unsafe nghttp2_submit_headers(
                raw, Self.noFlags, stream, nil, lines.baseAddress, lines.count, nil)
        }
    }

    /// False where the stream is gone.
    func trail(_ stream: Int32, _ fields: inout FieldVector) -> Bool {
        unsafe fields.use { lines in
            unsafe nghttp2_submit_trailer(raw, stream, lines.baseAddress, lines.count) == 0
        }
    }

    /// The number that the next request will have; nil when there are none left.
    var nextStream: Int32? {
        let id = unsafe nghttp2_session_get_next_stream_id(raw)
        return id > 0 && id < 1 << 31 ? Int32(id) : nil
    }

    /// Opens `stream`; false where that cannot be.
    func request(
        _ stream: HTTP2StreamState, _ fields: inout FieldVector, hasContent: Bool
    ) -> Bool {
        var provider = unsafe Self.provider(stream)
        return unsafe withUnsafePointer(to: &provider) { provider in
            unsafe fields.use { lines in
                unsafe nghttp2_submit_request(
                    raw, nil, lines.baseAddress, lines.count, hasContent ? provider : nil, nil)
                    == stream.id
            }
        }
    }

    func resume(_ stream: Int32) { _ = unsafe nghttp2_session_resume_data(raw, stream) }

    func reset(_ stream: Int32, _ code: UInt32) {
        _ = unsafe nghttp2_submit_rst_stream(raw, Self.noFlags, stream, code)
    }

    /// Streams share the connection turn by turn, whatever the peer says of their order.
    func share(_ stream: Int32) {
        var priority = nghttp2_extpri(
            urgency: UInt32(NGHTTP2_EXTPRI_DEFAULT_URGENCY), inc: 1)
        _ = unsafe nghttp2_session_change_extpri_stream_priority(raw, stream, &priority, 1)
    }

    // MARK: ends

    /// Says that the end is near; streams that are on their way still count.
    func announceShutdown() { _ = unsafe nghttp2_submit_shutdown_notice(raw) }
    func ping() { _ = unsafe nghttp2_submit_ping(raw, Self.noFlags, nil) }
    /// Streams from here on are not served.
    func goAway() {
        let last = unsafe nghttp2_session_get_last_proc_stream_id(raw)
        _ = unsafe nghttp2_submit_goaway(
            raw, Self.noFlags, last, NGHTTP2_NO_ERROR.rawValue, nil, 0)
    }
    /// Nothing more is read or sent but this.
    func terminate(_ code: UInt32) { _ = unsafe nghttp2_session_terminate_session(raw, code) }

    // MARK: leaves

    /// Behind the ten of RFC 9113.
    private static let firstUnknownType: UInt8 = 10
    private static let noFlags = UInt8(truncatingIfNeeded: NGHTTP2_FLAG_NONE.rawValue)

    private static func provider(_ stream: HTTP2StreamState) -> nghttp2_data_provider {
        var provider = unsafe nghttp2_data_provider()
        unsafe provider.source.ptr = unsafe Unmanaged.passUnretained(stream).toOpaque()
        unsafe provider.read_callback = HTTP2Callbacks.readContent
        return unsafe provider
    }

    private func check(_ result: Int32) { invariant(result == 0, "memory for a frame") }
}
