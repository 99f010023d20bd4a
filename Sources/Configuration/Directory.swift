// SPDX-License-Identifier: Apache-2.0

/// The entries of one list by their names.
struct Directory {
    let referent: Referent
    /// The key that holds the name: `name` or `id`.
    let nameKey: String
    /// In the order of the file.
    private(set) var names: [String] = []
    /// Entries whose name stands before them already, with the place of the first.
    private(set) var repeated: [(section: Section, first: Place)] = []
    /// No entry's name was a mistake, so a name that is not here is nowhere.
    let isComplete: Bool
    private var entries: [String: Section] = [:]

    init(_ root: Section, _ list: String, named nameKey: String, as referent: Referent) {
        self.referent = referent
        self.nameKey = nameKey
        let sections = root.sections(list)
        isComplete = root.isRight(list) && sections.allSatisfy { $0.text(nameKey) != nil }
        for section in sections {
            guard let name = section.text(nameKey) else { continue }
            if let first = entries[name] {
                repeated.append((section, first.place(nameKey)))
            } else {
                names.append(name)
                entries[name] = section
            }
        }
    }

    subscript(name: String) -> Section? { entries[name] }
}
