// SPDX-License-Identifier: Apache-2.0

import Units

/// How one tenant fared in a run, or in the mean of several.
public struct TenantFigures: Sendable, Equatable {
    /// The trace's number.
    public var tenant: Int
    public var requests: Double
    /// Of all service, input + 2 × output tokens; not a number where service was not looked at.
    public var share: Double
    /// Seconds, of the requests that were served.
    public var ttftP50: Double
    public var ttftP99: Double
    /// Of its requests, those that were never served, and those that met both targets.
    public var shedRatio: Double
    public var metTargets: Double

    /// One for each tenant that sent anything, in the order of their numbers.
    static func all(_ result: FleetResult, _ targets: LatencyTargets) -> [TenantFigures] {
        let count = (result.outcomes.map(\.tenant).max() ?? -1) + 1
        var requests = [Int](repeating: 0, count: count)
        var shed = requests
        var good = requests
        var first = [[Double]](repeating: [], count: count)
        for outcome in result.outcomes {
            requests[outcome.tenant] += 1
            guard outcome.fate == .done, let seconds = outcome.firstTokenAfter(result) else {
                shed[outcome.tenant] += 1
                continue
            }
            first[outcome.tenant].append(seconds)
            let isGood =
                seconds <= targets.firstToken.seconds
                && outcome.perToken ?? 0 <= targets.perToken.seconds
            if isGood { good[outcome.tenant] += 1 }
        }
        let service = result.samples.last?.service ?? []
        let all = max(1, service.reduce(0, +))
        return requests.indices.filter { requests[$0] > 0 }.map { tenant in
            let sorted = first[tenant].sorted()
            let count = Double(requests[tenant])
            return TenantFigures(
                tenant: tenant, requests: count,
                share: tenant < service.count ? service[tenant] / all : .nan,
                ttftP50: Percentiles.percentile(50, ofSorted: sorted),
                ttftP99: Percentiles.percentile(99, ofSorted: sorted),
                shedRatio: Double(shed[tenant]) / count,
                metTargets: Double(good[tenant]) / count)
        }
    }

    /// The mean over runs of those tenants that sent in all of them.
    static func mean(of runs: [[TenantFigures]]) -> [TenantFigures] {
        guard let first = runs.first else { return [] }
        return first.compactMap { figures in
            let same = runs.compactMap { $0.first { $0.tenant == figures.tenant } }
            guard same.count == runs.count else { return nil }
            let mean = { (value: (TenantFigures) -> Double) in
                same.reduce(0) { $0 + value($1) } / Double(same.count)
            }
            return TenantFigures(
                tenant: figures.tenant, requests: mean(\.requests), share: mean(\.share),
                ttftP50: mean(\.ttftP50), ttftP99: mean(\.ttftP99), shedRatio: mean(\.shedRatio),
                metTargets: mean(\.metTargets))
        }
    }
}
