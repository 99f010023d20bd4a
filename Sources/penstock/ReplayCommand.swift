// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EventLoop
import Replay
import Simulation
import Units

struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Replays a trace over sockets against an OpenAI-compatible server.",
        discussion: """
            Requests are sent at their times, whatever became of those before them. A prompt has \
            exactly the trace's tokens by the count of `penstock engine`: one for each run of up \
            to 12 bytes between white space. SIGINT and SIGTERM end the replay early, with a \
            report of what there is.
            """)

    @Option(name: .long, help: "CSV with t_ms, in and out, plain or gzip'd.")
    var trace: String

    @Option(name: .long, help: "http://host:port, with or without /v1.")
    var target: String

    @Option(name: .long, help: "Trace seconds in a real one.")
    var speed = 1.0

    @Option(name: .long, help: "Seconds after which no more requests are sent.")
    var duration: Double?

    @Option(name: .long, help: "Only the first requests of the trace.")
    var limit: Int?

    @Option(name: .long, help: "A key; repeat it for more. The trace's tenants take them in turn.")
    var key: [String] = []

    @Option(name: .long, help: "The model's name.")
    var model: String?

    @Option(name: .customLong("class"), help: "The traffic class, for X-Traffic-Class.")
    var trafficClass: String?

    @Option(
        name: .customLong("max-tokens"),
        help: "Clients ask for so many tokens at most; only penstock engine knows the trace's own.")
    var maxTokens: Int?

    @Option(name: .long, help: "Another one makes other texts of the same length.")
    var seed: UInt32 = 0

    @Flag(name: .long, inversion: .prefixedNo, help: "Asks for streams, or for whole answers.")
    var stream = true

    @Flag(name: .customLong("obey-retry-after"), help: "Sends refused requests again when told.")
    var obeyRetryAfter = false

    @Option(name: .customLong("slo-ttft"), help: "Milliseconds to the first token of a good one.")
    var targetFirstToken = 2_000

    @Option(name: .customLong("slo-tpot"), help: "Milliseconds per further token of a good one.")
    var targetPerToken = 50

    @Flag(name: .long, help: "Prints one JSON document.")
    var json = false

    func validate() throws {
        guard speed > 0, speed.isFinite else { throw ValidationError("--speed is above zero") }
        guard duration.map({ $0 > 0 }) ?? true, limit.map({ $0 > 0 }) ?? true else {
            throw ValidationError("--duration and --limit are above zero")
        }
        guard maxTokens.map({ $0 > 0 && $0 <= 1 << 30 }) ?? true else {
            throw ValidationError("--max-tokens is between 1 and 1073741824")
        }
        guard targetFirstToken > 0, targetPerToken > 0 else {
            throw ValidationError("--slo-ttft and --slo-tpot are above zero")
        }
        let values = key + [trafficClass ?? ""]
        let isVisible = { (byte: UInt8) in (0x21...0x7E).contains(byte) }
        guard values.allSatisfy({ $0.utf8.allSatisfy(isVisible) }) else {
            throw ValidationError("--key and --class have neither spaces nor control characters")
        }
        guard ReplayTarget(url: target) != nil else {
            throw ValidationError("--target \(target): http://host[:port] is expected")
        }
    }

    func run() throws {
        let requests = try read()
        guard let setup = setup() else { return }
        _ = Limits.raiseOpenFiles()
        let report: ReplayReport
        do throws(ReplayFault) {
            report = try ReplayRun(setup, requests, signals: try? ReplaySignals()).run()
        } catch {
            throw Failure.environment("\(target): \(error)")
        }
        if json {
            StandardOutput.line(report.json)
        } else {
            for line in report.lines { StandardOutput.line(line) }
        }
    }

    private func read() throws -> Trace {
        do throws(TraceFileFault) {
            let whole = try TraceFile.read(trace)
            return limit.map { whole.first($0) } ?? whole
        } catch {
            throw Failure.input(["\(trace): \(error)"])
        }
    }

    private func setup() -> ReplaySetup? {
        guard let target = ReplayTarget(url: target) else { return nil }
        var setup = ReplaySetup(target: target)
        setup.speed = speed
        if let duration { setup.duration = .seconds(duration) }
        setup.model = model
        setup.keys = key
        setup.trafficClass = trafficClass
        setup.stated = maxTokens.map { Tokens($0) }
        setup.seed = seed
        setup.delivery = stream ? .stream : .whole
        setup.patience = obeyRetryAfter ? .obeys(returns: 10) : .none
        setup.progress = .everySecond
        setup.targets = LatencyTargets(
            firstToken: .milliseconds(targetFirstToken), perToken: .milliseconds(targetPerToken))
        return setup
    }
}
