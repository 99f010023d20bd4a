// SPDX-License-Identifier: Apache-2.0

import Configuration
import Policy
import Testing
import Units

/// What YAML may do in a configuration, and where mistakes of the document itself are.
@Suite struct DocumentTests {
    // MARK: Aliases and merge keys

    @Test func anAliasStandsForItsAnchor() throws {
        let document = Document().with(.model, "aliases: &names [a, b]")
            .with(.trafficClass, "queue: &queue {max_wait: 3s}").with(.top, "x: *queue")
        #expect(document.mistakes() == ["24:1: x: unknown key"])
        let loaded = try Document().with(.trafficClass, "queue: &q {max_wait: &w 3s}")
            .with(.tenant, "limits: {}")
            .appending("    timeouts: {total: *w}", after: "max_wait: &w 3s}").load()
        #expect(loaded.policy.classes[0].timeouts.total == .seconds(3))
    }

    @Test func aMistakeInAnAnchorIsSaidForEveryUse() {
        let document = Document(
            text: """
                workers: 1
                listeners: [{address: 127.0.0.1:0}]
                models:
                  - &m {name: m, context_length: 0}
                  - {<<: *m, name: n}
                pools: [{name: p, engine: vllm, endpoints: [http://h], models: [m, n]}]
                classes: [{name: c, pool: p}]
                tenants: [{id: anonymous, classes: [c], models: [m, n]}]

                """)
        #expect(
            document.mistakes() == [
                "4:34: models[0].context_length: expected a whole number from 1 to 100000000 "
                    + "(tokens), found '0'",
                "4:34: models[1].context_length: expected a whole number from 1 to 100000000 "
                    + "(tokens), found '0'",
            ])
    }

    @Test(arguments: [
        ("x: *gone", "24:4: the alias '*gone' has no anchor '&gone' before it"),
        ("x: &a [*a]", "24:8: the alias '*a' has no anchor '&a' before it"),
        ("*x : 1", "24:1: a key must be plain text"), ("[a]: 1", "24:1: a key must be plain text"),
        ("<<: 1", "24:5: '<<' can merge only mappings"),
        ("<<: [1]", "24:6: '<<' can merge only mappings"),
        ("http: !!python/name:x {}", "24:7: a tag has no meaning here; write the value alone"),
        ("http: !x {}", "24:7: a tag has no meaning here; write the value alone"),
    ])
    func whatYAMLAllowsAndWeDoNotIsAMistake(line: String, message: String) {
        #expect(Document().with(.top, line).mistakes().contains(message))
    }

    @Test(arguments: ["!!str '3'", "!!int 3", "! 3", "3", "'3'", "\"\\x33\"", "|-\n      3"])
    func aPlainTagOrAnyQuotingIsFine(text: String) throws {
        let loaded = try Document().with(.tenant, "weight: \(text)").load()
        #expect(loaded.policy.tenants[0].weight == 3)
    }

    @Test func anAsteriskInATextIsAnAsterisk() {
        let document = Document().with(.tenant, "weight: 'a *b* c' # *d")
        #expect(
            document.mistakes() == [
                "23:13: tenants[0].weight: expected a number from 0.001 to 1000, found 'a *b* c'"
            ])
    }

    // MARK: Keys that stand twice

    @Test func everyKeyThatStandsTwiceIsNamed() {
        let document = Document().with(.tenant, "weight: 1\n    weight: x\n    'weight': 2")
            .with(.trafficClass, "\"pool\": p").with(.top, "workers: x")
        #expect(
            document.mistakes() == [
                "18:5: the key 'pool' stands already in line 17",
                "24:5: the key 'weight' stands already in line 23",
                "25:5: the key 'weight' stands already in line 23",
                "26:1: the key 'workers' stands already in line 1",
            ])
    }

    @Test func aKeyWrittenDifferentlyIsTheSameKey() {
        let document = Document().with(.top, "\"work\\x65rs\": 2")
        #expect(document.mistakes() == ["24:1: the key 'workers' stands already in line 1"])
        let escaped = Document().with(.top, "\"\\x61\": 1\n\"\\x61\": 2")
        #expect(escaped.mistakes() == ["24:1: the key 'a' stands twice in this mapping"])
    }

    @Test func thereMayBeMoreThanCanBeSetAside() {
        let lines = (0..<200).map { "key\($0): 1\nkey\($0): 2" }.joined(separator: "\n")
        let mistakes = Document().with(.top, lines).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.hasSuffix("stands twice in this mapping") == true)
    }

    // MARK: Null, empty and missing

    @Test(arguments: ["", "null", "~", "Null", "''", "\"\""])
    func whatIsEmptyHasItsDefault(text: String) throws {
        let loaded = try Document().with(.tenant, "weight: \(text)").with(.top, "http:").load()
        #expect(loaded.policy.tenants[0].weight == 1)
        #expect(loaded.policy.http == HTTPPolicy())
    }

    @Test(arguments: ["", "# nothing\n", "---\n", "{}", "null", "---\n...\n"])
    func anEmptyFileLacksEverything(text: String) {
        let mistakes = Document(text: text).mistakes()
        #expect(mistakes.count == 5)
        for key in ["classes", "listeners", "models", "pools", "tenants"] {
            #expect(mistakes.contains { $0.hasSuffix(": \(key): is required") })
        }
    }

    @Test(arguments: [("[1]", "a list"), ("x", "a single value")])
    func aFileIsAMapping(text: String, kind: String) {
        #expect(
            Document(text: text).mistakes() == ["1:1: the file: expected a mapping, found \(kind)"])
    }

    @Test(arguments: ["aliases: [a, , b]", "aliases: [a, '', b]", "aliases: [a, null]"])
    func anItemOfAListIsNotEmpty(line: String) {
        let mistakes = Document().with(.model, line).mistakes()
        #expect(mistakes.count == 1)
    }

    // MARK: Unknown keys

    @Test(arguments: [
        ("treshold_at: 1", "classes[0].treshold_at: unknown key"),
        ("throttle_at: 1", "classes[0].throttle_at: unknown key; it belongs in 'kv'"),
        (
            "kv: {treshold_at: 1}",
            "classes[0].kv.treshold_at: unknown key"
        ),
        (
            "kv: {throtle_at: 0.5}",
            "classes[0].kv.throtle_at: unknown key; did you mean 'throttle_at'?"
        ),
        ("queue: {maxWait: 1s}", "classes[0].queue.maxWait: unknown key; did you mean 'max_wait'?"),
        (
            "queue: {max-wait: 1s}",
            "classes[0].queue.max-wait: unknown key; did you mean 'max_wait'?"
        ),
        ("timeout: {}", "classes[0].timeout: unknown key; did you mean 'timeouts'?"),
        ("name_: x", "classes[0].name_: unknown key; did you mean 'name'?"),
        ("frobnicate: x", "classes[0].frobnicate: unknown key"),
        ("'': x", "classes[0].: unknown key"),
        ("\"a\\u0007b\": x", "classes[0].a\u{FFFD}b: unknown key"),
    ])
    func anUnknownKeyIsNamedWithTheNearestKnownOne(line: String, message: String) {
        let mistakes = Document().with(.trafficClass, line).mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.hasSuffix(": \(message)") == true)
    }

    // MARK: The text itself

    @Test(arguments: [
        ([UInt8]("workers: 1\nä: ".utf8) + [0xFF], "2:4: the text is not UTF-8"),
        (
            [UInt8]("a: 1\r\nb: \u{0}".utf8),
            "2:4: the character U+0 may not stand in a configuration file"
        ),
        (
            [UInt8]("a: ".utf8) + [0xEF, 0xB7, 0x90],
            "1:4: the character U+FDD0 may not stand in a configuration file"
        ),
        (
            [UInt8]("a: \u{1B}[0m".utf8),
            "1:4: the character U+1B may not stand in a configuration file"
        ),
        (
            [UInt8]("\u{FEFF}\u{FEFF}a: 1".utf8),
            "1:1: the character U+FEFF may not stand in a configuration file"
        ),
        ([0xC3], "1:1: the text is not UTF-8"),
        ([0xFE, 0xFF, 0x00, 0x61], "1:1: the text is not UTF-8"),
    ])
    func aFileIsPrintableUTF8(bytes: [UInt8], message: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("file.yaml", bytes)
        do {
            _ = try ConfigurationFile.load(
                path: "\(folder.path)/file.yaml", environment: { _ in nil }, previous: nil)
            Issue.record("loaded")
        } catch {
            #expect(error.description == "\(folder.path)/file.yaml:\(message)")
        }
    }

    @Test func linesMayEndAsTheyDoElsewhere() {
        let text = Document().with(.tenant, "weight: x").text
        let expected = [
            "23:13: tenants[0].weight: expected a number from 0.001 to 1000, found 'x'"
        ]
        for ending in ["\n", "\r\n", "\r"] {
            #expect(Document(text: text.replacing("\n", with: ending)).mistakes() == expected)
        }
        #expect(Document(text: "\u{FEFF}" + text).mistakes() == expected)
    }

    @Test func columnsAreCountedInCharactersNotBytes() {
        let document = Document().with(.trafficClass, "queue: {\"ü😀\": 1, max_wait: x}")
        #expect(document.mistakes().map { $0.prefix(6) } == ["18:13:", "18:32:"])
    }

    @Test func aFileThatIsNotThereIsAMistake() throws {
        let folder = try TemporaryFolder()
        for (name, reason) in [("none.yaml", "no such file"), ("", "it is a folder")] {
            do {
                _ = try ConfigurationFile.load(
                    path: "\(folder.path)/\(name)", environment: { _ in nil }, previous: nil)
                Issue.record("loaded")
            } catch {
                #expect(
                    error.description
                        == "\(folder.path)/\(name):1:1: the file cannot be read: \(reason)")
            }
        }
    }

    @Test func thereIsOneDocument() {
        let mistakes = Document(text: Document().text + "---\na: 1\n").mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.contains("not valid YAML") == true)
    }

    @Test(arguments: [
        ("a: [", "2:1: not valid YAML"), ("a: b: c", "1:5: not valid YAML"),
        ("a: \"x", "1:6: not valid YAML"), ("\ta: 1", "1:1: not valid YAML"),
        ("a: |x\n", "1:5: not valid YAML"), ("%YAML 9.9\n---\na: 1", "1:1: not valid YAML"),
        ("a: *", "1:4: the alias '*' has no anchor"), ("a: &", "not valid YAML"),
    ])
    func whatIsNoYAMLHasAPlace(text: String, message: String) {
        let mistakes = Document(text: text).mistakes()
        #expect(mistakes.contains { $0.contains(message) }, "\(mistakes)")
    }
}

extension Document {
    fileprivate func appending(_ line: String, after mark: String) -> Document {
        Document(text: text.replacing(mark + "\n", with: "\(mark)\n\(line)\n"))
    }
}
