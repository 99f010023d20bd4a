// SPDX-License-Identifier: Apache-2.0

public import Units

/// Writes metrics for a scrape, in the Prometheus text format 0.0.4 or in OpenMetrics 1.0.
///
/// A family is begun with its help and type, then its series follow; each family once. The
/// difference between the two flavours is made here: in OpenMetrics a counter's family is named
/// without the `_total` that its samples end in, what has no type is `unknown`, and the text ends
/// in `# EOF`.
public struct PrometheusWriter: ~Copyable {
    /// The format that is written.
    public enum Flavour: Sendable {
        case text
        case openMetrics

        /// The Content-Type of what is written.
        public var contentType: StaticString {
            switch self {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    /// The type of a family.
    public enum Kind: Sendable {
        case counter
        case gauge
        case histogram
        case untyped
    }

    private static let total: StaticString = "_total"

    private let flavour: Flavour
    private var buffer: ByteBuffer
    private var name: StaticString = ""
    private var kind = Kind.untyped

    /// Appends to what `buffer` holds.
    public init(_ flavour: Flavour, into buffer: consuming ByteBuffer) {
        self.flavour = flavour
        self.buffer = buffer
    }

    /// Begins a family. `name` matches `[a-zA-Z_:][a-zA-Z0-9_:]*`; a counter's ends in `_total`.
    public mutating func family(_ name: StaticString, _ kind: Kind, help: StaticString) {
        invariant(kind != .counter || Self.isTotal(name), "a counter's name ends in _total")
        self.name = name
        self.kind = kind
        buffer.append("# HELP ")
        appendFamilyName()
        buffer.append(byte: Byte.space)
        appendEscapedHelp(help)
        buffer.append("\n# TYPE ")
        appendFamilyName()
        buffer.append(byte: Byte.space)
        appendKind()
        buffer.append(byte: Byte.lineFeed)
    }

    /// One series of the family.
    public mutating func sample(_ value: Int, _ labels: PrometheusLabels = PrometheusLabels()) {
        appendSeries("", labels)
        buffer.append(decimal: value)
        buffer.append(byte: Byte.lineFeed)
    }
    /// One series of the family; any `Double` can be written.
    public mutating func sample(_ value: Double, _ labels: PrometheusLabels = PrometheusLabels()) {
        appendSeries("", labels)
        append(value)
        buffer.append(byte: Byte.lineFeed)
    }
    /// The series of one histogram: a bucket for each bound and for all, the sum and the count.
    public mutating func sample(
        _ histogram: Histogram, _ labels: PrometheusLabels = PrometheusLabels()
    ) {
        invariant(kind == .histogram, "a histogram in its own family")
        var count: UInt64 = 0
        for index in histogram.counts.indices {
            count &+= histogram.counts[index]
            let bound =
                index < histogram.bounds.count ? histogram.bounds[index] : Double.infinity
            appendBucket(upTo: bound, labels)
            append(count: count)
        }
        appendSeries("_sum", labels)
        append(histogram.sum)
        buffer.append(byte: Byte.lineFeed)
        appendSeries("_count", labels)
        append(count: count)
    }

    /// Ends the text and gives the buffer back.
    public consuming func finish() -> ByteBuffer {
        if flavour == .openMetrics { buffer.append("# EOF\n") }
        return buffer
    }

    private mutating func appendSeries(_ suffix: StaticString, _ labels: PrometheusLabels) {
        buffer.append(name)
        buffer.append(suffix)
        if !labels.isEmpty {
            buffer.append(byte: Byte.openBrace)
            unsafe buffer.append(labels.rendered.span.bytes)
            buffer.append(byte: Byte.closeBrace)
        }
        buffer.append(byte: Byte.space)
    }

    private mutating func appendBucket(upTo bound: Double, _ labels: PrometheusLabels) {
        buffer.append(name)
        buffer.append("_bucket{")
        if !labels.isEmpty {
            unsafe buffer.append(labels.rendered.span.bytes)
            buffer.append(byte: Byte.comma)
        }
        buffer.append("le=\"")
        append(bound)
        buffer.append("\"} ")
    }

    private mutating func append(count: UInt64) {
        buffer.append(decimal: Int(clamping: count))
        buffer.append(byte: Byte.lineFeed)
    }

    /// The shortest digits that read back as the same number, `+Inf`, `-Inf` or `NaN`.
    private mutating func append(_ value: Double) {
        if value.isNaN {
            buffer.append("NaN")
        } else if value.isInfinite {
            buffer.append(value < 0 ? "-Inf" : "+Inf")
        } else {
            buffer.append(value.description)
        }
    }

    private mutating func appendFamilyName() {
        guard flavour == .openMetrics, kind == .counter else { return buffer.append(name) }
        let count = name.utf8CodeUnitCount - Self.total.utf8CodeUnitCount
        unsafe buffer.append(UnsafeRawBufferPointer(start: name.utf8Start, count: count))
    }

    private mutating func appendKind() {
        switch kind {
        case .counter: buffer.append("counter")
        case .gauge: buffer.append("gauge")
        case .histogram: buffer.append("histogram")
        case .untyped: buffer.append(flavour == .openMetrics ? "unknown" : "untyped")
        }
    }

    /// Both flavours escape backslash and line feed; OpenMetrics the quote too.
    private mutating func appendEscapedHelp(_ help: StaticString) {
        for offset in 0..<help.utf8CodeUnitCount {
            let byte = unsafe help.utf8Start[offset]
            switch byte {
            case Byte.backslash: buffer.append("\\\\")
            case Byte.lineFeed: buffer.append("\\n")
            case Byte.quote where flavour == .openMetrics: buffer.append("\\\"")
            default: buffer.append(byte: byte)
            }
        }
    }

    private static func isTotal(_ name: StaticString) -> Bool {
        let start = name.utf8CodeUnitCount - total.utf8CodeUnitCount
        guard start > 0 else { return false }
        for offset in 0..<total.utf8CodeUnitCount {
            guard unsafe name.utf8Start[start + offset] == total.utf8Start[offset] else {
                return false
            }
        }
        return true
    }
}
