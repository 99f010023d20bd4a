// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Units

/// The clock to measure and to wait by.
public enum MonotonicClock {
    /// About 20 ns: a loop reads it once a turn.
    public static func now() -> Instant {
        Instant(nanoseconds: UInt64(nanoseconds(of: CLOCK_MONOTONIC)))
    }
}

/// The clock of people, stores and calendars: it may jump.
public enum WallClock {
    public static func now() -> WallTime {
        WallTime(nanoseconds: nanoseconds(of: CLOCK_REALTIME))
    }
}

private func nanoseconds(of clock: clockid_t) -> Int64 {
    var time = timespec()
    System.expect(System.once { unsafe clock_gettime(clock, &time) })
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
