// SPDX-License-Identifier: Apache-2.0

import Testing
import Units

@Suite("Invariants")
struct InvariantTests {
    @Test("a fact that holds lets the process go on")
    func holds() async {
        await #expect(processExitsWith: .success) {
            invariant(1 + 1 == 2, "sums add up")
        }
    }

    @Test("a broken one stops it and says its name and its place")
    func breaks() async throws {
        let result = await #expect(
            processExitsWith: .failure, observing: [\.standardErrorContent]
        ) {
            invariant(1 + 1 == 3, "sums add up wrongly")
        }
        let error = try #require(result).standardErrorContent
        let text = String(decoding: error, as: UTF8.self)
        #expect(text.contains("invariant broken: sums add up wrongly"))
        #expect(text.contains("InvariantTests.swift"))
    }

    @Test("what cannot be reached stops it too")
    func unreachable() async {
        await #expect(processExitsWith: .failure) { broken("never here") }
    }

    @Test("a buffer does not give more than it has")
    func buffer() async {
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.append("four")
            buffer.consume(5)
        }
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.append("four")
            buffer.dropLast(5)
        }
        await #expect(processExitsWith: .failure) {
            var buffer = ByteBuffer()
            buffer.reserve(1)
            buffer.wrote(buffer.capacity + 1)
        }
    }
}
