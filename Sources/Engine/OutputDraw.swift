// SPDX-License-Identifier: Apache-2.0

import Glibc
import Units

/// The length that an answer would have by itself: log-normal, as the lengths of chats are.
struct OutputDraw {
    let median: Tokens
    /// The standard deviation of the length's logarithm.
    let spread: Double

    /// At least one token; the same for the same seed.
    func length(seed: UInt64) -> Int {
        var random = SplitMix64(seed: seed)
        // Box and Muller, 1958; the first argument is above zero.
        let radius = sqrt(-2 * log(1 - random.unit()))
        let normal = radius * cos(2 * .pi * random.unit())
        return max(1, Int(min(Double(median.count) * exp(spread * normal), 1e9)))
    }
}
