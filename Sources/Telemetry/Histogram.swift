// SPDX-License-Identifier: Apache-2.0

import Units

/// A histogram of fixed buckets in seconds or ratios, as Prometheus has them.
public struct Histogram: Sendable, Equatable {
    /// Upper bounds, ascending; one more bucket holds what is above the last.
    public let bounds: [Double]
    /// Observations by bucket, not cumulated.
    public private(set) var counts: [UInt64]
    /// Of all observations.
    public private(set) var sum = 0.0
    /// Observations in all.
    public private(set) var count: UInt64 = 0

    /// `bounds` in ascending order.
    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// Counts one value, in the first bucket whose bound it does not exceed. What is no finite
    /// number counts nowhere: it would spoil the sum for good.
    public mutating func observe(_ value: Double) {
        guard value.isFinite else { return }
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if value <= bounds[middle] { high = middle } else { low = middle + 1 }
        }
        counts[low] += 1
        sum += value
        count += 1
    }

    /// Adds another histogram of the same buckets.
    public mutating func add(_ other: Histogram) {
        invariant(bounds.count == other.bounds.count, "histograms of the same buckets are added")
        for bucket in counts.indices { counts[bucket] += other.counts[bucket] }
        sum += other.sum
        count += other.count
    }

    /// Seconds from a millisecond to ten minutes: queues, first tokens.
    public static let waits: [Double] = [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 600,
    ]
    /// Seconds of one decode step as a client sees it.
    public static let steps: [Double] = [
        0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5,
    ]
    /// Seconds that the gateway itself takes.
    public static let overheads: [Double] = [
        0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.1,
    ]
    /// Estimate over truth.
    public static let ratios: [Double] = [
        0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.3, 1.5, 2, 4,
    ]
}
