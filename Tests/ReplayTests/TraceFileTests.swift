// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Glibc
import Replay
import Simulation
import Testing
import Units

/// A file that goes with the test.
private final class TemporaryFile {
    let path: String

    init(_ bytes: [UInt8]) throws {
        var pattern = Array("/tmp/penstock-trace-XXXXXX\0".utf8CString)
        let descriptor = unsafe mkstemp(&pattern)
        try #require(descriptor >= 0)
        path = String(decoding: pattern.dropLast(2).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        _ = unsafe write(descriptor, bytes, bytes.count)
        close(descriptor)
    }

    deinit { unsafe unlink(path) }
}

@Suite struct TraceFileTests {
    private static let plain = Array("t_ms,in,out\n0,374,44\n4315,396,109\n".utf8)
    /// The same as `gzip` packs it.
    private static let packed: [UInt8] = [
        0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2B, 0x89, 0xCF, 0x2D,
        0xD6, 0xC9, 0xCC, 0xD3, 0xC9, 0x2F, 0x2D, 0xE1, 0x32, 0xD0, 0x31, 0x36, 0x37, 0xD1,
        0x31, 0x31, 0xE1, 0x32, 0x31, 0x36, 0x34, 0xD5, 0x31, 0xB6, 0x34, 0xD3, 0x31, 0x34,
        0xB0, 0xE4, 0x02, 0x00, 0x27, 0x97, 0xBE, 0xEB, 0x22, 0x00, 0x00, 0x00,
    ]

    private func read(_ bytes: [UInt8]) throws(TraceFileFault) -> Trace {
        guard let file = try? TemporaryFile(bytes) else { return Trace(requests: []) }
        return try TraceFile.read(file.path)
    }

    private func fault(_ bytes: [UInt8]) -> TraceFileFault? {
        do throws(TraceFileFault) {
            _ = try read(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test func plainAndPackedFilesAreTheSame() throws {
        let trace = try read(Self.plain)
        #expect(trace.requests.map(\.prompt) == [Tokens(374), Tokens(396)])
        #expect(try read(Self.packed) == trace)
    }

    @Test func membersInARowAreOneText() throws {
        let tail = Array("9000,1,1\n".utf8)
        #expect(try read(Self.packed + Self.stored(tail)).requests.count == 3)
    }

    /// A gzip member of one stored block (RFC 1951 section 3.2.4), its checksum computed here.
    private static func stored(_ bytes: [UInt8]) -> [UInt8] {
        var checksum: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            checksum ^= UInt32(byte)
            for _ in 0..<8 {
                checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0xEDB8_8320 : checksum >> 1
            }
        }
        checksum = ~checksum
        func little(_ value: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
        }
        let length = UInt32(bytes.count)
        return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1] + little(length, 2) + little(~length, 2)
            + bytes + little(checksum, 4) + little(length, 4)
    }

    @Test func damageAndAnEarlyEndAreFaults() {
        var damaged = Self.packed
        damaged[12] ^= 0xFF
        #expect(fault(damaged) == .gzip(.damaged))
        #expect(fault(Array(Self.packed.dropLast(5))) == .gzip(.endsEarly))
        #expect(fault(Self.packed + [1, 2, 3]) == .gzip(.damaged))
    }

    @Test func faultsOfTheTraceAndOfTheFileAreTold() throws {
        #expect(fault(Array("a,b\n".utf8)) == .trace(.missingColumn("t_ms")))
        #expect(throws: TraceFileFault.file(.system(.notFound))) {
            try TraceFile.read("/nonexistent/trace.csv")
        }
    }
}
