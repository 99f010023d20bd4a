// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc

/// A fault of the operating system or the network, as far as callers tell them apart.
public enum SystemFault: Error, Sendable, Equatable, CustomStringConvertible {
    case connectRefused
    /// No route, or the network or host is down.
    case unreachable
    case addressInUse
    /// The address is not of this machine, or no local port is left to connect from.
    case addressUnavailable
    case permission
    /// The process or the machine has no descriptor left.
    case tooManyFiles
    /// The kernel has no memory or buffer left.
    case noMemory
    case reset
    case brokenPipe
    case timedOut
    case notFound
    case other(errno: Int32)

    init(code: Int32) {
        self =
            switch code {
            case ECONNREFUSED: .connectRefused
            case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN: .unreachable
            case EADDRINUSE: .addressInUse
            case EADDRNOTAVAIL: .addressUnavailable
            case EACCES, EPERM: .permission
            case EMFILE, ENFILE: .tooManyFiles
            case ENOMEM, ENOBUFS: .noMemory
            case ECONNRESET: .reset
            case EPIPE: .brokenPipe
            case ETIMEDOUT: .timedOut
            case ENOENT: .notFound
            default: .other(errno: code)
            }
    }

    /// The error number of the case; where a case stands for several, the most common one.
    public var code: Int32 {
        switch self {
        case .connectRefused: ECONNREFUSED
        case .unreachable: EHOSTUNREACH
        case .addressInUse: EADDRINUSE
        case .addressUnavailable: EADDRNOTAVAIL
        case .permission: EACCES
        case .tooManyFiles: EMFILE
        case .noMemory: ENOMEM
        case .reset: ECONNRESET
        case .brokenPipe: EPIPE
        case .timedOut: ETIMEDOUT
        case .notFound: ENOENT
        case .other(let code): code
        }
    }

    /// The system's own words for it.
    public var description: String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
            guard let start = text.baseAddress else { return "error \(code)" }
            unsafe penstock_error_text(code, start, text.count)
            return unsafe String(cString: start)
        }
    }
}
