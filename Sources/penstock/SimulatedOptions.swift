// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Replay
import Simulation
import Units

/// A length of time on the command line: 50ms, 1.5s, 5m, 1h.
struct SimulatedSpan: ExpressibleByArgument {
    let span: Duration

    init?(argument: String) {
        let units = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)]
        guard let unit = units.first(where: { argument.hasSuffix($0.0) }),
            let count = Double(argument.dropLast(unit.0.count)), count > 0, count * unit.1 < 1e7
        else { return nil }
        span = .seconds(count * unit.1)
    }
}

/// `ttft=2s,tpot=50ms`, in any order, each of them optional.
struct SimulatedTargets: ExpressibleByArgument {
    var targets = LatencyTargets(firstToken: .seconds(2), perToken: .milliseconds(50))

    init() {}

    init?(argument: String) {
        for part in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let pair = part.split(separator: "=", omittingEmptySubsequences: false)
            guard pair.count == 2, let value = SimulatedSpan(argument: String(pair[1])) else {
                return nil
            }
            switch pair[0] {
            case "ttft": targets.firstToken = value.span
            case "tpot": targets.perToken = value.span
            default: return nil
            }
        }
    }
}

/// `acme=2`.
struct SimulatedScale: ExpressibleByArgument {
    let tenant: String
    let factor: Double

    init?(argument: String) {
        guard let equals = argument.lastIndex(of: "="), equals > argument.startIndex,
            let factor = Double(argument[argument.index(after: equals)...]),
            factor >= 0, factor <= 1_000
        else { return nil }
        tenant = String(argument[..<equals])
        self.factor = factor
    }
}

/// `2@30s`.
struct SimulatedLoss: ExpressibleByArgument {
    let count: Int
    let after: Duration

    init?(argument: String) {
        let parts = argument.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, let count = Int(parts[0]), count > 0,
            let after = SimulatedSpan(argument: String(parts[1]))
        else { return nil }
        self.count = count
        self.after = after.span
    }
}

/// A moment: "@60s".
struct SimulatedMoment: ExpressibleByArgument {
    let after: Duration

    init?(argument: String) {
        guard argument.hasPrefix("@"),
            let after = SimulatedSpan(argument: String(argument.dropFirst()))
        else { return nil }
        self.after = after.span
    }
}

enum SimulatedTrace {
    /// Tables stand beside the tenants' numbers.
    static let mostTenants = 100_000

    /// The first `limit` requests of a trace's file.
    static func read(_ path: String, limit: Int?) throws -> Trace {
        let whole: Trace
        do throws(TraceFileFault) {
            whole = try TraceFile.read(path)
        } catch {
            throw Failure.input(["\(path): \(error)"])
        }
        let taken = limit.map { whole.first($0) } ?? whole
        let highest = taken.requests.map(\.tenant).max() ?? 0
        guard highest < mostTenants else {
            throw Failure.input([
                "\(path): tenant \(highest): numbers below \(mostTenants) are expected"
            ])
        }
        return taken
    }
}
