// SPDX-License-Identifier: Apache-2.0

import Testing
import Units
import Wire

@Test func chunksThatAreWrittenCanBeRead() {
    var buffer = ByteBuffer()
    for text in ["a", "0123456789abcdef", String(repeating: "x", count: 70_000)] {
        buffer.appendChunkHeader(text.utf8.count)
        buffer.append(text)
        buffer.appendChunkEnd()
    }
    buffer.appendLastChunk()
    let reading = ChunkedReading(buffer.text)
    #expect(reading.taken == buffer.count)
    #expect(reading.content.count == 70_017)
}

@Test func trailersThatAreWrittenCanBeRead() {
    var buffer = ByteBuffer()
    let section = Array("A: b\r\n".utf8)
    unsafe buffer.appendLastChunk(trailers: section.span.bytes)
    #expect(buffer.text == "0\r\nA: b\r\n\r\n")
    #expect(ChunkedReading(buffer.text).trailers == section)
}

@Test func fieldsAreWrittenOnALineOfTheirOwn() {
    var buffer = ByteBuffer()
    buffer.appendField(name: "a", value: "static")
    buffer.appendField(name: "b", value: -7)
    buffer.appendField(name: "c", value: String(repeating: "d", count: 3))
    let bytes = Array("e f".utf8)
    unsafe buffer.appendField(name: "g", value: bytes.span.bytes)
    #expect(buffer.text == "a: static\r\nb: -7\r\nc: ddd\r\ng: e f\r\n")
}

@Test(arguments: [
    ("a\r\nInjected: b", "a??Injected: b"), ("\n", "?"), ("", ""), ("a\0", "a?"), ("\r", "?"),
    ("\u{7F}tab\tstays", "?tab\tstays"),
    ("\u{E4} stays, as it is over 8 bytes", "\u{E4} stays, as it is over 8 bytes"),
])
func aValueCannotEndItsLine(value: String, written: String) {
    var buffer = ByteBuffer()
    buffer.appendField(name: "n", value: value)
    let bytes = Array(value.utf8)
    unsafe buffer.appendField(name: "n", value: bytes.span.bytes)
    #expect(buffer.text == "n: \(written)\r\nn: \(written)\r\n")
}

@Test func aChunkOfSizeZeroIsABug() async {
    await #expect(processExitsWith: .failure) {
        var buffer = ByteBuffer()
        buffer.appendChunkHeader(0)
    }
}
