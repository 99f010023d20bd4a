// SPDX-License-Identifier: Apache-2.0

import Units

extension Trace {
    /// The lines of a CSV file with the columns `t_ms`, `in` and `out`, header first. Times are
    /// rounded down to microseconds.
    public var csvLines: [String] {
        ["t_ms,in,out"]
            + requests.map { request in
                let microseconds = Int(request.arrival.nanoseconds / 1_000)
                let rest = "\(microseconds % 1_000)"
                let zeros = String(repeating: "0", count: 3 - rest.count)
                return "\(microseconds / 1_000).\(zeros)\(rest),"
                    + "\(request.prompt.count),\(request.output.count)"
            }
    }
}
