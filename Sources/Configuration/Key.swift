// SPDX-License-Identifier: Apache-2.0

import Policy
import Units

/// One row of the table that everything else is made from: parsing, hints, the effective
/// configuration, the reference page and the JSON Schema.
struct Key: Sendable {
    /// Where it stands: `pools[].capacity.kv_tokens`.
    let path: String
    let kind: Kind
    let standard: Standard
    let reload: Reload
    /// One sentence for operators.
    let meaning: String

    init(_ path: String, _ kind: Kind, _ standard: Standard, _ reload: Reload, _ meaning: String) {
        self.path = path
        self.kind = kind
        self.standard = standard
        self.reload = reload
        self.meaning = meaning
    }

    /// A key of the contract that this version does not have.
    static func notYet(_ path: String, _ meaning: String) -> Key {
        Key(path, .notYet, .absent, .fixed, meaning)
    }

    /// The path's last part.
    var name: String {
        path.split(separator: ".").last.map(String.init) ?? path
    }
}

extension Key {
    /// What a key holds.
    enum Kind: Sendable {
        /// A mapping with keys of its own.
        case section
        /// A list of mappings, each with keys of its own. A value instead of a mapping is that of
        /// the key `short`, where there is one.
        case entries(ClosedRange<Int>, short: String? = nil)
        /// A list of values.
        case list(Scalar, ClosedRange<Int>)
        case scalar(Scalar)
        /// Recognised, and refused as not available.
        case notYet
    }

    /// What holds when the key is absent, empty or null.
    enum Standard: Sendable {
        /// That is a mistake.
        case required
        /// Then there is none: no limit, no name, no section.
        case absent
        /// A section whose keys then have their defaults.
        case filled
        case value(Value)
        /// What the text says.
        case stated(String)
        /// The value of another key beside it.
        case sameAs(String)
        /// The cores that the process may use.
        case processors
    }

    /// What a reload does with a change.
    enum Reload: Sendable {
        case reloadable
        /// Needs a restart; a reload that changes it is refused.
        case fixed
    }
}

/// A single value's type with its bounds.
enum Scalar: Sendable {
    /// A whole number and what it counts.
    case integer(ClosedRange<Int>, unit: String)
    /// `true` or `false`.
    case boolean
    case decimal(ClosedRange<Double>, unit: String)
    case duration(ClosedRange<Duration>)
    case size(ClosedRange<Bytes>)
    /// One of some words; of the second list we know what they mean, but do not have it.
    case choice([String], later: [String])
    /// A name for labels, headers and paths.
    case name
    /// A model's name, which may be longer and contain slashes.
    case modelName
    /// The name of something that is described elsewhere in the file.
    case reference(Referent)
    /// Visible ASCII, at most so many bytes.
    case text(Int)
    /// A file's path, absolute or beside the configuration file.
    case path
    /// The same, or a URL of HTTPS.
    case keySet
    /// Three capital letters.
    case currency
    /// `UTC`, or a zone's name in the IANA database.
    case timeZone
    case secret(Carrier)
    /// `sha256:` and 64 hexadecimal digits.
    case keyHash
    /// A date and a time of day.
    case time
    /// An address to listen on.
    case listenAddress
    /// An address to connect to.
    case connectAddress
    /// An engine's URL.
    case endpoint
    /// An address, or all that begin alike.
    case addressRange
}

/// How a secret is sent, and so which characters it may have.
enum Carrier: Sendable {
    /// In an HTTP header: visible ASCII.
    case header
    /// In a command whose arguments have lengths: anything but control characters.
    case command
}

/// What a name can refer to.
enum Referent: String, Sendable {
    case model, pool
    case trafficClass = "class"
    case tenant, organisation, team
}

/// A value that has been checked against its key.
enum Value: Sendable, Equatable {
    case integer(Int)
    case boolean(Bool)
    case decimal(Double)
    case duration(Duration)
    case size(Bytes)
    case text(String)
    case secret(Secret)
    case keyHash(KeyHash)
    case time(WallTime)
    case address(Address)
    /// Where to connect, and how the engine is called.
    case endpoint(Address, authority: String, isSecure: Bool)
    case list([Setting])
    case section(Section)
}
