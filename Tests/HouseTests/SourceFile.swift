// SPDX-License-Identifier: Apache-2.0

import Glibc
import Testing

/// One text file of the repository, as the rules see it.
struct SourceFile: Sendable {
    /// Relative to the repository, with `/` between its parts.
    let path: String
    let text: String
    /// Without line ends; the last line of a file that ends in one is not an empty line more.
    let lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        self.lines = lines
    }

    /// The last part of the path.
    var name: Substring { path.split(separator: "/").last ?? "" }

    /// What follows the last dot of the name; the whole name of a file without one.
    var kind: Substring { name.split(separator: ".").last ?? "" }

    /// The target that a file under `Sources/` belongs to.
    var room: String? {
        let parts = path.split(separator: "/")
        guard parts.count > 2, parts[0] == "Sources" else { return nil }
        return String(parts[1])
    }
}

/// A rule broken at a place, with what to do instead.
struct Offence: Sendable, CustomStringConvertible {
    let place: String
    let message: String

    init(_ file: SourceFile, line: Int, _ message: String) {
        place = "\(file.path):\(line)"
        self.message = message
    }

    var description: String { "\(place): \(message)" }
}

/// Fails with all offences, one a line, so that one run of the tests names every place.
func expectNone(_ offences: [Offence], at place: SourceLocation = #_sourceLocation) {
    guard !offences.isEmpty else { return }
    let report = offences.map(\.description).joined(separator: "\n")
    Issue.record("\n\(report)", sourceLocation: place)
}

/// The repository's own files: no build products, no recorded data, nothing hidden but `.ci`.
enum SourceTree {
    static let files: [SourceFile] = read(under: "").sorted { $0.path < $1.path }
    static let swift: [SwiftSource] = files.filter { $0.kind == "swift" }.map(SwiftSource.init)

    private static let root: String = {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/") + "/"
    }()
    private static let kinds: Set<Substring> = [
        "swift", "c", "h", "modulemap", "py", "sh", "lua", "yaml", "yml", "ini", "service", "conf",
        "txt", "md", "js", "Makefile", "Containerfile", "run",
    ]
    private static let foreign: Set<String> = ["Fixtures", "Golden", "__pycache__", "LICENSE"]

    private static func read(under folder: String) -> [SourceFile] {
        var found: [SourceFile] = []
        for (name, isFolder) in entries(of: root + folder) {
            if foreign.contains(name) || (name.hasPrefix(".") && name != ".ci") { continue }
            if isFolder {
                found += read(under: folder + name + "/")
            } else {
                let empty = SourceFile(path: folder + name, text: "")
                guard kinds.contains(empty.kind), let text = contents(of: root + empty.path)
                else { continue }
                found.append(SourceFile(path: empty.path, text: text))
            }
        }
        return found
    }

    private static func entries(of folder: String) -> [(name: String, isFolder: Bool)] {
        guard let directory = unsafe opendir(folder) else { return [] }
        defer { unsafe closedir(directory) }
        var found: [(name: String, isFolder: Bool)] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            found.append((name, unsafe Int32(entry.pointee.d_type) == Int32(DT_DIR)))
        }
        return found
    }

    /// Nil when the file cannot be read or is not UTF-8.
    private static func contents(of path: String) -> String? {
        guard let file = unsafe fopen(path, "rb") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe fread(&piece, 1, piece.count, file)
            if count == 0 { break }
            bytes += piece[..<count]
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
