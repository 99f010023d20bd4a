// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
public import Units

/// What `Listener.accept` found.
public enum Accepted: ~Copyable {
    /// A connection and its other end.
    case socket(Socket, SocketAddress)
    /// No connection waits now.
    case none
    /// No descriptor or memory left. Connections keep waiting, so the listener stays ready: the
    /// caller takes it out of the poller for a while.
    case exhausted(SystemFault)
}

/// A bound, listening socket.
///
/// TCP listeners share their port (SO_REUSEPORT), so that every worker binds one of its own and the
/// kernel spreads connections over them. A Unix path is bound once and `duplicate`d for the other
/// workers.
public struct Listener: ~Copyable, Sendable {
    /// Bytes that the kernel takes for a TCP peer beyond those that are under way to it, or little
    /// more: more would only wait there, ahead of a client that does not read. What is under way
    /// has the window that the path needs, so that distance costs no throughput, as a send buffer
    /// of fixed size would. Unix sockets have one, of 208 KiB (`net.core.wmem_default`).
    public static let unsentLimit = Bytes.kibi(256)

    private let handle: Descriptor
    /// After binding to port 0: with the port that the kernel chose.
    public let address: SocketAddress
    /// The file that this listener made and removes; nil for TCP and for duplicates.
    private let file: UnixFile?

    private init(
        handle: consuming Descriptor, address: SocketAddress, file: UnixFile?
    ) {
        self.handle = handle
        self.address = address
        self.file = file
    }

    deinit { file?.remove() }

    /// For registration with a `Poller` only.
    public var descriptor: Int32 { handle.raw }

    /// Binds and listens; `backlog` connections wait at most, cut at `net.core.somaxconn`.
    ///
    /// A Unix socket file whose owner is gone is replaced; a live one is `addressInUse`.
    public static func bind(
        _ address: SocketAddress, backlog: Int
    ) throws(SystemFault) -> Listener {
        let handle = try Descriptor(
            checking: System.once { penstock_stream_socket(address.family) })
        if let path = address.unixPath {
            let file = try UnixFile.bind(handle, address, path)
            let listener = Listener(handle: handle, address: address, file: file)
            try listener.listen(backlog)
            return listener
        }
        try prepare(handle, address)
        try System.check(handle.bind(address))
        let bound = handle.localAddress() ?? address
        let listener = Listener(handle: handle, address: bound, file: nil)
        try listener.listen(backlog)
        return listener
    }

    /// Listens no more: from here on connections are refused, and those that still wait are cut.
    /// Its address is free once it is dropped. Duplicates stop with it.
    public borrowing func stop() {
        let raw = handle.raw
        _ = System.once { shutdown(raw, Int32(SHUT_RDWR)) }
    }

    /// Takes one waiting connection.
    ///
    /// A connection that failed while it waited counts as none: a listener with more stays ready.
    public borrowing func accept() -> Accepted {
        let raw = handle.raw
        var peer: SocketAddress?
        let result = unsafe SocketAddress.filled(
            by: { system, length in
                System.retrying { unsafe penstock_accept(raw, system, length) }
            }, &peer)
        guard result < 0 else {
            let socket = Socket(taking: Descriptor(Int32(result)))
            guard let peer else { broken("the other end is of the listener's family") }
            return .socket(socket, peer)
        }
        switch Int32(-result) {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted(SystemFault(code: Int32(-result)))
        // Stopped through a duplicate.
        case EINVAL: return .none
        // EAGAIN, and the errors of the connection itself that Linux reports here (accept(2)).
        default: return .none
        }
    }

    /// A second listener on the same queue of connections, for another worker.
    public borrowing func duplicate() throws(SystemFault) -> Listener {
        Listener(handle: try handle.duplicate(), address: address, file: nil)
    }

    /// Whether another process already listens there. Sharing a port (SO_REUSEPORT) would otherwise
    /// let two gateways of one user take turns at the same door without knowing of each other.
    public static func isTaken(_ address: SocketAddress) throws(SystemFault) -> Bool {
        guard let port = address.port, port != 0 else { return false }
        let handle = try Descriptor(
            checking: System.once { penstock_stream_socket(address.family) })
        let raw = handle.raw
        try System.check(System.once { penstock_set_reuse_address(raw) })
        if address.family == AF_INET6 {
            try System.check(System.once { penstock_set_v6_only(raw) })
        }
        do throws(SystemFault) {
            try System.check(handle.bind(address))
            return false
        } catch {
            if error == .addressInUse { return true }
            throw error
        }
    }

    private borrowing func listen(_ backlog: Int) throws(SystemFault) {
        let raw = handle.raw
        try System.check(System.once { Glibc.listen(raw, Int32(clamping: backlog)) })
    }

    private static func prepare(
        _ handle: borrowing Descriptor, _ address: SocketAddress
    ) throws(SystemFault) {
        let raw = handle.raw
        try System.check(System.once { penstock_set_reuse_address(raw) })
        try System.check(System.once { penstock_set_reuse_port(raw) })
        // Accepted sockets inherit both, which saves two calls for each.
        try System.check(System.once { penstock_set_no_delay(raw) })
        let limit = Int32(clamping: unsentLimit.count)
        try System.check(System.once { penstock_set_unsent_limit(raw, limit) })
        if address.family == AF_INET6 {
            try System.check(System.once { penstock_set_v6_only(raw) })
        }
    }
}
