// SPDX-License-Identifier: Apache-2.0

import Simulation
import Testing
import Units

private func read(_ text: String, _ limits: TraceLimits = TraceLimits()) throws(TraceFault) -> Trace
{
    let bytes = Array(text.utf8)
    return try Trace(csv: bytes.span, limits: limits)
}

private func fault(_ text: String, _ limits: TraceLimits = TraceLimits()) -> TraceFault? {
    do {
        _ = try read(text, limits)
        return nil
    } catch { return error }
}

@Suite struct TraceTests {
    @Test func plainColumnsAreRead() throws {
        let trace = try read("t_ms,in,out\n0,374,44\n4315.25,396,109\n")
        #expect(
            trace.requests == [
                TraceRequest(arrival: .zero, prompt: Tokens(374), output: Tokens(44)),
                TraceRequest(
                    arrival: Duration(nanoseconds: 4_315_250_000), prompt: Tokens(396),
                    output: Tokens(109)),
            ])
    }

    @Test func whatIsWrittenIsReadAgainToTheMicrosecond() throws {
        let trace = Workload.bursts(requests: 100, seed: 3).trace
        var rounded = trace
        for place in rounded.requests.indices {
            let nanoseconds = rounded.requests[place].arrival.nanoseconds
            rounded.requests[place].arrival = Duration(nanoseconds: nanoseconds / 1_000 * 1_000)
        }
        #expect(try read(trace.csvLines.joined(separator: "\n")) == rounded)
        let one = TraceRequest(
            arrival: Duration(nanoseconds: 1_005_999), prompt: Tokens(3), output: Tokens(4))
        #expect(Trace(requests: [one]).csvLines == ["t_ms,in,out", "1.005,3,4"])
    }

    @Test func allColumnsAreReadInAnyOrderAndUnknownOnesPassedOver() throws {
        let trace = try read(
            "out,session,blocks512,tenant,image_tokens,in,reason_ratio,t_ms\r\n"
                + "9,x y z,0 14-16 7,3,100 20,1000,0.645,5\r\n7,,,4,,10,1,6")
        let first = trace.requests[0]
        #expect(first.arrival == .milliseconds(5))
        #expect(first.prompt == Tokens(1_120))
        #expect(first.image == Tokens(120))
        #expect(first.output == Tokens(9))
        #expect(first.tenant == 3)
        #expect(first.prefixes == [0, 14, 15, 16, 7])
        #expect(first.reasoning == 0.645)
        #expect(trace.requests[1].prefixes.isEmpty)
        #expect(trace.requests[1].prompt == Tokens(10))
        #expect(trace.requests[1].reasoning == 1)
    }

    @Test(arguments: [
        ("", TraceFault.empty), ("\n0,1,2\n", .empty),
        ("t_ms,in\n0,1\n", .missingColumn("out")),
        ("t_ms,in,out,in\n0,1,2,3\n", .repeatedColumn("in")),
        ("t_ms,in,out\n0,1\n", .fieldCount(line: 2, expected: 3, found: 2)),
        ("t_ms,in,out\n0,1,2,3\n", .fieldCount(line: 2, expected: 3, found: 4)),
        ("t_ms,in,out\n0,1,2\nx,1,2\n", .badValue(line: 3, column: "t_ms")),
        ("t_ms,in,out\n.5,1,2\n", .badValue(line: 2, column: "t_ms")),
        ("t_ms,in,out\n1.2.3,1,2\n", .badValue(line: 2, column: "t_ms")),
        ("t_ms,in,out\n9999999999999999,1,2\n", .badValue(line: 2, column: "t_ms")),
        ("t_ms,in,out\n999999999999999,1,2\n", .badValue(line: 2, column: "t_ms")),
        ("t_ms,in,out\n0,-1,2\n", .badValue(line: 2, column: "in")),
        ("t_ms,in,out\n0,1.5,2\n", .badValue(line: 2, column: "in")),
        ("t_ms,in,out\n0,1,\n", .badValue(line: 2, column: "out")),
        ("t_ms,in,out\n0,1,9999999999\n", .badValue(line: 2, column: "out")),
        ("t_ms,in,out,tenant\n0,1,2,a\n", .badValue(line: 2, column: "tenant")),
        ("t_ms,in,out,image_tokens\n0,1,2,3 x\n", .badValue(line: 2, column: "image_tokens")),
        ("t_ms,in,out,blocks512\n0,1,2,5-\n", .badValue(line: 2, column: "blocks512")),
        ("t_ms,in,out,blocks512\n0,1,2,5-4\n", .badValue(line: 2, column: "blocks512")),
        ("t_ms,in,out,blocks512\n0,1,2,1-2-3\n", .badValue(line: 2, column: "blocks512")),
        ("t_ms,in,out,reason_ratio\n0,1,2,1.1\n", .badValue(line: 2, column: "reason_ratio")),
        ("t_ms,in,out\n5,1,2\n\n4,1,2\n", .unordered(line: 4)),
    ])
    func aFaultNamesItsPlace(text: String, expected: TraceFault) {
        #expect(fault(text) == expected)
    }

    @Test func everyLimitIsKept() {
        var limits = TraceLimits()
        limits.requests = 1
        #expect(fault("t_ms,in,out\n0,1,2\n0,1,2\n", limits) == .tooManyRequests(limit: 1))
        limits = TraceLimits()
        limits.lineBytes = 11
        #expect(fault("t_ms,in,out\n0,1,2\n", limits) == nil)
        #expect(
            fault("t_ms,in,out\n0000000,1,22\n", limits) == .lineTooLong(line: 2, limitBytes: 11))
        limits = TraceLimits()
        limits.prefixes = 3
        #expect(fault("t_ms,in,out,blocks512\n0,1,2,1-3\n", limits) == nil)
        #expect(
            fault("t_ms,in,out,blocks512\n0,1,2,1 3-999999999\n", limits)
                == .tooManyPrefixes(line: 2, limit: 3))
        limits = TraceLimits()
        limits.totalPrefixes = 3
        #expect(
            fault("t_ms,in,out,blocks512\n0,1,2,1-2\n0,1,2,1-2\n", limits)
                == .tooManyPrefixes(line: 3, limit: 3))
    }

    /// Whatever the bytes are, reading ends in a trace or a fault.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func anyBytesGiveATraceOrAFault(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let letters = Array("0123456789,,,---...   \r\n\nx".utf8)
        var bytes = Array("t_ms,in,out,blocks512,image_tokens,reason_ratio\n".utf8)
        for _ in 0..<80 { bytes.append(letters[Int(random.next() % UInt64(letters.count))]) }
        if let trace = try? Trace(csv: bytes.span) {
            #expect(trace.requests.allSatisfy { $0.arrival >= .zero })
        }
    }

    @Test func aWindowBeginsAtItsStartAndLeavesItsEndOut() throws {
        let trace = try read("t_ms,in,out\n0,1,1\n1000,2,1\n1500,3,1\n2000,4,1\n")
        let window = trace.window(from: .seconds(1), to: .seconds(2))
        #expect(window.requests.map(\.prompt.count) == [2, 3])
        #expect(window.requests.map(\.arrival) == [.zero, .milliseconds(500)])
        #expect(trace.window(from: .seconds(3), to: .seconds(4)).requests.isEmpty)
    }

    @Test func stretchingScalesTheTimes() throws {
        let trace = try read("t_ms,in,out\n0,1,1\n100,2,2\n400,3,3\n")
        #expect(trace.meanRate == 7.5)
        let fast = trace.stretched(toRate: 15)
        #expect(fast.requests.map(\.arrival) == [.zero, .milliseconds(50), .milliseconds(200)])
        #expect(fast.meanRate == 15)
        #expect(fast.requests.map(\.prompt) == trace.requests.map(\.prompt))
        #expect(try read("t_ms,in,out\n0,1,1\n").stretched(toRate: 5).meanRate == 0)
        #expect(trace.first(2).requests.count == 2)
    }
}
