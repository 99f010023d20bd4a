// SPDX-License-Identifier: Apache-2.0

import Estimation
import Policy
import Tokenization
import Units
import Wire

/// What one text came to.
struct CountedText {
    let file: String
    /// In a file of JSON lines, from 1 on.
    let line: Int?
    let bytes: Int
    let estimate: Int
    let exact: Int?
    let ids: [UInt32]?
}

/// Why a line of JSON gives no text.
enum JSONLinesFault: Error, Equatable, CustomStringConvertible {
    case noObject
    case noText(member: String)
    case tooLong(limit: Int)

    var description: String {
        switch self {
        case .noObject: "no JSON object"
        case .noText(let member): "no text at '\(member)'"
        case .tooLong(let limit): "longer than \(limit) bytes"
        }
    }
}

/// Texts and their numbers of tokens.
struct CountedTexts {
    private(set) var rows: [CountedText] = []
    private let tokenizer: Tokenizer?
    private let family: TokenizerFamily
    private let keepsIDs: Bool
    private let counter = TokenCounter()

    init(_ tokenizer: Tokenizer?, _ family: TokenizerFamily, keepsIDs: Bool) {
        self.tokenizer = tokenizer
        self.family = family
        self.keepsIDs = keepsIDs
    }

    /// A file that is one text.
    mutating func add(_ bytes: [UInt8], of path: String) {
        if String(validating: bytes, as: UTF8.self) != nil {
            unsafe add(bytes.span.bytes, bytes: bytes.count, of: path, line: nil)
        } else {
            let repaired = Array(String(decoding: bytes, as: UTF8.self).utf8)
            unsafe add(repaired.span.bytes, bytes: bytes.count, of: path, line: nil)
        }
    }

    /// A line of a file of JSON lines; an empty one is no text.
    mutating func add(
        line text: RawSpan, _ number: Int, of path: String, member: String
    ) -> JSONLinesFault? {
        guard text.byteCount > 0 else { return nil }
        let found: JSONString?
        do throws(JSONFault) {
            found = try Self.string(member, in: text)
        } catch {
            return .noObject
        }
        guard let found else { return .noText(member: member) }
        var decoded = ByteBuffer()
        found.append(to: &decoded, from: text)
        unsafe add(
            decoded.readable.bytes, bytes: decoded.count, of: path, line: number)
        return nil
    }

    /// The text of a member of the object that `text` is; the last of several.
    private static func string(
        _ member: String, in text: RawSpan
    ) throws(JSONFault) -> JSONString? {
        var scanner = JSONScanner()
        var found: JSONString?
        guard try scanner.next(in: text) == .beginObject else {
            throw .malformed(at: scanner.tokenStart)
        }
        while case .key(let name) = try scanner.next(in: text) {
            let isIt = name.string(in: text) == member
            let value = try scanner.next(in: text)
            if isIt {
                found = if case .string(let string) = value { string } else { nil }
            }
            try scanner.skip(value, in: text)
        }
        _ = try scanner.next(in: text)
        return found
    }

    private mutating func add(_ text: RawSpan, bytes: Int, of path: String, line: Int?) {
        var meter = TokenMeter(family: family)
        meter.feed(text)
        let ids = keepsIDs ? tokenizer.map { counter.tokens(of: text, $0) } : nil
        rows.append(
            CountedText(
                file: path, line: line, bytes: bytes, estimate: meter.tokens.count,
                exact: ids?.count ?? tokenizer.map { counter.count(text, $0) }, ids: ids))
    }
}
