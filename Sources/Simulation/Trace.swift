// SPDX-License-Identifier: Apache-2.0

public import Units

/// One request of a trace.
public struct TraceRequest: Sendable, Equatable {
    /// Since the trace's start.
    public var arrival: Duration
    /// Prompt tokens, those of images included.
    public var prompt: Tokens
    public var output: Tokens
    /// Of `prompt`, the tokens of images.
    public var image = Tokens.zero
    /// An opaque number; 0 where the trace names no tenants.
    public var tenant = 0
    /// One hash per leading 512 tokens of the prompt; two prompts with the same leading ones share
    /// that text.
    public var prefixes: [UInt64] = []
    /// The share of the output spent on reasoning.
    public var reasoning = 0.0

    public init(arrival: Duration, prompt: Tokens, output: Tokens) {
        self.arrival = arrival
        self.prompt = prompt
        self.output = output
    }
}

/// Requests in the order of their arrival.
public struct Trace: Sendable, Equatable {
    /// Prompt tokens that one of a request's prefix hashes covers.
    public static let prefixUnit = Tokens(512)

    public var requests: [TraceRequest]

    /// `requests` sorted by arrival.
    public init(requests: [TraceRequest]) { self.requests = requests }

    /// From the first instant of the trace to the last arrival.
    public var span: Duration { requests.last?.arrival ?? .zero }

    /// Requests a second over the span; zero for a trace without one.
    public var meanRate: Double {
        span > .zero ? Double(requests.count) / span.seconds : 0
    }

    /// The same requests with all times multiplied by `factor`, which is above zero: below one is
    /// faster.
    public func stretched(by factor: Double) -> Trace {
        var stretched = self
        for place in stretched.requests.indices {
            let seconds = stretched.requests[place].arrival.seconds * factor
            stretched.requests[place].arrival = Duration(
                nanoseconds: Int64((min(seconds, 9e9) * 1e9).rounded()))
        }
        return stretched
    }

    /// The same requests with time stretched so that they arrive at `rate` a second in the mean.
    public func stretched(toRate rate: Double) -> Trace {
        meanRate > 0 && rate > 0 ? stretched(by: meanRate / rate) : self
    }

    /// What arrives from `start` on and before `end`, with times counted from `start`.
    public func window(from start: Duration, to end: Duration) -> Trace {
        var window = self
        window.requests.removeAll { $0.arrival < start || $0.arrival >= end }
        for place in window.requests.indices {
            window.requests[place].arrival = window.requests[place].arrival - start
        }
        return window
    }

    /// The first `count` requests.
    public func first(_ count: Int) -> Trace { Trace(requests: Array(requests.prefix(count))) }
}

/// How much of a trace is taken; more is a fault.
public struct TraceLimits: Sendable {
    public var requests = 4_000_000
    public var lineBytes = 1 << 16
    public var tokens = Tokens(1 << 30)
    /// Prefix hashes of one request.
    public var prefixes = 1 << 16
    /// Prefix hashes of all requests.
    public var totalPrefixes = 1 << 26

    public init() {}
}

/// What is wrong with a trace, and where: lines count from 1, the header's.
public enum TraceFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// It has no header line.
    case empty
    case missingColumn(String)
    case repeatedColumn(String)
    case fieldCount(line: Int, expected: Int, found: Int)
    /// Not a number, or not one of the kind that the column has, or too large.
    case badValue(line: Int, column: String)
    /// It arrives before the request above it.
    case unordered(line: Int)
    case lineTooLong(line: Int, limitBytes: Int)
    case tooManyRequests(limit: Int)
    case tooManyPrefixes(line: Int, limit: Int)

    public var description: String {
        switch self {
        case .empty: "no header line"
        case .missingColumn(let name): "line 1: no column \(name)"
        case .repeatedColumn(let name): "line 1: column \(name) twice"
        case .fieldCount(let line, let expected, let found):
            "line \(line): \(found) fields where the header has \(expected)"
        case .badValue(let line, let column): "line \(line): bad value of \(column)"
        case .unordered(let line): "line \(line): arrives before the line above"
        case .lineTooLong(let line, let limit): "line \(line): longer than \(limit) bytes"
        case .tooManyRequests(let limit): "more than \(limit) requests"
        case .tooManyPrefixes(let line, let limit): "line \(line): more than \(limit) prefix hashes"
        }
    }
}
