// SPDX-License-Identifier: Apache-2.0

import Testing
import Units
import Wire

/// What the parser made of one text: samples as `name{label=value} number`, and faults.
private struct Scrape: Equatable {
    var samples: [String] = []
    var faults: [PrometheusFault] = []

    init(_ bytes: [UInt8], limits: PrometheusLimits = PrometheusLimits()) {
        var parser = PrometheusText(limits: limits)
        var sample = PrometheusSample()
        while true {
            do {
                guard try unsafe parser.next(bytes.span.bytes, into: &sample) else { return }
            } catch {
                faults.append(error)
                continue
            }
            let name = String(decoding: bytes[sample.name.range], as: UTF8.self)
            let labels = sample.labels.map { label in
                let name = String(decoding: bytes[label.name.range], as: UTF8.self)
                return "\(name)=\(unsafe label.text(bytes.span.bytes))"
            }
            samples.append("\(name){\(labels.joined(separator: ","))} \(sample.value)")
        }
    }
    init(_ text: String, limits: PrometheusLimits = PrometheusLimits()) {
        self.init(Array(text.utf8), limits: limits)
    }
}

@Test(arguments: [
    ("a 1\n", "a{} 1.0"), ("a{} 1\n", "a{} 1.0"), ("a_b:c9 1\n", "a_b:c9{} 1.0"),
    (":a 1\n", ":a{} 1.0"), ("a{b=\"c\"} 1\n", "a{b=c} 1.0"), ("a{b=\"c\",} 1\n", "a{b=c} 1.0"),
    ("a{b=\"c\",d=\"\"} 1\n", "a{b=c,d=} 1.0"),
    (" a\t{ b = \"c\" , d=\"e\" }\t1 \n", "a{b=c,d=e} 1.0"),
    ("a{b=\"\\\\ \\\" \\n }\"} 1\n", "a{b=\\ \" \n }} 1.0"), ("a{b=\"c\"}1\n", "a{b=c} 1.0"),
    ("a 1 1234567890\n", "a{} 1.0"), ("a 1 -5\n", "a{} 1.0"), ("a 1 12.5\n", "a{} 1.0"),
    ("a 1 # {t=\"x\"} 0.5 1.5\n", "a{} 1.0"), ("a 1 5 # {} 1\n", "a{} 1.0"),
    ("a{b=\"\u{E4}#,=\"} 1\n", "a{b=\u{E4}#,=} 1.0"),
])
func aSampleIsReadIntoItsParts(text: String, sample: String) {
    let scrape = Scrape(text)
    #expect(scrape.samples == [sample])
    #expect(scrape.faults.isEmpty)
}

@Test(arguments: [
    ("0", 0), ("-0", -0.0), ("1", 1), ("+1", 1), ("-1.5", -1.5), (".5", 0.5), ("5.", 5),
    ("1e3", 1000),
    ("1.3e+06", 1_300_000), ("1E-3", 0.001), ("1.7954512345678912e+09", 1.7954512345678912e+09),
    ("Inf", .infinity), ("+Inf", .infinity), ("-Inf", -.infinity), ("inf", .infinity),
    ("-infinity", -.infinity), ("9007199254740993", 9_007_199_254_740_992), ("1e999", .infinity),
    ("1e-999", 0), ("0e99999999999999999999", 0),
    ("123456789012345678901234567890", 1.2345678901234568e+29),
    ("4.9e-324", .leastNonzeroMagnitude), ("1.7976931348623157e308", 1.7976931348623157e308),
    ("00012", 12),
    ("0.1", 0.1), ("2.2250738585072011e-308", .leastNormalMagnitude.nextDown), ("1e22", 1e22),
    ("1e23", 1e23),
    ("0.000000000000000000000000000000000000001", 1e-39), ("66.8489", 66.8489),
])
func aNumberIsTheNearestToWhatIsWritten(text: String, value: Double) {
    #expect(Scrape("a \(text)\n").samples == ["a{} \(value)"])
}

@Test(arguments: ["NaN", "nan", "+NaN", "-nan"])
func notANumberIsRead(text: String) {
    #expect(Scrape("a \(text)\n").samples.first?.lowercased().hasSuffix("nan") == true)
}

@Test(arguments: 0..<200 as Range<UInt64>)
func aNumberThatWasWrittenIsReadAsItself(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for _ in 0..<20 {
        let any = Double(bitPattern: random.next())
        let value = any.isNaN ? 0 : any
        let short = Double(Int.random(in: -1_000_000...1_000_000, using: &random)) / 1000
        #expect(Scrape("a \(value)\n").samples == ["a{} \(value)"])
        #expect(Scrape("a \(short)\n").samples == ["a{} \(short)"])
    }
}

@Test(arguments: [
    ("9a 1", PrometheusFault.malformedName(line: 1)), ("{a=\"b\"} 1", .malformedName(line: 1)),
    ("a-b 1", .malformedName(line: 1)), ("a", .malformedName(line: 1)),
    ("1", .malformedName(line: 1)),
    ("a\u{E4} 1", .malformedName(line: 1)), ("a{", .malformedLabels(line: 1)),
    ("a{b} 1", .malformedLabels(line: 1)), ("a{b=c} 1", .malformedLabels(line: 1)),
    ("a{b=\"c} 1", .malformedLabels(line: 1)), ("a{b=\"c\" d=\"e\"} 1", .malformedLabels(line: 1)),
    ("a{b=\"c\",,} 1", .malformedLabels(line: 1)), ("a{,} 1", .malformedLabels(line: 1)),
    ("a{9=\"c\"} 1", .malformedLabels(line: 1)), ("a{b:c=\"c\"} 1", .malformedLabels(line: 1)),
    ("a{b=\"\\t\"} 1", .malformedLabels(line: 1)), ("a{b=\"\\", .malformedLabels(line: 1)),
    ("a{b=\"c\"", .malformedLabels(line: 1)), ("a{=\"c\"} 1", .malformedLabels(line: 1)),
    ("a{b=\"c\"}", .malformedValue(line: 1)), ("a b", .malformedValue(line: 1)),
    ("a 1x", .malformedValue(line: 1)), ("a 0x1p3", .malformedValue(line: 1)),
    ("a 1_000", .malformedValue(line: 1)), ("a --1", .malformedValue(line: 1)),
    ("a +", .malformedValue(line: 1)), ("a .", .malformedValue(line: 1)),
    ("a e5", .malformedValue(line: 1)),
    ("a 1e", .malformedValue(line: 1)), ("a 1e+", .malformedValue(line: 1)),
    ("a 1e5x", .malformedValue(line: 1)), ("a 1.2.3", .malformedValue(line: 1)),
    ("a Infx", .malformedValue(line: 1)), ("a nano", .malformedValue(line: 1)),
    ("a 1,5", .malformedValue(line: 1)), ("a 1 x", .trailingBytes(line: 1)),
    ("a 1 NaN", .trailingBytes(line: 1)), ("a 1 2 3", .trailingBytes(line: 1)),
    ("a 1\r", .malformedValue(line: 1)), ("a\0 1", .malformedName(line: 1)),
])
func aMalformedLineIsAFaultWithItsNumberAndTheNextLineIsRead(line: String, fault: PrometheusFault) {
    let scrape = Scrape(line + "\nb 2\n")
    #expect(scrape.faults == [fault])
    #expect(scrape.samples == ["b{} 2.0"])
}

@Test func commentsAndEmptyLinesAreSkipped() {
    let scrape = Scrape(
        "# HELP a \"Quotes\": {colons}, \\n and # more\n# TYPE a counter\n\n  \n#\n #x 1\na 1\n"
            + "# anything\r at all\0\n# EOF\n")
    #expect(scrape.samples == ["a{} 1.0"])
    #expect(scrape.faults.isEmpty)
}

@Test func linesAreCountedFromOne() {
    #expect(Scrape("# c\n\na 1\n?\n").faults == [.malformedName(line: 4)])
}

@Test func aLastLineWithoutLineFeedMayHaveBeenCut() {
    let scrape = Scrape("a 1\nb 12")
    #expect(scrape.samples == ["a{} 1.0"])
    #expect(scrape.faults == [.unfinishedLine(line: 2)])
    #expect(Scrape("# EOF").faults == [.unfinishedLine(line: 1)])
}

@Test func aLineOverItsLimitIsAFaultAndTheNextIsRead() {
    let limits = PrometheusLimits(maxLine: 10)
    let scrape = Scrape("abcdefgh 1\nabcdefghi 1\n# comment that is long\nb 1\n", limits: limits)
    #expect(scrape.samples == ["abcdefgh{} 1.0", "b{} 1.0"])
    #expect(
        scrape.faults == [.lineTooLong(line: 2, limit: 10), .lineTooLong(line: 3, limit: 10)])
}

@Test func samplesAndLabelsAreBounded() {
    let samples = Scrape("a 1\nb 1\nc 1\nd 1\n", limits: PrometheusLimits(maxSamples: 2))
    #expect(samples.samples.count == 2)
    #expect(samples.faults == [.tooManySamples(limit: 2)])
    let labels = PrometheusLimits(maxLabels: 1)
    #expect(Scrape("a{b=\"\"} 1\na{b=\"\",c=\"\"} 1\n", limits: labels).samples.count == 1)
    #expect(
        Scrape("a{b=\"\",c=\"\"} 1\n", limits: labels).faults
            == [.tooManyLabels(line: 1, limit: 1)])
}

@Test func aLabelIsFoundByItsName() throws {
    let bytes = Array("a{bc=\"1\",b=\"2\\\\\"} 1\n".utf8)
    var parser = PrometheusText()
    var sample = PrometheusSample()
    #expect(try unsafe parser.next(bytes.span.bytes, into: &sample))
    let label = unsafe sample.label("b", bytes.span.bytes)
    #expect(label?.isEscaped == true)
    #expect(unsafe label?.text(bytes.span.bytes) == "2\\")
    #expect(unsafe sample.label("c", bytes.span.bytes) == nil)
    #expect(parser.line == 1)
}
