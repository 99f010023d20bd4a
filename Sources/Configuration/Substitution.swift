// SPDX-License-Identifier: Apache-2.0

/// `${NAME}` and `${NAME:-default}` in a value, taken from the environment.
///
/// It runs on single values after YAML is read, so what a variable holds can never become a key, a
/// list or another value; nor is it looked at for further `${`. `$$` is a dollar sign, and a dollar
/// sign before anything else is itself.
enum Substitution {
    /// A value with what it came from.
    struct Result: Equatable {
        var text: String
        /// Something came from the environment, so no message may show `text`.
        var isFromEnvironment: Bool
    }

    enum Fault: Error, Equatable {
        case unset(String)
        case malformed
        case tooLong
    }

    /// Bytes that a value may have after substitution.
    static let longest = 65_536

    static func expand(
        _ text: String, environment: (String) -> String?
    ) throws(Fault) -> Result {
        var rest = text.unicodeScalars[...]
        var result = Result(text: "", isFromEnvironment: false)
        while let dollar = rest.firstIndex(of: "$") {
            result.text.unicodeScalars += rest[..<dollar]
            rest = rest[rest.index(after: dollar)...]
            if rest.first == "$" {
                result.text += "$"
                rest.removeFirst()
            } else if rest.first == "{" {
                guard let end = rest.firstIndex(of: "}") else { throw .malformed }
                let inner = rest[rest.index(after: rest.startIndex)..<end]
                rest = rest[rest.index(after: end)...]
                try append(inner, environment, to: &result)
            } else {
                result.text += "$"
            }
            if result.text.utf8.count > longest { throw .tooLong }
        }
        result.text.unicodeScalars += rest
        if result.text.utf8.count > longest { throw .tooLong }
        return result
    }

    private static func append(
        _ inner: String.UnicodeScalarView.SubSequence, _ environment: (String) -> String?,
        to result: inout Result
    ) throws(Fault) {
        let name = inner.prefix { isPartOfName($0) }
        let rest = inner[name.endIndex...]
        guard let first = name.first, !("0"..."9" as ClosedRange).contains(first) else {
            throw .malformed
        }
        let isDefaulted = rest.starts(with: ":-".unicodeScalars)
        guard rest.isEmpty || isDefaulted else { throw .malformed }
        let value = environment(String(name))
        if let value, !(value.isEmpty && isDefaulted) {
            result.text += value
            result.isFromEnvironment = true
        } else if isDefaulted {
            result.text.unicodeScalars += rest.dropFirst(2)
        } else {
            throw .unset(String(name))
        }
    }

    private static func isPartOfName(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": true
        default: false
        }
    }
}
