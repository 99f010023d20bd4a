// SPDX-License-Identifier: Apache-2.0

import Configuration
import Foundation
import Policy
import Testing
import Units

@Suite struct SecretTests {
    private func token(
        _ text: String, folder: String = "", environment: [String: String] = [:]
    ) throws(ConfigurationFault) -> String? {
        let document = Document().with(.top, "admin: {token: \"\(text)\"}")
        return try document.load(folder: folder, environment: environment).fixed.admin.token?
            .revealed
    }

    @Test func aSecretStandsInTheFileInTheEnvironmentOrInAFile() throws {
        let folder = try TemporaryFolder()
        try folder.write("token", "from-a-file\n")
        #expect(try token("in-place") == "in-place")
        #expect(try token("${T}", environment: ["T": "from-outside"]) == "from-outside")
        #expect(try token("file:token", folder: folder.path) == "from-a-file")
        #expect(try token("file:token", folder: folder.path + "/") == "from-a-file")
        #expect(try token("file:\(folder.path)/token") == "from-a-file")
        #expect(try token("${T:-}") == nil)
    }

    @Test(arguments: [
        ("abc\n", "abc"), ("abc\r\n", "abc"), ("abc", "abc"), ("file:x", "file:x"),
        ("${X}", "${X}"),
    ])
    func onlyTheLastLineBreakOfAFileIsDropped(content: String, expected: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("token", content)
        #expect(try token("file:token", folder: folder.path) == expected)
    }

    @Test func aLinkToAFileIsFollowed() throws {
        let folder = try TemporaryFolder()
        try folder.write("data", "linked")
        try FileManager.default.createSymbolicLink(
            atPath: "\(folder.path)/token", withDestinationPath: "data")
        #expect(try token("file:token", folder: folder.path) == "linked")
    }

    @Test(arguments: [
        ([UInt8](), "is empty"), (Array("\n".utf8), "is empty"), ([0xFF], "is not UTF-8 text"),
        ([UInt8](repeating: 0x61, count: 70_000), "is larger than 65536 bytes"),
    ])
    func aFileThatHoldsNoSecretIsAMistake(content: [UInt8], reason: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("token", content)
        let document = Document().with(.top, "admin: {token: file:token}")
        #expect(
            document.mistakes(folder: folder.path) == ["24:16: admin.token: 'file:token' \(reason)"]
        )
    }

    @Test func aFileThatCannotBeReadIsAMistake() throws {
        let folder = try TemporaryFolder()
        let missing = Document().with(.top, "admin: {token: file:token}")
        #expect(
            missing.mistakes(folder: folder.path) == [
                "24:16: admin.token: 'file:token' cannot be read: no such file"
            ])
        let itself = Document().with(.top, "admin: {token: 'file:.'}")
        #expect(
            itself.mistakes(folder: folder.path) == [
                "24:16: admin.token: 'file:.' is not a regular file"
            ])
    }

    /// Opening a pipe that nobody writes would stop the reload for ever.
    @Test func aPipeIsNotWaitedFor() throws {
        let document = Document().with(.top, "admin: {token: file:/dev/zero}")
        #expect(
            document.mistakes() == [
                "24:16: admin.token: 'file:/dev/zero' is not a regular file"
            ])
    }

    @Test(arguments: ["a b", "a\\nb", "a\\tb", "ä", String(repeating: "x", count: 4_097)])
    func aSecretForAHeaderIsVisibleASCII(text: String) {
        let mistakes = Document().with(.top, "admin: {token: \"\(text)\"}").mistakes()
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.contains("secret ") == true)
    }

    @Test(arguments: [("a b", true), ("ä😀", true), ("a\\nb", false), ("a\\u0085b", false)])
    func aPasswordHasNoControlCharacters(text: String, isRight: Bool) {
        let redis = "{addresses: [r:1], password: \"\(text)\"}"
        let document = Document().with(.top, "store: {kind: redis, redis: \(redis)}")
        #expect(document.mistakes().isEmpty == isRight)
    }

    @Test func noSecretIsEverShown() throws {
        let hash = String(repeating: "5e", count: 32)
        let text = Document().with(.top, "admin: {token: hunter2-token}")
            .with(.pool, "key: hunter2-key").with(.tenant, "keys: [sha256:\(hash)]").text
        let document = Document(
            text: text + """
                store:
                  kind: redis
                  redis: {addresses: [r:1], password: hunter2-password}

                """)
        let loaded = try document.load()
        #expect(loaded.fixed.admin.token?.revealed == "hunter2-token")
        #expect(loaded.policy.pools[0].key?.revealed == "hunter2-key")
        for shown in [
            loaded.effective, loaded.effectiveJSON, "\(loaded.fixed)",
            String(reflecting: loaded.fixed), "\(loaded.policy.pools)", "\(loaded)",
        ] {
            #expect(!shown.contains("hunter2"))
        }
        #expect(!loaded.effective.contains(hash))
        #expect(!loaded.effectiveJSON.contains(hash))
        var dumped = ""
        dump(loaded.fixed, to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }

    /// Whatever is wrong beside a secret or with it, the message does not repeat it.
    @Test(arguments: [
        "admin: {token: 'hunter2 hunter2'}", "admin: {token: [hunter2]}", "admin: hunter2",
        "admin: {token: {hunter2: 1}}", "admin: {token: hunter2, address: 'x y'}",
        "admin: {token: \"hunter2", "admin: {token: !hunter2 hunter2}", "admin: {token: *hunter}",
        "store: {kind: redis, redis: {password: \"hunter2\\u0001\"}}",
    ])
    func noMistakeRepeatsASecret(line: String) {
        let mistakes = Document().with(.top, line).mistakes()
        #expect(!mistakes.isEmpty)
        #expect(!mistakes.joined().contains("hunter2"))
    }

    // MARK: Key hashes

    @Test func aClearKeyIsRefusedWithoutRepeatingIt() {
        let mistakes = Document().with(.tenant, "keys: [sk-hunter2]").mistakes()
        #expect(
            mistakes == [
                "23:12: tenants[0].keys[0]: only the hash of a key may stand here, never the key: "
                    + "'penstock key hash' makes 'sha256:…' from it"
            ])
    }

    @Test(arguments: [
        "sha256:", "sha256:00", "sha256:" + String(repeating: "g", count: 64),
        "sha256:" + String(repeating: "0", count: 65),
    ])
    func aHashHas64Digits(text: String) {
        #expect(
            Document().with(.tenant, "keys: ['\(text)']").mistakes() == [
                "23:12: tenants[0].keys[0]: expected 64 hexadecimal digits after 'sha256:'"
            ])
    }

    @Test func aKeyOfTwoTenantsIsAMistake() {
        let hash = "sha256:" + String(repeating: "Ab", count: 32)
        let document = Document().with(.tenant, "keys: ['\(hash)', '\(hash.lowercased())']")
        #expect(
            document.mistakes() == [
                "23:87: tenants[0].keys: this key is already one of the tenant 'anonymous', in "
                    + "line 23"
            ])
    }
}
