// SPDX-License-Identifier: Apache-2.0

import Glibc
import Simulation
import Testing

/// Files beside the tests.
enum Fixture {
    struct Unreadable: Error { let path: String }

    static func bytes(_ name: String, relativeTo file: StaticString = #filePath) throws -> [UInt8] {
        let folder = "\(file)".split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let path = folder.joined(separator: "/") + "/Fixtures/" + name
        let descriptor = unsafe open(path, O_RDONLY)
        guard descriptor >= 0 else { throw Unreadable(path: path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            guard count > 0 else { break }
            bytes.append(contentsOf: chunk[0..<count])
        }
        return bytes
    }

    static func trace(_ name: String) throws -> Trace {
        let bytes = try bytes(name + ".csv")
        return try Trace(csv: bytes.span)
    }
}
