// SPDX-License-Identifier: Apache-2.0

public import EventLoop
public import Logging
import Synchronization
import Units

/// Lines on their way to standard error: written by a thread of its own, so that no loop ever waits
/// for a slow terminal or disk. What exceeds the queue is dropped and counted.
public final class LogSink: Sendable {
    private enum Record: Sendable {
        case line(String)
        case end
    }

    private let records: Mailbox<Record>
    private let thread: LoopThread
    private let dropped = Atomic<Int>(0)

    public init() throws(SystemFault) {
        let records = try Mailbox<Record>(limit: 4_096)
        self.records = records
        thread = try LoopThread(name: "penstock-log") { Self.run(records) }
    }

    /// Lines that found the queue full.
    public var droppedLines: Int { dropped.load(ordering: .relaxed) }

    public func write(_ line: String) {
        if !records.post(.line(line)) { dropped.add(1, ordering: .relaxed) }
    }

    /// Writes out what is queued and ends the thread.
    public func close() {
        records.post(.end)
        thread.join()
    }

    private static func run(_ records: Mailbox<Record>) {
        guard let poller = try? Poller(batch: 1) else { return }
        let token = Token(kind: 0, key: .init(raw: 0))
        guard (try? poller.add(records.descriptor, .read, token)) != nil else { return }
        var batch: [Record] = []
        while true {
            _ = try? poller.wait(until: nil, now: MonotonicClock.now())
            records.drain(into: &batch)
            var text = ""
            var isOver = false
            for record in batch {
                switch record {
                case .line(let line): text += line + "\n"
                case .end: isOver = true
                }
            }
            if !text.isEmpty { Terminal.write(text, to: .error) }
            batch.removeAll(keepingCapacity: true)
            if isOver { return }
        }
    }
}

/// Writes swift-log records as one line each: time, level, message, then sorted `key=value` pairs.
public struct LineHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel = Logger.Level.info
    private let sink: LogSink

    public init(sink: LogSink) { self.sink = sink }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var line = "\(LogTime.text(WallClock.now())) \(event.level) \(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(Self.quoted("\(value)"))"
        }
        sink.write(line)
    }

    /// Values with blanks, quotes or control bytes are quoted: one record stays one line.
    private static func quoted(_ value: String) -> String {
        let plain = value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x5C && $0 < 0x7F }
        if plain, !value.isEmpty { return value }
        var quoted = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case let scalar where scalar.value < 0x20: quoted += " "
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
