// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Units

/// Every system call on descriptors, under one rule: an interrupted call is repeated, what only a
/// bug of ours can cause (a closed descriptor, a bad address) stops the process, the rest is for
/// the caller.
///
/// Results are those of the call, or the error number negated.
enum System {
    /// Repeats while interrupted; the call's result, or −errno.
    @inline(__always)
    static func retrying<Result: SignedInteger>(_ call: () -> Result) -> Int {
        while true {
            let result = Int(call())
            if result >= 0 { return result }
            let code = errno
            if code != EINTR { return failure(code) }
        }
    }

    /// A call that must not be repeated when interrupted.
    @inline(__always)
    static func once<Result: SignedInteger>(_ call: () -> Result) -> Int {
        let result = Int(call())
        return result >= 0 ? result : failure(errno)
    }

    private static func failure(_ code: Int32) -> Int {
        switch code {
        case EBADF, EFAULT, ENOTSOCK:
            broken("system calls get descriptors and memory that are ours")
        default: return -Int(code)
        }
    }

    /// The result, or the fault it stands for.
    @discardableResult
    static func check(_ result: Int) throws(SystemFault) -> Int {
        if result < 0 { throw SystemFault(code: Int32(-result)) }
        return result
    }

    /// For settings that cannot fail on a descriptor of the right kind.
    static func expect(_ result: Int) {
        invariant(result >= 0, "an option fits its descriptor")
    }

    /// For reads and sends; a receive that gave 0 bytes is for the caller to tell apart.
    @inline(__always)
    static func transfer(_ result: Int) -> Transfer {
        if result >= 0 { return .bytes(result) }
        if result == -Int(EAGAIN) { return .wouldBlock }
        return .failed(SystemFault(code: Int32(-result)))
    }
}

/// An open descriptor, closed when it goes.
struct Descriptor: ~Copyable {
    let raw: Int32

    init(_ raw: Int32) { self.raw = raw }
    /// Of the result of a system call that opens one.
    init(checking result: Int) throws(SystemFault) {
        raw = Int32(try System.check(result))
    }

    // Linux has closed it even when the call was interrupted: never repeated.
    deinit { _ = System.once { close(raw) } }

    /// A second descriptor of the same open file.
    borrowing func duplicate() throws(SystemFault) -> Descriptor {
        let raw = raw
        return try Descriptor(checking: System.once { fcntl(raw, F_DUPFD_CLOEXEC, 0) })
    }
}
