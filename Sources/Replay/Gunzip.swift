// SPDX-License-Identifier: Apache-2.0

import CZlib

/// Why compressed bytes cannot be read.
public enum GunzipFault: Error, Sendable, Equatable {
    case damaged
    case endsEarly
    case tooLarge(limit: Int)
}

/// Unpacks gzip (RFC 1952), several members in a row too: every call to zlib is here.
@safe
enum Gunzip {
    /// Whether the bytes begin as gzip does.
    static func isGzip(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B
    }

    /// The unpacked bytes, at most `limit`.
    static func unpack(_ packed: [UInt8], limit: Int) throws(GunzipFault) -> [UInt8] {
        var stream = unsafe z_stream()
        guard unsafe penstock_inflate_begin(&stream) == Z_OK else { throw .damaged }
        defer { unsafe inflateEnd(&stream) }
        var unpacked: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        var read = 0
        while read < packed.count {
            let (consumed, produced, code) = unsafe step(&stream, packed, from: read, &chunk)
            read += consumed
            guard unpacked.count + produced <= limit else { throw .tooLarge(limit: limit) }
            unpacked.append(contentsOf: chunk[..<produced])
            if code == Z_STREAM_END {
                // Another member may follow.
                guard unsafe inflateReset(&stream) == Z_OK else { throw .damaged }
                if read == packed.count { return unpacked }
            } else if code != Z_OK {
                throw code == Z_BUF_ERROR ? .endsEarly : .damaged
            }
        }
        throw .endsEarly
    }

    /// One call: how much it read and wrote, and what it says.
    private static func step(
        _ stream: inout z_stream, _ packed: [UInt8], from start: Int, _ chunk: inout [UInt8]
    ) -> (consumed: Int, produced: Int, code: Int32) {
        let available = min(packed.count - start, 1 << 20)
        return unsafe packed.withUnsafeBufferPointer { input in
            unsafe chunk.withUnsafeMutableBufferPointer { output in
                unsafe stream.next_in = unsafe UnsafeMutablePointer(
                    mutating: input.baseAddress.map { unsafe $0 + start })
                unsafe stream.avail_in = uInt(available)
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = uInt(output.count)
                let code = unsafe inflate(&stream, Z_NO_FLUSH)
                return unsafe (
                    available - Int(stream.avail_in), output.count - Int(stream.avail_out), code
                )
            }
        }
    }
}
