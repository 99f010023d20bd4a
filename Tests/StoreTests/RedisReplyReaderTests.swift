// SPDX-License-Identifier: Apache-2.0

import Budget
import Policy
import Store
import Testing
import Units

@Suite("Redis replies")
struct RedisReplyReaderTests {
    private static let wire =
        "+OK\r\n$5\r\nhello\r\n:-42\r\n$-1\r\n-ERR no\r\n$0\r\n\r\n$2\r\n\r\n\r\n"
    private static let replies: [RedisReply] = [
        .status("OK"), .string("hello"), .integer(-42), .null, .error("ERR no"), .string(""),
        .string("\r\n"),
    ]

    @Test("replies are the same wherever the bytes are cut")
    func anyCut() throws {
        let bytes = Array(Self.wire.utf8)
        for size in 1...bytes.count {
            let reader = RedisReplyReader()
            var found: [RedisReply] = []
            for start in stride(from: 0, to: bytes.count, by: size) {
                try Self.feed(bytes[start..<min(start + size, bytes.count)], reader, &found)
            }
            #expect(found == Self.replies, "pieces of \(size)")
        }
    }

    @Test(
        "what is no reply to anything we ask is a fault",
        arguments: [
            "*0\r\n", "*1\r\n$1\r\na\r\n", "*2147483647\r\n", "*-1\r\n*1\r\n", "*9999999999999\r\n",
            "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "$-7\r\n", "$abc\r\n",
            ":99999999999999999999\r\n", ":\r\n", ":1x\r\n", "HTTP/1.1 400 Bad Request\r\n", "\0\0",
            "%1\r\n", "_\r\n", "#t\r\n", "(1\r\n", ">1\r\n", "\r\n", "$99999999999999999999\r\n",
        ])
    func malformed(text: String) {
        #expect(throws: StoreFault.malformedReply) {
            let reader = RedisReplyReader()
            var found: [RedisReply] = []
            try Self.feed(Array(text.utf8)[...], reader, &found)
            // A null array is a null, and then comes the rest.
            if found == [.null] { throw StoreFault.malformedReply }
        }
    }

    @Test(
        "a reply over the limit is given up, announced or not",
        arguments: ["$2147483647\r\n", "+", ""])
    func tooLarge(start: String) {
        let reader = RedisReplyReader()
        var found: [RedisReply] = []
        var fed = 0
        #expect(throws: StoreFault.self) {
            try Self.feed(Array(start.utf8)[...], reader, &found)
            let piece = [UInt8](repeating: 0x3A, count: RedisReplyReader.feedBytes)
            while fed < 10 << 20 {
                fed += piece.count
                try Self.feed(piece[...], reader, &found)
            }
        }
        #expect(fed <= RedisReplyReader.limitBytes + 2 * RedisReplyReader.feedBytes)
        #expect(found.isEmpty)
    }

    @Test(
        "changed bytes never trap, and end in replies or a fault",
        arguments: 0..<40 as Range<UInt64>)
    func mutated(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        for _ in 0..<200 {
            var bytes = Array(Self.wire.utf8)
            for _ in 0..<1 + random.next() % 4 {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.remove(at: place)
                default:
                    bytes.insert(Array("*$:+-\r\n0129".utf8)[Int(random.next() % 11)], at: place)
                }
            }
            let reader = RedisReplyReader()
            var found: [RedisReply] = []
            let cut = Int(random.next() % UInt64(bytes.count))
            do throws(StoreFault) {
                try Self.feed(bytes[..<cut], reader, &found)
                try Self.feed(bytes[cut...], reader, &found)
            } catch {
                #expect(error == .malformedReply)
            }
            #expect(found.count <= bytes.count)
        }
    }

    @Test("a script's words are read back as they were meant")
    func scriptReply() {
        let limits = BudgetAccount(tenant([.tokensPerDay: 100])).limits
        let reply = ScriptReply(
            "refused 1 1000 5000000 90 86395000000", limits: limits, demand: demand(20))
        guard case .refused(let refusal) = reply else {
            Issue.record("\(String(describing: reply))")
            return
        }
        #expect(refusal.kind == .tokensPerDay)
        #expect(refusal.used == 90)
        #expect(refusal.requested == 20)
        #expect(refusal.wait == .milliseconds(1))
        #expect(refusal.snapshot[.tokensPerDay]?.reset == .seconds(86_400 - 5))
    }

    @Test(
        "words that the script never says are no answer",
        arguments: [
            "", " ", "maybe", "reserved", "reserved 0 0 1 0", "reserved 0 0 1",
            "reserved 0 0 1 0 0 0", "refused 0 0 1 0 0", "refused 2 0 1 0 0",
            "refused -1 0 1 0 0", "never 0 0 1 0 0", "refused 1 -1 1 0 0",
            "refused 1 nan 1 0 0", "refused 1 1e300 1 0 0", "reserved 0 0 1e30 0 0",
            "reserved 0 0 -1 0 0", "reserved 0 0 1 inf 0", "reserved 0 0 1 -1 0",
            "reserved 0 0 1 0 -1", "reserved 0 0 1 0 1e300", "reserved  0 1 0 0",
            "reserved 0 0 1 x 0",
        ])
    func noScriptReply(text: String) {
        let limits = BudgetAccount(tenant([.tokensPerDay: 100])).limits
        #expect(ScriptReply(text, limits: limits, demand: demand(1)) == nil)
    }

    @Test(
        "changed script replies never trap, whatever is made of them",
        arguments: 0..<20 as Range<UInt64>)
    func mutatedScriptReply(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let limits = LimitSet(
            TenantLimits(
                rates: LimitKind.allCases.prefix(4).map { Limit(kind: $0, amount: 1e-9) }))
        for _ in 0..<300 {
            var bytes = Array("refused 3 1000 4503599627370496 1 2 3 4 5 1e15 1e30 7".utf8)
            for _ in 0..<random.next() % 4 {
                let digits = Array("0123456789 e.-+xp".utf8)
                bytes[Int(random.next() % UInt64(bytes.count))] =
                    digits[Int(random.next() % UInt64(digits.count))]
            }
            let reply = ScriptReply(
                String(decoding: bytes, as: UTF8.self), limits: limits, demand: demand(1))
            guard case .refused(let refusal) = reply else { continue }
            for place in 0..<refusal.snapshot.count {
                #expect(refusal.snapshot.standing(place).remaining >= 0)
                #expect(refusal.snapshot.standing(place).reset >= .zero)
            }
        }
    }

    private static func feed(
        _ bytes: ArraySlice<UInt8>, _ reader: RedisReplyReader, _ found: inout [RedisReply]
    ) throws(StoreFault) {
        let fed = unsafe bytes.withUnsafeBytes { buffer -> Result<Void, StoreFault> in
            Result { () throws(StoreFault) in try unsafe reader.feed(buffer) }
        }
        try fed.get()
        while let reply = try reader.next() { found.append(reply) }
    }
}
