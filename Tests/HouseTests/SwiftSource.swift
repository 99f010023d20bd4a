// SPDX-License-Identifier: Apache-2.0

/// A word or a single sign of Swift code.
struct Token: Sendable, Equatable {
    let text: String
    let line: Int

    var isWord: Bool { text.first.map { $0.isLetter || $0.isNumber || $0 == "_" } ?? false }
}

/// A Swift file cut into tokens: comments and the text of string literals are left out, code inside
/// an interpolation stays. Regular expression literals are unknown to it.
struct SwiftSource: Sendable {
    let file: SourceFile
    let tokens: [Token]

    init(_ file: SourceFile) {
        self.file = file
        var lexer = Lexer(file.text)
        tokens = lexer.tokens()
    }

    /// The place of the sign that closes the one at `start`; the end of the file where none does.
    func closing(of start: Int) -> Int {
        let pairs = ["(": ")", "[": "]", "{": "}"]
        guard let close = pairs[tokens[start].text] else { return start }
        var depth = 0
        for place in start..<tokens.count {
            if tokens[place].text == tokens[start].text { depth += 1 }
            if tokens[place].text == close { depth -= 1 }
            if depth == 0 { return place }
        }
        return tokens.count - 1
    }

    /// The texts from `start` on, as many as are asked for and there.
    func texts(from start: Int, count: Int) -> ArraySlice<Token> {
        tokens[min(start, tokens.count)..<min(start + count, tokens.count)]
    }
}

/// One pass over the bytes that follows nested comments, raw and long strings, and interpolations.
private struct Lexer {
    private let bytes: [UInt8]
    private var place = 0
    private var line = 1
    private var found: [Token] = []

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func tokens() -> [Token] {
        code(untilClosingParenthesis: nil)
        return found
    }

    private func at(_ offset: Int) -> UInt8 {
        place + offset < bytes.count ? bytes[place + offset] : 0
    }

    private func hasPrefix(_ text: StaticString, at offset: Int = 0) -> Bool {
        "\(text)".utf8.enumerated().allSatisfy { at(offset + $0.offset) == $0.element }
    }

    private mutating func step() {
        if at(0) == UInt8(ascii: "\n") { line += 1 }
        place += 1
    }

    private mutating func skip(_ count: Int) {
        for _ in 0..<count { step() }
    }

    /// Reads code; inside an interpolation up to the parenthesis that ends it.
    private mutating func code(untilClosingParenthesis opened: Int?) {
        var depth = opened ?? 0
        while place < bytes.count {
            if hasPrefix("//") {
                while place < bytes.count, at(0) != UInt8(ascii: "\n") { step() }
            } else if hasPrefix("/*") {
                blockComment()
            } else if let hashes = stringStart() {
                string(hashes: hashes)
            } else if Self.isWord(at(0)) {
                word()
            } else {
                if at(0) == UInt8(ascii: "(") { depth += 1 }
                if at(0) == UInt8(ascii: ")") { depth -= 1 }
                sign()
                if opened != nil, depth == 0 { return }
            }
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    private mutating func word() {
        let start = place
        while Self.isWord(at(0)) { step() }
        found.append(Token(text: String(decoding: bytes[start..<place], as: UTF8.self), line: line))
    }

    private mutating func sign() {
        if at(0) > 0x20 {
            found.append(Token(text: String(UnicodeScalar(at(0))), line: line))
        }
        step()
    }

    private mutating func blockComment() {
        var depth = 0
        while place < bytes.count {
            if hasPrefix("/*") {
                depth += 1
                skip(2)
            } else if hasPrefix("*/") {
                depth -= 1
                skip(2)
                if depth == 0 { return }
            } else {
                step()
            }
        }
    }

    /// The number of `#` before the quote, when a string literal starts here.
    private func stringStart() -> Int? {
        var hashes = 0
        while at(hashes) == UInt8(ascii: "#") { hashes += 1 }
        return at(hashes) == UInt8(ascii: "\"") ? hashes : nil
    }

    private func hasHashes(_ count: Int, at offset: Int) -> Bool {
        (0..<count).allSatisfy { at(offset + $0) == UInt8(ascii: "#") }
    }

    /// Passes over a literal and leaves one `"` of it; the code of its interpolations is read.
    private mutating func string(hashes: Int) {
        found.append(Token(text: "\"", line: line))
        skip(hashes)
        let quotes = hasPrefix("\"\"\"") ? 3 : 1
        skip(quotes)
        while place < bytes.count {
            if at(0) == UInt8(ascii: "\\"), hasHashes(hashes, at: 1) {
                skip(1 + hashes)
                if at(0) == UInt8(ascii: "(") {
                    step()
                    code(untilClosingParenthesis: 1)
                } else {
                    step()
                }
            } else if (0..<quotes).allSatisfy({ at($0) == UInt8(ascii: "\"") }),
                hasHashes(hashes, at: quotes)
            {
                return skip(quotes + hashes)
            } else {
                step()
            }
        }
    }
}
