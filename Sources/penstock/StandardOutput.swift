// SPDX-License-Identifier: Apache-2.0

import EventLoop

/// What commands print.
enum StandardOutput {
    static func line(_ text: String) { Terminal.write(text + "\n", to: .output) }

    /// A text that has its line feeds.
    static func text(_ text: String) { Terminal.write(text, to: .output) }

    /// One line each on standard error, behind the program's name.
    static func error(_ lines: [String]) {
        for line in lines { Terminal.write("penstock: \(line)\n", to: .error) }
    }

    /// A mistake with its place, in the form that editors and pipelines know.
    static func diagnostic(_ line: String) { Terminal.write(line + "\n", to: .error) }
}
