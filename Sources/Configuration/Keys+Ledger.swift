// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

extension Keys {
    private static let usual = LedgerPolicy()
    private static let usualFile = LedgerFilePolicy(path: "")
    private static let usualStream = LedgerStreamPolicy()

    /// Where settlements are written down.
    static let ledger: [Key] = [
        Key(
            "ledger", .section, .absent, .fixed,
            "Every settlement of an admitted request is written down, to a file, to a stream in "
                + "Redis, or to both; see [the ledger](ledger.md)."),
        Key(
            "ledger.queue", .scalar(.integer(1...4_194_304, unit: "entries")),
            .value(.integer(usual.queue)), .fixed,
            "Entries that may wait to be written, for each of the two; at the bound, and where the "
                + "oldest has waited for `window`, `on_full` says what happens. About 400 bytes "
                + "each."),
        Key(
            "ledger.window", .scalar(.duration(.milliseconds(10) ... .seconds(3_600))),
            .value(.duration(usual.window)), .fixed,
            "How long the oldest entry may wait to be written before the ledger counts as behind; "
                + "what a killed gateway loses is younger."),
        Key(
            "ledger.on_full",
            .scalar(.choice(LedgerFullMode.allCases.map(\.rawValue), later: [])),
            .value(.text(usual.onFull.rawValue)), .fixed,
            "While the ledger is behind: `refuse` answers new requests with 503 "
                + "`ledger_unavailable` and loses nothing, `drop` lets them in and loses, counted, "
                + "what exceeds the queue."),
        Key("ledger.file", .section, .absent, .fixed, "A file of this gateway alone."),
        Key(
            "ledger.file.path", .scalar(.path), .required, .fixed,
            "The file; full ones stand beside it with the time of their end behind the name."),
        Key(
            "ledger.file.fsync", .scalar(.choice(["always", "interval", "never"], later: [])),
            .value(.text("interval")), .fixed,
            "When the disk itself is waited for, and so what a loss of power may take: nothing "
                + "that was written, `fsync_interval`, or what the system holds back."),
        Key(
            "ledger.file.fsync_interval",
            .scalar(.duration(.milliseconds(10) ... .seconds(3_600))),
            .value(.duration(.seconds(1))), .fixed,
            "For `fsync: interval`."),
        Key("ledger.file.rotate", .section, .filled, .fixed, "When a new file begins."),
        Key(
            "ledger.file.rotate.size", .scalar(.size(.kibi(4)...Bytes(1 << 40))),
            .value(.size(usualFile.rotateSize)), .fixed,
            "At this size."),
        Key(
            "ledger.file.rotate.age", .scalar(.duration(.seconds(1) ... .seconds(31_622_400))),
            .value(.duration(usualFile.rotateAge)), .fixed,
            "At this age, unless it is empty."),
        Key(
            "ledger.file.rotate.keep", .scalar(.integer(1...100_000, unit: "files")), .absent,
            .fixed,
            "Full files that are kept, the newest; without it none is ever removed."),
        Key(
            "ledger.redis_stream", .section, .absent, .fixed,
            "A stream in the Redis of `store.redis`; several gateways may share it."),
        Key(
            "ledger.redis_stream.key", .scalar(.text(128)),
            .value(.text(usualStream.key)), .fixed,
            "The stream's key; `key_prefix` does not stand before it."),
        Key(
            "ledger.redis_stream.maxlen",
            .scalar(.integer(1...1_000_000_000, unit: "entries")),
            .value(.integer(usualStream.maxLength)), .fixed,
            "About so many entries are kept, the newest; those that fall out are counted."),
    ]
}
