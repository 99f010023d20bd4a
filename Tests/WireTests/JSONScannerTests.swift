// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Units
import Wire

/// All tokens of `text`, or the fault that ends them.
private func tokens(_ bytes: [UInt8], maxDepth: Int = 64) throws(JSONFault) -> [JSONToken] {
    try bytes.withRaw { (text: RawSpan) throws(JSONFault) -> [JSONToken] in
        var scanner = JSONScanner(maxDepth: maxDepth)
        var tokens: [JSONToken] = []
        repeat { tokens.append(try scanner.next(in: text)) } while tokens.last != .end
        return tokens
    }
}

private func fault(_ bytes: [UInt8], maxDepth: Int = 64) -> JSONFault? {
    do { _ = try tokens(bytes, maxDepth: maxDepth) } catch { return error }
    return nil
}

struct JSONScannerTests {
    @Test func everyKindOfTokenIsFoundWhereItStands() throws {
        let text = #" {"a":[1,-2.5e3,"x\n",true],"":{},"b":null} "#
        #expect(
            try tokens(Array(text.utf8)) == [
                .beginObject, .key(JSONString(range: 3..<4, isEscaped: false)), .beginArray,
                .number(7..<8), .number(9..<15),
                .string(JSONString(range: 17..<20, isEscaped: true)), .bool(true), .endArray,
                .key(JSONString(range: 29..<29, isEscaped: false)), .beginObject, .endObject,
                .key(JSONString(range: 35..<36, isEscaped: false)), .null, .endObject, .end,
            ])
    }

    @Test(arguments: [
        "1", "-0", "0.0", "1e5", "1E+5", "1e-05", "[]", "{}", "[[[]]]", "\"\"", " null ",
        "[1 , 2]", "{\"a\" : {\"b\":[]}}", "\"\\u0000\"", "\"\\ud83c\\udf0a\"", "\"\u{7F}\"",
        "\"\\/\\b\\f\"", "\"\u{10FFFF}\u{800}\u{D7FF}\u{E000}\"", "\u{FEFF}[]",
        "123456789012345678901234567890",
    ])
    func whatRFC8259AllowsIsAccepted(text: String) {
        #expect(fault(Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        "01", "+1", ".5", "1.", "1e", "1e+", "-", "- 1", "0x1", "NaN", "Infinity", "-Infinity",
        "[1,]", "[,1]", "[1 2]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:1}",
        "{\"a\" 1}", "{\"a\"::1}", "[1]]", "{}}", "1 2", "[1}", "{\"a\":1]", "tru", "truex", "True",
        "nul", "'a'", "\"a", "\"a\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"",
        "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"\\ud800\\ud800\"", "\"\\ud800x\"", "\"\n\"",
        "\"\t\"", "", " ", "\u{FEFF}", "[", "{", "{\"a\"", "{\"a\":", "[1", "/**/1", "1//",
        "[\u{A0}]",
        "[\u{FEFF}]", "\"a\"\u{0}",
    ])
    func whatRFC8259DoesNotAllowIsRefused(text: String) {
        #expect(fault(Array(text.utf8)) != nil)
        #expect(JSONValue(text) == nil)
    }

    @Test(arguments: 0x80...0xFF as ClosedRange<UInt8>)
    func everyLeadByteIsHeldToWellFormedUTF8(lead: UInt8) {
        let tails: [[UInt8]] = [
            [], [0x80], [0xBF], [0x7F], [0x80, 0x80], [0xBF, 0xBF], [0x80, 0xC0], [0xBF, 0x7F],
        ]
        for second in 0x23...0xFF as ClosedRange<UInt8> where second != UInt8(ascii: "\\") {
            for tail in tails {
                let inner = [lead, second] + tail
                let isText = String(validating: inner, as: UTF8.self) != nil
                #expect((fault([0x22] + inner + [0x22]) == nil) == isText, "\(inner)")
            }
        }
    }

    @Test func theFaultNamesTheByte() {
        #expect(fault(Array("[1,x]".utf8)) == .malformed(at: 3))
        #expect(fault(Array("[1".utf8)) == .endsEarly(at: 2))
        #expect(fault([0x22, 0x61, 0xFF, 0x22]) == .badText(at: 2))
        #expect(fault(Array("1 1".utf8)) == .malformed(at: 2))
    }

    @Test func depthIsLimited() {
        for limit in [1, 2, 63, 64] {
            let open = Array(String(repeating: "[", count: limit).utf8)
            let close = Array(String(repeating: "]", count: limit).utf8)
            #expect(fault(open + close, maxDepth: limit) == nil)
            #expect(
                fault([0x5B] + open + close + [0x5D], maxDepth: limit) == .tooDeep(limit: limit))
        }
        #expect(fault(Array(repeating: 0x5B, count: 1_000_000)) == .tooDeep(limit: 64))
    }

    @Test func objectsAndArraysAreToldApartAtAnyDepth() {
        let open = String(repeating: #"[{"a":"#, count: 32)
        let close = String(repeating: "}]", count: 32)
        #expect(fault(Array((open + "0" + close).utf8)) == nil)
        let crossed = String(repeating: "}]", count: 31) + "]}"
        #expect(fault(Array((open + "0" + crossed).utf8)) != nil)
    }

    @Test func skippingAValueEndsBehindIt() throws {
        let text = Array(#"{"a":{"x":[1,{"y":"}]"}]},"b":2}"#.utf8)
        try text.withRaw { text in
            var scanner = JSONScanner()
            _ = try scanner.next(in: text)
            _ = try scanner.next(in: text)
            try scanner.skipValue(in: text)
            #expect(scanner.offset == 25)
            #expect(scanner.depth == 1)
            #expect(
                try scanner.next(in: text) == .key(JSONString(range: 27..<28, isEscaped: false)))
        }
    }

    @Test func controlBytesAreFoundAtAnyPlaceOfAWord() {
        for length in 0..<40 {
            for bad in [UInt8(0x00), 0x1F, 0x0A] {
                for at in 0...length {
                    var inner = [UInt8](repeating: 0x41, count: length)
                    inner.insert(bad, at: at)
                    #expect(fault([0x22] + inner + [0x22]) == .badText(at: at + 1))
                }
            }
        }
    }

    /// The scanner and a parser that shares nothing with it agree on sound and on damaged texts.
    @Test(arguments: 0..<400 as Range<UInt64>)
    func agreesWithAnIndependentParser(seed: UInt64) {
        var maker = JSONMaker(seed: seed)
        let sound = Array((maker.space() + maker.value(depth: 4) + maker.space()).utf8)
        #expect(fault(sound) == nil)
        for _ in 0..<20 {
            let damaged = maker.damaged(sound)
            #expect((fault(damaged) == nil) == (JSONValue(damaged) != nil), "\(damaged)")
        }
    }
}

struct JSONPassingTests {
    /// Where the value of the first member ends, and whether the rest is read well from there.
    private func end(
        _ text: [UInt8], _ step: (inout JSONScanner, RawSpan) throws -> Void
    ) throws -> Int {
        try text.withRaw { (text: RawSpan) throws -> Int in
            var scanner = JSONScanner()
            _ = try scanner.next(in: text)
            _ = try scanner.next(in: text)
            try step(&scanner, text)
            let end = scanner.offset
            while try scanner.next(in: text) != .end {}
            return end
        }
    }

    private static let values = [
        "1", "null", "\"a\"", "[]", "{}", "[[],{}]", #"{"a":"}"}"#, #"["]","\"]","\\"]"#,
        #"[{"text":"sixteen bytes and more, }{ in the middle of it","n":[1,2,{"x":null}]}]"#,
        #"["\\\\\\\"]","a fifteen bytes","\"quoted from the sixteenth byte on\""]"#,
        #"["exactly sixteen","exactly  sixteen","\u007d",{"é":"日本語 ]"}]"#,
    ]

    @Test(arguments: values)
    func aValuePassedOverEndsWhereOneReadDoes(value: String) throws {
        for padding in 0..<17 {
            let text = Array(
                "{\"\(String(repeating: "k", count: padding))\":\(value),\"b\":[2]}".utf8)
            let read = try end(text) { try $0.skipValue(in: $1) }
            let passed = try end(text) { try $0.passOverValue(in: $1) }
            #expect(read == passed)
        }
    }

    @Test(arguments: values)
    func aValueThatIsCutOffEndsEarly(value: String) {
        let text = Array("{\"a\":\(value)".utf8)
        for count in 5..<text.count {
            let passed = try? end(Array(text[..<count])) { try $0.passOverValue(in: $1) }
            #expect(passed == nil)
        }
    }
}
