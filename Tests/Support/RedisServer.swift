// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A real `redis-server` of one test, on a Unix socket in a directory of its own and on no port. It
/// is killed when the test lets go of it.
public final class RedisServer {
    public let path: String
    private let directory = TemporaryDirectory()
    private let options: [String]
    private var process: pid_t?
    private var log: Int32 = -1

    /// Not started yet. `options`: more of the command line, such as `--requirepass`.
    public init(options: [String] = []) {
        path = directory.file("redis.sock")
        self.options = options
    }

    deinit { kill() }

    /// Starts it with empty data and returns once it accepts connections.
    public func start() {
        precondition(process == nil, "the server runs already")
        let words =
            [
                "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir",
                directory.path, "--enable-debug-command", "yes",
            ] + options
        var ends: [Int32] = [-1, -1]
        precondition(unsafe pipe(&ends) == 0, "no pipe")
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        process = Self.spawn(words, output: ends[1])
        close(ends[1])
        log = ends[0]
        waitUntilReady()
    }

    /// Ends it at once, as a crash would; its data is gone.
    public func kill() {
        guard let process else { return }
        Glibc.kill(process, SIGKILL)
        waitpid(process, nil, 0)
        close(log)
        self.process = nil
    }

    /// Freezes it: connections stay, nothing is answered.
    public func suspend() { signal(SIGSTOP) }

    public func resume() { signal(SIGCONT) }

    /// Runs one command on a connection of its own, and gives the first line of the reply, or the
    /// text of a bulk reply.
    @discardableResult
    public func command(_ words: String...) -> String {
        let descriptor = Self.connect(path)
        defer { close(descriptor) }
        var request = "*\(words.count)\r\n"
        for word in words { request += "$\(word.utf8.count)\r\n\(word)\r\n" }
        let bytes = Array(request.utf8)
        precondition(unsafe send(descriptor, bytes, bytes.count, 0) == bytes.count, "short send")
        let line = Self.line(descriptor)
        guard line.hasPrefix("$"), let count = Int(line.dropFirst()), count >= 0 else {
            return line
        }
        return Self.line(descriptor)
    }

    private func signal(_ number: Int32) {
        guard let process else { preconditionFailure("the server does not run") }
        Glibc.kill(process, number)
    }

    /// Reads the log up to the line that says so.
    private func waitUntilReady() {
        var seen = ""
        while !seen.contains("eady to accept connections") {
            var bytes = [UInt8](repeating: 0, count: 4_096)
            let count = unsafe read(log, &bytes, bytes.count)
            precondition(count > 0, "redis-server did not start:\n\(seen)")
            seen += String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }

    private static func spawn(_ words: [String], output: Int32) -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 2)
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { while let argument = unsafe arguments.popLast() { unsafe free(argument) } }
        var process: pid_t = 0
        let code = unsafe posix_spawnp(&process, words[0], &actions, nil, arguments, environ)
        precondition(code == 0, "redis-server is not installed")
        return process
    }

    private static func connect(_ path: String) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let result = unsafe withUnsafePointer(to: address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(
                    descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(result == 0, "no connection to redis-server")
        return descriptor
    }

    /// A line without its end.
    private static func line(_ descriptor: Int32) -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while unsafe recv(descriptor, &byte, 1, 0) == 1, byte != 0x0A {
            if byte != 0x0D { bytes.append(byte) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
