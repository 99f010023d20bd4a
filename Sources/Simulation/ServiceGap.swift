// SPDX-License-Identifier: Apache-2.0

/// How unequally tenants were served while all of them waited.
///
/// Only then is inequality unfair: who asks for less than its share gets less. An interval counts
/// from one moment to another between which every look showed every tenant waiting.
struct ServiceGap {
    /// The largest growth of the difference in service by weight between two tenants.
    private(set) var growth = 0.0
    /// The largest distance of a tenant's share of the service from its weight's, over the longest
    /// interval; not a number without one.
    private(set) var shareError = Double.nan

    private let weights: [Double]

    init(_ samples: [ServiceSample], weights: [Double]) {
        let tenants = samples.first?.service.count ?? 0
        self.weights = (0..<tenants).map { $0 < weights.count ? weights[$0] : 1 }
        var longest = 0..<0
        var start = 0
        for place in 0...samples.count {
            if place < samples.count, samples[place].isBacklogged.allSatisfy({ $0 }) { continue }
            if place - start > longest.count { longest = start..<place }
            if place - start > 1 { measure(samples[start..<place]) }
            start = place + 1
        }
        if longest.count > 1 {
            compare(samples[longest.lowerBound], samples[longest.upperBound - 1])
        }
    }

    private mutating func measure(_ samples: ArraySlice<ServiceSample>) {
        guard let start = samples.first else { return }
        for sample in samples {
            var least = Double.infinity
            var most = -Double.infinity
            for tenant in weights.indices {
                let served =
                    (sample.service[tenant] - start.service[tenant]) / weights[tenant]
                least = min(least, served)
                most = max(most, served)
            }
            growth = max(growth, most - least)
        }
    }

    private mutating func compare(_ first: ServiceSample, _ last: ServiceSample) {
        let service = zip(first.service, last.service).map { $1 - $0 }
        let all = service.reduce(0, +)
        let weight = weights.reduce(0, +)
        guard all > 0 else { return }
        shareError = zip(service, weights).map { abs($0 / all - $1 / weight) }.max() ?? .nan
    }
}
