// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import Testing

/// Whole files and what becomes of them. `Golden/NAME.yaml` goes with `NAME.mistakes`, or with
/// `NAME.effective` and `NAME.json`. PENSTOCK_UPDATE=1 writes the results anew.
@Suite struct GoldenTests {
    private static let folder = Repository.tests.appendingPathComponent("Golden")
    private static let environment = ["PORT": "8081", "SECRET": "hunter2-from-environment"]

    static var names: [String] {
        let files = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (files ?? []).filter { $0.hasSuffix(".yaml") }.map { String($0.dropLast(5)) }
            .sorted()
    }

    @Test func thereAreGoldenFiles() {
        #expect(Self.names.count >= 5)
    }

    @Test(arguments: names)
    func aFileGivesWhatIsCommitted(name: String) throws {
        let text = try #require(Repository.text(Self.folder.appendingPathComponent("\(name).yaml")))
        do {
            let loaded = try ConfigurationFile.parse(
                text: text, name: "\(name).yaml", folder: Self.folder.path,
                environment: { Self.environment[$0] }, previous: nil)
            try compare("\(name).effective", loaded.effective)
            try compare("\(name).json", loaded.effectiveJSON + "\n")
        } catch let fault as ConfigurationFault {
            try compare("\(name).mistakes", fault.description + "\n")
        }
    }

    private func compare(_ name: String, _ current: String) throws {
        let file = Self.folder.appendingPathComponent(name)
        #expect(try Repository.committed(file, current: current) == current)
    }
}
