// SPDX-License-Identifier: Apache-2.0

public import Units

/// Where settlements are written down, and how.
public struct LedgerPolicy: Sendable, Equatable {
    public var file: LedgerFilePolicy?
    public var stream: LedgerStreamPolicy?
    /// Entries that may wait to be written, for each of the two.
    public var queue: Int
    /// How long the oldest of them may have waited.
    public var window: Duration
    public var onFull: LedgerFullMode

    public init(
        file: LedgerFilePolicy? = nil, stream: LedgerStreamPolicy? = nil, queue: Int = 65_536,
        window: Duration = .seconds(1), onFull: LedgerFullMode = .refuse
    ) {
        self.file = file
        self.stream = stream
        self.queue = queue
        self.window = window
        self.onFull = onFull
    }
}

/// A file of entries on this machine.
public struct LedgerFilePolicy: Sendable, Equatable {
    public var path: String
    public var sync: LedgerSync
    /// A full file gets another name, and a new one begins.
    public var rotateSize: Bytes
    public var rotateAge: Duration
    /// Files with other names that are kept; nil keeps all.
    public var keep: Int?

    public init(
        path: String, sync: LedgerSync = .interval(.seconds(1)), rotateSize: Bytes = .mebi(256),
        rotateAge: Duration = .seconds(86_400), keep: Int? = nil
    ) {
        self.path = path
        self.sync = sync
        self.rotateSize = rotateSize
        self.rotateAge = rotateAge
        self.keep = keep
    }
}

/// When the disk itself is waited for.
public enum LedgerSync: Sendable, Equatable {
    /// Behind every write.
    case always
    case interval(Duration)
    /// When the system likes.
    case never
}

/// A stream of entries in the Redis that has the budgets.
public struct LedgerStreamPolicy: Sendable, Equatable {
    public var key: String
    /// Entries that it holds; the oldest give way.
    public var maxLength: Int

    public init(key: String = "penstock:ledger", maxLength: Int = 1_000_000) {
        self.key = key
        self.maxLength = maxLength
    }
}

/// What happens while entries cannot be written.
public enum LedgerFullMode: String, Sendable, CaseIterable {
    /// New requests are refused with 503; those that are open are still written down.
    case refuse
    /// Requests go on, and what finds no room is lost and counted.
    case drop
}
