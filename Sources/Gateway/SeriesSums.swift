// SPDX-License-Identifier: Apache-2.0

import Wire

/// The series of one family, each once: rows that come out under the same labels, as those of
/// tenants past the cap do, are added up. In the order in which they first came.
struct SeriesSums<Value> {
    private var places: [PrometheusLabels: Int] = [:]
    private(set) var series: [(labels: PrometheusLabels, value: Value)] = []

    /// Adds to what stands under `labels`, which is `zero` before the first time.
    mutating func add(
        under labels: PrometheusLabels, to zero: Value, _ change: (inout Value) -> Void
    ) {
        if let place = places[labels] { return change(&series[place].value) }
        var value = zero
        change(&value)
        places[labels] = series.count
        series.append((labels, value))
    }
}

extension SeriesSums<Int> {
    /// Stays at the largest value rather than overflow: what engines report is summed here.
    mutating func add(_ count: UInt64, under labels: PrometheusLabels) {
        add(under: labels, to: 0) { sum in
            let (total, isOver) = sum.addingReportingOverflow(Int(clamping: count))
            sum = isOver ? .max : total
        }
    }

    func write(to page: inout PrometheusWriter) {
        for (labels, value) in series { page.sample(value, labels) }
    }
}

extension SeriesSums<Double> {
    mutating func add(_ amount: Double, under labels: PrometheusLabels) {
        add(under: labels, to: 0) { $0 += amount }
    }

    func write(to page: inout PrometheusWriter) {
        for (labels, value) in series { page.sample(value, labels) }
    }
}
