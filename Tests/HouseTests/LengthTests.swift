// SPDX-License-Identifier: Apache-2.0

import Testing

struct LengthTests {
    @Test func noFileIsLongerThanAReaderCanHold() {
        let found = SourceTree.files.filter(TextRule.isCode).flatMap(LengthRule.longFile)
        expectNone(found)
    }

    @Test func noFunctionIsLongerThanAScreen() {
        let found = SourceTree.swift.flatMap {
            LengthRule.longFunctions(in: $0, ratchet: Ratchet.functions)
        }
        expectNone(found)
    }

    @Test func theRatchetOfFunctionsIsTight() {
        let found = LengthRule.looseFunctions(in: SourceTree.swift, ratchet: Ratchet.functions)
        #expect(found.isEmpty, "\(found.joined(separator: "\n"))")
    }

    @Test func noLineIsWiderThanAWindow() {
        let found = SourceTree.files.filter(TextRule.isCode).flatMap {
            LengthRule.longLines(of: $0, allowed: Ratchet.wideLines[$0.path] ?? 0)
        }
        expectNone(found)
    }

    @Test func theRatchetOfLinesIsTight() {
        let counts = SourceTree.files.filter { Ratchet.wideLines[$0.path] != nil }
            .map { ($0.path, LengthRule.longLines(of: $0, allowed: 0).count) }
        let found = Dictionary(counts) { first, _ in first }
        #expect(found == Ratchet.wideLines)
    }

    @Test func aFileOverTheLimitIsSeenAndOneAtItIsNot() {
        let line = "let a = 1\n"
        let atLimit = String(repeating: line, count: LengthRule.fileLimit)
        #expect(LengthRule.longFile(SourceFile(path: "A.swift", text: atLimit)).isEmpty)
        #expect(LengthRule.longFile(SourceFile(path: "A.swift", text: atLimit + line)).count == 1)
    }

    @Test(arguments: [
        "func long<T>(of values: [T], then: () -> Void = {}) -> Int where T: Equatable {",
        "init(\n    value: Int = 3\n) throws(Fault) {", "subscript(place: Int) -> Int {",
        "deinit {", "var total: Int {",
    ])
    func aFunctionOverTheLimitIsSeenAndOneAtItIsNot(head: String) {
        let headLines = head.split(separator: "\n").count
        let full = LengthRule.functionLimit - headLines - 1
        for (extra, expected) in [(0, 0), (1, 1)] {
            let body = String(repeating: "    if a { b() }\n", count: full + extra)
            let source = sample(of: "struct Some {\n\(head)\n\(body)}\n}\n")
            let found = LengthRule.longFunctions(in: source, ratchet: [:])
            #expect(found.count == expected)
        }
    }

    @Test func whatHasNoBodyIsNotTakenForOneThatFollows() {
        let long = String(repeating: "    a()\n", count: 100)
        let source = sample(
            of: """
                protocol Store {
                    func reserve(_ tokens: Int) -> Bool
                    var name: String { get }
                }
                var kept: Int
                let other = Some.init(3)
                enum Long { case first
                \(long)}
                """)
        #expect(LengthRule.bodies(in: source).map(\.name) == ["name"])
        #expect(LengthRule.longFunctions(in: source, ratchet: [:]).isEmpty)
    }

    @Test func theRatchetAllowsWhatItNamesAndAsksToBeTightened() {
        let body = String(repeating: "    a()\n", count: 78)
        let source = sample(of: "func long() {\n\(body)}\n")
        let key = "Sources/Wire/A.swift:long"
        #expect(LengthRule.longFunctions(in: source, ratchet: [key: 80]).isEmpty)
        #expect(LengthRule.longFunctions(in: source, ratchet: [key: 79]).count == 1)
        #expect(LengthRule.looseFunctions(in: [source], ratchet: [key: 80]).isEmpty)
        #expect(LengthRule.looseFunctions(in: [source], ratchet: [key: 90]).count == 1)
        #expect(LengthRule.looseFunctions(in: [], ratchet: [key: 80]).count == 1)
    }

    @Test func aLineOverTheLimitIsSeenAndOneAtItIsNot() {
        let text = String(repeating: "é", count: 100) + "\n" + String(repeating: "x", count: 101)
        let file = SourceFile(path: "A.swift", text: text)
        #expect(LengthRule.longLines(of: file, allowed: 0).map(\.place) == ["A.swift:2"])
        #expect(LengthRule.longLines(of: file, allowed: 1).isEmpty)
    }

    private func sample(of text: String) -> SwiftSource {
        SwiftSource(SourceFile(path: "Sources/Wire/A.swift", text: text))
    }
}
