// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Units

/// What the process is told by signal.
public enum ProcessSignal: Sendable, Equatable {
    /// SIGHUP.
    case reload
    /// SIGTERM.
    case terminate
    /// SIGINT.
    case interrupt
}

/// SIGHUP, SIGTERM and SIGINT as readable events instead of handlers.
///
/// It blocks them in the calling thread and so in every thread started from there later: made in
/// `main` before any other thread. It also has SIGPIPE ignored.
public struct SignalSource: ~Copyable {
    private let handle: Descriptor

    public init() throws(SystemFault) {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for signal in [SIGHUP, SIGTERM, SIGINT] { unsafe sigaddset(&signals, signal) }
        handle = try Descriptor(
            checking: System.once { unsafe penstock_signal_descriptor(&signals) })
        let code = unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        invariant(code == 0, "known signals can be blocked")
        _ = signal(SIGPIPE, SIG_IGN)
    }

    /// For registration with a `Poller`, for reading.
    public var descriptor: Int32 { handle.raw }

    /// The next signal that has come; nil when none waits. Several of a kind may count as one.
    public borrowing func next() -> ProcessSignal? {
        let raw = handle.raw
        let result = System.retrying { penstock_take_signal(raw) }
        switch Int32(result) {
        case SIGHUP: return .reload
        case SIGTERM: return .terminate
        case SIGINT: return .interrupt
        default:
            invariant(result == -Int(EAGAIN), "only the chosen signals are read")
            return nil
        }
    }
}
