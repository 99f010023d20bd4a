// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Tokenization
import Units

struct FileTests {
    private static let toy = ToyTokenizer([("a", "b"), ("ab", "c"), ("\u{120}", "a")])

    private func fault(_ text: String, name: String = "tokenizer.json") -> String? {
        do {
            _ = try Array(text.utf8).withRaw { try Tokenizer.load($0, name: name) }
            return nil
        } catch let fault as TokenizerFault {
            return fault.reason
        } catch {
            return "\(error)"
        }
    }

    @Test(arguments: [
        (#""normalizer":{"type":"NFKC"},"#, "normalizer: NFKC is not known"),
        (#""normalizer":{"type":"Lowercase"},"#, "normalizer: Lowercase is not known"),
        (#""added_tokens":[{"id":1}],"#, "added_tokens: an entry without id or content"),
    ])
    func aPartThatIsNotKnownIsNamed(part: String, reason: String) {
        let file = Self.toy.file(parts: part)
        #expect(fault(String(decoding: file, as: UTF8.self)) == reason)
    }

    @Test(arguments: ["BertPreTokenizer", "UnicodeScripts", "CharDelimiterSplit"])
    func aPreTokenizerThatIsNotKnownIsNamed(type: String) {
        let file = Self.toy.file(preTokenizer: #"{"type":"\#(type)"}"#)
        #expect(
            fault(String(decoding: file, as: UTF8.self)) == "pre_tokenizer: \(type) is not known")
    }

    @Test func whatIsNoTokenizerIsAFault() {
        #expect(fault("") != nil)
        #expect(fault("{") != nil)
        #expect(fault("[]") != nil)
        #expect(fault("{}") == "model.vocab or model.merges is not there")
        #expect(fault(#"{"model":{"type":"Unigram"}}"#) == "model.type: Unigram is not known")
        #expect(fault(#"{"model":{"vocab":{"a":-1},"merges":[]}}"#) != nil)
        #expect(fault(#"{"model":{"vocab":{"a":1},"merges":["a b"]}}"#) != nil)
        #expect(fault(#"{"model":{"vocab":{"a":1,"aa":2},"merges":["a a","a a"]}}"#) != nil)
        #expect(fault(#"{"model":{"dropout":0.1,"vocab":{"a":1},"merges":[]}}"#) != nil)
        #expect(fault("YQ== 0\n", name: "mine.tiktoken")?.contains("cl100k_base") == true)
        #expect(
            fault("YQ== 0\nnonsense\n", name: "cl100k_base.tiktoken")
                == "line 2 is not a token in Base64 and its rank")
        #expect(
            fault("YQ== 0\n", name: "cl100k_base.tiktoken") == "a byte has no token of its own")
        #expect(fault("\u{1}\u{2}", name: "x.model") == "it is no model of SentencePiece")
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func aDamagedFileIsRefusedOrCounts(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var file = Self.toy.file()
        for _ in 0..<(1 + random.next() % 4) {
            let place = Int(random.next() % UInt64(file.count))
            switch random.next() % 3 {
            case 0: file[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: file.remove(at: place)
            default: file.removeSubrange(place...)
            }
            if file.isEmpty { break }
        }
        if let tokenizer = try? Self.toy.load(file) {
            #expect(tokens("abc abc", tokenizer).count <= 7)
        }
    }

    @Test func addedTokensAreFoundFirstAndByTheirFlags() throws {
        let part = """
            "added_tokens":[\
            {"id":500,"content":"<|end|>","special":true,"normalized":false},\
            {"id":501,"content":"<|","special":false,"normalized":false},\
            {"id":502,"content":"word","single_word":true,"normalized":false},\
            {"id":503,"content":"<l>","lstrip":true,"normalized":false},\
            {"id":504,"content":"<r>","rstrip":true,"normalized":false}],
            """
        let tokenizer = try Self.toy.load(Self.toy.file(parts: part))
        #expect(tokens("<|end|>", tokenizer) == [500])
        #expect(tokens("<|e", tokenizer).first == 501)
        #expect(tokens("<|end|><|", tokenizer) == [500, 501])
        #expect(tokens("word", tokenizer) == [502])
        #expect(!tokens("words", tokenizer).contains(502))
        #expect(!tokens("sword", tokenizer).contains(502))
        #expect(tokens("  <l>", tokenizer) == [503])
        #expect(tokens("<r>  ", tokenizer) == [504])
        #expect(tokens("  <r>", tokenizer).count == 3)
    }

    @Test func aCounterServesSeveralTokenizers() throws {
        let other = try ToyTokenizer([("b", "c")]).load()
        let counter = TokenCounter()
        let tokenizer = try Self.toy.load()
        for _ in 0..<3 {
            let text = Array("xabcx".utf8)
            #expect(text.withRaw { counter.count($0, tokenizer) } == 3)
            #expect(text.withRaw { counter.count($0, other) } == 4)
        }
    }
}
