// SPDX-License-Identifier: Apache-2.0

import Estimation
import Simulation
import Testing
import Units

@Suite("How long answers of real traces are taken for")
struct OutputCoverageTests {
    /// The whole traces: `zcat TRACE | .build/release/estimates --lengths`.
    @Test(
        "nine of ten answers are within what was said before them",
        arguments: ["azure2023_conv", "mooncake_conv", "servegen_reason"])
    func covers(name: String) throws {
        let trace = try Fixture.trace(name)
        var estimate = OutputEstimate(limit: 100)
        var within = 0
        for request in trace.requests {
            let tenant = TenantID(request.tenant)
            let high = estimate.high(model: ModelID(0), tenant: tenant, bound: nil)
            if request.output <= high { within += 1 }
            estimate.learn(
                model: ModelID(0), tenant: tenant, bound: nil, produced: request.output)
        }
        let share = Double(within) / Double(trace.requests.count)
        #expect((0.88...0.92).contains(share), "\(share)")
    }
}
