// SPDX-License-Identifier: Apache-2.0

extension String {
    /// As a message quotes it: control characters replaced, cut after 48 characters.
    var shown: String {
        var shown = ""
        for (count, scalar) in unicodeScalars.enumerated() {
            if count == 48 { return shown + "…" }
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            shown.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
        }
        return shown
    }
}
