// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Policy
import Units
import Wire

/// One attempt to change something while the gateway runs.
struct AuditEntry {
    /// How they showed who they are.
    enum By: String {
        /// The admin token.
        case token
        /// Nothing: none is needed there.
        case open
        /// Nothing, or a wrong token, where one is needed.
        case unknown
        /// A signal to the process, from this machine.
        case signal
    }

    var by: By
    /// Where they are; nil for Unix sockets and signals.
    var address: String?
    var action: String
    var target: String
    /// The state that it is about, as JSON, before and after; nil where it was not looked at.
    var before: String?
    var after: String?
    /// Of the answer; nil where none could be given.
    var status: Int?

    /// What came of it.
    var outcome: String {
        guard let status else {
            return by == .signal ? (after == before ? "refused" : "done") : "unknown"
        }
        switch status {
        case 200..<300: return "done"
        case 401: return "denied"
        case 500...: return "failed"
        default: return "refused"
        }
    }

    /// A line of JSON without its end. Longer texts than anybody needs are cut.
    func line(_ time: WallTime) -> String {
        var members = [
            "\"time\": \(Self.quoted(RFC3339.text(time)))", "\"by\": \"\(by.rawValue)\"",
            "\"address\": \(address.map(Self.quoted) ?? "null")",
            "\"action\": \(Self.quoted(action))", "\"target\": \(Self.quoted(target))",
            "\"outcome\": \"\(outcome)\"",
        ]
        if let status { members.append("\"status\": \(status)") }
        if let before { members.append("\"before\": \(before)") }
        if let after { members.append("\"after\": \(after)") }
        return "{\(members.joined(separator: ", "))}"
    }

    private static let longest = 256

    private static func quoted(_ text: String) -> String {
        var buffer = ByteBuffer()
        let cut = text.utf8.count > longest ? String(text.prefix(longest)) + "…" : text
        JSONWriter.write(into: &buffer) { $0.string(cut) }
        return unsafe String(decoding: buffer.readable, as: UTF8.self)
    }
}

/// What operators changed or tried to, one line of JSON each: in a file of its own, or else in the
/// log. Only for the control thread, which may wait for a disk.
final class AuditLog {
    /// Denied attempts in one second beyond this are only counted: who has no token is not to fill
    /// a disk.
    private static let mostDenied = 8

    private let policy: AuditPolicy?
    private let log: LogSink
    /// Held to the end: two gateways would rename one file under each other.
    private let lock: LockFile?
    private var file: AppendFile?
    private var deniedSecond: Int64 = 0
    private var denied = 0
    /// Lines that could not be written where they should, and stand in the log.
    private(set) var failures = 0
    private(set) var lines = 0

    init(_ policy: AuditPolicy?, log: LogSink) throws(GatewayFault) {
        self.policy = policy
        self.log = log
        guard let policy else {
            lock = nil
            file = nil
            return
        }
        do throws(SystemFault) {
            lock = try LockFile(policy.path + ".lock")
            file = try AppendFile(policy.path)
            // What the end of another process tore keeps its line to itself.
            let isWhole = try file?.endsALine() ?? true
            if !isWhole { try append("\n") }
        } catch { throw .audit(policy.path, error) }
    }

    func write(_ entry: AuditEntry, at time: WallTime) {
        if entry.outcome == "denied", isTooMuch(time) { return }
        let line = entry.line(time)
        lines += 1
        guard let policy else { return log.write("audit: \(line)") }
        do throws(SystemFault) {
            if (file?.count ?? Int.max) >= policy.maxFile.count { try renew(policy) }
            try append(line + "\n")
            try file?.sync()
        } catch {
            failures += 1
            file = nil
            log.write("audit \(policy.path): \(error); it was: \(line)")
        }
    }

    private func isTooMuch(_ time: WallTime) -> Bool {
        let second = time.nanoseconds / 1_000_000_000
        if second != deniedSecond {
            if denied > Self.mostDenied {
                log.write("audit: \(denied - Self.mostDenied) more attempts were denied")
            }
            (deniedSecond, denied) = (second, 0)
        }
        denied += 1
        return denied > Self.mostDenied
    }

    /// Opens the file; a full one takes the place of the one that was full before it.
    private func renew(_ policy: AuditPolicy) throws(SystemFault) {
        if (file?.count ?? 0) >= policy.maxFile.count {
            try Files.remove(policy.path + ".1")
            _ = try Files.renameToNew(policy.path, policy.path + ".1")
        }
        file = try AppendFile(policy.path)
    }

    private func append(_ text: String) throws(SystemFault) {
        var buffer = ByteBuffer()
        buffer.append(text)
        try unsafe file?.append(buffer.readable)
    }
}

@available(*, unavailable)
extension AuditLog: Sendable {}
