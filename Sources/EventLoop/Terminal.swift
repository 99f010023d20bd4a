// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Standard output and standard error, for commands and for the log's own thread: these calls may
/// block.
public enum Terminal {
    public enum Stream: Int32, Sendable {
        case output = 1
        case error = 2
    }

    /// Writes all of `text`; false when nobody reads it any more.
    @discardableResult
    public static func write(_ text: String, to stream: Stream) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var start = 0
            while start < bytes.count {
                let rest = unsafe UnsafeRawBufferPointer(
                    rebasing: UnsafeRawBufferPointer(bytes)[start...])
                let written = System.retrying {
                    unsafe Glibc.write(stream.rawValue, rest.baseAddress, rest.count)
                }
                if written <= 0 { return false }
                start += written
            }
            return true
        }
    }

    /// A variable of the environment.
    public static func environment(_ name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}
