// SPDX-License-Identifier: Apache-2.0

import Simulation
public import Units
import Wire

/// What a replay has counted so far.
struct ReplayTally {
    var sent = 0
    var done = 0
    /// Final answers by status, ascending.
    var byStatus: [(status: Int, count: Int)] = []
    /// No answer, or not a complete one.
    var errors = 0
    /// Would have been more than may be open at once.
    var unsent = 0
    var refused = 0
    var obeyed = 0
    var admittedAtFirstReturn = 0
    var tokensIn = Tokens.zero
    var tokensOut = Tokens.zero
    /// Milliseconds.
    var firstTokens: [Double] = []
    var perTokens: [Double] = []
    /// How late requests were sent, in milliseconds.
    var delays: [Double] = []
    var good = 0
    var goodTokens = Tokens.zero

    mutating func count(status: Int) {
        if let place = byStatus.firstIndex(where: { $0.status >= status }) {
            if byStatus[place].status == status {
                byStatus[place].count += 1
            } else {
                byStatus.insert((status, 1), at: place)
            }
        } else {
            byStatus.append((status, 1))
        }
    }
}

/// Percentiles of times, in milliseconds; not numbers without samples.
public struct ReplayTimes: Sendable {
    public let p50: Double
    public let p95: Double
    public let p99: Double

    init(_ samples: [Double]) {
        let sorted = samples.sorted()
        p50 = Percentiles.percentile(50, ofSorted: sorted)
        p95 = Percentiles.percentile(95, ofSorted: sorted)
        p99 = Percentiles.percentile(99, ofSorted: sorted)
    }
}

/// What a replay gave.
public struct ReplayReport: Sendable {
    public let requests: Int
    /// Final answers by status, ascending.
    public let byStatus: [(status: Int, count: Int)]
    public let errors: Int
    public let firstToken: ReplayTimes
    public let perToken: ReplayTimes
    /// How late requests were sent: what the replaying machine could not keep up with.
    public let sendDelay: ReplayTimes
    public let tokensIn: Tokens
    public let tokensOut: Tokens
    public let span: Duration
    /// Requests that met both latency targets.
    public let good: Int
    public let goodTokens: Tokens
    /// Requests that were refused with a time to return.
    public let refused: Int
    /// Of these, those that returned.
    public let obeyed: Int
    public let admittedAtFirstReturn: Int

    init(_ tally: ReplayTally, span: Duration) {
        requests = tally.sent + tally.unsent
        byStatus = tally.byStatus
        errors = tally.errors + tally.unsent
        firstToken = ReplayTimes(tally.firstTokens)
        perToken = ReplayTimes(tally.perTokens)
        sendDelay = ReplayTimes(tally.delays)
        tokensIn = tally.tokensIn
        tokensOut = tally.tokensOut
        self.span = span
        good = tally.good
        goodTokens = tally.goodTokens
        refused = tally.refused
        obeyed = tally.obeyed
        admittedAtFirstReturn = tally.admittedAtFirstReturn
    }

    /// Good requests a second of the replay.
    public var goodput: Double { perSecond(good) }

    private func perSecond(_ count: Int) -> Double {
        span > .zero ? Double(count) / span.seconds : 0
    }

    /// The document that `--json` prints.
    public var json: String {
        var buffer = ByteBuffer()
        JSONWriter.write(into: &buffer) { json in
            json.beginObject()
            json.member("requests", requests)
            json.key("by_status")
            json.beginObject()
            for (status, count) in byStatus {
                json.key("\(status)")
                json.int(count)
            }
            json.endObject()
            json.member("errors", errors)
            write("ttft_ms", firstToken, &json)
            write("tpot_ms", perToken, &json)
            json.member("tokens_in", tokensIn.count)
            json.member("tokens_out", tokensOut.count)
            json.member("goodput", goodput)
            json.key("retry_after")
            json.beginObject()
            json.member("refused", refused)
            json.member("obeyed", obeyed)
            json.member("admitted_at_first_return", admittedAtFirstReturn)
            json.endObject()
            json.member("met_slo", requests > 0 ? Double(good) / Double(requests) : 0)
            json.member("good_tokens_per_s", perSecond(goodTokens.count))
            json.member("span_s", span.seconds)
            write("send_delay_ms", sendDelay, &json)
            json.endObject()
        }
        return unsafe String(decoding: buffer.readable, as: UTF8.self)
    }

    private func write(_ name: StaticString, _ times: ReplayTimes, _ json: inout JSONWriter) {
        json.key(name)
        json.beginObject()
        json.member("p50", times.p50)
        json.member("p95", times.p95)
        json.member("p99", times.p99)
        json.endObject()
    }

    /// The same for people, a line each.
    public var lines: [String] {
        let statuses = byStatus.map { "\($0.status): \($0.count)" }.joined(separator: ", ")
        return [
            "requests      \(requests) in \(rounded(span.seconds)) s",
            "answers       \(statuses.isEmpty ? "none" : statuses); errors: \(errors)",
            "ttft          " + text(firstToken), "tpot          " + text(perToken),
            "tokens        \(tokensIn) in, \(tokensOut) out",
            "good          \(good), \(rounded(goodput)) requests/s, "
                + "\(rounded(perSecond(goodTokens.count))) tokens/s",
            "retry-after   \(refused) refused, \(obeyed) came back, "
                + "\(admittedAtFirstReturn) admitted then",
            "send delay    " + text(sendDelay),
        ]
    }

    private func text(_ times: ReplayTimes) -> String {
        "p50 \(rounded(times.p50)) ms, p95 \(rounded(times.p95)) ms, p99 \(rounded(times.p99)) ms"
    }
}

/// With one digit behind the point; a dash for what is not a number.
func rounded(_ value: Double) -> String {
    value.isFinite ? "\((value * 10).rounded() / 10)" : "-"
}
