// SPDX-License-Identifier: Apache-2.0

package import Units

/// One request of a trace.
package struct TraceRequest: Sendable, Equatable {
    /// Since the trace's start.
    package var arrival: Duration
    /// Prompt tokens, those of images included.
    package var prompt: Tokens
    package var output: Tokens
    /// Of `prompt`, the tokens of images.
    package var image = Tokens.zero
    /// An opaque number; 0 where the trace names no tenants.
    package var tenant = 0
    /// One hash per leading 512 tokens of the prompt; two prompts with the same leading ones share
    /// that text.
    package var prefixes: [UInt64] = []
    /// The share of the output spent on reasoning.
    package var reasoning = 0.0

    package init(arrival: Duration, prompt: Tokens, output: Tokens) {
        self.arrival = arrival
        self.prompt = prompt
        self.output = output
    }
}

/// Requests in the order of their arrival.
package struct Trace: Sendable, Equatable {
    /// Prompt tokens that one of a request's prefix hashes covers.
    package static let prefixUnit = Tokens(512)

    package var requests: [TraceRequest]

    /// `requests` sorted by arrival.
    package init(requests: [TraceRequest]) { self.requests = requests }

    /// From the first instant of the trace to the last arrival.
    package var span: Duration { requests.last?.arrival ?? .zero }

    /// Requests a second over the span; zero for a trace without one.
    package var meanRate: Double {
        span > .zero ? Double(requests.count) / span.seconds : 0
    }

    /// The same requests with all times multiplied by `factor`, which is above zero: below one is
    /// faster.
    package func stretched(by factor: Double) -> Trace {
        var stretched = self
        for place in stretched.requests.indices {
            let seconds = stretched.requests[place].arrival.seconds * factor
            stretched.requests[place].arrival = Duration(
                nanoseconds: Int64((min(seconds, 9e9) * 1e9).rounded()))
        }
        return stretched
    }

    /// The same requests with time stretched so that they arrive at `rate` a second in the mean.
    package func stretched(toRate rate: Double) -> Trace {
        meanRate > 0 && rate > 0 ? stretched(by: meanRate / rate) : self
    }

    /// The first `count` requests.
    package func first(_ count: Int) -> Trace { Trace(requests: Array(requests.prefix(count))) }
}

/// How much of a trace is taken; more is a fault.
package struct TraceLimits: Sendable {
    package var requests = 4_000_000
    package var lineBytes = 1 << 16
    package var tokens = Tokens(1 << 30)
    /// Prefix hashes of one request.
    package var prefixes = 1 << 16
    /// Prefix hashes of all requests.
    package var totalPrefixes = 1 << 26

    package init() {}
}

/// What is wrong with a trace, and where: lines count from 1, the header's.
package enum TraceFault: Error, Sendable, Equatable, CustomStringConvertible {
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

    package var description: String {
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
