// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

/// One line of what the independent simulator printed.
struct ReferenceRow: Sendable, CustomTestStringConvertible {
    let names: [String]
    let fields: [String]

    func text(_ name: String) throws -> String {
        fields[try #require(names.firstIndex(of: name))]
    }
    func number(_ name: String) throws -> Double { try #require(Double(text(name))) }

    /// Half a unit of the last digit printed, and a little for the binary fraction.
    func tolerance(_ name: String) throws -> Double {
        let parts = try text(name).split(separator: ".")
        var unit = 1.0
        for _ in 0..<(parts.count == 2 ? parts[1].count : 0) { unit /= 10 }
        return unit * 0.5 + 1e-6
    }

    var testDescription: String {
        ["trace", "profile", "router", "load"].map { (try? text($0)) ?? "?" }.joined(separator: " ")
    }

    static let all: [ReferenceRow] = {
        guard let bytes = try? Fixture.bytes("expected.csv") else { return [] }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let rows = lines.map { $0.split(separator: ",").map(String.init) }
        return rows.dropFirst().map { ReferenceRow(names: rows[0], fields: $0) }
    }()
}

@Suite struct RefsimTests {
    @Test func theReferenceHasRows() { #expect(ReferenceRow.all.count == 24) }

    @Test(arguments: ReferenceRow.all)
    func aReplayGivesWhatTheReferenceSimulatorPrints(row: ReferenceRow) throws {
        let trace = try Fixture.trace(row.text("trace"))
        let profile = try #require(EngineProfile.named(row.text("profile")))
        let engines = Int(try row.number("engines"))
        let capacity = VirtualRun.capacity(of: trace, on: profile, engines: engines)
        try expect(capacity, "capacity_rps", row)
        let result = VirtualRun.replay(
            trace.stretched(toRate: try row.number("load") * capacity), on: profile,
            engines: engines,
            router: try row.text("router") == "rr" ? .roundRobin : .leastRequests)
        #expect(result.blocksAreConserved)
        let report = result.report(
            LatencyTargets(
                firstToken: .seconds(try row.number("slo_ttft_s")),
                perToken: .seconds(try row.number("slo_tpot_s"))))
        let found: [(String, Double)] = [
            ("done", Double(report.done)), ("drop", Double(report.dropped)),
            ("rate", report.ratePerSecond),
            ("ttft50", report.ttft.p50), ("ttft90", report.ttft.p90), ("ttft99", report.ttft.p99),
            ("tpot50", report.tpot.p50), ("tpot90", report.tpot.p90), ("tpot99", report.tpot.p99),
            ("preempt", Double(report.preemptions)), ("hit", report.hitRatio),
            ("kv", report.usage), ("util", report.busy), ("out_tps", report.outputTokensPerSecond),
            ("good", report.good), ("good_rps", report.goodPerSecond),
            ("good_tps", report.goodTokensPerSecond),
        ]
        for (name, value) in found { try expect(value, name, row) }
    }

    private func expect(_ value: Double, _ name: String, _ row: ReferenceRow) throws {
        let (wanted, tolerance) = (try row.number(name), try row.tolerance(name))
        #expect(abs(value - wanted) <= tolerance, "\(name): \(value), reference \(wanted)")
    }
}
