// SPDX-License-Identifier: Apache-2.0

import Testing

struct ImportTests {
    @Test func everyRoomImportsOnlyWhatItsRowNames() {
        let found = SourceTree.swift.flatMap(ImportRule.offences)
        expectNone(found)
    }

    @Test func everyFolderOfSwiftUnderSourcesIsARoomOfTheTable() {
        let rooms = Set(SourceTree.swift.compactMap(\.file.room))
        let known = Set(ImportRule.pure.keys).union(ImportRule.rim.keys)
        #expect(rooms.subtracting(known).sorted().isEmpty)
        #expect(known.subtracting(rooms).sorted().isEmpty, "the table has rooms that are gone")
    }

    @Test(arguments: [
        ("Sources/Wire/A.swift", "import Policy"),
        ("Sources/Wire/A.swift", "public import Budget"),
        ("Sources/Units/A.swift", "import Glibc"),
        ("Sources/Decision/A.swift", "import Wire"),
        ("Sources/Budget/A.swift", "import Synchronization"),
        ("Sources/Gateway/A.swift", "import Foundation"),
        ("Sources/Gateway/A.swift", "import struct Foundation.Date"),
        ("Sources/Gateway/A.swift", "import FoundationEssentials"),
        ("Sources/Transport/A.swift", "@preconcurrency import NIOCore"),
        ("Sources/Configuration/A.swift", "import NIO"),
        ("Sources/Pantry/A.swift", "import Units"),
        ("Tests/WireTests/A.swift", "import Foundation"),
        ("Tests/WireTests/A.swift", "import NIOHTTP1"),
    ])
    func aWrongArrowIsSeen(path: String, text: String) {
        let source = SwiftSource(SourceFile(path: path, text: "// a file\n\(text)\n"))
        let found = ImportRule.offences(in: source)
        #expect(found.map(\.place) == ["\(path):2"])
    }

    @Test(arguments: [
        ("Sources/Wire/A.swift", "public import Units"),
        ("Sources/EventLoop/A.swift", "import Glibc"),
        ("Sources/Configuration/A.swift", "import Foundation"),
        ("Sources/penstock/A.swift", "import ArgumentParser"),
        ("Sources/Wire/A.swift", "// import Foundation"),
        ("Tests/WireTests/A.swift", "import Testing"),
        ("Tests/ConfigurationTests/A.swift", "import Foundation"),
    ])
    func aRightArrowIsNot(path: String, text: String) {
        let source = SwiftSource(SourceFile(path: path, text: text))
        #expect(ImportRule.offences(in: source).isEmpty)
    }
}
