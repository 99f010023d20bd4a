// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Configuration
import EventLoop
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
            StandardOutput.line(print ? loaded.effective : "\(config): ok")
        } catch {
            for mistake in error.mistakes { StandardOutput.diagnostic("\(mistake)") }
            throw ExitCode(1)
        }
    }
}
