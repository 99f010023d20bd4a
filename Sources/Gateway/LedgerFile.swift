// SPDX-License-Identifier: Apache-2.0

import EventLoop
import Ledger
import Policy
import Units

/// The ledger's file and those that were full before it: appended to, renamed, never overwritten.
/// Every call may block.
struct LedgerFile: ~Copyable {
    private let policy: LedgerFilePolicy
    /// Held to the end: two gateways in one file would rename it under each other.
    private let lock: LockFile
    private var file: AppendFile
    private var beganAt: Instant
    /// Something went wrong: its end is looked at before more is written.
    private var isSuspect = false
    /// Written, and the disk was not waited for.
    private(set) var isDirty = false
    /// Full files that got another name.
    private(set) var rotations = 0

    init(_ policy: LedgerFilePolicy, now: Instant, wall: WallTime) throws(SystemFault) {
        let taken = try LockFile(policy.path + ".lock")
        let began = Self.began(policy.path, now: now, wall: wall)
        let opened = try Self.open(policy.path)
        lock = taken
        file = opened
        beganAt = began
        self.policy = policy
    }

    /// Since when the file's entries are there, as far as its time tells.
    private static func began(_ path: String, now: Instant, wall: WallTime) -> Instant {
        guard let modified = Files.modified(path) else { return now }
        let age = max(0, wall.nanoseconds - Int64(modified) * 1_000_000_000)
        return now - Duration(nanoseconds: age)
    }

    /// What another process tore keeps its line to itself.
    private static func open(_ path: String) throws(SystemFault) -> AppendFile {
        var file = try AppendFile(path)
        if try file.endsALine() == false { try append([UInt8(ascii: "\n")], to: &file) }
        return file
    }

    private static func append(
        _ bytes: [UInt8], to file: inout AppendFile
    ) throws(SystemFault) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { unsafe buffer.deallocate() }
        unsafe buffer.copyBytes(from: bytes)
        try unsafe file.append(UnsafeRawBufferPointer(buffer))
    }

    /// When the file will be too old; nil while it is empty.
    var dueAt: Instant? { file.count > 0 ? beganAt + policy.rotateAge : nil }

    /// Writes whole lines: all of them, or none that counts.
    mutating func write(
        _ lines: UnsafeRawBufferPointer, now: Instant, wall: WallTime
    ) throws(SystemFault) {
        do throws(SystemFault) {
            if isSuspect {
                file = try Self.open(policy.path)
                isSuspect = false
            }
            let isFull = file.count + lines.count > policy.rotateSize.count
            if file.count > 0, isFull || beganAt + policy.rotateAge <= now {
                try rotate(now: now, wall: wall)
            }
            try unsafe file.append(lines)
            if policy.sync == .always {
                try file.sync()
            } else {
                isDirty = true
            }
        } catch {
            isSuspect = true
            throw error
        }
    }

    /// Waits for the disk.
    mutating func sync() throws(SystemFault) {
        // Once it was told of, the system forgets a fault: what was written before is not tried
        // again.
        isDirty = false
        try file.sync()
    }

    mutating func rotate(now: Instant, wall: WallTime) throws(SystemFault) {
        try sync()
        let name = "\(policy.path).\(LedgerTime.fileText(wall))"
        var other = name
        var number = 1
        while try Files.renameToNew(policy.path, other) == false {
            number += 1
            other = "\(name).\(number)"
        }
        rotations += 1
        file = try Self.open(policy.path)
        beganAt = now
        try Files.syncFolder(of: policy.path)
        try removeOldest()
    }

    private func removeOldest() throws(SystemFault) {
        guard let keep = policy.keep else { return }
        let full = try LedgerFiles.full(policy.path)
        for path in full.dropLast(keep) { try Files.remove(path) }
    }
}
