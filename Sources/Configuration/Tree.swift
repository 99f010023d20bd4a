// SPDX-License-Identifier: Apache-2.0

/// A YAML value and where it stands: what is left of a document once anchors, aliases and merge
/// keys are resolved.
struct Tree {
    enum Shape {
        /// Nothing, `~` or `null`.
        case null
        /// Plain or quoted; what it means is up to the key.
        case scalar(String)
        case sequence([Tree])
        /// In the order of the file, no name twice.
        case mapping([Member])
    }

    struct Member {
        let name: String
        let place: Place
        let value: Tree
    }

    let place: Place
    let shape: Shape
    /// Values in it, itself included, aliases counted as often as they are used.
    let size: Int

    init(_ shape: Shape, at place: Place) {
        self.shape = shape
        self.place = place
        size =
            switch shape {
            case .null, .scalar: 1
            case .sequence(let items): items.reduce(1) { $0 + $1.size }
            case .mapping(let members): members.reduce(1) { $0 + $1.value.size }
            }
    }

    /// For messages.
    var kind: String {
        switch shape {
        case .null: "nothing"
        case .scalar: "a single value"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }
}
