// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import Testing
import Units

/// A server, or something in its place, that says what Redis would not: the connection is dropped,
/// the request gets its one answer in time, nothing traps and nothing grows.
@Suite("Redis store, hostile servers")
struct HostileRedisTests {
    private let acme = tenant([.tokensPerDay: 10_000])

    /// One reservation against a server that says `reply`; the fault that it was.
    private func fault(
        _ reply: FakeRedis.Reply, greeting: Bool = true,
        location: SourceLocation = #_sourceLocation
    ) throws -> StoreFault? {
        let server = try FakeRedis(reply, greeting: greeting)
        let shared = RedisShared(
            policy: policy(server.path, onFailure: .open, timeout: .milliseconds(80)))
        let loop = try StoreLoop(shared)
        if greeting { try loop.runUntilUp(location: location) }
        let request = loop.request(acme, demand(1))
        #expect(try loop.reserve(request)?.holder == .nobody, sourceLocation: location)
        try loop.run(
            "the store is away", until: { loop.store.state.fault != nil }, location: location)
        #expect(loop.takeAnswer(request) == nil, "one answer", sourceLocation: location)
        return loop.store.state.fault
    }

    @Test(
        "what is no reply drops the connection at once",
        arguments: [
            "*2147483647\r\n", "*1\r\n*1\r\n*1\r\n", "*0\r\n", "$-7\r\n", ":1e5\r\n",
            "HTTP/1.1 400 Bad Request\r\n\r\n", "$4\r\ndone\r\n", "$7\r\nunknown\r\n", "+OK\r\n",
            ":1\r\n", "$-1\r\n", "$0\r\n\r\n", "$3\r\n\u{0}\u{1}\u{2}\r\n",
            "$43\r\nreserved 0 0 nan nan nan nan nan nan nan na\r\n",
        ])
    func malformed(text: String) throws {
        #expect(try fault(.bytes(text)) == .malformedReply)
    }

    @Test("a reply that nobody asked for drops the connection")
    func unasked() throws {
        let refused = "-ERR for this one only\r\n"
        #expect(try fault(.bytes(refused + refused)) == .malformedReply)
    }

    @Test("an endless reply is cut off at its limit", arguments: ["$2147483647\r\n", "+", "-"])
    func endless(start: String) throws {
        let piece = [UInt8](repeating: 0x78, count: 1 << 20)
        #expect(
            try fault(.endless(start, piece))
                == .replyTooLarge(limitBytes: RedisReplyReader.limitBytes))
    }

    @Test("endless small replies are cut off at the first that nobody asked for")
    func flood() throws {
        let piece = Array(String(repeating: ":1\r\n", count: 100_000).utf8)
        #expect(try fault(.endless("", piece)) == .malformedReply)
    }

    @Test(
        "a reply that stops in the middle is late",
        arguments: ["$2147483647\r\n", "$100\r\nhal", ""])
    func unfinished(text: String) throws {
        #expect(try fault(.bytes(text)) == .deadline(milliseconds: 80))
    }

    @Test("a reply whose connection ends in the middle is lost", arguments: ["$100\r\nhalf", ""])
    func closed(text: String) throws {
        #expect(try fault(.close(text)) == .closedByServer)
    }

    @Test("a reply that comes byte by byte is a reply")
    func trickle() throws {
        let text = "reserved 0 0 1000 1 0"
        let server = try FakeRedis(.trickle("$\(text.utf8.count)\r\n\(text)\r\n"))
        let loop = try StoreLoop(RedisShared(policy: policy(server.path)))
        #expect(try loop.reserve(acme, 1)?.holder == .store)
    }

    @Test(
        "a server that says it does not serve is away for that reason",
        arguments: [
            ("-LOADING Redis is loading the dataset in memory", ServerRefusal.loading),
            ("-READONLY You can't write against a read only replica.", .readOnly),
            ("-BUSY Redis is busy running a script.", .busy),
            ("-OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory),
            ("-MASTERDOWN Link with MASTER is down", .masterDown),
            ("-WRONGPASS invalid username-password pair", .wrongPassword),
            ("-NOAUTH Authentication required.", .noPassword),
            ("-NOPERM this user has no permissions", .noPermission),
            ("-MISCONF Redis is configured to save RDB snapshots", .cannotSave),
            ("-NOREPLICAS Not enough good replicas to write.", .noReplicas),
            ("-CLUSTERDOWN The cluster is down", .clusterDown),
            ("-MOVED 3999 127.0.0.1:6381", .moved),
            (
                "-ERR Error running script (call to f_a): @user_script:9: @user_script: 9: "
                    + "-READONLY You can't write against a read only replica.", .readOnly
            ),
        ])
    func refused(line: String, refusal: ServerRefusal) throws {
        #expect(try fault(.bytes(line + "\r\n")) == .refused(refusal))
        #expect(try fault(.bytes(line + "\r\n"), greeting: false) == .refused(refusal))
    }

    @Test("a server that forgets every script is away")
    func forgets() throws {
        let loaded = "$40\r\n\(String(repeating: "a", count: 40))\r\n"
        let reply = "-NOSCRIPT No matching script.\r\n\(loaded)-NOSCRIPT No matching script.\r\n"
        #expect(try fault(.bytes(reply)) == .refused(.noScript))
    }

    @Test("an error that concerns only the command leaves the connection")
    func commandRefused() throws {
        let server = try FakeRedis(.bytes("-WRONGTYPE Operation against a key\r\n"))
        let loop = try StoreLoop(RedisShared(policy: policy(server.path, onFailure: .open)))
        #expect(try loop.reserve(acme, 1)?.holder == .nobody)
        #expect(loop.store.state == .up)
        #expect(loop.store.counters.commandsRefused == 1)
    }

    @Test(
        "a greeting that goes wrong is no connection",
        arguments: ["+OK\r\n", "*1\r\n", "$2\r\nab\r\n"])
    func badGreeting(text: String) throws {
        #expect(try fault(.bytes(text), greeting: false) == .malformedReply)
    }

    @Test("a server that accepts and says nothing is given up")
    func silent() throws {
        #expect(try fault(.bytes(""), greeting: false) == .openTimeout(milliseconds: 500))
    }
}
