// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The one executable; every command is a file of its own.
@main
struct Penstock: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "penstock",
        abstract: "Meters tokens onto GPUs: an admission-control gateway for LLM engines.",
        discussion: """
            Exit codes: 0 done, 1 the input is wrong, 2 the command line is wrong, \
            3 the environment failed.
            """,
        version: Version.text,
        subcommands: [
            ServeCommand.self, CheckCommand.self, DemoCommand.self, EngineCommand.self,
            ReplayCommand.self, SimulateCommand.self, UsageCommand.self, KeyCommand.self,
            CountCommand.self,
        ])

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch let failure as Failure {
            StandardOutput.error(failure.lines)
            Self.exit(withError: ExitCode(failure.code))
        } catch let code as ExitCode {
            Self.exit(withError: code)
        } catch {
            // ArgumentParser has a code of its own for a wrong command line.
            let isUsage = exitCode(for: error) == ExitCode.validationFailure
            let text = fullMessage(for: error)
            if !isUsage { Self.exit(withError: error) }
            StandardOutput.error([text])
            Self.exit(withError: ExitCode(2))
        }
    }
}

/// Why a command ends without having done its work.
struct Failure: Error {
    /// 1 the input is wrong, 3 the environment failed.
    let code: Int32
    let lines: [String]

    static func input(_ lines: [String]) -> Failure { Failure(code: 1, lines: lines) }
    static func environment(_ line: String) -> Failure { Failure(code: 3, lines: [line]) }
}

enum Version {
    static let text = "0.1.0"
}
