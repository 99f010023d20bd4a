// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
public import Units

/// A connected or connecting stream socket: non-blocking, close-on-exec, without Nagle's delay;
/// closed when it goes.
public struct Socket: ~Copyable {
    private let handle: Descriptor

    /// Takes over a descriptor that is already non-blocking and close-on-exec.
    init(taking handle: consuming Descriptor) { self.handle = handle }

    /// Stays the same for the life of the socket; for registration with a `Poller` only.
    public var descriptor: Int32 { handle.raw }

    /// Begins to connect. The outcome is known when the socket turns writable: see
    /// `connectOutcome`.
    ///
    /// Throws what is known at once: a refusal on the same machine, no route, no descriptor left. A
    /// Unix listener whose backlog is full is `other(errno: EAGAIN)`.
    public static func connect(to address: SocketAddress) throws(SystemFault) -> Socket {
        let handle = try Descriptor(
            checking: System.once { penstock_stream_socket(address.family) })
        let raw = handle.raw
        if address.port != nil { System.expect(System.once { penstock_set_no_delay(raw) }) }
        let result = unsafe address.withSystemForm { system, length in
            System.once { unsafe Glibc.connect(raw, system, length) }
        }
        // An interrupted connect goes on by itself, like one in progress (connect(2)).
        if result != -Int(EINPROGRESS), result != -Int(EINTR) { try System.check(result) }
        return Socket(taking: handle)
    }

    /// Reads what is there into a buffer that must not be empty.
    public borrowing func receive(_ into: UnsafeMutableRawBufferPointer) -> Transfer {
        unsafe Socket.receive(handle.raw, into)
    }

    /// The same, and what is there stays there.
    public borrowing func peek(_ into: UnsafeMutableRawBufferPointer) -> Transfer {
        invariant(into.count > 0, "a look has room")
        let raw = handle.raw
        let result = System.retrying { unsafe penstock_peek(raw, into.baseAddress, into.count) }
        return result == 0 ? .closed : System.transfer(result)
    }

    /// Sends as much as the kernel takes now.
    public borrowing func send(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        unsafe Socket.send(handle.raw, bytes)
    }

    /// The same for a C library that knows the socket by its number; its owner holds it meanwhile.
    public static func receive(
        _ raw: Int32, _ into: UnsafeMutableRawBufferPointer
    ) -> Transfer {
        invariant(into.count > 0, "a receive has room")
        let result = System.retrying { unsafe penstock_receive(raw, into.baseAddress, into.count) }
        return result == 0 ? .closed : System.transfer(result)
    }

    /// As `receive`.
    public static func send(_ raw: Int32, _ bytes: UnsafeRawBufferPointer) -> Transfer {
        System.transfer(
            System.retrying { unsafe penstock_send(raw, bytes.baseAddress, bytes.count) })
    }

    /// Sends two pieces as if they were one, in one system call.
    public borrowing func send(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Transfer {
        let raw = handle.raw
        return System.transfer(
            System.retrying {
                unsafe penstock_send_two(
                    raw, first.baseAddress, first.count, second.baseAddress, second.count)
            })
    }

    /// Once writable after `connect`: nil when connected, the fault otherwise. Also the fault
    /// behind a readiness of `failed`. Reading it clears it (SO_ERROR).
    public borrowing func connectOutcome() -> SystemFault? {
        let raw = handle.raw
        var outcome: Int32 = 0
        System.expect(System.once { unsafe penstock_socket_error(raw, &outcome) })
        return outcome == 0 ? nil : SystemFault(code: outcome)
    }

    /// Sends the end of the stream after what was sent; receiving goes on.
    public borrowing func shutdownWrite() {
        let raw = handle.raw
        // ENOTCONN: the peer was faster and there is no connection left to end.
        let result = System.once { shutdown(raw, Int32(SHUT_WR)) }
        invariant(result >= 0 || result == -Int(ENOTCONN), "a stream socket can be shut down")
    }

    /// From now on closing discards what is unsent and resets the connection.
    public borrowing func resetOnClose() {
        let raw = handle.raw
        System.expect(System.once { penstock_set_reset_on_close(raw) })
    }

    /// Asks for a receive buffer; the kernel doubles it and cuts it at `net.core.rmem_max`.
    public borrowing func setReceiveBuffer(_ size: Bytes) {
        let raw = handle.raw
        let bytes = Int32(clamping: size.count)
        System.expect(System.once { penstock_set_receive_buffer(raw, bytes) })
    }

    /// Asks for a send buffer; the kernel doubles it and cuts it at `net.core.wmem_max`.
    public borrowing func setSendBuffer(_ size: Bytes) {
        let raw = handle.raw
        let bytes = Int32(clamping: size.count)
        System.expect(System.once { penstock_set_send_buffer(raw, bytes) })
    }

    /// Bytes that the peer has never acknowledged, also of a connection that is broken by now; nil
    /// where that cannot be known: no TCP, a kernel before 4.19.
    public borrowing func unacknowledgedBytes() -> Int? {
        let raw = handle.raw
        let left = penstock_unacknowledged(raw)
        return left < 0 ? nil : Int(left)
    }

    /// Bytes sent that the peer has not acknowledged; nil when there is no connection (SIOCOUTQ).
    public borrowing func unsentBytes() -> Int? {
        let raw = handle.raw
        var bytes: Int32 = 0
        let result = System.once { unsafe penstock_unsent(raw, &bytes) }
        return result < 0 ? nil : Int(bytes)
    }
}
