// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import Policy

/// A small valid configuration in which a test changes one thing.
struct Document {
    /// Where a test can put something, by the line's own indentation.
    enum Spot: String {
        case top, listener, model, pool
        case trafficClass = "class"
        case tenant
    }

    var text = """
        workers: 2
        listeners:
          - address: 127.0.0.1:0
            # listener
        models:
          - name: m
            context_length: 1000
            # model
        pools:
          - name: p
            engine: vllm
            endpoints: [http://127.0.0.1:8000]
            models: [m]
            # pool
        classes:
          - name: c
            pool: p
            # class
        tenants:
          - id: anonymous
            classes: [c]
            models: [m]
            # tenant
        # top

        """

    /// Puts `line` at the end of the first entry of a list, or of the file.
    func with(_ spot: Spot, _ line: String) -> Document {
        Document(text: text.replacing("# \(spot.rawValue)\n", with: line + "\n"))
    }

    func load(
        folder: String = "", environment: [String: String] = [:], previous: Policy? = nil
    ) throws(ConfigurationFault) -> LoadedConfiguration {
        try ConfigurationFile.parse(
            text: text, name: "test.yaml", folder: folder, environment: { environment[$0] },
            previous: previous)
    }

    /// What is wrong with it, without the file's name; empty when nothing is.
    func mistakes(
        folder: String = "", environment: [String: String] = [:], previous: Policy? = nil
    ) -> [String] {
        do throws(ConfigurationFault) {
            _ = try load(folder: folder, environment: environment, previous: previous)
            return []
        } catch {
            return error.mistakes.map { "\($0.line):\($0.column): \($0.message)" }
        }
    }
}

/// Where the files of this repository are.
enum Repository {
    static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    static let root = tests.deletingLastPathComponent().deletingLastPathComponent()
    /// Committed results are written anew instead of compared.
    static let isUpdating = ProcessInfo.processInfo.environment["PENSTOCK_UPDATE"] == "1"

    static func text(_ file: URL) -> String? {
        try? String(contentsOf: file, encoding: .utf8)
    }

    /// What is committed in `file`, after writing `text` there when asked to.
    static func committed(_ file: URL, current text: String) throws -> String? {
        if isUpdating { try text.write(to: file, atomically: true, encoding: .utf8) }
        return self.text(file)
    }
}

/// A folder that is removed with its owner.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "penstock-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
    }
    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }
}
