// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing
import Units
import Wire

private func written(_ body: (inout JSONWriter) -> Void) -> String {
    var buffer = ByteBuffer()
    JSONWriter.write(into: &buffer, body)
    return buffer.string
}

struct JSONWriterTests {
    @Test func everyKindOfValueIsSpelled() {
        let text = written { json in
            json.beginObject()
            json.member("text", "a\"b\\c\n\u{1}é🌊/\u{7F}")
            json.member("count", -12)
            json.member("share", 0.1)
            json.member("open", true)
            json.member("none", String?.none)
            json.member("some", Int?.some(3))
            json.key("list")
            json.beginArray()
            json.int(Int.min)
            json.beginArray()
            json.endArray()
            json.beginObject()
            json.endObject()
            json.null()
            json.bool(false)
            json.string(StaticString("x"))
            json.endArray()
            json.key("name with \"quotes\"" as String)
            json.double(1e300)
            json.endObject()
        }
        #expect(
            text == #"{"text":"a\"b\\c\n\u0001é🌊/\#u{7F}","count":-12,"share":0.1,"open":true,"#
                + #""none":null,"some":3,"list":[-9223372036854775808,[],{},null,false,"x"],"#
                + #""name with \"quotes\"":1e+300}"#)
        #expect(JSONValue(text) != nil)
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func whatJSONCannotSpellIsNull(value: Double) {
        #expect(written { $0.double(value) } == "null")
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func doublesReadBackTheSame(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let value = Double(bitPattern: random.next())
        guard value.isFinite else { return }
        #expect(JSONValue(written { $0.double(value) })?.number == value)
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func anyBytesGiveAValidString(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let bytes = (0..<Int(random.next() % 60)).map { _ in
            // Lead and continuation bytes are as likely as all others together.
            random.next() % 2 == 0 ? UInt8(random.next() % 256) : UInt8(0x80 | random.next() % 128)
        }
        var buffer = ByteBuffer()
        bytes.withRaw { text in JSONWriter.write(into: &buffer) { $0.string(text) } }
        let value = JSONValue(buffer.array)
        #expect(value != nil)
        if let text = String(validating: bytes, as: UTF8.self) { #expect(value?.text == text) }
    }

    @Test func bytesThatAreNotUTF8BecomeReplacements() {
        var buffer = ByteBuffer()
        [0x61, 0xFF, 0x62, 0xE6, 0xB0, 0x63, 0xC3].withRaw { text in
            JSONWriter.write(into: &buffer) { $0.string(text) }
        }
        #expect(buffer.string == "\"a\u{FFFD}b\u{FFFD}\u{FFFD}c\u{FFFD}\"")
    }

    @Test func itAppendsToWhatTheBufferHolds() {
        var buffer = ByteBuffer()
        buffer.append("data: ")
        JSONWriter.write(into: &buffer) { $0.bool(true) }
        #expect(buffer.string == "data: true")
    }

    @Test func aTextThatIsNoJSONStopsTheProcess() async {
        await #expect(processExitsWith: .failure) { _ = written { _ in } }
        await #expect(processExitsWith: .failure) { _ = written { $0.beginObject() } }
        await #expect(processExitsWith: .failure) {
            _ = written { json in
                json.beginObject()
                json.int(1)
                json.endObject()
            }
        }
        await #expect(processExitsWith: .failure) {
            _ = written { json in
                json.beginObject()
                json.endArray()
            }
        }
        await #expect(processExitsWith: .failure) {
            _ = written { json in
                json.int(1)
                json.int(2)
            }
        }
        await #expect(processExitsWith: .failure) {
            _ = written { json in
                json.beginObject()
                json.key("a")
                json.endObject()
            }
        }
    }
}
