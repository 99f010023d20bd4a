// SPDX-License-Identifier: Apache-2.0

public import Units

/// A time zone as a table: since when it has been ahead of UTC by how much.
///
/// The rooms that decide have no time zones, only this: whoever reads the configuration asks the
/// machine's zone data once.
public struct ZoneOffsets: Sendable, Equatable {
    public struct Change: Sendable, Equatable {
        /// Seconds since 1970.
        public var at: Int64
        /// Seconds ahead of UTC from then on.
        public var offset: Int64

        public init(at: Int64, offset: Int64) {
            self.at = at
            self.offset = offset
        }
    }

    /// Before the first change.
    public let first: Int64
    /// In the order of their times.
    public let changes: [Change]

    /// Offsets are brought within 18 hours, more than any zone has had.
    public init(first: Int64, changes: [Change] = []) {
        self.first = Self.bounded(first)
        self.changes = changes.sorted { $0.at < $1.at }.map {
            Change(at: $0.at, offset: Self.bounded($0.offset))
        }
    }

    public static let utc = ZoneOffsets(first: 0)

    /// What matters from `time` on, with at most `most` changes: a table that is small enough to be
    /// sent along.
    public func narrowed(from time: WallTime, most: Int) -> ZoneOffsets {
        let now = time.nanoseconds / 1_000_000_000
        let past = changes.prefix { $0.at <= now }
        return ZoneOffsets(
            first: past.last?.offset ?? first,
            changes: Array(changes.dropFirst(past.count).prefix(most)))
    }

    private static func bounded(_ offset: Int64) -> Int64 { min(max(-64_800, offset), 64_800) }
}
