// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Synchronization
import Testing
import Units

@Suite struct LoopThreadTests {
    /// Not `Sendable`, like what a worker owns.
    private final class Counter {
        private var value = 0
        var count: Int { value }

        func step() { value += 1 }
    }

    @Test func joinWaitsForTheBody() throws {
        let outcome = Mutex(0)
        let thread = try LoopThread(name: "counts") {
            let counter = Counter()
            for _ in 0..<1_000_000 { counter.step() }
            outcome.withLock { $0 = counter.count }
        }
        thread.join()
        #expect(outcome.withLock { $0 } == 1_000_000)
        thread.join()
    }

    @Test func aThreadTakesOverWhatIsSentToIt() throws {
        let box = try Mailbox<Int>(limit: 1)
        let counter = Counter()
        counter.step()
        let thread = try LoopThread(name: "owner") { box.post(counter.count) }
        thread.join()
        var taken: [Int] = []
        box.drain(into: &taken)
        #expect(taken == [1])
    }

    @Test func theBodyIsReleasedWhenTheThreadHasEnded() throws {
        let box = try Mailbox<Int>(limit: 1)
        do {
            let witness = Witness { box.post(1) }
            let thread = try LoopThread(name: "holds") { _ = witness.hold() }
            thread.join()
        }
        #expect(try ready(box.descriptor, .read) == .readable)
    }

    /// Tells when it goes.
    private final class Witness: Sendable {
        private let tell: @Sendable () -> Void

        init(_ tell: @escaping @Sendable () -> Void) { self.tell = tell }

        deinit { tell() }

        func hold() -> Bool { true }
    }

    @Test func aThreadThatNobodyJoinsEndsByItself() throws {
        let box = try Mailbox<Int>(limit: 1)
        _ = try LoopThread(name: "alone") { box.post(5) }
        _ = try ready(box.descriptor, .read)
        var taken: [Int] = []
        box.drain(into: &taken)
        #expect(taken == [5])
    }

    @Test(arguments: [("worker 1", "worker 1"), ("a name over 15 bytes", "a name over 15 ")])
    func theThreadCarriesItsName(name: String, shown: String) throws {
        let found = Mutex("")
        let thread = try LoopThread(name: name) {
            let bytes = (try? Files.readFile("/proc/thread-self/comm", limit: 64)) ?? []
            found.withLock { $0 = String(decoding: bytes, as: UTF8.self) }
        }
        thread.join()
        #expect(found.withLock { $0 } == shown + "\n")
    }

    @Test func aPinnedThreadMayRunOnItsProcessorOnly() throws {
        let allowed = try #require(try LoopThreadTests.processors())
        let first = try #require(Int(allowed.prefix { $0.isNumber }))
        let found = Mutex("")
        let thread = try LoopThread(name: "pinned", processor: first) {
            let list = (try? LoopThreadTests.processors()) ?? nil
            found.withLock { $0 = list ?? "" }
        }
        thread.join()
        #expect(found.withLock { $0 } == String(first))
    }

    @Test(arguments: [-1, 1_000_000])
    func aProcessorThatIsNotThereLeavesTheThreadFree(processor: Int) throws {
        let ran = Mutex(false)
        let thread = try LoopThread(name: "free", processor: processor) {
            ran.withLock { $0 = true }
        }
        thread.join()
        #expect(ran.withLock { $0 })
    }

    /// The processors that the calling thread may run on, as the kernel lists them.
    private static func processors() throws -> String? {
        let bytes = try Files.readFile("/proc/thread-self/status", limit: 65_536)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        let name = "Cpus_allowed_list:\t"
        return lines.first { $0.hasPrefix(name) }.map { String($0.dropFirst(name.count)) }
    }
}
