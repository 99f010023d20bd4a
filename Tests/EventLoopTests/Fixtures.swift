// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

/// The kinds of address that every stream test runs over.
enum Family: CaseIterable, Sendable {
    case v4
    case v6
    case unix

    /// Those that this host has: some have no IPv6.
    static let present = allCases.filter { $0 != .v6 || hasV6 }
    static let presentIP = present.filter { $0 != .unix }

    /// An address to bind for one test.
    func address(in folder: Folder) throws -> SocketAddress {
        let address =
            switch self {
            case .v4: SocketAddress(ip: "127.0.0.1", port: 0)
            case .v6: SocketAddress(ip: "::1", port: 0)
            case .unix: SocketAddress(unixPath: folder.path("socket"))
            }
        return try #require(address)
    }

    private static let hasV6: Bool = {
        guard let address = SocketAddress(ip: "::1", port: 0) else { return false }
        do {
            _ = try Listener.bind(address, backlog: 1)
            return true
        } catch {
            return false
        }
    }()
}

/// A folder of one test, which removes it in the end.
struct Folder {
    private let root: String

    init() {
        root = "/tmp/penstock-loop-\(getpid())-\(String(randomSeed(), radix: 36))"
        invariant(unsafe mkdir(root, 0o700) == 0, "a test makes its folder")
    }

    func remove() {
        for name in names { unsafe unlink(path(name)) }
        unsafe rmdir(root)
    }

    func path(_ name: String) -> String { "\(root)/\(name)" }

    var names: [String] {
        guard let folder = unsafe opendir(root) else { return [] }
        defer { unsafe closedir(folder) }
        var found: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { found.append(name) }
        }
        return found.sorted()
    }

    /// Permission bits and kind of a file; nil when there is none.
    func mode(_ name: String) -> mode_t? {
        var found = stat()
        return unsafe lstat(path(name), &found) == 0 ? found.st_mode : nil
    }
}

/// Both ends of one connection.
struct Pair: ~Copyable {
    let listener: Listener
    let client: Socket
    let server: Socket

    init(_ address: SocketAddress) throws {
        let listener = try Listener.bind(address, backlog: 4)
        let client = try Socket.connect(to: listener.address)
        try self.init(client: client, listener: listener)
    }

    private init(client: consuming Socket, listener: consuming Listener) throws {
        server = try listener.next()
        self.client = client
        self.listener = listener
    }
}

extension Listener {
    /// The next connection; waits for it.
    borrowing func next() throws -> Socket {
        _ = try ready(descriptor, .read)
        switch accept() {
        case .socket(let socket, _): return socket
        case .none: throw Missing.connection
        case .exhausted(let fault): throw fault
        }
    }
}

enum Missing: Error {
    case connection
    case readiness
}

let someToken = Token(kind: 1, key: SlabKey(raw: 7))

/// Longer than anything here takes; reached only when a test fails.
let patience = Duration.seconds(20)

/// Waits until a descriptor is ready for any of that.
func ready(_ descriptor: Int32, _ interest: Interest) throws -> Readiness {
    let poller = try Poller(batch: 1)
    try poller.add(descriptor, interest, someToken)
    let end = MonotonicClock.now() + patience
    while true {
        let now = MonotonicClock.now()
        guard now < end else { throw Missing.readiness }
        if try poller.wait(until: end, now: now) > 0 { return poller.event(0).readiness }
    }
}

extension Socket {
    borrowing func send(text: String) -> Transfer {
        let bytes = Array(text.utf8)
        return unsafe bytes.withUnsafeBytes { unsafe send($0) }
    }

    /// Fills the way from this end until it takes no more; the bytes that fitted.
    borrowing func fill() throws -> Int {
        let chunk = [UInt8](repeating: 0x61, count: 65_536)
        var sent = 0
        while true {
            let transfer = unsafe chunk.withUnsafeBytes { unsafe send($0) }
            switch transfer {
            case .bytes(let count): sent += count
            case .wouldBlock: return sent
            case .closed, .failed: throw Missing.connection
            }
        }
    }

    /// One receive of at most `limit` bytes, without waiting.
    borrowing func receive(limit: Int = 65_536) -> (transfer: Transfer, bytes: [UInt8]) {
        var bytes = [UInt8](repeating: 0, count: limit)
        let transfer = unsafe bytes.withUnsafeMutableBytes { unsafe receive($0) }
        guard case .bytes(let count) = transfer else { return (transfer, []) }
        return (transfer, Array(bytes[..<count]))
    }

    /// Waits for `count` bytes as text.
    borrowing func receive(text count: Int) throws -> String {
        var all: [UInt8] = []
        while all.count < count {
            _ = try ready(descriptor, .read)
            let (transfer, bytes) = receive(limit: count - all.count)
            guard case .bytes = transfer else { throw Missing.readiness }
            all += bytes
        }
        return String(decoding: all, as: UTF8.self)
    }
}

/// Descriptors that the process has open now.
func openDescriptors() -> Int {
    var count = 0
    for descriptor in 0..<4_096 as Range<Int32> where fcntl(descriptor, F_GETFD) >= 0 { count += 1 }
    return count
}

/// The number behind a socket option.
func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
    var value: Int32 = -1
    var length = socklen_t(MemoryLayout<Int32>.size)
    invariant(
        unsafe getsockopt(descriptor, level, name, &value, &length) == 0, "a known option")
    return value
}

/// What a killed process leaves behind: a bound socket file without a socket.
func leaveStaleSocket(at path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let result = unsafe withUnsafeBytes(of: &address) { bytes in
        unsafe bytes.withMemoryRebound(to: sockaddr.self) { system in
            unsafe bind(descriptor, system.baseAddress, socklen_t(bytes.count))
        }
    }
    invariant(result == 0, "a socket file is left")
    close(descriptor)
}
