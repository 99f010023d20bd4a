// SPDX-License-Identifier: Apache-2.0

public import EventLoop

/// The process's signals, for a replay that people end from the terminal.
public final class ReplaySignals {
    private let source: SignalSource

    /// To be made before any other thread is: it blocks the signals for those that follow.
    public init() throws(SystemFault) { source = try SignalSource() }

    var descriptor: Int32 { source.descriptor }

    /// Whether one of those that have come asks for the end.
    func askForTheEnd() -> Bool {
        var isEnd = false
        while let signal = source.next() { isEnd = isEnd || signal != .reload }
        return isEnd
    }
}

@available(*, unavailable)
extension ReplaySignals: Sendable {}
