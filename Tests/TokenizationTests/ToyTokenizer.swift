// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Tokenization
import Units

/// A byte-level vocabulary of a few letters and what they merge to, as a file, and the same merged
/// in the plainest way.
struct ToyTokenizer {
    /// Pairs in the order of their ranks.
    let merges: [(String, String)]
    private let ids: [String: UInt32]

    /// All bytes that print, then what each merge makes.
    init(_ merges: [(String, String)]) {
        self.merges = merges
        var ids: [String: UInt32] = [:]
        for byte in 0x21...0x7E as ClosedRange<UInt8> {
            ids[String(UnicodeScalar(byte))] = UInt32(ids.count)
        }
        ids["\u{120}"] = UInt32(ids.count)
        for (left, right) in merges where ids[left + right] == nil {
            ids[left + right] = UInt32(ids.count)
        }
        self.ids = ids
    }

    /// As `tokenizer.json`; `parts` are more members of it, `model` more of its model.
    func file(
        preTokenizer: String = #"{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}"#,
        parts: String = "", model: String = ""
    ) -> [UInt8] {
        let vocabulary = ids.map { "\(Self.quoted($0.key)):\($0.value)" }.joined(separator: ",")
        let pairs = merges.map { "[\(Self.quoted($0.0)),\(Self.quoted($0.1))]" }
        return Array(
            """
            {"version":"1.0",\(parts)"pre_tokenizer":\(preTokenizer),"model":{"type":"BPE",\
            \(model)"vocab":{\(vocabulary)},"merges":[\(pairs.joined(separator: ","))]}}
            """.utf8)
    }

    private static func quoted(_ text: String) -> String {
        let escaped = text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
        return "\"\(escaped)\""
    }

    func load() throws -> Tokenizer { try load(file()) }

    func load(_ file: [UInt8]) throws -> Tokenizer {
        try file.withRaw { try Tokenizer.load($0, name: "tokenizer.json") }
    }

    /// Of one piece: the lowest rank, of it the leftmost, again and again.
    func tokens(of piece: String) -> [UInt32] {
        var parts = piece.map { $0 == " " ? "\u{120}" : String($0) }
        while true {
            var best: (rank: Int, place: Int)?
            for place in parts.indices.dropLast() {
                let rank = merges.firstIndex { $0 == (parts[place], parts[place + 1]) }
                if let rank, rank < best?.rank ?? .max { best = (rank, place) }
            }
            guard let best else { return parts.compactMap { ids[$0] } }
            parts[best.place] += parts[best.place + 1]
            parts.remove(at: best.place + 1)
        }
    }
}

/// The tokens of a text.
func tokens(_ text: String, _ tokenizer: Tokenizer) -> [UInt32] {
    let counter = TokenCounter()
    let ids = Array(text.utf8).withRaw { counter.tokens(of: $0, tokenizer) }
    let count = Array(text.utf8).withRaw { counter.count($0, tokenizer) }
    let again = Array(text.utf8).withRaw { counter.count($0, tokenizer) }
    precondition(ids.count == count && count == again, "a count is the number of tokens")
    return ids
}
