// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

@Suite struct LedgerTests {
    @Test func withoutTheSectionThereIsNone() throws {
        #expect(try Document().load().fixed.ledger == nil)
    }

    @Test func aFileHasItsDefaults() throws {
        let loaded = try Document().with(.top, "ledger: {file: {path: usage.ndjson}}").load()
        let ledger = try #require(loaded.fixed.ledger)
        let file = try #require(ledger.file)
        #expect(file.path.hasSuffix("usage.ndjson"))
        #expect(file == LedgerFilePolicy(path: file.path))
        #expect(ledger == LedgerPolicy(file: file))
    }

    @Test(arguments: [
        ("always", LedgerSync.always), ("never", .never), ("interval", .interval(.seconds(9))),
    ])
    func theDiskIsWaitedForAsItSays(word: String, sync: LedgerSync) throws {
        let text = "ledger: {file: {path: /a, fsync: \(word), fsync_interval: 9s}}"
        #expect(try Document().with(.top, text).load().fixed.ledger?.file?.sync == sync)
    }

    @Test(arguments: [
        ("ledger: {window: 1s}", "ledger: needs file, redis_stream, or both"),
        (
            "ledger: {redis_stream: {key: a}}",
            "ledger.redis_stream: needs a store of kind: redis"
        ),
    ])
    func whatCannotBeIsAMistake(text: String, message: String) throws {
        let found = Document().with(.top, text).mistakes()
        #expect(found.contains { $0.contains(message) }, "\(found)")
    }
}
