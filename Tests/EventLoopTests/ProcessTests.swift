// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

/// What changes the whole process, or ends it, runs in one of its own.
@Suite struct ProcessTests {
    /// The signals go to the thread itself, because a test's process has others before the source.
    @Test func signalsAreReadInsteadOfHandled() async {
        await #expect(processExitsWith: .success) {
            unblockSignals()
            let source = try SignalSource()
            invariant(source.next() == nil, "no signal yet")
            for (number, signal) in [
                (SIGHUP, ProcessSignal.reload), (SIGTERM, .terminate), (SIGINT, .interrupt),
            ] {
                pthread_kill(pthread_self(), number)
                _ = try ready(source.descriptor, .read)
                invariant(source.next() == signal, "each is told")
                invariant(source.next() == nil, "once")
            }
        }
    }

    @Test func aThreadStartedLaterIsNotInterruptedEither() async {
        await #expect(processExitsWith: .success) {
            unblockSignals()
            _ = try SignalSource()
            let thread = try LoopThread(name: "later") {
                var blocked = sigset_t()
                unsafe pthread_sigmask(SIG_BLOCK, nil, &blocked)
                for number in [SIGHUP, SIGTERM, SIGINT] {
                    invariant(unsafe sigismember(&blocked, number) == 1, "blocked there too")
                }
            }
            thread.join()
        }
    }

    @Test func aWriteToNobodyDoesNotEndTheProcess() async {
        await #expect(processExitsWith: .success) {
            _ = try SignalSource()
            var ends: [Int32] = [0, 0]
            invariant(unsafe pipe(&ends) == 0, "a pipe")
            close(ends[0])
            invariant(unsafe write(ends[1], "x", 1) < 0 && errno == EPIPE, "an error instead")
        }
    }

    @Test func withoutDescriptorsAConnectionWaitsAndIsAcceptedLater() async {
        await #expect(processExitsWith: .success) {
            guard let address = SocketAddress(ip: "127.0.0.1", port: 0) else { exit(1) }
            let listener = try Listener.bind(address, backlog: 4)
            let client = try Socket.connect(to: listener.address)
            _ = try ready(listener.descriptor, .read)
            let lowestFree = dup(listener.descriptor)
            setOpenFiles(soft: rlim_t(lowestFree) + 1)
            switch listener.accept() {
            case .socket: broken("there is no descriptor")
            case .none: broken("there is a connection")
            case .exhausted(let fault): invariant(fault == .tooManyFiles, "and it says so")
            }
            do {
                _ = try Socket.connect(to: listener.address)
                broken("there is no descriptor")
            } catch let fault as SystemFault {
                invariant(fault == .tooManyFiles, "a connect says so too")
            }
            close(lowestFree)
            guard case .socket(let server, _) = listener.accept() else { broken("it waited") }
            invariant(client.send(text: "x") == .bytes(1), "and works")
            invariant(server.descriptor >= 0, "and is open")
        }
    }

    @Test func theLimitOfOpenFilesIsLiftedToTheHardOne() async {
        await #expect(processExitsWith: .success) {
            let hard = setOpenFiles(soft: 64)
            let raised = Limits.raiseOpenFiles()
            invariant(raised.hard == Int(clamping: hard), "the hard limit is as it was")
            invariant(raised.soft == raised.hard, "and the soft one equals it")
            let again = Limits.raiseOpenFiles()
            invariant(again == raised, "which can be asked again")
        }
    }

    @Test func everyDescriptorIsClosedInTheEnd() async {
        await #expect(processExitsWith: .success) {
            try useEverything()
            let before = openDescriptors()
            for _ in 0..<3 { try useEverything() }
            let after = openDescriptors()
            invariant(after == before, "as many as before")
        }
    }

    @Test func aDescriptorRegisteredTwiceIsABug() async {
        await #expect(processExitsWith: .failure) {
            let poller = try Poller()
            let box = try Mailbox<Int>(limit: 1)
            try poller.add(box.descriptor, .read, someToken)
            do { try poller.add(box.descriptor, .read, someToken) } catch { exit(0) }
            exit(0)
        }
    }

    @Test func aDescriptorThatIsNotRegisteredIsNotRemoved() async {
        await #expect(processExitsWith: .failure) {
            let poller = try Poller()
            let box = try Mailbox<Int>(limit: 1)
            poller.remove(box.descriptor)
            exit(0)
        }
    }

    @Test func aDescriptorThatWasClosedIsABug() async {
        await #expect(processExitsWith: .failure) {
            let poller = try Poller()
            let box = try Mailbox<Int>(limit: 1)
            close(box.descriptor)
            do { try poller.add(box.descriptor, .read, someToken) } catch { exit(0) }
            exit(0)
        }
    }

    @Test func anEventBeyondTheLastWaitIsABug() async {
        await #expect(processExitsWith: .failure) {
            let poller = try Poller()
            let now = MonotonicClock.now()
            _ = try poller.wait(until: now, now: now)
            _ = poller.event(0)
            exit(0)
        }
    }
}

/// As `main` starts; the threads of the test runner may block signals by themselves.
private func unblockSignals() {
    var all = sigset_t()
    unsafe sigfillset(&all)
    invariant(unsafe pthread_sigmask(SIG_UNBLOCK, &all, nil) == 0, "signals can be unblocked")
}

/// Lowers the soft limit of open files; the hard one.
@discardableResult
private func setOpenFiles(soft: rlim_t) -> rlim_t {
    var limit = rlimit()
    invariant(
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
        "RLIMIT_NOFILE is read")
    limit.rlim_cur = soft
    invariant(
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0,
        "and can be lowered")
    return limit.rlim_max
}

/// Opens one of each kind, in the ways that end well and in those that do not.
private func useEverything() throws {
    let folder = Folder()
    defer { folder.remove() }
    for family in Family.present {
        let address = try family.address(in: folder)
        let pair = try Pair(address)
        let other = try pair.listener.duplicate()
        let poller = try Poller()
        try poller.add(other.descriptor, .read, someToken)
        try poller.add(pair.client.descriptor, .write, someToken)
        _ = try? Listener.bind(address, backlog: 1)
    }
    _ = try? Listener.bind(try #require(SocketAddress(ip: "192.0.2.1", port: 0)), backlog: 1)
    _ = try? Socket.connect(to: try #require(SocketAddress(unixPath: folder.path("none"))))
    try Files.replaceFile(folder.path("file"), [1, 2, 3])
    _ = try? Files.readFile(folder.path("file"), limit: 1)
    _ = try? Files.replaceFile(folder.path("none/file"), [1])
    _ = try Mailbox<Int>(limit: 1)
    _ = try SignalSource()
    let resolver = try Resolver(limit: 1)
    _ = resolver.resolve("localhost", port: 1) { _ in }
    resolver.stop()
    resolver.join()
}
