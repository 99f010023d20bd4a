// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EventLoop
import Replay
import Simulation
import Units

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Replays a trace against an OpenAI-compatible server, at the trace's own times.",
        discussion: """
            Open loop: a request is sent when the trace says so, whatever became of those before. \
            An interrupt ends the replay early, with a report of what there is.
            """)

    @Option(name: .long, help: "The trace: CSV with t_ms,in,out and more, plain or gzip'd.")
    var trace: String

    @Option(name: .long, help: "The server, http://host:port, with a path before /v1 if it has one.")
    var target: String

    @Option(name: .long, help: "Trace seconds in a real one.")
    var speed = 1.0

    @Option(name: .long, help: "Stops sending after so long: 30s, 10m. Trace time, not real time.")
    var duration: String?

    @Option(name: .long, help: "The first so many requests of the trace.")
    var limit: Int?

    @Option(name: .long, help: "An API key; repeat it, and the trace's tenants share them in turn.")
    var key: [String] = []

    @Option(name: .long, help: "The model's name.")
    var model: String?

    @Option(name: .customLong("class"), help: "X-Traffic-Class of every request.")
    var trafficClass: String?

    @Flag(name: .customLong("no-stream"), help: "Asks for whole answers.")
    var noStream = false

    @Option(
        name: .customLong("obey-retry-after"),
        help: "Comes back as refusals say, so many times at most.")
    var obeyRetryAfter: Int?

    @Option(name: .customLong("slo-ttft"), help: "The target for the first token, for goodput.")
    var firstTokenTarget = "2s"

    @Option(name: .customLong("slo-tpot"), help: "The target between tokens, for goodput.")
    var perTokenTarget = "50ms"

    @Flag(name: .long, help: "One JSON document on standard output, no progress.")
    var json = false

    func validate() throws {
        guard speed > 0, speed.isFinite else { throw ValidationError("--speed is above zero") }
        guard ReplayTarget(url: target) != nil else {
            throw ValidationError("--target \(target): http://host:port is expected")
        }
        for text in [duration, firstTokenTarget, perTokenTarget].compactMap({ $0 })
        where DurationText.parse(text) == nil {
            throw ValidationError("\(text): a duration like 250ms, 30s or 5m is expected")
        }
    }

    func run() throws {
        _ = Limits.raiseOpenFiles()
        var loaded: Trace
        do throws(TraceFileFault) {
            loaded = try TraceFile.read(trace)
        } catch {
            throw Failure.input(["\(trace): \(error)"])
        }
        if let limit { loaded = loaded.first(limit) }
        try replay(loaded)
    }

    private func replay(_ trace: Trace) throws {
        guard let target = ReplayTarget(url: target) else { return }
        var setup = ReplaySetup(target: target)
        setup.speed = speed
        if let duration, let span = DurationText.parse(duration) {
            setup.duration = .seconds(span.seconds / speed)
        }
        setup.model = model
        setup.keys = key
        setup.trafficClass = trafficClass
        setup.delivery = noStream ? .whole : .stream
        if let obeyRetryAfter { setup.patience = .obeys(returns: obeyRetryAfter) }
        setup.progress = json ? .silent : .everySecond
        setup.targets = LatencyTargets(
            firstToken: DurationText.parse(firstTokenTarget) ?? .seconds(2),
            perToken: DurationText.parse(perTokenTarget) ?? .milliseconds(50))
        do {
            let run = try ReplayRun(setup, trace, signals: try ReplaySignals())
            let report = try run.run()
            if json {
                StandardOutput.line(report.json)
            } else {
                for line in report.lines { StandardOutput.line(line) }
            }
        } catch let fault as ReplayFault {
            throw Failure.environment("\(fault)")
        } catch let fault as SystemFault {
            throw Failure.environment("\(fault)")
        }
    }
}

/// Durations on a command line, spelled as in the configuration.
enum DurationText {
    static func parse(_ text: String) -> Duration? {
        let units: [(String, Double)] = [
            ("ms", 0.001), ("us", 0.000_001), ("s", 1), ("m", 60), ("h", 3_600),
        ]
        for (unit, seconds) in units where text.hasSuffix(unit) {
            guard let count = Double(text.dropLast(unit.count)), count >= 0, count.isFinite else {
                return nil
            }
            return .seconds(count * seconds)
        }
        return nil
    }
}
