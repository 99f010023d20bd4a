// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// What the system grants the process.
public enum Limits {
    /// Lifts the soft limit of open files to the hard one, where that is allowed; both as they are
    /// then.
    public static func raiseOpenFiles() -> (soft: Int, hard: Int) {
        var soft: UInt64 = 0
        var hard: UInt64 = 0
        System.expect(System.once { unsafe penstock_raise_open_files(&soft, &hard) })
        return (Int(clamping: soft), Int(clamping: hard))
    }

    /// Processors that the process can keep busy, at least 1: those it may run on, or what its
    /// control group grants it in time, rounded up, if that is less. Reads files.
    public static var processors: Int {
        let allowed = max(1, Int(penstock_processors()))
        guard let groups = text(of: "/proc/self/cgroup"),
            let group = controlGroup(in: groups),
            let quota = text(of: "/sys/fs/cgroup\(group)/cpu.max").flatMap(processors(inQuota:))
        else { return allowed }
        return min(allowed, quota)
    }

    /// Has memory that is freed go back to the system, so that a burst of large bodies leaves
    /// nothing behind: without it the C library learns from the first one to keep up to 64 MiB.
    public static func returnMemory() {
        System.expect(Int(penstock_return_memory(1 << 20, 1 << 20)))
    }

    /// The path in `/proc/self/cgroup` of the unified hierarchy, without a slash at its end; nil
    /// without one (cgroups(7)).
    public static func controlGroup(in groups: String) -> Substring? {
        for line in groups.split(separator: "\n") where line.hasPrefix("0::/") {
            let path = line.dropFirst(3)
            return path.hasSuffix("/") ? path.dropLast() : path
        }
        return nil
    }

    /// Of a `cpu.max`: microseconds granted in each period, and the period. Nil for `max`.
    public static func processors(inQuota quota: String) -> Int? {
        let numbers = quota.split { $0 == " " || $0 == "\n" }.map { Int($0) }
        guard numbers.count == 2, let granted = numbers[0], let period = numbers[1],
            granted > 0, period > 0
        else { return nil }
        return (granted - 1) / period + 1
    }

    private static func text(of path: String) -> String? {
        guard let bytes = try? Files.readFile(path, limit: 65_536) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Randomness of the operating system, for seeding a generator only.
public func randomSeed() -> UInt64 {
    var seed: UInt64 = 0
    System.expect(System.retrying { unsafe penstock_random(&seed) })
    return seed
}
