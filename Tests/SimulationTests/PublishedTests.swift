// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

/// The engine model against published measurements of real engines.
@Suite struct PublishedTests {
    /// Relative errors of the means of one row.
    private struct Deviation {
        let firstToken: Double
        let perToken: Double
    }

    /// Bounds of the median and the 90th percentile of the deviations. Beside the 70B rows only the
    /// time per token counts: the sources of the others have a warm-up in the first token.
    @Test(arguments: [
        ("vllm70b", 0.08, 0.15, 0.08, 0.20), ("sglang8b", 0.08, 0.25, 1, 1),
        ("trtllm8b", 0.08, 0.15, 1, 1),
    ])
    func theModelIsAsFastAsTheEnginesThatWereMeasured(
        set: String, tpotMedian: Double, tpotMost: Double, ttftMedian: Double, ttftMost: Double
    ) throws {
        let text = String(decoding: try Fixture.bytes("published.csv"), as: UTF8.self)
        let rows = text.split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
        let found = try rows.filter { $0[0] == set }
            .map { try deviation(ReferenceRow(names: rows[0], fields: $0)) }
        #expect(found.count >= 8)
        let perToken = found.map { abs($0.perToken) }.sorted()
        let firstToken = found.map { abs($0.firstToken) }.sorted()
        #expect(quantile(perToken, 0.5) <= tpotMedian, "\(perToken)")
        #expect(quantile(perToken, 0.9) <= tpotMost, "\(perToken)")
        #expect(quantile(firstToken, 0.5) <= ttftMedian, "\(firstToken)")
        #expect(quantile(firstToken, 0.9) <= ttftMost, "\(firstToken)")
    }

    private func quantile(_ sorted: [Double], _ share: Double) -> Double {
        sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }

    private func deviation(_ row: ReferenceRow) throws -> Deviation {
        let clients = Int(try row.number("conc"))
        let model = try #require(CatalogModel(rawValue: row.text("model")))
        let gpu = try #require(CatalogGPU(rawValue: row.text("gpu")))
        let gpus = Int(try row.number("tp"))
        let (weights, kv) = (try precision("wbytes", row), try precision("kvbytes", row))
        var profile = try #require(
            EngineProfile.derived(model, on: gpu, gpus: gpus, weights, kv: kv))
        profile.maxSequences = clients
        let result = VirtualRun.closedLoop(
            try lengths(row, 10 * clients), clients: clients, on: profile)
        #expect(result.blocksAreConserved)
        let done = result.outcomes.filter { $0.fate == .done }
        #expect(done.count == 10 * clients)
        let first = done.map { ($0.firstToken - $0.arrival).seconds }
        let each = done.map {
            ($0.end - $0.firstToken).seconds / Double($0.output.count - 1)
        }
        return Deviation(
            firstToken: 1e3 * (mean(first) + profile.requestOverhead.seconds)
                / (try row.number("ttft_ms")) - 1,
            perToken: 1e3 * mean(each) / (try row.number("tpot_ms")) - 1)
    }

    private func precision(_ name: String, _ row: ReferenceRow) throws -> CatalogPrecision {
        try row.number(name) == 1 ? .fp8 : .bf16
    }

    private func mean(_ values: [Double]) -> Double {
        values.reduce(0, +) / Double(values.count)
    }

    /// Uniform between `lo` × n and n.
    private func lengths(_ row: ReferenceRow, _ count: Int) throws -> Trace {
        var random = SplitMix64(seed: 1)
        let low = try row.number("lo")
        let draw = { (longest: Double) in
            Tokens(Int.random(in: Int(longest * low)...Int(longest), using: &random))
        }
        let (prompt, output) = (try row.number("in"), try row.number("out"))
        return Trace(
            requests: (0..<count).map { _ in
                TraceRequest(arrival: .zero, prompt: draw(prompt), output: draw(output))
            })
    }
}
