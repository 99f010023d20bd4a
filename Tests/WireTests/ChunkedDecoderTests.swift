// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

@Test func chunksAreJoinedUpToTheLastOne() {
    let body = "5\r\nhello\r\n00A\r\n, chunked \r\n1\r\n!\r\n0\r\n\r\n"
    let reading = ChunkedReading(body + "GET /")
    #expect(reading.text == "hello, chunked !")
    #expect(reading.taken == body.utf8.count)
    #expect(reading.trailers.isEmpty)
}

@Test(arguments: ["0\r\n\r\n", "000\r\n\r\n", "0;a=b\r\n\r\n", "0000000000000000\r\n\r\n"])
func aBodyMayBeEmpty(body: String) {
    let reading = ChunkedReading(body)
    #expect(reading.content.isEmpty)
    #expect(reading.taken == body.utf8.count)
}

@Test func aChunkMayHoldAnyBytes() {
    let content = (UInt8.min...UInt8.max).map { $0 }
    let reading = ChunkedReading(Array("100\r\n".utf8) + content + Array("\r\n0\r\n\r\n".utf8))
    #expect(reading.content == content)
}

@Test(arguments: [
    "", "5", "5\r", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "0\r\n",
    "5\r\nhello\r\n0\r\n\r", "0\r\nA: b\r\n", "0\r\nA: b\r\n\r",
])
func anUnfinishedBodyHasNoEnd(body: String) {
    let reading = ChunkedReading(body)
    #expect(reading.taken == nil)
    #expect(reading.fault == nil)
    #expect(reading.trailers.isEmpty)
}

@Test(arguments: [
    ("\r\n", ChunkFault.invalidSize), ("g\r\n", .invalidSize), (" 5\r\n", .invalidSize),
    ("-5\r\n", .invalidSize), ("+5\r\n", .invalidSize), ("0x5\r\n", .invalidSize),
    ("5h\r\n", .invalidSize), (";a\r\n", .invalidSize), ("5\0\r\n", .invalidSize),
    ("5_0\r\n", .invalidSize), ("5,5\r\n", .invalidSize), ("\n", .bareLineBreak),
    ("5\nhello\r\n", .bareLineBreak), ("5\rh", .bareLineBreak), ("5\r\r\n", .bareLineBreak),
    ("5\r\nhello\n", .bareLineBreak), ("5\r\nhello\rx", .bareLineBreak),
    ("5\r\nhelloX\r\n", .missingDataEnd), ("5\r\nhello0\r\n\r\n", .missingDataEnd),
    ("5\r\nhello \r\n", .missingDataEnd), ("0\r\n\n", .bareLineBreak),
    ("0\r\n\rX", .bareLineBreak), ("0\n\n", .bareLineBreak),
    ("8000000000000000\r\n", .sizeTooLarge), ("FFFFFFFFFFFFFFFF\r\n", .sizeTooLarge),
    ("10000000000000000\r\n", .sizeTooLarge), ("00000000000000005\r\n", .sizeTooLarge),
])
func aBadChunkIsRefused(body: String, fault: ChunkFault) {
    #expect(ChunkedReading(body).fault == fault)
}

@Test func theLargestSizeIsTaken() {
    #expect(ChunkedReading("7FFFFFFFFFFFFFFF\r\nabc").text == "abc")
}

@Test(arguments: [
    ";a", ";a=b", "; a = b", " ;a", "\t;\ta\t=\tb", ";a;b;c=d", ";a=\"b c\"", ";a=\"\\\"\\\\\"",
    ";a=\"b;c\";d", ";a=\"\" ;b", ";a b=c;!#$%&'*+-.^_`|~=x",
])
func extensionsAreCheckedAndDropped(text: String) {
    let valid = text != ";a b=c;!#$%&'*+-.^_`|~=x"
    let reading = ChunkedReading("1\(text)\r\nx\r\n0\(text)\r\n\r\n")
    #expect((reading.fault == nil) == valid)
    #expect(reading.text == (valid ? "x" : ""))
}

@Test(arguments: [
    ";", "; ", " ", "\t", ";a=", ";a= ", ";=b", ";a=b c", ";a=\"b", ";a=\"b\"c", ";a=\"b\\", ";a =",
    ";a ", ";a=b ", ";(a)", ";a=(b)", ";a=\"\u{1}\"", ";a=\"\\\u{1}\"", ";a=\0", ";a=\"\u{E4}\"",
    ";a=\"\u{7F}\"", " a", ";a;", ";;a", ";a b=c", ";a==b", ";\u{E4}=1",
])
func aMalformedExtensionIsRefused(text: String) {
    #expect(ChunkedReading("1\(text)\r\nx\r\n0\r\n\r\n").fault == .malformedExtension)
}

@Test(arguments: [";a\n", ";a=\"\n\"", ";\n", ";a=b\n", ";a\r;b"])
func aLineBreakInExtensionsIsRefused(text: String) {
    #expect(ChunkedReading("1\(text)x").fault == .bareLineBreak)
}

@Test func extensionsAreBoundedOverTheWholeBody() {
    let body = Array("1;abc\r\nx\r\n1;abc\r\ny\r\n0;abcd\r\n\r\n".utf8)
    #expect(ChunkedReading(body, maxExtensions: 13).text == "xy")
    let over = ChunkedReading(body, maxExtensions: 12)
    #expect(over.fault == .extensionsTooLarge(limit: 12))
    #expect(over.fault?.status == 400)
}

@Test func trailersAreGivenAsReceived() {
    let section = "Checksum: abc\r\nX-Empty:\r\nEndpoint-Load-Metrics: TEXT a=1\r\n"
    let body = "3\r\nabc\r\n0\r\n\(section)\r\n"
    let reading = ChunkedReading(body + "next")
    #expect(reading.text == "abc")
    #expect(String(decoding: reading.trailers, as: UTF8.self) == section)
    #expect(reading.taken == body.utf8.count)
}

@Test(arguments: [
    "Content-Length: 5", "transfer-encoding: chunked", "Host: a", "Authorization: x",
    "X-API-Key: x", "api-key: x", "Connection: close", "TE: trailers", "Trailer: a", "Cookie: a",
    "Content-Type: a", "Content-Encoding: gzip", "X-Traffic-Class: a", "X-Penstock-Anything: a",
    "Expect: 100-continue", "Upgrade: a", "X-Forwarded-For: a", "Cache-Control: a",
])
func aTrailerThatBelongsInTheHeadIsRefused(line: String) {
    #expect(ChunkedReading("0\r\nA: b\r\n\(line)\r\n\r\n").fault == .forbiddenTrailer)
}

@Test(arguments: [
    ("A\r\n", ChunkFault.malformedTrailer), ("A : b\r\n", .malformedTrailer),
    ("A: b\0\r\n", .malformedTrailer), ("A: \u{E4}\r\n", .malformedTrailer),
    (": b\r\n", .malformedTrailer), ("A: b\r\n c\r\n", .malformedTrailer),
    (" A: b\r\n", .malformedTrailer), ("A: b\n", .bareLineBreak), ("A: b\rx", .bareLineBreak),
    ("A: b\r\n\rx", .bareLineBreak), ("A: b\r\n\n", .bareLineBreak),
])
func aMalformedTrailerIsRefused(lines: String, fault: ChunkFault) {
    #expect(ChunkedReading("0\r\n\(lines)\r\n").fault == fault)
}

@Test func trailersAreBoundedInBytesAndNumber() {
    let section = "A: bcd\r\nE: f\r\n"
    let count = section.utf8.count
    let body = Array("0\r\n\(section)\r\n".utf8)
    #expect(ChunkedReading(body, maxTrailers: count, maxFields: 2).trailers.count == count)
    #expect(
        ChunkedReading(body, maxTrailers: count - 1).fault
            == .trailersTooLarge(limit: count - 1))
    #expect(ChunkedReading(body, maxFields: 1).fault == .tooManyTrailers(limit: 1))
    #expect(ChunkFault.trailersTooLarge(limit: 1).status == 431)
    #expect(ChunkFault.tooManyTrailers(limit: 1).status == 431)
    // Refused when the limit is reached, not when the section ends.
    let endless = Array("0\r\nA: bcdefghijklmnop".utf8)
    #expect(ChunkedReading(endless, maxTrailers: 10).fault == .trailersTooLarge(limit: 10))
}

@Test func aDecoderCanBeUsedForTheNextBody() throws {
    var decoder = ChunkedDecoder(maxExtensions: 10, maxTrailers: 10, maxFields: 1)
    let bodies = Array("0;123456789\r\nA: b\r\n\r\n".utf8)
    for _ in 0..<3 {
        #expect(try unsafe decoder.next(bodies.span.bytes) == .end(consumed: bodies.count))
        #expect(decoder.trailers.count == 6)
        // Once it has ended it stays so.
        #expect(try unsafe decoder.next(bodies.span.bytes) == .end(consumed: 0))
        decoder.reset()
        #expect(decoder.trailers.isEmpty)
    }
}

@Test func everyChunkFaultHasAStatusAndAReason() {
    let faults: [ChunkFault] = [
        .invalidSize, .sizeTooLarge, .malformedExtension, .extensionsTooLarge(limit: 1),
        .bareLineBreak, .missingDataEnd, .malformedTrailer, .trailersTooLarge(limit: 1),
        .tooManyTrailers(limit: 1), .forbiddenTrailer,
    ]
    for fault in faults { #expect([400, 413, 431].contains(fault.status)) }
    #expect(Set(faults.map(\.reason)).count == faults.count)
}
