// SPDX-License-Identifier: Apache-2.0

import FuzzSupport
import Tokenization
import Units

/// A tokenizer of all bytes and a few merges, whose texts are cut by `pattern`.
private func tokenizer(_ pattern: String, _ parts: String = "") -> Tokenizer {
    var names: [String] = []
    var other: UInt32 = 0x100
    for byte in 0..<256 as Range<UInt32> {
        let prints = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
        let scalar = prints ? byte : other
        if !prints { other += 1 }
        let name = String(UnicodeScalar(scalar).map(Character.init) ?? " ")
        names.append(name == "\"" || name == "\\" ? "\\" + name : name)
    }
    let merges = [
        ("a", "a"), ("aa", "aa"), ("a", "b"), ("ab", "c"), ("\u{120}", "\u{120}"),
        ("\u{120}", "a"), ("1", "1"), ("\u{E2}", "\u{138}"), ("e", "\u{CC}"),
    ]
    for (left, right) in merges { names.append(left + right) }
    let vocabulary = names.enumerated().map { "\"\($0.element)\":\($0.offset)" }
    let pairs = merges.map { "[\"\($0.0)\",\"\($0.1)\"]" }
    let escaped = pattern.replacing("\\", with: "\\\\")
    let file = """
        {\(parts)"added_tokens":[{"id":900,"content":"<|a|>","normalized":false,"special":true},\
        {"id":901,"content":"b ","lstrip":true,"rstrip":true,"single_word":true}],\
        "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Isolated",\
        "invert":false,"pattern":{"Regex":"\(escaped)"}},\
        {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]},\
        "model":{"type":"BPE","vocab":{\(vocabulary.joined(separator: ","))},\
        "merges":[\(pairs.joined(separator: ","))]}}
        """
    do throws(TokenizerFault) {
        return unsafe try Tokenizer.load(Array(file.utf8).span.bytes, name: "tokenizer.json")
    } catch {
        fatalError("\(error)")
    }
}

private let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#

private let tokenizers = [
    tokenizer(#"'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#),
    tokenizer(
        #"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"# + spaces,
        #""normalizer":{"type":"NFC"},"#),
    tokenizer(
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|"#
            + #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"#
            + #"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"# + spaces),
    tokenizer(#"[!-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"# + spaces),
]

/// Bytes as a text: no more tokens than bytes, and as many as were counted.
private func count(_ text: [UInt8], _ tokenizer: Tokenizer) {
    let counter = TokenCounter()
    let tokens = unsafe counter.tokens(of: text.span.bytes, tokenizer)
    let counted = unsafe counter.count(text.span.bytes, tokenizer)
    check(counted == tokens.count, "a count is the number of tokens")
    // Composition may lengthen a text threefold.
    check(counted <= 3 * text.count, "a text has no more tokens than bytes")
}

@c(LLVMFuzzerTestOneInput)
public func oneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let input = unsafe FuzzInput(UnsafeRawBufferPointer(start: data, count: size))
    switch input.choice % 8 {
    case 4: load(input.bytes, "tokenizer.json")
    case 5: load(input.bytes, "cl100k_base.tiktoken")
    case 6: load(input.bytes, "tokenizer.model")
    case 7:
        // Again and again, so that pieces are long.
        let times = max(1, 8_192 / max(1, input.bytes.count))
        count(
            Array((0..<times).map { _ in input.bytes }.joined()),
            tokenizers[Int(input.choice / 8) % tokenizers.count])
    default: count(input.bytes, tokenizers[Int(input.choice % 8)])
    }
    return 0
}

/// Bytes as a file: what loads counts.
private func load(_ file: [UInt8], _ name: String) {
    guard let tokenizer = unsafe try? Tokenizer.load(file.span.bytes, name: name) else { return }
    let counter = TokenCounter()
    let text = Array("Some text, 123 \u{E9}\u{4F60}\u{2581}  \r\n <|a|>".utf8)
    _ = unsafe counter.count(text.span.bytes, tokenizer)
    _ = unsafe counter.count(file.span.bytes, tokenizer)
}

@main
struct FuzzTokenizer {
    static func main() { unsafe runFuzzer(oneInput) }
}
