// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import EventLoop
import Gateway
import Policy

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Runs the gateway.",
        discussion: """
            SIGHUP reloads the configuration. SIGTERM and SIGINT drain and end; a second one ends \
            at once.
            """)

    @Option(name: .long, help: "The configuration, a YAML file.")
    var config: String

    func run() throws {
        let signals = try GatewayRunning.signals()
        let loaded = try ConfigurationLoading.load(config, previous: nil)
        do throws(ConfigurationFault) { try SecurityChecking.check(loaded) } catch {
            for mistake in error.mistakes { StandardOutput.diagnostic("\(mistake)") }
            throw ExitCode(1)
        }
        try GatewayRunning.run(
            signals,
            GatewaySetup(
                fixed: loaded.fixed, policy: loaded.policy, effective: loaded.effectiveJSON,
                reload: ConfigurationLoading.reload(config, fixed: loaded.fixed),
                override: ConfigurationLoading.override),
            announce: { process in
                process.addresses.map { "listening on \($0)" }
                    + ["admin on \(process.adminAddress)"]
            })
    }
}

/// Starts a gateway in this process and stays until it ends.
enum GatewayRunning {
    /// Comes first in a command: a thread that began before it would die of a signal.
    static func signals() throws -> SignalSource {
        do throws(SystemFault) {
            return try SignalSource()
        } catch {
            throw Failure.environment("\(error)")
        }
    }

    static func run(
        _ signals: consuming SignalSource, _ setup: GatewaySetup,
        announce: (GatewayProcess) -> [String]
    ) throws {
        _ = Limits.raiseOpenFiles()
        Limits.returnMemory()
        do {
            let log = try LogSink()
            let process = try GatewayProcess(setup, log: log, signals: signals)
            for line in announce(process) { log.write(line) }
            let cut = try process.run()
            if cut > 0 { log.write("ended with \(cut) requests cut") }
            log.close()
        } catch let fault as GatewayFault {
            throw Failure.environment("\(fault)")
        } catch let fault as SystemFault {
            throw Failure.environment("\(fault)")
        }
    }
}

/// The configuration from its file, and again at each reload.
enum ConfigurationLoading {
    static func load(_ path: String, previous: Policy?) throws -> LoadedConfiguration {
        do throws(ConfigurationFault) {
            return try ConfigurationFile.load(
                path: path, environment: { Terminal.environment($0) }, previous: previous)
        } catch {
            for mistake in error.mistakes { StandardOutput.diagnostic("\(mistake)") }
            throw ExitCode(1)
        }
    }

    /// What an operator overrides is checked as the file is.
    static func override(_ bytes: [UInt8]) -> OverrideOutcome {
        do throws(ConfigurationFault) {
            let override = try OverrideReader.read(bytes)
            return .read(override.limits, expiresIn: override.expiresIn)
        } catch {
            return .rejected(error.mistakes.map { "\($0)" })
        }
    }

    static func reload(
        _ path: String, fixed: FixedPolicy
    ) -> @Sendable (Policy) -> ReloadOutcome {
        { previous in
            do throws(ConfigurationFault) {
                let loaded = try ConfigurationFile.load(
                    path: path, environment: { Terminal.environment($0) }, previous: previous)
                let changes = changesNeedingRestart(
                    from: fixed, to: loaded.fixed)
                guard changes.isEmpty else {
                    return .rejected(changes.map { "\($0) changes only with a restart" })
                }
                return .loaded(loaded.policy, effective: loaded.effectiveJSON)
            } catch {
                return .rejected(error.mistakes.map { "\($0)" })
            }
        }
    }
}
