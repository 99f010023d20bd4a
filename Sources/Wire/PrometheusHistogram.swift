// SPDX-License-Identifier: Apache-2.0

private import Units

extension PrometheusWriter {
    /// Upper bounds of a histogram's buckets and what fell into each, the last one above all
    /// bounds.
    public struct Histogram: Sendable {
        /// Ascending.
        public var bounds: [Double]
        /// Not accumulated; one more than there are bounds.
        public var counts: [UInt64]
        /// Of all values that were counted.
        public var sum: Double

        /// `bounds` ascends; `counts`, not accumulated, has one element more.
        public init(bounds: [Double], counts: [UInt64], sum: Double) {
            invariant(counts.count == bounds.count + 1, "a count for each bucket")
            self.bounds = bounds
            self.counts = counts
            self.sum = sum
        }
    }
}
