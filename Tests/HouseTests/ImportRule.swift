// SPDX-License-Identifier: Apache-2.0

/// Who may call whom: the arrows of the house point one way only.
///
/// The compiler refuses an import that `Package.swift` does not declare; this rule refuses a
/// declaration that the house does not have, and what no declaration covers: the C library and the
/// modules of the toolchain.
enum ImportRule {
    private static let libc: Set<String> = ["Glibc", "Synchronization"]
    private static let deciding: Set<String> = [
        "Units", "Policy", "Estimation", "Budget", "Admission", "Scheduling", "Routing", "Planning",
    ]
    private static let serving: Set<String> = [
        "Units", "Wire", "Dialects", "Simulation", "EventLoop", "Transport", "Telemetry",
    ]

    /// Of swift-collections, which imports neither Foundation nor the C library.
    private static let everywhere: Set<String> = ["DequeModule", "BasicContainers"]

    static let pure: [String: Set<String>] = [
        "Units": [],
        "Wire": ["Units"],
        "Dialects": ["Units", "Wire"],
        "HTTP2": ["Units", "Wire", "CNghttp2"],
        "Policy": ["Units", "Tokenization"],
        "Estimation": ["Units", "Policy"],
        "Budget": ["Units", "Policy"],
        "Admission": ["Units", "Policy"],
        "Scheduling": ["Units", "Policy"],
        "Routing": ["Units", "Policy"],
        "Planning": ["Units", "Policy"],
        "Decision": deciding,
        "Simulation": deciding.union(["Decision"]),
        "Ledger": ["Units", "Wire"],
        "Tokenization": ["Units", "Wire"],
    ]

    static let rim: [String: Set<String>] = [
        "EventLoop": libc.union(["Units", "CPlatform"]),
        "Transport": libc.union([
            "Units", "Wire", "HTTP2", "EventLoop", "COpenSSL", "CZlib",
        ]),
        "Store": libc.union([
            "Units", "Policy", "Budget", "Admission", "Scheduling", "EventLoop", "CHiredis",
            "COpenSSL",
        ]),
        "Identity": ["Units", "Wire", "COpenSSL"],
        "Telemetry": libc.union(["Units", "Wire", "Logging"]),
        "Gateway": libc.union(deciding).union([
            "Decision", "Wire", "Dialects", "HTTP2", "EventLoop", "Transport", "Store",
            "Telemetry", "Ledger", "Tokenization", "Logging", "CPage", "Identity",
        ]),
        "Engine": libc.union(serving),
        "Replay": libc.union(serving).union(["CZlib"]),
        "Configuration": libc.union(["Units", "Policy", "Tokenization", "Yams", "Foundation"]),
        "penstock": libc.union([
            "Units", "Policy", "Configuration", "Gateway", "Engine", "Replay", "Store",
            "Telemetry", "EventLoop", "Transport", "Simulation", "Wire", "Ledger", "Estimation",
            "Tokenization", "ArgumentParser", "Logging",
        ]),
    ]

    static func offences(in source: SwiftSource) -> [Offence] {
        imports(of: source).compactMap { module, line in
            if module.hasPrefix("NIO") || module == "_NIOBase64" {
                return Offence(source.file, line: line, "no SwiftNIO: use EventLoop and Transport")
            }
            guard let room = source.file.room else {
                guard module.hasPrefix("Foundation"),
                    !source.file.path.hasPrefix("Tests/ConfigurationTests/")
                else { return nil }
                return Offence(
                    source.file, line: line,
                    "only Configuration imports Foundation: use the standard library or Glibc")
            }
            guard let allowed = pure[room] ?? rim[room] else {
                return Offence(
                    source.file, line: line,
                    "\(room) has no row in the table of rooms: give it one, here and in "
                        + "ARCHITECTURE.md")
            }
            if allowed.contains(module) || everywhere.contains(module) { return nil }
            return Offence(
                source.file, line: line,
                "\(room) may not import \(module), only "
                    + "\(allowed.sorted().joined(separator: ", ")): move the code or the arrow")
        }
    }

    private static func imports(of source: SwiftSource) -> [(module: String, line: Int)] {
        let kinds: Set<String> = [
            "struct", "class", "enum", "protocol", "typealias", "func", "let", "var",
        ]
        var found: [(module: String, line: Int)] = []
        for (place, token) in source.tokens.enumerated() where token.text == "import" {
            guard place == 0 || source.tokens[place - 1].text != "." else { continue }
            let name = source.texts(from: place + 1, count: 2).first { !kinds.contains($0.text) }
            if let name { found.append((name.text, token.line)) }
        }
        return found
    }
}
