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
        let account: BudgetAccount
        let reservation: ReservationID
        var amounts = Amounts.none
        /// Service time in microseconds, or `used` or `nothing`, or what `BudgetScript.grants`
        /// says.
        var last = "0"
        /// In place of the one that all have.
        var lease: Duration?
        /// All of it, of a run about overrides.
        var overrides: OverrideRun?
        /// To the server that a slot is on its way to, which runs nothing with several keys of
        /// which one is new: it is told of one key, and finds the others by their accounts.
        var isAsking = false
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
        if let run = call.overrides { return write(run, terms, to: &output) }
        let limits = call.account.limits
        let names = limits.accounts.count
        let keys = call.isAsking ? 1 : 1 + 2 * names
        let count = 3 + keys + 8 + call.account.argumentCount + (call.isAsking ? names : 0)
        begin(count, &output)
        bulk("EVALSHA", &output)
        bulk(terms.digest, &output)
        bulk(Double(keys), &output)
        hold(call, &output)
        if !call.isAsking {
            for account in limits.accounts { key(limits.root, "used:", account.path, &output) }
            for account in limits.accounts { key(limits.root, "open:", account.path, &output) }
        }
        bulk(call.operation, &output)
        if let time = terms.time { bulk(Double(time), &output) } else { bulk("", &output) }
        bulk(Double((call.lease ?? terms.lease).nanoseconds / 1_000), &output)
        bulk(Double(Budgets.kept.nanoseconds / 1_000), &output)
        bulk(call.amounts.input, &output)
        bulk(call.amounts.output, &output)
        bulk(call.amounts.costMicros, &output)
        bulk(call.last, &output)
        unsafe call.account.arguments.withUnsafeBytes { unsafe output.append($0) }
        if call.isAsking { for account in limits.accounts { bulk(account.path, &output) } }
    }

    private func write(_ run: OverrideRun, _ terms: Terms, to output: inout ByteBuffer) {
        begin(3 + 1 + 6, &output)
        bulk("EVALSHA", &output)
        bulk(terms.digest, &output)
        bulk("1", &output)
        bulk("{\(prefix):}overrides", &output)
        bulk("overrides", &output)
        if let time = terms.time { bulk(Double(time), &output) } else { bulk("", &output) }
        bulk(Double(OverrideText.limitBytes), &output)
        bulk(run.change?.tenant ?? "", &output)
        bulk(run.change?.limits?.words ?? "", &output)
        bulk(Double((run.change?.expiresIn?.nanoseconds ?? 0) / 1_000), &output)
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

    private func bulk(_ number: Double, _ output: inout ByteBuffer) {
        guard let whole = Int(exactly: number), whole >= 0 else {
            return bulk(Self.number(number), &output)
        }
        var digits = 1
        var bound = 10
        while digits < 18, whole >= bound {
            digits += 1
            bound *= 10
        }
        guard whole < bound else { return bulk(whole.description, &output) }
        length(digits, &output)
        output.append(decimal: whole)
        output.append("\r\n")
    }

    /// The shortest digits that mean exactly this number.
    static func number(_ number: Double) -> String {
        Int(exactly: number)?.description ?? number.description
    }

    /// `{prefix:root}:part` and a name: all that one request is charged to is on one node of a
    /// cluster.
    private func key(
        _ root: String, _ part: StaticString, _ name: String, _ output: inout ByteBuffer
    ) {
        beginKey(root, part, nameCount: name.utf8.count, &output)
        output.append(name)
        output.append("\r\n")
    }

    private func hold(_ call: Call, _ output: inout ByteBuffer) {
        beginKey(call.account.limits.root, "hold:", nameCount: 32, &output)
        hexadecimal(call.reservation.nonce, &output)
        hexadecimal(call.reservation.number, &output)
        output.append("\r\n")
    }

    private func beginKey(
        _ root: String, _ part: StaticString, nameCount: Int, _ output: inout ByteBuffer
    ) {
        length(
            prefix.utf8.count + root.utf8.count + part.utf8CodeUnitCount + nameCount + 4, &output)
        output.append("{")
        output.append(prefix)
        output.append(":")
        output.append(root)
        output.append("}:")
        output.append(part)
    }

    private func hexadecimal(_ word: UInt64, _ output: inout ByteBuffer) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
            output.append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}
