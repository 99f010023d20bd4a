// SPDX-License-Identifier: Apache-2.0

private import Units

/// What a scrape may hold.
public struct PrometheusLimits: Sendable, Equatable {
    /// Bytes of a line, comments included.
    public var maxLine: Int
    /// Samples in all.
    public var maxSamples: Int
    /// Labels of one sample.
    public var maxLabels: Int

    /// Each at least one.
    public init(maxLine: Int = 16 << 10, maxSamples: Int = 100_000, maxLabels: Int = 64) {
        invariant(
            maxLine > 0 && maxSamples > 0 && maxLabels > 0, "limits of a scrape are positive")
        self.maxLine = maxLine
        self.maxSamples = maxSamples
        self.maxLabels = maxLabels
    }
}
