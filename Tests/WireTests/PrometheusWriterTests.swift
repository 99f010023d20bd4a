// SPDX-License-Identifier: Apache-2.0

import Testing
import Units
import Wire

private func written(
    _ flavour: PrometheusWriter.Flavour, _ write: (inout PrometheusWriter) -> Void
) -> String {
    var writer = PrometheusWriter(flavour, into: ByteBuffer())
    write(&writer)
    return writer.finish().text
}

@Test func familiesAreWrittenInTheTextFormat() {
    let text = written(.text) { writer in
        writer.family("penstock_requests_total", .counter, help: "Requests \\ \"all\"\nof them.")
        writer.sample(5, PrometheusLabels([("tenant", "acme"), ("class", "a\"b\\c\nd")]))
        writer.sample(-7)
        writer.family("kv_ratio", .gauge, help: "Share.")
        writer.sample(0.25)
        writer.family("x", .untyped, help: "")
        writer.sample(1)
    }
    #expect(
        text == """
            # HELP penstock_requests_total Requests \\\\ "all"\\nof them.
            # TYPE penstock_requests_total counter
            penstock_requests_total{tenant="acme",class="a\\"b\\\\c\\nd"} 5
            penstock_requests_total -7
            # HELP kv_ratio Share.
            # TYPE kv_ratio gauge
            kv_ratio 0.25
            # HELP x\u{20}
            # TYPE x untyped
            x 1

            """)
}

@Test func openMetricsNamesACounterWithoutTotalAndEnds() {
    let text = written(.openMetrics) { writer in
        writer.family("penstock_requests_total", .counter, help: "Say \"hi\".")
        writer.sample(5)
        writer.family("x", .untyped, help: "h")
    }
    #expect(
        text == """
            # HELP penstock_requests Say \\"hi\\".
            # TYPE penstock_requests counter
            penstock_requests_total 5
            # HELP x h
            # TYPE x unknown
            # EOF

            """)
    #expect(written(.openMetrics) { _ in } == "# EOF\n")
    #expect(written(.text) { _ in }.isEmpty)
}

@Test func aHistogramIsWrittenAsAccumulatedBuckets() {
    let text = written(.text) { writer in
        writer.family("wait_seconds", .histogram, help: "Wait.")
        writer.sample(
            PrometheusWriter.Histogram(bounds: [0.5, 1], counts: [2, 0, 3], sum: 7.5),
            PrometheusLabels([("class", "a")]))
        writer.sample(PrometheusWriter.Histogram(bounds: [], counts: [0], sum: 0))
    }
    #expect(
        text == """
            # HELP wait_seconds Wait.
            # TYPE wait_seconds histogram
            wait_seconds_bucket{class="a",le="0.5"} 2
            wait_seconds_bucket{class="a",le="1.0"} 2
            wait_seconds_bucket{class="a",le="+Inf"} 5
            wait_seconds_sum{class="a"} 7.5
            wait_seconds_count{class="a"} 5
            wait_seconds_bucket{le="+Inf"} 0
            wait_seconds_sum 0.0
            wait_seconds_count 0

            """)
}

@Test(arguments: [
    (Double.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (1, "1.0"), (1e-5, "1e-05"),
    (1e16, "1e+16"), (-0.0, "-0.0"),
])
func anyNumberCanBeWritten(value: Double, text: String) {
    let line = written(.text) { writer in
        writer.family("a", .gauge, help: "h")
        writer.sample(value)
    }.split(separator: "\n").last
    #expect(line == "a \(text)")
}

@Test(arguments: 0..<50 as Range<UInt64>)
func whatIsWrittenIsReadAsItself(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let value = Double(bitPattern: random.next())
    let label = String(
        (0..<8).map { _ in "a\\\"\n{},= \u{E4}#".randomElement(using: &random) ?? "x" })
    let text = written(.openMetrics) { writer in
        writer.family("a_total", .counter, help: label.isEmpty ? "x" : "h")
        writer.sample(value, PrometheusLabels([("l", label), ("m", "")]))
    }
    let bytes = Array(text.utf8)
    var parser = PrometheusText()
    var sample = PrometheusSample()
    #expect(try unsafe parser.next(bytes.span.bytes, into: &sample))
    #expect(sample.value == value || value.isNaN && sample.value.isNaN)
    #expect(unsafe sample.label("l", bytes.span.bytes)?.text(bytes.span.bytes) == label)
    #expect(try unsafe !parser.next(bytes.span.bytes, into: &sample))
}

@Test func aCounterWithoutTotalIsABug() async {
    await #expect(processExitsWith: .failure) {
        var writer = PrometheusWriter(.text, into: ByteBuffer())
        writer.family("requests", .counter, help: "h")
        _ = writer.finish()
    }
}

@Test func theContentTypeNamesTheFormat() {
    #expect("\(PrometheusWriter.Flavour.text.contentType)".contains("version=0.0.4"))
    #expect("\(PrometheusWriter.Flavour.openMetrics.contentType)".contains("openmetrics-text"))
}
