// SPDX-License-Identifier: Apache-2.0
import Glibc
import Units

/// Where a socket is bound or connected: IPv4, IPv6 or a Unix path. Holds no memory for the first
/// two.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    private enum Form: Hashable, Sendable {
        /// Address in host order.
        case v4(UInt32, port: UInt16)
        /// Address as two halves in host order; the scope is the interface of a link-local one.
        case v6(UInt64, UInt64, port: UInt16, scope: UInt32)
        /// Empty for the unnamed end of a connection.
        case unix(String)
    }
    private let form: Form

    /// Of an address literal: `127.0.0.1`, `::1` (without brackets); nil for anything else.
    public init?(ip: String, port: UInt16) {
        // The system would see the part before it.
        if ip.utf8.contains(0) { return nil }
        var v4 = in_addr()
        if unsafe inet_pton(AF_INET, ip, &v4) == 1 {
            form = .v4(UInt32(bigEndian: v4.s_addr), port: port)
            return
        }
        var v6 = in6_addr()
        guard unsafe inet_pton(AF_INET6, ip, &v6) == 1 else { return nil }
        let (high, low) = SocketAddress.halves(v6)
        form = .v6(high, low, port: port, scope: 0)
    }

    /// Of a path of 1 to 107 bytes; nil for another length or one with a zero byte.
    public init?(unixPath: String) {
        let bytes = unixPath.utf8
        guard !bytes.isEmpty, bytes.count < SocketAddress.pathCapacity, !bytes.contains(0) else {
            return nil
        }
        form = .unix(unixPath)
    }

    /// Of the system's form; nil for a family other than these, or one cut short.
    init?(copying address: UnsafePointer<sockaddr>, length: Int) {
        let raw = unsafe UnsafeRawPointer(address)
        guard length >= MemoryLayout<sa_family_t>.size else { return nil }
        switch Int32(unsafe address.pointee.sa_family) {
        case AF_INET where length >= MemoryLayout<sockaddr_in>.size:
            let found = unsafe raw.loadUnaligned(as: sockaddr_in.self)
            form = .v4(
                UInt32(bigEndian: found.sin_addr.s_addr), port: UInt16(bigEndian: found.sin_port))
        case AF_INET6 where length >= MemoryLayout<sockaddr_in6>.size:
            let found = unsafe raw.loadUnaligned(as: sockaddr_in6.self)
            let (high, low) = SocketAddress.halves(found.sin6_addr)
            form = .v6(
                high, low, port: UInt16(bigEndian: found.sin6_port), scope: found.sin6_scope_id)
        case AF_UNIX:
            let path = unsafe UnsafeRawBufferPointer(
                start: raw + SocketAddress.pathOffset,
                count: max(0, length - SocketAddress.pathOffset))
            form = unsafe .unix(String(decoding: path.prefix { $0 != 0 }, as: UTF8.self))
        default: return nil
        }
    }

    /// Of an address as `numeric` gives it; one of IPv4 in its mapped form becomes one of IPv4.
    public init(high: UInt64, low: UInt64, port: UInt16) {
        if high == 0, low >> 32 == 0xFFFF {
            form = .v4(UInt32(truncatingIfNeeded: low), port: port)
        } else {
            form = .v6(high, low, port: port, scope: 0)
        }
    }

    /// The address without its port as two halves, one of IPv4 mapped into IPv6 (RFC 4291, section
    /// 2.5.5.2); nil for a Unix path.
    public var numeric: (high: UInt64, low: UInt64)? {
        switch form {
        case .v4(let address, _): (0, 0xFFFF << 32 | UInt64(address))
        case .v6(let high, let low, _, _): (high, low)
        case .unix: nil
        }
    }

    /// Nil for a Unix path.
    public var port: UInt16? {
        switch form {
        case .v4(_, let port): port
        case .v6(_, _, let port, _): port
        case .unix: nil
        }
    }

    /// Nil for an IP address, and for the unnamed end of a connection.
    public var unixPath: String? {
        guard case .unix(let path) = form, !path.isEmpty else { return nil }
        return path
    }

    /// Whether the other end is on this machine: 127.0.0.0/8, ::1, and every Unix path.
    public var isLoopback: Bool {
        switch form {
        case .v4(let address, _): address >> 24 == 127
        case .v6(0, 1, _, _): true
        // IPv4 in IPv6 (RFC 4291, section 2.5.5.2).
        case .v6(0, let low, _, _): low >> 32 == 0xFFFF && low >> 24 & 0xFF == 127
        case .v6: false
        case .unix: true
        }
    }

    /// The address without its port, for logs: `127.0.0.1`, `::1`, `unix:/run/x.sock`.
    public var host: String {
        switch form {
        case .v4(let address, _):
            return "\(address >> 24).\(address >> 16 & 255).\(address >> 8 & 255).\(address & 255)"
        case .v6(let high, let low, _, let scope):
            let text = SocketAddress.text(high, low)
            return scope == 0 ? text : "\(text)%\(scope)"
        case .unix(let path): return "unix:\(path)"
        }
    }

    /// `127.0.0.1:80`, `[::1]:80`, `unix:/run/x.sock`.
    public var description: String {
        switch form {
        case .v4(_, let port): "\(host):\(port)"
        case .v6(_, _, let port, _): "[\(host)]:\(port)"
        case .unix: host
        }
    }

    /// AF_INET, AF_INET6 or AF_UNIX.
    var family: Int32 {
        switch form {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    /// Lends the system's form for one call.
    func withSystemForm<Result>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        switch form {
        case .v4(let address, let port):
            var system = sockaddr_in()
            system.sin_family = sa_family_t(AF_INET)
            system.sin_port = port.bigEndian
            system.sin_addr.s_addr = address.bigEndian
            return unsafe SocketAddress.lend(system, MemoryLayout<sockaddr_in>.size, body)
        case .v6(let high, let low, let port, let scope):
            var system = sockaddr_in6()
            system.sin6_family = sa_family_t(AF_INET6)
            system.sin6_port = port.bigEndian
            system.sin6_scope_id = scope
            unsafe withUnsafeMutableBytes(of: &system.sin6_addr) { bytes in
                unsafe bytes.storeBytes(of: high.bigEndian, as: UInt64.self)
                unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return unsafe SocketAddress.lend(system, MemoryLayout<sockaddr_in6>.size, body)
        case .unix(let path):
            var system = sockaddr_un()
            system.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &system.sun_path) { bytes in
                unsafe bytes.copyBytes(from: path.utf8)
            }
            let length = SocketAddress.pathOffset + path.utf8.count + 1
            return unsafe SocketAddress.lend(system, length, body)
        }
    }

    private static let pathOffset = MemoryLayout<sa_family_t>.size
    private static let pathCapacity = MemoryLayout<sockaddr_un>.size - pathOffset

    private static func lend<System, Result>(
        _ system: System, _ length: Int,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: system) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(length))
            }
        }
    }

    private static func halves(_ address: in6_addr) -> (UInt64, UInt64) {
        unsafe withUnsafeBytes(of: address) { bytes in
            unsafe (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    /// In the form of RFC 5952.
    private static func text(_ high: UInt64, _ low: UInt64) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { text in
            var halves = (high.bigEndian, low.bigEndian)
            guard
                let found = unsafe inet_ntop(
                    AF_INET6, &halves, text.baseAddress, socklen_t(text.count))
            else { broken("an IPv6 address fits its text") }
            return unsafe String(cString: found)
        }
    }
}

extension SocketAddress {
    /// Runs a call that fills in an address, and gives its result; `found` is nil when it failed.
    static func filled(
        by call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int,
        _ found: inout SocketAddress?
    ) -> Int {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let result = unsafe call(address, &length)
                if result >= 0 {
                    unsafe found = SocketAddress(copying: address, length: Int(length))
                }
                return result
            }
        }
    }
}

extension Descriptor {
    borrowing func bind(_ address: SocketAddress) -> Int {
        let raw = raw
        return unsafe address.withSystemForm { system, length in
            System.once { unsafe Glibc.bind(raw, system, length) }
        }
    }

    /// Where a socket is bound.
    borrowing func localAddress() -> SocketAddress? {
        let raw = raw
        var found: SocketAddress?
        let result = unsafe SocketAddress.filled(
            by: { system, length in
                System.once { unsafe getsockname(raw, system, length) }
            }, &found)
        return result < 0 ? nil : found
    }
}
