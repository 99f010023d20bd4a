// SPDX-License-Identifier: Apache-2.0

import Units

extension Trace {
    /// Reads CSV with a header line: `t_ms`, `in`, `out`, and optionally `tenant`, `blocks512`
    /// (numbers, `a-b` for a run, between spaces), `image_tokens` (one number per image, added to
    /// `in`) and `reason_ratio`. Other columns are passed over. No quoting; lines end with LF or
    /// CRLF.
    public init(csv bytes: Span<UInt8>, limits: TraceLimits = TraceLimits()) throws(TraceFault) {
        var reader = TraceReader(limits: limits)
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
            let next = end + 1
            if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            try reader.read(bytes.extracting(start..<end))
            start = next
        }
        guard !reader.columns.isEmpty else { throw .empty }
        self.init(requests: reader.requests)
    }
}

/// Turns one line after the other into requests.
private struct TraceReader {
    enum Column: String, CaseIterable {
        case arrival = "t_ms"
        case input = "in"
        case output = "out"
        case tenant
        case prefixes = "blocks512"
        case images = "image_tokens"
        case reasoning = "reason_ratio"
    }

    let limits: TraceLimits
    /// Of each field; nil for one that is passed over.
    private(set) var columns: [Column?] = []
    private(set) var requests: [TraceRequest] = []
    private var line = 0
    private var totalPrefixes = 0

    init(limits: TraceLimits) { self.limits = limits }

    mutating func read(_ text: Span<UInt8>) throws(TraceFault) {
        line += 1
        guard text.count <= limits.lineBytes else {
            throw .lineTooLong(line: line, limitBytes: limits.lineBytes)
        }
        guard line > 1 else { return try readHeader(text) }
        guard text.count > 0 else { return }
        guard requests.count < limits.requests else {
            throw .tooManyRequests(limit: limits.requests)
        }
        let request = try readRequest(text)
        if let last = requests.last, request.arrival < last.arrival {
            throw .unordered(line: line)
        }
        requests.append(request)
    }

    private mutating func readHeader(_ text: Span<UInt8>) throws(TraceFault) {
        guard text.count > 0 else { throw .empty }
        var at = 0
        while let range = nextField(text, from: &at, separator: UInt8(ascii: ",")) {
            let field = text.extracting(range)
            let column = Column.allCases.first { matches(field, $0.rawValue) }
            if let column, columns.contains(column) { throw .repeatedColumn(column.rawValue) }
            columns.append(column)
        }
        for column in [Column.arrival, .input, .output] where !columns.contains(column) {
            throw .missingColumn(column.rawValue)
        }
    }

    private mutating func readRequest(_ text: Span<UInt8>) throws(TraceFault) -> TraceRequest {
        var request = TraceRequest(arrival: .zero, prompt: .zero, output: .zero)
        var at = 0
        var found = 0
        while let range = nextField(text, from: &at, separator: UInt8(ascii: ",")) {
            defer { found += 1 }
            guard found < columns.count, let column = columns[found] else { continue }
            guard try take(text.extracting(range), as: column, into: &request) else {
                throw .badValue(line: line, column: column.rawValue)
            }
        }
        guard found == columns.count else {
            throw .fieldCount(line: line, expected: columns.count, found: found)
        }
        request.prompt += request.image
        guard request.prompt <= limits.tokens else {
            throw .badValue(line: line, column: Column.images.rawValue)
        }
        return request
    }

    /// False for a value that the column cannot have.
    private mutating func take(
        _ field: Span<UInt8>, as column: Column, into request: inout TraceRequest
    ) throws(TraceFault) -> Bool {
        switch column {
        case .arrival:
            guard let nanoseconds = decimal(field, scaledBy: 6) else { return false }
            request.arrival = Duration(nanoseconds: Int64(nanoseconds))
        case .input:
            guard let tokens = tokens(field) else { return false }
            request.prompt = tokens
        case .output:
            guard let tokens = tokens(field) else { return false }
            request.output = tokens
        case .tenant:
            guard let tenant = whole(field) else { return false }
            request.tenant = tenant
        case .prefixes: return try takePrefixes(field, into: &request)
        case .images:
            var at = 0
            while let range = nextField(field, from: &at, separator: UInt8(ascii: " ")) {
                if range.isEmpty { continue }
                guard let tokens = tokens(field.extracting(range)) else { return false }
                request.image += tokens
            }
        case .reasoning:
            guard let millionths = decimal(field, scaledBy: 6), millionths <= 1_000_000 else {
                return false
            }
            request.reasoning = Double(millionths) / 1e6
        }
        return true
    }

    private mutating func takePrefixes(
        _ field: Span<UInt8>, into request: inout TraceRequest
    ) throws(TraceFault) -> Bool {
        var at = 0
        while let range = nextField(field, from: &at, separator: UInt8(ascii: " ")) {
            if range.isEmpty { continue }
            let run = field.extracting(range)
            var inside = 0
            guard let low = nextField(run, from: &inside, separator: UInt8(ascii: "-")),
                let first = whole(run.extracting(low))
            else { return false }
            var last = first
            if let high = nextField(run, from: &inside, separator: UInt8(ascii: "-")) {
                guard let value = whole(run.extracting(high)), value >= first,
                    nextField(run, from: &inside, separator: UInt8(ascii: "-")) == nil
                else { return false }
                last = value
            }
            let count = last - first + 1
            guard count <= limits.prefixes - request.prefixes.count else {
                throw .tooManyPrefixes(line: line, limit: limits.prefixes)
            }
            guard count <= limits.totalPrefixes - totalPrefixes else {
                throw .tooManyPrefixes(line: line, limit: limits.totalPrefixes)
            }
            totalPrefixes += count
            for hash in first...last { request.prefixes.append(UInt64(hash)) }
        }
        return true
    }

    private func tokens(_ field: Span<UInt8>) -> Tokens? {
        guard let count = whole(field), count <= limits.tokens.count else { return nil }
        return Tokens(count)
    }
}

/// The next field's place, or nil after the last; `at` moves behind its separator.
private func nextField(
    _ text: Span<UInt8>, from at: inout Int, separator: UInt8
) -> Range<Int>? {
    guard at <= text.count else { return nil }
    let start = at
    var end = start
    while end < text.count, text[end] != separator { end += 1 }
    at = end + 1
    return start..<end
}

private func matches(_ field: Span<UInt8>, _ name: String) -> Bool {
    let name = name.utf8
    guard name.count == field.count else { return false }
    var place = 0
    for byte in name {
        guard field[place] == byte else { return false }
        place += 1
    }
    return true
}

/// Decimal digits, at most 15, so that sums cannot overflow.
private func whole(_ field: Span<UInt8>) -> Int? { decimal(field, scaledBy: 0) }

/// Digits with an optional fraction, times ten to `places`; further fraction digits are cut off.
private func decimal(_ field: Span<UInt8>, scaledBy places: Int) -> Int? {
    var value = 0
    var digits = 0
    var fraction: Int?
    for place in field.indices {
        let byte = field[place]
        if byte == UInt8(ascii: "."), fraction == nil, places > 0, digits > 0 {
            fraction = 0
            continue
        }
        guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
        if let seen = fraction, seen >= places { continue }
        guard digits < 15 else { return nil }
        value = value * 10 + Int(byte - UInt8(ascii: "0"))
        digits += 1
        fraction = fraction.map { $0 + 1 }
    }
    guard digits > 0 else { return nil }
    for _ in (fraction ?? 0)..<places {
        let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
        if overflow { return nil }
        value = scaled
    }
    return value
}
