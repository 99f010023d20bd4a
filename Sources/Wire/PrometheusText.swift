// SPDX-License-Identifier: Apache-2.0

/// Reads the samples of a scrape in the Prometheus text format 0.0.4, line by line and in place.
///
/// Comments are skipped, `HELP` and `TYPE` among them. Of OpenMetrics it takes what engines send:
/// fractional timestamps and exemplars, both read over, and `# EOF`.
public struct PrometheusText: Sendable {
    private let limits: PrometheusLimits
    private var cursor = 0
    private var samples = 0
    /// The number of the line read last, from one.
    public private(set) var line = 0

    /// At the front of a text.
    public init(limits: PrometheusLimits = PrometheusLimits()) { self.limits = limits }

    /// Whether `sample` holds the next sample; false at the end of the text.
    ///
    /// `bytes` is the whole text, the same in each call, under 4 GiB. A fault is about one line;
    /// the next call goes on behind it, except that there are never more samples than the limit.
    public mutating func next(
        _ bytes: RawSpan, into sample: inout PrometheusSample
    ) throws(PrometheusFault) -> Bool {
        while cursor < bytes.byteCount {
            line += 1
            let start = cursor
            let end = bytes.feed(from: start, to: bytes.byteCount)
            cursor = min(end + 1, bytes.byteCount)
            guard end - start <= limits.maxLine else {
                throw .lineTooLong(line: line, limit: limits.maxLine)
            }
            guard end < bytes.byteCount else { throw .unfinishedLine(line: line) }
            let content = bytes.trimmed(start, end)
            if content.isEmpty || bytes.byte(Int(content.start)) == Byte.hash { continue }
            guard samples < limits.maxSamples else {
                cursor = bytes.byteCount
                throw .tooManySamples(limit: limits.maxSamples)
            }
            samples += 1
            try read(bytes, content, into: &sample)
            return true
        }
        return false
    }

    private func read(
        _ bytes: RawSpan, _ content: ByteRange, into sample: inout PrometheusSample
    ) throws(PrometheusFault) {
        sample.labels.removeAll(keepingCapacity: true)
        let end = Int(content.end)
        let nameEnd = bytes.metricNameEnd(from: Int(content.start), to: end)
        guard nameEnd > Int(content.start) else { throw .malformedName(line: line) }
        sample.name = ByteRange(Int(content.start), nameEnd)
        var at = bytes.skipBlanks(from: nameEnd, to: end)
        if at < end, bytes.byte(at) == Byte.openBrace {
            at = try readLabels(bytes, from: at + 1, to: end, into: &sample.labels)
            at = bytes.skipBlanks(from: at, to: end)
        } else {
            guard at > nameEnd else { throw .malformedName(line: line) }
        }
        let valueEnd = bytes.blank(from: at, to: end)
        guard let value = Decimal.parse(bytes, ByteRange(at, valueEnd)) else {
            throw .malformedValue(line: line)
        }
        sample.value = value
        try checkRest(bytes, from: valueEnd, to: end)
    }

    /// `name="value"` pairs up to the brace, a last comma allowed; the offset behind the brace.
    private func readLabels(
        _ bytes: RawSpan, from start: Int, to end: Int, into labels: inout [PrometheusLabel]
    ) throws(PrometheusFault) -> Int {
        var at = bytes.skipBlanks(from: start, to: end)
        while at < end {
            if bytes.byte(at) == Byte.closeBrace { return at + 1 }
            guard labels.count < limits.maxLabels else {
                throw .tooManyLabels(line: line, limit: limits.maxLabels)
            }
            let label = try readLabel(bytes, from: at, to: end)
            labels.append(label)
            at = bytes.skipBlanks(from: Int(label.value.end) + 1, to: end)
            guard at < end else { break }
            if bytes.byte(at) == Byte.closeBrace { return at + 1 }
            guard bytes.byte(at) == Byte.comma else { break }
            at = bytes.skipBlanks(from: at + 1, to: end)
        }
        throw .malformedLabels(line: line)
    }

    /// One pair; its closing quote is there.
    private func readLabel(
        _ bytes: RawSpan, from start: Int, to end: Int
    ) throws(PrometheusFault) -> PrometheusLabel {
        let nameEnd = bytes.labelNameEnd(from: start, to: end)
        var at = bytes.skipBlanks(from: nameEnd, to: end)
        guard nameEnd > start, at < end, bytes.byte(at) == Byte.equals else {
            throw .malformedLabels(line: line)
        }
        at = bytes.skipBlanks(from: at + 1, to: end)
        guard at < end, bytes.byte(at) == Byte.quote else { throw .malformedLabels(line: line) }
        let valueStart = at + 1
        at = valueStart
        var isEscaped = false
        while at < end, bytes.byte(at) != Byte.quote {
            if bytes.byte(at) == Byte.backslash {
                guard at + 1 < end, bytes.byte(at + 1).isPrometheusEscape else {
                    throw .malformedLabels(line: line)
                }
                isEscaped = true
                at += 1
            }
            at += 1
        }
        guard at < end else { throw .malformedLabels(line: line) }
        return PrometheusLabel(
            name: ByteRange(start, nameEnd), value: ByteRange(valueStart, at),
            isEscaped: isEscaped)
    }

    /// Behind the value: nothing, a timestamp, an exemplar, or a timestamp and an exemplar.
    private func checkRest(
        _ bytes: RawSpan, from start: Int, to end: Int
    ) throws(PrometheusFault) {
        var at = bytes.skipBlanks(from: start, to: end)
        if at < end, bytes.byte(at) != Byte.hash {
            let timestampEnd = bytes.blank(from: at, to: end)
            guard Decimal.parse(bytes, ByteRange(at, timestampEnd))?.isFinite == true else {
                throw .trailingBytes(line: line)
            }
            at = bytes.skipBlanks(from: timestampEnd, to: end)
        }
        guard at == end || bytes.byte(at) == Byte.hash else { throw .trailingBytes(line: line) }
    }
}

extension UInt8 {
    fileprivate var isPrometheusEscape: Bool {
        self == Byte.backslash || self == Byte.quote || self == UInt8(ascii: "n")
    }
}

extension RawSpan {
    /// The first LF from `start` on; `end` when there is none.
    fileprivate func feed(from start: Int, to end: Int) -> Int {
        var at = lineEnd(from: start, to: end)
        while at < end, byte(at) != Byte.lineFeed { at = lineEnd(from: at + 1, to: end) }
        return at
    }
    fileprivate func skipBlanks(from start: Int, to end: Int) -> Int {
        var at = start
        while at < end, byte(at).isBlank { at += 1 }
        return at
    }
    fileprivate func blank(from start: Int, to end: Int) -> Int {
        var at = start
        while at < end, !byte(at).isBlank { at += 1 }
        return at
    }
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    fileprivate func metricNameEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at < end {
            let byte = byte(at)
            guard
                byte.isLetter || byte == UInt8(ascii: "_") || byte == Byte.colon
                    || (byte.isDigit && at > start)
            else { break }
            at += 1
        }
        return at
    }
    /// `[a-zA-Z_][a-zA-Z0-9_]*`
    fileprivate func labelNameEnd(from start: Int, to end: Int) -> Int {
        var at = start
        while at < end {
            let byte = byte(at)
            guard byte.isLetter || byte == UInt8(ascii: "_") || (byte.isDigit && at > start) else {
                break
            }
            at += 1
        }
        return at
    }
}
