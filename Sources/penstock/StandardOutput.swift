// SPDX-License-Identifier: Apache-2.0

import EventLoop

/// The terminal.
enum StandardOutput {
    static func line(_ text: String) { Files.writeAll(descriptor: 1, text + "\n") }
    /// One line each on standard error, behind the program's name.
    static func error(_ lines: [String]) {
        for line in lines { Files.writeAll(descriptor: 2, "penstock: \(line)\n") }
    }
}
