// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Units

/// Commands as Redis reads them (RESP 2): an array of bulk strings, written straight into the
/// connection's output, without a string or an array of its own.
struct RedisCommandWriter {
    private let prefix: String

    /// `prefix`: what all keys begin with.
    init(prefix: String) { self.prefix = prefix }

    /// A command of whole words.
    func write(_ words: [String], to output: inout ByteBuffer) {
        begin(words.count, &output)
        for word in words { bulk(word, &output) }
    }

    /// What one run of the script is called with.
    struct Call {
        let operation: StaticString
        let tenantName: String
        let reservation: ReservationID
        let limits: LimitSet
        var demand = Demand.nothing
        /// Service time in microseconds, or `used` or `nothing`.
        var last = "0"
    }

    /// What all runs have in common.
    struct Terms {
        var digest: String
        let lease: Duration
        /// Microseconds since 1970 in place of Redis's own clock; for tests.
        var time: Int64?
    }

    /// EVALSHA of `BudgetScript`.
    func write(_ call: Call, _ terms: Terms, to output: inout ByteBuffer) {
        begin(6 + 15, &output)
        bulk("EVALSHA", &output)
        bulk(terms.digest, &output)
        bulk("3", &output)
        key(call, "used", nil, &output)
        key(call, "open", nil, &output)
        key(call, "hold:", call.reservation, &output)
        bulk(call.operation, &output)
        if let time = terms.time { bulk(Double(time), &output) } else { bulk("", &output) }
        bulk(Double(terms.lease.nanoseconds / 1_000), &output)
        bulk(Double(Budgets.kept.nanoseconds / 1_000), &output)
        for index in 0..<LimitKind.count { bulk(call.limits.amounts[index], &output) }
        bulk(call.demand.input, &output)
        bulk(call.demand.output, &output)
        bulk(call.demand.cost, &output)
        bulk(call.last, &output)
    }

    /// EVALSHA of `SharingScript`.
    func write(_ run: SharingRun, _ terms: Terms, to output: inout ByteBuffer) {
        begin(5 + 8, &output)
        bulk("EVALSHA", &output)
        bulk(terms.digest, &output)
        bulk("2", &output)
        bulk("{\(prefix)sharing}:endpoint:\(run.endpoint)", &output)
        bulk("{\(prefix)sharing}:reports", &output)
        bulk(run.gateway, &output)
        if let time = terms.time { bulk(Double(time), &output) } else { bulk("", &output) }
        bulk(Double(run.lease.nanoseconds / 1_000), &output)
        bulk(run.account, &output)
        bulk(run.want, &output)
        bulk(run.slack.description, &output)
        bulk(run.easy.description, &output)
        bulk(run.report, &output)
    }

    /// EVALSHA of a ledger's script.
    func write(_ run: LedgerRun, _ terms: Terms, to output: inout ByteBuffer) {
        begin(3 + run.keys.count + run.arguments.count, &output)
        bulk("EVALSHA", &output)
        bulk(terms.digest, &output)
        bulk(String(run.keys.count), &output)
        for key in run.keys { bulk(key, &output) }
        for argument in run.arguments { bulk(argument, &output) }
    }

    private func begin(_ count: Int, _ output: inout ByteBuffer) {
        output.append("*")
        output.append(decimal: count)
        output.append("\r\n")
    }

    private func length(_ count: Int, _ output: inout ByteBuffer) {
        output.append("$")
        output.append(decimal: count)
        output.append("\r\n")
    }

    private func bulk(_ text: String, _ output: inout ByteBuffer) {
        length(text.utf8.count, &output)
        output.append(text)
        output.append("\r\n")
    }

    private func bulk(_ text: StaticString, _ output: inout ByteBuffer) {
        length(text.utf8CodeUnitCount, &output)
        output.append(text)
        output.append("\r\n")
    }

    /// The shortest digits that mean exactly this number.
    private func bulk(_ number: Double, _ output: inout ByteBuffer) {
        if let whole = Int(exactly: number) {
            bulk(whole.description, &output)
        } else {
            bulk(number.description, &output)
        }
    }

    /// `{prefix:tenant}:part`, and the name of a reservation: all of one tenant on one node of a
    /// cluster.
    private func key(
        _ call: Call, _ part: StaticString, _ reservation: ReservationID?,
        _ output: inout ByteBuffer
    ) {
        let fixed = prefix.utf8.count + call.tenantName.utf8.count + part.utf8CodeUnitCount + 4
        length(reservation == nil ? fixed : fixed + 32, &output)
        output.append("{")
        output.append(prefix)
        output.append(":")
        output.append(call.tenantName)
        output.append("}:")
        output.append(part)
        if let reservation {
            hexadecimal(reservation.nonce, &output)
            hexadecimal(reservation.number, &output)
        }
        output.append("\r\n")
    }

    private func hexadecimal(_ word: UInt64, _ output: inout ByteBuffer) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
            output.append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}
