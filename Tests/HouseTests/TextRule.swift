// SPDX-License-Identifier: Apache-2.0

/// What holds for every text of ours, whatever its language.
enum TextRule {
    private static let code: Set<Substring> = [
        "swift", "c", "h", "js", "py", "sh", "lua", "yaml", "yml", "ini", "service",
        "conf", "Makefile", "Containerfile", "run",
    ]

    static func isCode(_ file: SourceFile) -> Bool { code.contains(file.kind) }

    /// The licence stands in the first line, or in the second after a line that a tool insists on.
    static func missingLicence(of file: SourceFile) -> [Offence] {
        let licence = "SPDX-License-Identifier: Apache-2.0"
        let forced = ["#!", "// swift-tools-version", "# syntax="]
        guard isCode(file) else { return [] }
        var lines = file.lines[...]
        if let first = lines.first, forced.contains(where: { first.hasPrefix($0) }) {
            lines = lines.dropFirst()
        }
        if lines.first?.hasSuffix(licence) == true { return [] }
        return [Offence(file, line: 1, "no licence: begin with \(licence)")]
    }

    /// Promises of later work belong into an issue.
    static func postponements(in file: SourceFile) -> [Offence] {
        let words: Set<Substring> = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
        return file.lines.enumerated().flatMap { line in
            line.element.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                .filter(words.contains)
                .map { Offence(file, line: line.offset + 1, "\($0): do it now, or file an issue") }
        }
    }

    /// Folders of one person's machine; those of an installed system (`/etc`, `/usr`) are fine.
    static func machinePaths(in file: SourceFile) -> [Offence] {
        let folders: Set<Substring> = ["work", "root", "home", "Users"]
        return file.lines.enumerated().flatMap { line in
            topFolders(of: line.element).filter(folders.contains).map { folder in
                Offence(
                    file, line: line.offset + 1,
                    "/\(folder)/: name it relative to the repository, or from #filePath")
            }
        }
    }

    /// First parts of the absolute paths in a line; what follows a name or a variable is none.
    private static func topFolders(of line: Substring) -> [Substring] {
        let parts = line.split(separator: "/", omittingEmptySubsequences: false)
        return zip(parts, parts.dropFirst()).dropLast().compactMap { before, folder in
            let last = before.last ?? (before.startIndex == line.startIndex ? " " : "/")
            let continues = last.isLetter || last.isNumber || "._-})/~*".contains(last)
            return continues ? nil : folder
        }
    }

    /// Tabs, except those that make asks for; spaces at a line's end; carriage returns; a last
    /// line without an end.
    static func untidiness(of file: SourceFile) -> [Offence] {
        var found: [Offence] = []
        for (offset, line) in file.lines.enumerated() {
            let body = file.kind == "Makefile" ? line.drop { $0 == "\t" } : line
            if body.contains("\t") {
                found.append(Offence(file, line: offset + 1, "a tab: write spaces"))
            }
            if line.last == " " || line.last == "\t" {
                found.append(Offence(file, line: offset + 1, "space at the end: take it away"))
            }
            if line.utf8.contains(0x0D) {
                found.append(Offence(file, line: offset + 1, "a carriage return: take it away"))
            }
        }
        if !file.text.isEmpty, !file.text.utf8.suffix(1).elementsEqual([0x0A]) {
            found.append(Offence(file, line: file.lines.count, "no line end: add one"))
        }
        return found
    }

    /// Verbs that a page tells its reader to type, in a code span or on a line of their own, and
    /// that the Makefile does not have.
    static func unknownVerbs(in page: SourceFile, makefile: SourceFile) -> [Offence] {
        guard page.kind == "md" else { return [] }
        let verbs = Set(makefile.lines.compactMap { $0.hasPrefix("\t") ? nil : verb(of: $0) })
        return page.lines.enumerated().flatMap { line in
            askedVerbs(of: line.element).filter { !verbs.contains($0) }.map { asked in
                Offence(page, line: line.offset + 1, "make \(asked): there is no such verb")
            }
        }
    }

    private static func askedVerbs(of line: Substring) -> [Substring] {
        line.drop { $0 == " " }.split(separator: "`", omittingEmptySubsequences: false)
            .filter { $0.hasPrefix("make ") }
            .map { $0.dropFirst(5).prefix { $0.isLetter || $0 == "-" } }
            .filter { !$0.isEmpty }
    }

    /// What stands before the colon of a rule.
    private static func verb(of line: Substring) -> Substring? {
        guard let colon = line.firstIndex(of: ":") else { return nil }
        let name = line[..<colon]
        return name.allSatisfy { $0.isLetter || $0 == "-" } ? name : nil
    }
}
