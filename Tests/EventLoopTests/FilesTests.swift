// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Glibc
import Testing
import Units

@Suite struct FilesTests {
    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 300_000])
    func whatIsWrittenIsRead(count: Int) throws {
        let folder = Folder()
        defer { folder.remove() }
        let path = folder.path("file")
        var random = SplitMix64(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try Files.replaceFile(path, bytes)
        #expect(try Files.readFile(path, limit: count) == bytes)
        #expect(try Files.readFile(path, limit: .max) == bytes)
        #expect(folder.names == ["file"])
    }

    @Test func aFileOverTheLimitIsNotRead() throws {
        let folder = Folder()
        defer { folder.remove() }
        let path = folder.path("file")
        try Files.replaceFile(path, [1, 2, 3])
        #expect(throws: FileFault.tooLarge(limit: 2)) { try Files.readFile(path, limit: 2) }
        #expect(throws: FileFault.tooLarge(limit: 0)) { try Files.readFile(path, limit: 0) }
        #expect(throws: FileFault.tooLarge(limit: 9)) { try Files.readFile("/dev/zero", limit: 9) }
    }

    @Test func aReplacedFileIsPrivateAndHasOnlyTheNewBytes() throws {
        let folder = Folder()
        defer { folder.remove() }
        let path = folder.path("file")
        try Files.replaceFile(path, Array("a longer text".utf8))
        #expect(unsafe chmod(path, 0o644) == 0)
        try Files.replaceFile(path, Array("short".utf8))
        #expect(try Files.readFile(path, limit: 100) == Array("short".utf8))
        #expect(folder.mode("file") == S_IFREG | 0o600)
        #expect(folder.names == ["file"])
    }

    @Test func aReaderOfTheOldFileKeepsTheOldBytes() throws {
        let folder = Folder()
        defer { folder.remove() }
        let path = folder.path("file")
        try Files.replaceFile(path, [1])
        let old = unsafe fopen(path, "r")
        try Files.replaceFile(path, [2])
        #expect(unsafe old.map { unsafe fgetc($0) } == 1)
        if let old = unsafe old { unsafe fclose(old) }
    }

    @Test func whatCannotBeReadSaysWhy() {
        let folder = Folder()
        defer { folder.remove() }
        let missing = FileFault.system(.notFound)
        #expect(throws: missing) { try Files.readFile(folder.path("none"), limit: 9) }
        #expect(throws: missing) { try Files.readFile("", limit: 9) }
        #expect(throws: missing) { try Files.readFile("/dev/null\0x", limit: 9) }
        #expect(throws: FileFault.system(.other(errno: EISDIR))) {
            try Files.readFile("/", limit: 9)
        }
    }

    @Test func aFailedReplacementLeavesNothingBehind() {
        let folder = Folder()
        defer { folder.remove() }
        #expect(throws: FileFault.system(.notFound)) {
            try Files.replaceFile(folder.path("none/file"), [1])
        }
        #expect(throws: FileFault.system(.notFound)) {
            try Files.replaceFile(folder.path("file\0x"), [1])
        }
        // A folder stands in the way of the rename.
        #expect(unsafe mkdir(folder.path("folder"), 0o700) == 0)
        #expect(throws: FileFault.system(.other(errno: EISDIR))) {
            try Files.replaceFile(folder.path("folder"), [1])
        }
        #expect(folder.names == ["folder"])
        #expect(unsafe rmdir(folder.path("folder")) == 0)
    }
}
