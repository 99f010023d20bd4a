// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import Policy
import Testing
import Units

/// Files made to cost much or to stop the process.
@Suite struct HostileTests {
    private func full() throws -> [UInt8] {
        let file = Repository.root.appendingPathComponent("config/penstock.yaml")
        return Array(try #require(Repository.text(file)).utf8)
    }

    /// Loads or refuses; what it must not do is stop.
    private func survive(_ bytes: [UInt8]) {
        do {
            _ = try ConfigurationFile.parse(
                text: String(decoding: bytes, as: UTF8.self), name: "x", folder: "/nonexistent",
                environment: { _ in nil }, previous: nil)
        } catch {
            #expect(!error.mistakes.isEmpty)
        }
    }

    @Test(arguments: 0..<8)
    func everyBeginningOfAFileIsSurvived(part: Int) throws {
        let bytes = try full()
        for end in stride(from: part, to: bytes.count, by: 8 * 5) { survive(Array(bytes[..<end])) }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func changedBytesAreSurvived(seed: UInt64) throws {
        let bytes = try full()
        var random = SplitMix64(seed: seed)
        let likely = Array("\n :-[]{}&*!|>'\"%@`#,?<~$\\\t0a".utf8)
        for _ in 0..<40 {
            var changed = bytes
            for _ in 0...(random.next() % 4) {
                let place = Int(random.next() % UInt64(changed.count))
                let byte =
                    random.next() % 2 == 0
                    ? UInt8(truncatingIfNeeded: random.next())
                    : likely[Int(random.next() % UInt64(likely.count))]
                switch random.next() % 3 {
                case 0: changed[place] = byte
                case 1: changed.insert(byte, at: place)
                default: changed.remove(at: place)
                }
            }
            survive(changed)
        }
    }

    /// Text of nothing but what means something to YAML.
    @Test(arguments: 0..<50 as Range<UInt64>)
    func punctuationIsSurvived(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let words = [
            "a", "b", ": ", "- ", "\n", "\n  ", "[", "]", "{", "}", ", ", "&a ", "*a", "<<: ", "? ",
            "!!str ", "'", "\"", "| ", "> ", "# ", "--- ", "${A}", "workers", "models",
        ]
        for _ in 0..<50 {
            let text = (0..<(random.next() % 40)).map { _ in
                words[Int(random.next() % UInt64(words.count))]
            }
            survive(Array(text.joined().utf8))
        }
    }

    @Test func aBillionLaughsAreCounted() {
        var text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        for (name, next) in zip("abcdefgh", "bcdefghi") {
            let items = Array(repeating: "*\(name)", count: 10).joined(separator: ", ")
            text += "\(next): &\(next) [\(items)]\n"
        }
        let mistakes = Document(text: text).mistakes()
        #expect(mistakes.contains { $0.contains("more than 500000 values, aliases counted") })
    }

    /// The YAML library would hash such a key, and so walk through all that it stands for.
    @Test func aBillionLaughsAsAKeyAreRefused() {
        var text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        for (name, next) in zip("abcdefghijkl", "bcdefghijklm") {
            let items = Array(repeating: "*\(name)", count: 10).joined(separator: ", ")
            text += "\(next): &\(next) [\(items)]\n"
        }
        for key in ["? *m\n: 1\n", "*m : 1\n", "? [*m, *m]\n: 1\n", "z: {*m : 1, *m : 2}\n"] {
            let mistakes = Document(text: text + key).mistakes()
            #expect(!mistakes.isEmpty)
        }
    }

    @Test(arguments: ["[", "{a: ", "- ", "? ", "[{a: "])
    func deepNestingIsRefused(opening: String) {
        for depth in [33, 900, 100_000] {
            let text = "x: " + String(repeating: opening, count: depth)
            #expect(!Document(text: text).mistakes().isEmpty)
        }
    }

    @Test func nestingIsCounted() {
        func nested(_ depth: Int) -> [String] {
            let lists = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
            return Document().with(.top, "x: \(lists)").mistakes()
        }
        #expect(nested(31) == ["24:1: x: unknown key"])
        #expect(nested(32) == ["24:1: x: unknown key", "24:35: nested more than 32 deep"])
        #expect(nested(900).count == 2)
    }

    @Test func aFileOver4MiBIsNotLookedAt() throws {
        let comment = "#" + String(repeating: "x", count: (4 << 20) - 1)
        #expect(Document(text: comment).mistakes().count == 5)
        #expect(
            Document(text: comment + "x").mistakes() == [
                "1:1: the file is larger than 4194304 bytes"
            ])
        let folder = try TemporaryFolder()
        try folder.write("large.yaml", comment + "x")
        #expect(throws: ConfigurationFault.self) {
            try ConfigurationFile.load(
                path: "\(folder.path)/large.yaml", environment: { _ in nil }, previous: nil)
        }
    }

    @Test func onlySoManyMistakesAreKept() {
        let lines = (0..<1_500).map { "unknown-key-\($0): 1" }.joined(separator: "\n")
        let mistakes = Document().with(.top, lines).mistakes()
        #expect(mistakes.count == 1_001)
        #expect(
            mistakes.last?.hasSuffix("more than 1000 mistakes; the others are not shown") == true)
    }

    @Test func listsHaveBounds() {
        let names = (0..<65).map { "a\($0)" }.joined(separator: ", ")
        #expect(
            Document().with(.model, "aliases: [\(names)]").mistakes() == [
                "8:14: models[0].aliases: expected a list of 0 to 64, found one of 65"
            ])
    }

    @Test func manyTenantsAreReadQuickly() throws {
        let tenants = (0..<5_000).map { number in
            let hash = String(repeating: "0", count: 56) + String(10_000_000 + number)
            return "  - {id: t\(number), keys: ['sha256:\(hash)'], classes: [c], models: [m]}\n"
        }
        let loaded = try Document(text: Document().text + tenants.joined()).load()
        #expect(loaded.policy.tenants.count == 5_001)
    }
}
