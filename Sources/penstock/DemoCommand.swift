// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import Engine
import EventLoop
import Gateway
import Simulation
import Units

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Runs a gateway with simulated engines in this process, and shows what to try.")

    @Option(name: .long, help: "The port for clients; 0 lets the system choose.")
    var port: UInt16 = 8080

    @Option(name: .customLong("admin-port"), help: "The port for operators; 0 as above.")
    var adminPort: UInt16 = 9901

    func run() throws {
        let signals = try GatewayRunning.signals()
        let engines: EngineServer
        do throws(EngineStartFault) {
            engines = try EngineServer.start(try Self.engines())
        } catch {
            throw Failure.environment("\(error)")
        }
        defer { engines.stop() }
        let text = DemoConfiguration.text(
            port: port, adminPort: adminPort, engines: engines.addresses.map { "\($0)" })
        let loaded: LoadedConfiguration
        do throws(ConfigurationFault) {
            loaded = try ConfigurationFile.parse(
                text: text, name: "demo", folder: ".", environment: { _ in nil }, previous: nil)
        } catch {
            throw Failure.input(error.mistakes.map { "\($0)" })
        }
        try GatewayRunning.run(
            signals,
            GatewaySetup(
                fixed: loaded.fixed, policy: loaded.policy, effective: loaded.effectiveJSON,
                reload: { _ in .rejected(["the demo has no configuration file"]) },
                override: ConfigurationLoading.override),
            announce: { process in
                [
                    DemoConfiguration.welcome(
                        address: process.addresses.first.map { "\($0)" } ?? "",
                        admin: "\(process.adminAddress)")
                ]
            })
    }

    /// Two engines for chats, and one with little memory for batch work.
    private static func engines() throws(EngineStartFault) -> [EngineSetup] {
        guard let loopback = SocketAddress(ip: "127.0.0.1", port: 0) else { return [] }
        let chat = EngineProfile.small(kvTokens: Tokens(8_192), name: "small-8k")
        let batch = EngineProfile.small(kvTokens: Tokens(2_048), name: "small-2k")
        return [chat, chat, batch].enumerated().map { place, profile in
            var setup = EngineSetup(address: loopback, profile: profile)
            setup.model = DemoConfiguration.model
            setup.seed = UInt64(place)
            return setup
        }
    }
}
