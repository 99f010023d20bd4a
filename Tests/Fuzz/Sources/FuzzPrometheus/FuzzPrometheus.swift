// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Units
import Wire

/// Every line is a sample, a comment or a fault; labels that are written again read the same.
@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    let limits =
        input.choice == 0
        ? PrometheusLimits()
        : PrometheusLimits(maxLine: Int(input.choice), maxSamples: 10, maxLabels: 3)
    var parser = PrometheusText(limits: limits)
    var sample = PrometheusSample()
    var steps = 0
    while true {
        steps += 1
        check(steps <= input.bytes.count + 2, "the text ends")
        do {
            guard try unsafe parser.next(input.bytes.span.bytes, into: &sample) else { return 0 }
        } catch {
            continue
        }
        check(!sample.name.isEmpty, "a name")
        check(sample.labels.count <= limits.maxLabels, "bounded labels")
        for label in sample.labels { checkLabel(label, input.bytes) }
        checkValue(sample.value)
    }
}

private func checkLabel(_ label: PrometheusLabel, _ bytes: [UInt8]) {
    let text = unsafe label.text(bytes.span.bytes)
    let rewritten = line(PrometheusLabels([("l", text)]), 1)
    var parser = PrometheusText(limits: PrometheusLimits(maxLine: 1 << 20))
    var sample = PrometheusSample()
    let isRead = try? unsafe parser.next(rewritten.span.bytes, into: &sample)
    check(isRead == true, "what is written can be read")
    let again = unsafe sample.label("l", rewritten.span.bytes)?.text(rewritten.span.bytes)
    check(again == text, "a label is read as it was written")
}

private func checkValue(_ value: Double) {
    let rewritten = line(PrometheusLabels(), value)
    var parser = PrometheusText()
    var sample = PrometheusSample()
    let isRead = try? unsafe parser.next(rewritten.span.bytes, into: &sample)
    check(isRead == true, "what is written can be read")
    check(sample.value == value || value.isNaN && sample.value.isNaN, "the same value")
}

private func line(_ labels: PrometheusLabels, _ value: Double) -> [UInt8] {
    var writer = PrometheusWriter(.text, into: ByteBuffer())
    writer.family("a", .gauge, help: "h")
    writer.sample(value, labels)
    let buffer = writer.finish()
    return unsafe Array(buffer.readable)
}

@main
struct FuzzPrometheus {
    static func main() { unsafe runFuzzer(oneInput) }
}
