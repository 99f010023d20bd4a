// SPDX-License-Identifier: Apache-2.0

import CZlib
public import Units

/// Unpacks gzip (RFC 1952), several members in a row too, a piece at a time: the calls to zlib of
/// what serves are here.
///
/// It holds some 40 KiB beside what it writes, however little the packed bytes say.
@safe
public final class Inflater {
    /// What a step came to.
    public enum Outcome: Sendable, Equatable {
        /// There is more: take another step.
        case more
        /// All members are whole, and nothing follows them.
        case done
        /// The packed bytes are over before their end.
        case endsEarly
        case damaged
        /// More than `limit` bytes.
        case tooLarge
        /// More than `ratio` bytes for each packed one.
        case tooDense
    }

    /// What one step reads, and what it writes, at most.
    private static let piece = 65_536
    /// The ratio is not looked at before: a short text may be all of one letter.
    private static let freely = 65_536

    private let limit: Int
    private let ratio: Int
    private let stream: UnsafeMutablePointer<z_stream>
    /// Packed bytes read.
    private var consumed = 0
    /// A member has begun and not ended.
    private var isInside = false

    /// Unpacks at most `limit` bytes, and at most `ratio` for each packed byte.
    public init(limit: Int, ratio: Int = .max) {
        self.limit = limit
        self.ratio = ratio
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        invariant(unsafe penstock_inflate_gzip(stream) == Z_OK, "zlib has its memory")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Goes on in `packed`, which is the same whole each time, and appends to `unpacked`, which
    /// holds all that was written before and nothing else.
    public func step(
        _ packed: UnsafeRawBufferPointer, into unpacked: inout ByteBuffer
    ) -> Outcome {
        if consumed == packed.count, !isInside { return consumed == 0 ? .endsEarly : .done }
        // One more than is allowed shows that it is too much.
        let room = min(Self.piece, limit - unpacked.count + 1)
        let (read, written, code) = unsafe inflate(packed, unpacked.room(room), room)
        consumed += read
        unpacked.wrote(written)
        guard code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR else { return .damaged }
        guard unpacked.count <= limit else { return .tooLarge }
        let (most, isBeyond) = consumed.multipliedReportingOverflow(by: ratio)
        if !isBeyond, unpacked.count > max(Self.freely, most) { return .tooDense }
        if code == Z_STREAM_END {
            isInside = false
            guard unsafe inflateReset(stream) == Z_OK else { return .damaged }
            return consumed == packed.count ? .done : .more
        }
        isInside = true
        // All is read, and there was room for more.
        return consumed == packed.count && written < room ? .endsEarly : .more
    }

    /// One call: how much it read and wrote, and what it says.
    private func inflate(
        _ packed: UnsafeRawBufferPointer, _ room: UnsafeMutableRawBufferPointer, _ most: Int
    ) -> (read: Int, written: Int, code: Int32) {
        let available = min(packed.count - consumed, Self.piece)
        let input = unsafe packed.baseAddress.map { unsafe $0 + consumed }
        unsafe stream.pointee.next_in = unsafe UnsafeMutablePointer(
            mutating: input?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.pointee.avail_in = uInt(available)
        unsafe stream.pointee.next_out = unsafe room.baseAddress?.assumingMemoryBound(
            to: UInt8.self)
        unsafe stream.pointee.avail_out = uInt(most)
        let code = unsafe CZlib.inflate(stream, Z_NO_FLUSH)
        return unsafe (
            available - Int(stream.pointee.avail_in), most - Int(stream.pointee.avail_out), code
        )
    }
}

@available(*, unavailable)
extension Inflater: Sendable {}
