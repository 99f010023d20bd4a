// SPDX-License-Identifier: Apache-2.0

/// A place in the configuration file as editors count: both from 1, columns in Unicode scalars.
struct Place: Sendable, Hashable, Comparable {
    var line: Int
    var column: Int

    static let start = Place(line: 1, column: 1)

    static func < (left: Place, right: Place) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// One thing that is wrong with a configuration file. It never contains a secret, nor a value that
/// came from the environment.
public struct Mistake: Sendable, Hashable, CustomStringConvertible {
    /// The file, as it was named to us.
    public let file: String
    /// From 1.
    public let line: Int
    /// From 1, in Unicode scalars.
    public let column: Int
    /// Names the key, what was expected and, unless it may be secret, what was found.
    public let message: String

    public init(file: String, line: Int, column: Int, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
    }

    public var description: String { "\(file):\(line):\(column): \(message)" }
}

/// Why a configuration was refused: every mistake that was found, in the order of the file.
public struct ConfigurationFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one.
    public let mistakes: [Mistake]

    public init(mistakes: [Mistake]) { self.mistakes = mistakes }

    public var description: String { mistakes.map(\.description).joined(separator: "\n") }
}

/// Gathers mistakes while a file is read. Equal ones, as an alias makes them, are kept once.
struct MistakeLog {
    /// More than anybody reads; over it only one line says that there are more.
    static let limit = 1_000

    let file: String
    private var found: Set<Mistake> = []

    init(file: String) { self.file = file }

    var isEmpty: Bool { found.isEmpty }
    /// Another one would not be shown, so it need not be worded.
    var isFull: Bool { found.count > Self.limit }

    mutating func add(_ message: String, at place: Place) {
        guard !isFull else { return }
        found.insert(
            Mistake(file: file, line: place.line, column: place.column, message: message))
    }

    /// Everything found, in the order of the file.
    var fault: ConfigurationFault {
        var sorted = found.sorted {
            ($0.line, $0.column, $0.message) < ($1.line, $1.column, $1.message)
        }
        if sorted.count > Self.limit, let last = sorted.popLast() {
            sorted.append(
                Mistake(
                    file: file, line: last.line, column: last.column,
                    message: "more than \(Self.limit) mistakes; the others are not shown"))
        }
        return ConfigurationFault(mistakes: sorted)
    }
}
