// SPDX-License-Identifier: Apache-2.0

import Units
import Wire

/// Who follows `/admin/events`, and what they have been told.
struct EventFeed: ~Copyable {
    struct Listener {
        let server: SlabKey
        /// It knows no state, or has missed a change: the next one it gets is whole.
        var needsState = true
        /// The same for the recent refusals.
        var needsThrottles = true
        /// Since when it has not taken what it was sent.
        var stuckSince: Instant?

        init(_ server: SlabKey) { self.server = server }
    }

    /// Operators with a page open; each more gets 503.
    static let mostListeners = 16
    /// Between two states.
    static let interval = Duration.seconds(1)
    /// Between two messages of refusals, however many there are.
    static let throttleInterval = Duration.milliseconds(250)
    /// Of refusals in one message; what is left out is counted.
    static let mostThrottles = 100

    var listeners: [Listener] = []
    var stateAt = Instant(nanoseconds: 0)
    var throttlesAt = Instant(nanoseconds: 0)
    /// How many refusals there had been when they were told last.
    var throttleMark: UInt64 = 0
    /// The store is asked how budgets stand.
    var question: RequestID?
    /// Of the policy that the rows were last told under.
    var generation = 0
    var tenants = FeedRows()
    var endpoints = FeedRows()
    var queues = FeedRows()

    init() {}

    /// Nothing is known any more to those who listen.
    mutating func startAnew() {
        tenants.forget()
        endpoints.forget()
        queues.forget()
        for place in listeners.indices { listeners[place].needsState = true }
    }
}

/// The rows of one table as JSON: all of them, and those that changed since they were told last.
struct FeedRows: ~Copyable {
    /// By place, of what was told.
    private var marks: [Int?] = []
    private var row = ByteBuffer()
    private(set) var all = ByteBuffer()
    private(set) var changed = ByteBuffer()

    init() {}

    mutating func begin() {
        all.removeAll()
        changed.removeAll()
    }

    /// `place`: the same for the same thing, small.
    mutating func add(_ place: Int, _ write: (inout JSONWriter) -> Void) {
        row.removeAll()
        JSONWriter.write(into: &row, write)
        var hasher = Hasher()
        unsafe hasher.combine(bytes: row.readable)
        let mark = hasher.finalize()
        while marks.count <= place { marks.append(nil) }
        if !all.isEmpty { all.append(byte: UInt8(ascii: ",")) }
        unsafe all.append(row.readable)
        guard marks[place] != mark else { return }
        marks[place] = mark
        if !changed.isEmpty { changed.append(byte: UInt8(ascii: ",")) }
        unsafe changed.append(row.readable)
    }

    mutating func forget() { marks.removeAll(keepingCapacity: true) }
}
