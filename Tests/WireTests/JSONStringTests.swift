// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Units
import Wire

/// Calls `body` with the string that is the whole of `text`.
private func withString<Result>(
    _ text: String, _ body: (JSONString, RawSpan) -> Result
) throws -> Result {
    try Array(text.utf8).withRaw { bytes in
        var scanner = JSONScanner()
        guard case .string(let string) = try scanner.next(in: bytes) else {
            throw JSONFault.malformed(at: 0)
        }
        return body(string, bytes)
    }
}

private struct Collector: TextMeter {
    var pieces: [[UInt8]] = []
    mutating func feed(_ text: RawSpan) {
        pieces.append(unsafe text.withUnsafeBytes { unsafe Array($0) })
    }
    mutating func boundary() {}
}

struct JSONStringTests {
    @Test(arguments: [
        ("\"max_tokens\"", true), ("\"max_tok\\u0065ns\"", true), ("\"\\u006Dax_tokens\"", true),
        ("\"max_token\\u0073\"", true), ("\"max_token\"", false), ("\"max_tokens \"", false),
        ("\"max_tokens\\u0000\"", false), ("\"max_token\\u0074\"", false), ("\"\"", false),
        ("\"max\\u005ftokens\"", true), ("\"MAX_TOKENS\"", false), ("\"max_tok\\u0065n\"", false),
    ])
    func aNameIsRecognisedHoweverItIsSpelled(text: String, same: Bool) throws {
        #expect(try withString(text) { $0.equals("max_tokens", in: $1) } == same)
    }

    @Test func oneLetterNamesAndNonASCIINamesAreCompared() throws {
        #expect(try withString("\"n\"") { $0.equals("n", in: $1) })
        #expect(try withString("\"\\u006e\"") { $0.equals("n", in: $1) })
        #expect(try withString("\"\\ud83c\\udf0a\"") { $0.equals("🌊", in: $1) })
        #expect(try withString("\"\"") { $0.equals("", in: $1) })
    }

    @Test func allEscapesAreDecoded() throws {
        let text = #""\"\\\/\b\f\n\r\t\u0041\u00e9\u6c34\ud83c\udf0a\uffff""#
        let decoded = try withString(text) { $0.string(in: $1) }
        #expect(decoded == "\"\\/\u{8}\u{C}\n\r\tAé水🌊\u{FFFF}")
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func decodingGivesBackWhatWasSpelled(seed: UInt64) throws {
        var maker = JSONMaker(seed: seed)
        let runs = maker.below(40)
        let text = (0..<runs).map { _ in
            String(repeating: maker.words(), count: 1 + maker.below(30))
        }.joined()
        let spelled = maker.string(text)
        try withString(spelled) { string, bytes in
            #expect(string.string(in: bytes) == text)
            var buffer = ByteBuffer()
            string.append(to: &buffer, from: bytes)
            #expect(buffer.string == text)
            var collector = Collector()
            string.feed(&collector, from: bytes)
            #expect(collector.pieces.joined().elementsEqual(text.utf8))
            for piece in collector.pieces {
                #expect(!piece.isEmpty)
                #expect(String(validating: piece, as: UTF8.self) != nil)
            }
        }
    }

    @Test func anUnescapedStringIsOnePieceAndAnEmptyOneNone() throws {
        let long = String(repeating: "x", count: 5_000)
        let pieces = try withString("\"\(long)\"") { string, bytes in
            var collector = Collector()
            string.feed(&collector, from: bytes)
            return collector.pieces.count
        }
        #expect(pieces == 1)
        let none = try withString("\"\"") { string, bytes in
            var collector = Collector()
            string.feed(&collector, from: bytes)
            return collector.pieces.count
        }
        #expect(none == 0)
    }
}
