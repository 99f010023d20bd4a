// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Testing
import Units

@Suite("Histogram")
struct HistogramTests {
    @Test("a value counts in the first bucket whose bound it does not exceed")
    func buckets() {
        var histogram = Histogram(bounds: [1, 2, 5])
        for value in [-1, 0.5, 1, 1.001, 2, 4.9, 5, 5.1, 1e300] { histogram.observe(value) }
        #expect(histogram.counts == [3, 2, 2, 2])
        #expect(histogram.count == 9)
        #expect(histogram.sum == 1e300)
    }

    @Test("what is no finite number counts nowhere")
    func notNumbers() {
        var histogram = Histogram(bounds: [1])
        for value in [Double.nan, .infinity, -.infinity, 0.25] { histogram.observe(value) }
        #expect(histogram.counts == [1, 0])
        #expect(histogram.sum == 0.25)
    }

    @Test("adding two is as counting all in one", arguments: 0..<10 as Range<UInt64>)
    func add(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var (left, right, all) = (
            Histogram(bounds: Histogram.waits), Histogram(bounds: Histogram.waits),
            Histogram(bounds: Histogram.waits)
        )
        for _ in 0..<500 {
            // Whole numbers add up exactly in any order.
            let value = Double(random.next() % 700)
            if random.next() % 2 == 0 { left.observe(value) } else { right.observe(value) }
            all.observe(value)
        }
        left.add(right)
        #expect(left == all)
        #expect(left.counts.reduce(0, +) == left.count)
    }

    @Test(
        "the bounds ascend",
        arguments: [Histogram.waits, Histogram.steps, Histogram.overheads, Histogram.ratios])
    func ascending(bounds: [Double]) {
        #expect(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test("histograms of other buckets are not added")
    func mismatch() async {
        await #expect(processExitsWith: .failure) {
            var histogram = Histogram(bounds: [1, 2])
            histogram.add(Histogram(bounds: [1]))
        }
    }
}
