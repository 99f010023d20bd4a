// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import EventLoop
import Simulation
import Units

struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Runs simulated vLLM engines, paced by a continuous-batching cost model.",
        discussion: """
            One token is one run of up to 12 bytes between white space. A request ends after a \
            length drawn from its text and the seed, or after exactly max_tokens with \
            "ignore_eos": true. SIGTERM and SIGINT end it at once.
            """)

    @Option(name: .long, help: "Where to listen, host:port; repeat it for more engines.")
    var listen: [String]

    @Option(name: .long, help: "The model's name, as requests give it.")
    var model = "simulated"

    @Option(
        name: .long, help: "The cost model: \(EngineProfile.catalogNames.joined(separator: ", ")).")
    var profile = "small"

    @Option(name: .customLong("kv-tokens"), help: "KV tokens, in place of the profile's.")
    var kvTokens: Int?

    @Option(name: .customLong("max-seqs"), help: "Sequences at once, in place of the profile's.")
    var maxSeqs: Int?

    @Option(name: .customLong("context"), help: "Tokens that one sequence may hold.")
    var context = 32_768

    @Option(name: .long, help: "Seed of lengths and texts.")
    var seed: UInt64 = 0

    @Option(name: .long, help: "Simulated seconds in a real one.")
    var speed = 1.0

    @Flag(name: .long, help: "Answers every generation with 503.")
    var refuse = false

    @Option(name: .customLong("die-after"), help: "Dies after so many generated tokens.")
    var dieAfter: Int?

    func validate() throws {
        guard !listen.isEmpty else { throw ValidationError("--listen is needed") }
        guard speed > 0, speed.isFinite else { throw ValidationError("--speed is above zero") }
        guard kvTokens.map({ $0 >= EngineProfile.blockTokens }) ?? true,
            maxSeqs.map({ $0 > 0 }) ?? true
        else { throw ValidationError("--kv-tokens and --max-seqs must leave room for a sequence") }
        guard EngineProfile.named(profile) != nil else {
            throw ValidationError("--profile \(profile): there is none of that name")
        }
    }

    func run() throws {
        guard var chosen = EngineProfile.named(profile) else { return }
        if let kvTokens { chosen.blocks = kvTokens / EngineProfile.blockTokens }
        if let maxSeqs { chosen.maxSequences = maxSeqs }
        var setups: [EngineSetup] = []
        for text in listen {
            guard let address = ListenText.address(text) else {
                throw Failure.input(["--listen \(text): host:port with an IP address is expected"])
            }
            var setup = EngineSetup(address: address, profile: chosen)
            setup.model = model
            setup.contextLength = Tokens(context)
            setup.seed = seed
            setup.speed = speed
            if refuse { setup.misbehaviour = .refuses }
            if let dieAfter { setup.misbehaviour = .dies(after: Tokens(dieAfter)) }
            setups.append(setup)
        }
        _ = Limits.raiseOpenFiles()
        let signals = try GatewayRunning.signals()
        do {
            let server = try EngineServer.start(setups)
            for address in server.addresses { StandardOutput.line("engine on \(address)") }
            try server.wait(until: signals)
        } catch let fault as EngineStartFault {
            throw Failure.environment("\(fault)")
        } catch let fault as SystemFault {
            throw Failure.environment("\(fault)")
        }
    }
}

/// Addresses on a command line.
enum ListenText {
    /// `127.0.0.1:8000`, `[::1]:8000` or `:8000`, which is loopback.
    static func address(_ text: String) -> SocketAddress? {
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(text[text.index(after: colon)...])
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        return SocketAddress(ip: host.isEmpty ? "127.0.0.1" : host, port: port)
    }
}
