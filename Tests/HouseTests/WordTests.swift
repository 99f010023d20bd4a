// SPDX-License-Identifier: Apache-2.0

import Testing

struct WordTests {
    @Test(arguments: WordRule.all)
    func noBannedWordIsUsed(rule: WordRule) {
        let found = SourceTree.swift.flatMap(rule.offences)
        expectNone(found)
    }

    @Test func nobodyReadsAClock() {
        let found = SourceTree.swift.flatMap(WordRule.clockReadings)
        expectNone(found)
    }

    @Test func allRandomnessIsSeeded() {
        let found = SourceTree.swift.flatMap(WordRule.unseededRandomness)
        expectNone(found)
    }

    @Test func noClassStoresAPackageVar() {
        let found = SourceTree.swift.flatMap(WordRule.openStoredProperties)
        expectNone(found)
    }

    /// Each rule is shown its own words, once in code and once where they do not count.
    @Test(arguments: WordRule.all)
    func aBannedWordIsSeenInCodeOnly(rule: WordRule) {
        let words = rule.words.joined(separator: " ")
        let code = sample(of: "let before = 1\n\(words)\nlet after = 2")
        #expect(rule.offences(in: code).map(\.place) == ["Sources/Wire/A.swift:2"])
        let prose = sample(
            of: """
                // \(words)
                /* \(words) /* \(words) */ \(words) */
                let text = "\(words) \\" \(words)"
                let raw = #"\(words) " \(words)"#
                let long = \"\"\"
                    \(words) "quoted" \(words)
                    \"\"\"
                """)
        #expect(rule.offences(in: prose).isEmpty)
    }

    @Test func aBannedWordIsSeenInsideAnInterpolation() throws {
        let rule = try #require(WordRule.all.first { $0.name == "try!" })
        let source = sample(of: #"let text = "a \(call("b", try! fail())) c""#)
        #expect(rule.offences(in: source).count == 1)
    }

    @Test func aRuleKeepsToItsReach() throws {
        let rule = try #require(WordRule.all.first { $0.name == "print(" })
        let text = "print(1)"
        #expect(rule.offences(in: sample(of: text, path: "Sources/penstock/A.swift")).isEmpty)
        #expect(rule.offences(in: sample(of: text, path: "Sources/Replay/A.swift")).count == 1)
        #expect(rule.offences(in: sample(of: "func print(_ text: String) {}")).isEmpty)
        #expect(rule.offences(in: sample(of: "machine.print(1)")).isEmpty)
    }

    @Test(arguments: [
        "let start = ContinuousClock.now", "let start: Instant = .now", "call(at: .now)",
        "let start = Date.now", ".now",
    ])
    func aClockReadingIsSeen(text: String) {
        #expect(WordRule.clockReadings(in: sample(of: text)).count == 1)
    }

    @Test(arguments: [
        "loop.now", "self.now - start", "worker().now", "let now = a", "nowhere",
        "MonotonicClock.now()",
    ])
    func thePassedOnTimeIsNotAClockReading(text: String) {
        #expect(WordRule.clockReadings(in: sample(of: text)).isEmpty)
    }

    @Test(arguments: [
        "Int.random(in: 0..<9)", "Bool.random()", "Double.random(\n    in: low(a)...high(b))",
    ])
    func unseededRandomnessIsSeen(text: String) {
        #expect(WordRule.unseededRandomness(in: sample(of: text)).count == 1)
    }

    @Test(arguments: ["Int.random(in: 0..<9, using: &random)", "random.next()"])
    func seededRandomnessIsNot(text: String) {
        #expect(WordRule.unseededRandomness(in: sample(of: text)).isEmpty)
    }

    @Test(arguments: [
        "public var count = 0", "public private(set) var count: Int",
        "@usableFromInline\npublic final var names: [String] = []",
        "public var count = 0 { didSet { note() } }",
        "public var count: Int { didSet { note() } }",
    ])
    func anOpenStoredPropertyIsSeen(text: String) {
        let source = sample(of: "final class Worker {\n    func run() { var a = 1 }\n\(text)\n}")
        #expect(WordRule.openStoredProperties(in: source).count == 1)
    }

    @Test(arguments: [
        "final class Worker {\n    public var count: Int { kept }\n    private var kept = 0\n}",
        "public struct Worker {\n    public var count = 0\n}",
        "final class Worker {\n    public struct Part {\n        public var count = 0\n    }\n}",
        "class func make() -> Worker {\n    public var count = 0\n}",
    ])
    func otherPropertiesAreNot(text: String) {
        #expect(WordRule.openStoredProperties(in: sample(of: text)).isEmpty)
    }

    private func sample(of text: String, path: String = "Sources/Wire/A.swift") -> SwiftSource {
        SwiftSource(SourceFile(path: path, text: text))
    }
}
