// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import EventLoop
import Gateway
import Policy

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Validates a configuration.",
        discussion: "Every mistake found is one line: file:line:column: message.")

    @Option(name: .long, help: "The configuration, a YAML file.")
    var config: String

    @Flag(name: .long, help: "Shows the effective configuration, secrets masked.")
    var print = false

    func run() throws {
        do throws(ConfigurationFault) {
            let loaded = try ConfigurationFile.load(
                path: config, environment: { Terminal.environment($0) }, previous: nil)
            try SecurityChecking.check(loaded)
            StandardOutput.line(print ? loaded.effective : "\(config): ok")
        } catch {
            for mistake in error.mistakes { StandardOutput.diagnostic("\(mistake)") }
            throw ExitCode(1)
        }
    }
}

/// Looks at the certificates and keys that a configuration names.
enum SecurityChecking {
    /// Warns of what will soon be over, and throws the mistakes.
    static func check(_ loaded: LoadedConfiguration) throws(ConfigurationFault) {
        let (mistakes, warnings) = SecurityCheck.run(loaded.fixed, loaded.policy)
        for warning in warnings { StandardOutput.diagnostic("warning: \(warning)") }
        guard mistakes.isEmpty else {
            throw ConfigurationFault(mistakes: mistakes.map { loaded.mistake($0.path, $0.reason) })
        }
    }
}
