// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import EventLoop

/// The socket as OpenSSL sees it, beneath one session.
///
/// OpenSSL's own socket BIO would read as often as it likes and die of SIGPIPE. A pair of memory
/// BIOs would copy each byte once more and hold buffers of their own for idle connections.
@safe
struct TLSWire {
    let descriptor: Int32
    /// One more receive is allowed: a peer that sends without pause holds the thread for one
    /// buffer.
    var mayReceive = false
    /// What the kernel said last that was neither bytes nor a wait.
    var fault: SystemFault?
    /// The peer's end of the stream was seen.
    var hasEnded = false
    /// Bytes received since the talk itself last brought something.
    var silent = 0

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// A BIO over `wire`, which outlives it; nil without memory.
    static func attach(_ wire: UnsafeMutablePointer<TLSWire>) -> OpaquePointer? {
        guard let method = unsafe OpaquePointer(bitPattern: TLSWire.method),
            let bio = unsafe BIO_new(method)
        else { return nil }
        unsafe BIO_set_data(bio, wire)
        unsafe BIO_set_init(bio, 1)
        return unsafe bio
    }

    /// Made once and never changed or freed; as a number, since pointers do not cross threads.
    private static let method: UInt = {
        let kind = BIO_get_new_index() | Int32(BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR)
        guard let made = unsafe BIO_meth_new(kind, "penstock socket") else { return 0 }
        unsafe BIO_meth_set_read(made) { bio, bytes, count in
            guard let bio = unsafe bio, let bytes = unsafe bytes, count > 0 else { return -1 }
            return unsafe TLSWire.receive(
                bio, UnsafeMutableRawBufferPointer(start: bytes, count: Int(count)))
        }
        unsafe BIO_meth_set_write(made) { bio, bytes, count in
            guard let bio = unsafe bio, let bytes = unsafe bytes, count > 0 else { return -1 }
            return unsafe TLSWire.send(
                bio, UnsafeRawBufferPointer(start: bytes, count: Int(count)))
        }
        // Nothing is held back, so that a flush has nothing to do.
        unsafe BIO_meth_set_ctrl(made) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return UInt(bitPattern: made)
    }()

    private static func receive(
        _ bio: OpaquePointer, _ into: UnsafeMutableRawBufferPointer
    ) -> Int32 {
        unsafe BIO_clear_flags(bio, waiting)
        guard let wire = unsafe BIO_get_data(bio)?.assumingMemoryBound(to: TLSWire.self) else {
            return -1
        }
        guard unsafe wire.pointee.mayReceive else {
            unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return -1
        }
        unsafe wire.pointee.mayReceive = false
        switch unsafe Socket.receive(wire.pointee.descriptor, into) {
        case .bytes(let count):
            unsafe wire.pointee.silent += count
            return Int32(count)
        case .wouldBlock:
            unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
            return -1
        case .closed:
            unsafe wire.pointee.hasEnded = true
            return 0
        case .failed(let fault):
            unsafe wire.pointee.fault = fault
            return -1
        }
    }

    private static func send(_ bio: OpaquePointer, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        unsafe BIO_clear_flags(bio, waiting)
        guard let wire = unsafe BIO_get_data(bio)?.assumingMemoryBound(to: TLSWire.self) else {
            return -1
        }
        switch unsafe Socket.send(wire.pointee.descriptor, bytes) {
        case .bytes(let count): return Int32(count)
        case .wouldBlock:
            unsafe BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY)
            return -1
        case .closed: return -1
        case .failed(let fault):
            unsafe wire.pointee.fault = fault
            return -1
        }
    }

    private static var waiting: Int32 {
        BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY
    }
}
