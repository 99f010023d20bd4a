// SPDX-License-Identifier: Apache-2.0

import Dialects
import Estimation
import EventLoop
import Units
import Wire

// What estimating and inspecting cost on one core, the best of many passes; or, with `--lengths`
// and a trace (CSV with `out`, and `tenant` if it has one) on standard input, how many answers
// were within what nine of ten should be.

if CommandLine.arguments.dropFirst().first == "--lengths" {
    printCoverage()
} else {
    printSpeeds()
}

func printCoverage() {
    let header = (readLine() ?? "").split(separator: ",", omittingEmptySubsequences: false)
    guard let output = header.firstIndex(of: "out") else { return print("no column `out`") }
    let owner = header.firstIndex(of: "tenant")
    var estimate = OutputEstimate(limit: 4_096)
    var (answers, within) = (0, 0)
    while let line = readLine() {
        let columns = line.split(separator: ",", omittingEmptySubsequences: false)
        guard columns.count > output, let length = Int(columns[output]) else { continue }
        let tenant = TenantID(owner.flatMap { Int(columns[$0]) } ?? 0)
        let high = estimate.high(model: ModelID(0), tenant: tenant, bound: nil)
        if length <= high.count { within += 1 }
        answers += 1
        estimate.learn(model: ModelID(0), tenant: tenant, bound: nil, produced: Tokens(length))
    }
    let share = Double(within * 10_000 / max(answers, 1)) / 100
    print("\(answers) answers, \(share) % within what nine of ten should be")
}

func printSpeeds() {
    print("estimate and inspection, GB/s on one core, best of 200")
    for (name, piece) in [
        ("English", "Every request is measured before it may enter the queue, and nobody waits. "),
        ("code", "func settle(_ held: Tokens) -> Bool { held.count > 0 && !isClosed }\n    "),
        ("Chinese", "每个请求在进入队列之前都要先称重，没有人会白等。"),
    ] {
        let text = repeated(piece, to: 1 << 20)
        var meter = TokenMeter()
        let speed = gigabytes(text.count) {
            meter.reset()
            unsafe text.withUnsafeBytes { unsafe meter.feed($0.bytes) }
        }
        print("  estimate   \(name): \(speed)")
    }
    let bodies = [200, 2_000, 20_000].map { ("messages of \($0) B", chat(messagesOf: $0)) }
    for (name, body) in bodies + [("Chinese as escapes", escapedChat())] {
        let inspected = gigabytes(body.count) { inspectOnce(body, Silent(), Silent()) }
        let estimated = gigabytes(body.count) { inspectOnce(body, TokenMeter(), TokenMeter()) }
        print(
            "  inspection of 1 MB, \(name): \(inspected), with estimate \(estimated)")
    }
}

struct Silent: TextMeter {
    mutating func feed(_ text: RawSpan) {}
    mutating func boundary() {}
}

func repeated(_ piece: String, to size: Int) -> [UInt8] {
    var text: [UInt8] = []
    while text.count < size { text += Array(piece.utf8) }
    return text
}

func chat(messagesOf size: Int) -> [UInt8] {
    let piece = "Every request is measured before it may enter the queue, and nobody waits.\\n"
    let message = String(decoding: repeated(piece, to: size), as: UTF8.self)
    var messages = ""
    while messages.utf8.count < 1 << 20 {
        if !messages.isEmpty { messages += "," }
        messages += "{\"role\":\"user\",\"content\":\"\(message)\"}"
    }
    return Array("{\"model\":\"m\",\"messages\":[\(messages)],\"stream\":true}".utf8)
}

/// As clients write it whose JSON is ASCII alone.
func escapedChat() -> [UInt8] {
    let piece = #"\u6bcf\u4e2a\u8bf7\u6c42\u5728\u8fdb\u5165\u961f\u5217\u4e4b\u524d\n"#
    let message = String(decoding: repeated(piece, to: 1 << 20), as: UTF8.self)
    return Array(#"{"model":"m","messages":[{"role":"user","content":"\#(message)"}]}"#.utf8)
}

func inspectOnce<Meter: TextMeter>(_ body: [UInt8], _ texts: Meter, _ tools: Meter) {
    var (texts, tools, inspection) = (texts, tools, Inspection())
    let isFine = unsafe body.withUnsafeBytes { bytes in
        do throws(BodyFault) {
            try unsafe inspect(
                bytes.bytes, .chatCompletions, meter: &texts, tools: &tools, into: &inspection)
            return true
        } catch {
            return false
        }
    }
    invariant(isFine, "the body of a benchmark is valid")
}

func gigabytes(_ bytes: Int, _ body: () -> Void) -> Double {
    var best = Int64.max
    for _ in 0..<200 {
        let start = MonotonicClock.now()
        body()
        best = min(best, (MonotonicClock.now() - start).nanoseconds)
    }
    return Double(Int(Double(bytes) / Double(max(best, 1)) * 100)) / 100
}
