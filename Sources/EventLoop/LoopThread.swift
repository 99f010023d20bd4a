// SPDX-License-Identifier: Apache-2.0
import CPlatform
import Glibc
import Synchronization

/// A named thread that runs one body, with the state that the body makes or was sent.
public final class LoopThread: Sendable {
    private final class Start {
        let name: String
        let processor: Int?
        let body: () -> Void

        init(name: String, processor: Int?, body: @escaping () -> Void) {
            self.name = name
            self.processor = processor
            self.body = body
        }
    }
    /// Nil once joined.
    private let thread: Mutex<pthread_t?>

    /// Starts the thread. Its name is cut at 15 bytes; with `processor` it stays on that one, if
    /// the process may run there.
    public init(
        name: String, processor: Int? = nil, _ body: sending @escaping () -> Void
    ) throws(SystemFault) {
        let start = unsafe Unmanaged.passRetained(
            Start(name: name, processor: processor, body: body))
        var made = pthread_t()
        let code = unsafe pthread_create(
            &made, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                LoopThread.run(unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue())
                return nil
            }, start.toOpaque())
        guard code == 0 else {
            unsafe start.release()
            throw SystemFault(code: code)
        }
        thread = Mutex(made)
    }

    deinit {
        if let running = thread.withLock({ $0.take() }) { pthread_detach(running) }
    }

    /// Waits until the body has returned; a second call returns at once. Without it the thread ends
    /// by itself.
    public func join() {
        guard let running = thread.withLock({ $0.take() }) else { return }
        pthread_join(running, nil)
    }

    private static func run(_ start: Start) {
        unsafe penstock_name_thread(pthread_self(), start.name)
        if let processor = start.processor { penstock_pin_thread(Int32(clamping: processor)) }
        start.body()
    }
}
