// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Simulation
import Units

/// Why a trace's file cannot be used.
public enum TraceFileFault: Error, Sendable, Equatable, CustomStringConvertible {
    case file(FileFault)
    case gzip(GunzipFault)
    case trace(TraceFault)

    public var description: String {
        switch self {
        case .file(.system(let fault)): "\(fault)"
        case .file(.tooLarge(let limit)), .gzip(.tooLarge(let limit)):
            "larger than \(Bytes(limit))"
        case .gzip(.damaged): "damaged gzip"
        case .gzip(.endsEarly): "the gzip data ends early"
        case .trace(let fault): "\(fault)"
        }
    }
}

/// A trace in a file, plain or gzip'd, whatever its name.
public enum TraceFile {
    private static let limit = 1 << 30

    public static func read(_ path: String) throws(TraceFileFault) -> Trace {
        var bytes: [UInt8]
        do throws(FileFault) {
            bytes = try Files.readFile(path, limit: limit)
        } catch {
            throw .file(error)
        }
        if Gunzip.isGzip(bytes) {
            do throws(GunzipFault) {
                bytes = try Gunzip.unpack(bytes, limit: limit)
            } catch {
                throw .gzip(error)
            }
        }
        do throws(TraceFault) {
            return try Trace(csv: bytes.span)
        } catch {
            throw .trace(error)
        }
    }
}
