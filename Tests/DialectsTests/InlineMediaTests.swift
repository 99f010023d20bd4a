// SPDX-License-Identifier: Apache-2.0

import Dialects
import Testing
import Units

private struct Nothing: TextMeter {
    mutating func feed(_ text: RawSpan) {}
    mutating func boundary() {}
}

private func inspected(_ parts: String) throws(BodyFault) -> Inspection {
    let text = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[\(parts)]}]}"
    let body = Array(text.utf8)
    var inspection = Inspection()
    var texts = Nothing()
    var tools = Nothing()
    try unsafe inspect(
        body.span.bytes, .chatCompletions, meter: &texts, tools: &tools, into: &inspection)
    return inspection
}

/// RFC 4648 section 4.
private func base64(_ bytes: [UInt8]) -> String {
    let symbols = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = (0..<3).map { start + $0 < bytes.count ? Int(bytes[start + $0]) : 0 }
        let number = group[0] << 16 | group[1] << 8 | group[2]
        for place in 0..<4 {
            let isThere = start + place - 1 < bytes.count || place < 2
            text += isThere ? String(symbols[number >> (18 - 6 * place) & 63]) : "="
        }
    }
    return text
}

private func image(_ url: String, detail: String? = nil) -> String {
    let more = detail.map { ",\"detail\":\"\($0)\"" } ?? ""
    return "{\"type\":\"image_url\",\"image_url\":{\"url\":\"\(url)\"\(more)}}"
}

@Suite("Images and sounds that stand in the body")
struct InlineMediaTests {
    private static func ascii(_ text: String) -> [UInt8] { Array(text.utf8) }
    private static let files: [(String, [UInt8])] = [
        (
            "png",
            [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10, 0, 0, 0, 13] + ascii("IHDR")
                + [0, 0, 2, 0x58, 0, 0, 1, 0x90, 8, 6, 0, 0, 0]
        ),
        ("gif", ascii("GIF89a") + [0x58, 2, 0x90, 1, 0, 0, 0]),
        (
            "jpeg",
            [0xFF, 0xD8, 0xFF, 0xE0, 0, 16] + [UInt8](repeating: 1, count: 14)
                + [0xFF, 0xDB, 0, 4, 0, 0, 0xFF, 0xC2, 0, 17, 8, 1, 0x90, 2, 0x58, 3, 0, 0, 0]
        ),
        (
            "webp",
            ascii("RIFF") + [0, 0, 0, 0] + ascii("WEBPVP8 ") + [0, 0, 0, 0, 0, 0, 0]
                + [0x9D, 0x01, 0x2A, 0x58, 2, 0x90, 0x41, 0, 0, 0]
        ),
        (
            "webp",
            ascii("RIFF") + [0, 0, 0, 0] + ascii("WEBPVP8L") + [0, 0, 0, 0, 0x2F]
                + [0x57, 0xC2, 0x63, 0, 0, 0]
        ),
        (
            "webp",
            ascii("RIFF") + [0, 0, 0, 0] + ascii("WEBPVP8X") + [10, 0, 0, 0, 0, 0, 0, 0]
                + [0x57, 2, 0, 0x8F, 1, 0, 0, 0]
        ),
    ]

    @Test("an inline image's size is read from its header", arguments: files)
    func sizes(kind: String, bytes: [UInt8]) throws {
        let url = "data:image/\(kind);base64,\(base64(bytes))"
        let found = try inspected(image(url))
        #expect(found.imageSizes == [ImageSize(width: 600, height: 400)])
        #expect(found.images == 0)
        // Anthropic's form.
        let source = "{\"type\":\"base64\",\"media_type\":\"x\",\"data\":\"\(base64(bytes))\"}"
        let other = try inspected("{\"type\":\"image\",\"source\":\(source)}")
        #expect(other.imageSizes == [ImageSize(width: 600, height: 400)])
        #expect(try inspected(image(url, detail: "low")).imageSizes.first?.isLow == true)
    }

    @Test("headers that break off leave the size unknown, wherever they do", arguments: files)
    func cut(kind: String, bytes: [UInt8]) throws {
        for count in 0..<bytes.count {
            let url = "data:image/\(kind);base64,\(base64(Array(bytes.prefix(count))))"
            let found = try inspected(image(url))
            #expect(found.images + found.imageSizes.count == 1)
        }
    }

    @Test(
        "images elsewhere, and what is no image, have no size",
        arguments: [
            "https://example.org/a.png", "data:image/png;base64,", "data:image/png,abc",
            "data:;base64,!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "data:image\\/png;base64,iVBORw0KGgo",
        ])
    func unknown(url: String) throws {
        let found = try inspected(image(url))
        #expect(found.images == 1)
        #expect(found.imageSizes.isEmpty)
    }

    @Test("of many images the first sizes are kept, the others counted")
    func bounded() throws {
        let url = "data:image/gif;base64,\(base64(Self.files[1].1))"
        let parts = [String](repeating: image(url), count: 70).joined(separator: ",")
        let found = try inspected(parts)
        #expect(found.imageSizes.count == Inspection.maxSizes)
        #expect(found.images == 70 - Inspection.maxSizes)
    }

    @Test("a sound's length is told by a WAV file's header, and else by its size")
    func sounds() throws {
        let wav =
            Self.ascii("RIFF") + [0, 0, 0, 0] + Self.ascii("WAVEfmt ") + [16, 0, 0, 0, 1, 0, 1, 0]
            + [0x80, 0x3E, 0, 0] + [0, 0x7D, 0, 0] + [UInt8](repeating: 0, count: 64_000)
        let part = { (bytes: [UInt8]) in
            "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"\(base64(bytes))\"}}"
        }
        #expect(abs(try inspected(part(wav)).soundSeconds - 2) < 0.01)
        let other = try inspected(part([UInt8](repeating: 7, count: 32_000)))
        #expect(abs(other.soundSeconds - 2) < 0.01)
        #expect(other.otherMedia == 0)
        let remote = "{\"type\":\"audio_url\",\"audio_url\":{\"url\":\"https://example.org/a\"}}"
        #expect(try inspected(remote).otherMedia == 1)
    }

    @Test("a million tiny messages are refused")
    func tooMany() {
        let messages = [String](repeating: "{}", count: Inspection.maxElements + 1)
        let body = Array("{\"model\":\"m\",\"messages\":[\(messages.joined(separator: ","))]}".utf8)
        var inspection = Inspection()
        var texts = Nothing()
        var tools = Nothing()
        #expect(throws: BodyFault.tooMany(.messages, limit: Inspection.maxElements)) {
            try unsafe inspect(
                body.span.bytes, .chatCompletions, meter: &texts, tools: &tools,
                into: &inspection)
        }
    }
}
