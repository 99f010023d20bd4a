// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A directory of one test, gone with what is in it when the test lets go of it. Its path is short
/// enough for Unix sockets.
public final class TemporaryDirectory: Sendable {
    public let path: String

    public init() {
        let template = Array("/tmp/penstock-XXXXXX".utf8CString)
        path = unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: template.count) {
            buffer in
            _ = unsafe buffer.initialize(from: template)
            guard let start = buffer.baseAddress, let made = unsafe mkdtemp(start) else {
                fatalError("no temporary directory: \(errno)")
            }
            return unsafe String(cString: made)
        }
    }

    /// The path of a file in it.
    public func file(_ name: String) -> String { "\(path)/\(name)" }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if let directory = unsafe opendir(path) {
            while let entry = unsafe readdir(directory) {
                let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != ".", name != ".." { remove("\(path)/\(name)") }
            }
            unsafe closedir(directory)
        }
        _ = unsafe Glibc.remove(path)
    }
}
