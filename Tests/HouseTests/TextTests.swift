// SPDX-License-Identifier: Apache-2.0

import Testing

struct TextTests {
    @Test func theWholeRepositoryIsRead() {
        let paths = Set(SourceTree.files.map(\.path))
        for path in [
            "Package.swift", "Makefile", ".ci/run", "Sources/CPlatform/platform.c",
            "Sources/COpenSSL/module.modulemap", "Tests/HouseTests/TextTests.swift",
            "deploy/systemd/penstock.service", "Tests/DeployTests/conftest.py",
        ] {
            let isRead = paths.contains(path)
            #expect(isRead, "\(path)")
        }
    }

    @Test func everyFileNamesItsLicence() {
        let found = SourceTree.files.flatMap(TextRule.missingLicence)
        expectNone(found)
    }

    @Test func nothingIsPutOff() {
        let found = SourceTree.files.flatMap(TextRule.postponements)
        expectNone(found)
    }

    @Test func noFileNamesAPlaceOfOneMachine() {
        let found = SourceTree.files.flatMap(TextRule.machinePaths)
        expectNone(found)
    }

    @Test func everyFileIsTidy() {
        let found = SourceTree.files.flatMap(TextRule.untidiness)
        expectNone(found)
    }

    @Test func everyPageNamesVerbsThatTheMakefileHas() throws {
        let makefile = try #require(SourceTree.files.first { $0.path == "Makefile" })
        let found = SourceTree.files.flatMap { TextRule.unknownVerbs(in: $0, makefile: makefile) }
        expectNone(found)
    }

    @Test func anUnknownVerbIsSeen() {
        let makefile = SourceFile(
            path: "Makefile", text: ".PHONY: run\nrun: deps ## go\n\tsleep: 1\ntest-all:\n")
        let text = "type `make run`, `make runs`\nmake test-all\n    make sleep\nto make haste\n"
        let page = SourceFile(path: "README.md", text: text)
        let found = TextRule.unknownVerbs(in: page, makefile: makefile)
        #expect(found.map(\.place) == ["README.md:1", "README.md:3"])
    }

    @Test(arguments: [
        ("A.swift", "// SPDX-License-Identifier: Apache-2.0\nimport Units\n", true),
        ("a.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n", true),
        ("platform.h", "/* SPDX-License-Identifier: MIT */\n", false),
        ("A.swift", "import Units\n// SPDX-License-Identifier: Apache-2.0\n", false),
        ("a.yaml", "", false),
        ("a.md", "# Prose\n", true),
    ])
    func aMissingLicenceIsSeen(path: String, text: String, isFine: Bool) {
        #expect(TextRule.missingLicence(of: SourceFile(path: path, text: text)).isEmpty == isFine)
    }

    @Test func aPostponementIsSeen() {
        let words = ["TO" + "DO", "FIX" + "ME:", "(XX" + "X)"]
        for word in words {
            let file = SourceFile(path: "a.md", text: "one\n// \(word) later\n")
            #expect(TextRule.postponements(in: file).map(\.place) == ["a.md:2"])
        }
        let fine = SourceFile(path: "a.md", text: "TO" + "DOS todo XX" + "XX hack")
        #expect(TextRule.postponements(in: fine).isEmpty)
    }

    @Test(arguments: ["work", "root", "home", "Users"])
    func aMachinePathIsSeen(folder: String) {
        let bad = ["\"/\(folder)/me\"", "cd /\(folder)/me", "-I/\(folder)/x /\(folder)/y"]
        for (text, count) in zip(bad, [1, 1, 1]) {
            let file = SourceFile(path: "a.py", text: text + "\n")
            #expect(TextRule.machinePaths(in: file).count == count, "\(text)")
        }
        let fine = ["http://host/\(folder)/a", "./\(folder)/a", "/usr/\(folder)/a", "/\(folder)"]
        for text in fine {
            let file = SourceFile(path: "a.py", text: text + "\n")
            #expect(TextRule.machinePaths(in: file).isEmpty, "\(text)")
        }
    }

    @Test(arguments: [
        ("A.swift", "let a = 1\n", 0),
        ("A.swift", "let a = 1", 1),
        ("A.swift", "let a = 1 \n", 1),
        ("A.swift", "\tlet a = 1\n", 1),
        ("A.swift", "let a = 1\r\n", 1),
        ("Makefile", "all:\n\techo \\\n\t\t1\n", 0),
        ("Makefile", "all:\n\techo\t1\n", 1),
    ])
    func untidinessIsSeen(path: String, text: String, count: Int) {
        let file = SourceFile(path: path, text: text)
        #expect(TextRule.untidiness(of: file).count == count)
    }
}
