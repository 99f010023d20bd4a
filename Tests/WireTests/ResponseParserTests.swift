// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

@Test func aResponseIsReadIntoItsParts() {
    let reading = ResponseReading(
        "HTTP/1.1 404 Not Found \u{E4}\r\nServer: llama.cpp\r\nAccess-Control-Allow-Origin: \r\n"
            + "X-Name: \u{E4}\r\nContent-Length: 3\r\n\r\nabc")
    #expect(reading.taken == reading.bytes.count - 3)
    #expect(reading.head.status == 404)
    #expect(reading.text(reading.head.reason) == "Not Found \u{E4}")
    #expect(reading.head.minorVersion == 1)
    #expect(reading.head.fields.map(\.id) == [.server, .other, .other, .contentLength])
    #expect(reading.head.fields[1].value.isEmpty)
    #expect(reading.head.framing == .length(3))
    #expect(reading.head.keepAlive)
}

@Test(arguments: [
    ("HTTP/1.1 299 \r\n", 299), ("HTTP/1.1 200\r\n", 200), ("HTTP/1.0 599 x\r\n", 599),
])
func aReasonMayBeMissing(line: String, status: Int) {
    let reading = ResponseReading(line + "\r\n")
    #expect(reading.fault == nil)
    #expect(reading.head.status == status)
}

@Test(arguments: [
    "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 099 OK\r\n", "HTTP/1.1 600 OK\r\n",
    "HTTP/1.1 20x OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1\t200 OK\r\n", "HTTP/1.1 -20 OK\r\n",
    "http/1.1 200 OK\r\n", "HTTP/1.x 200 OK\r\n", "HTTP/1.1 200\tOK\r\n",
    "HTTP/1.1 200 O\u{1}K\r\n",
    "HTTP/1.1 200 O\0K\r\n", "\r\nHTTP/1.1 200 OK\r\n", "ICY 200 OK\r\n", "HTTP/1.1 200OK\r\n",
    "HTTP/1.1 000 OK\r\n", "HTTP/1.1 +20 OK\r\n", "<html>", "HTTP/1.1\r\n",
])
func aStatusLineThatIsNotExactIsRefused(line: String) {
    #expect(ResponseReading(line + "\r\n").fault == .malformedStatusLine)
}

@Test(arguments: [
    ("HTTP/1.1 200 OK\n\n", HeadFault.bareLineBreak), ("HTTP/1.1 200 OK\rX", .bareLineBreak),
    ("HTTP/1.1 200\n", .bareLineBreak), ("HTTP/2.0 200 OK\r\n\r\n", .unsupportedVersion),
    ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .malformedField),
    ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .obsoleteFolding),
    ("HTTP/1.1 200 OK\r\nA: b\u{1}\r\n\r\n", .malformedField),
    ("HTTP/1.1 200 OK\r\nA: b\u{7F}\r\n\r\n", .malformedField),
    ("HTTP/1.1 200 OK\r\nA: b\n\r\n", .bareLineBreak),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .conflictingLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", .invalidLength),
    ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", .invalidLength),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        .lengthWithTransferEncoding
    ),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedTransferCoding),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", .malformedTransferEncoding),
    ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncodingInHTTP10),
    ("HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n", .malformedConnection),
    (
        "HTTP/1.1 204 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        .lengthWithTransferEncoding
    ),
])
func aResponseThatCouldBeReadInTwoWaysIsRefused(text: String, fault: HeadFault) {
    #expect(ResponseReading(text).fault == fault)
}

@Test(arguments: [
    (Wire.Method.post, "200 OK", "Content-Length: 5\r\n", Framing.length(5), true),
    (.post, "200 OK", "Content-Length: 0\r\n", .length(0), true),
    (.post, "200 OK", "Transfer-Encoding: chunked\r\n", .chunked, true),
    (.post, "200 OK", "Transfer-Encoding: chunked\r\nConnection: close\r\n", .chunked, false),
    (.post, "200 OK", "", .untilClose, false),
    (.post, "200 OK", "Connection: keep-alive\r\n", .untilClose, false),
    (.head, "200 OK", "Content-Length: 5\r\n", .none, true),
    (.head, "200 OK", "Transfer-Encoding: chunked\r\n", .none, true),
    (.head, "200 OK", "", .none, true),
    (.get, "304 Not Modified", "Content-Length: 5\r\n", .none, true),
    (.get, "304 Not Modified", "Transfer-Encoding: chunked\r\n", .none, true),
    (.get, "204 No Content", "", .none, true),
    (.get, "204 No Content", "Content-Length: 0\r\n", .none, true),
    (.get, "204 No Content", "Content-Length: 5\r\n", .none, false),
    (.get, "204 No Content", "Transfer-Encoding: chunked\r\n", .none, false),
    (.post, "100 Continue", "", .none, true),
    (.post, "103 Early Hints", "Link: a\r\n", .none, true),
    (.connect, "200 OK", "", .none, true),
    (.connect, "407 No", "Content-Length: 2\r\n", .length(2), true),
])
func theFramingOfAResponseFollowsItsStatusAndRequest(
    method: Wire.Method, status: String, fields: String, framing: Framing, keepAlive: Bool
) {
    let reading = ResponseReading("HTTP/1.1 \(status)\r\n\(fields)\r\n", method: method)
    #expect(reading.fault == nil)
    #expect(reading.head.framing == framing)
    #expect(reading.head.keepAlive == keepAlive)
}

@Test(arguments: [("", false), ("Connection: keep-alive\r\n", true)])
func anHTTP10ResponseClosesUnlessItSaysOtherwise(fields: String, keepAlive: Bool) {
    let reading = ResponseReading("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\(fields)\r\n")
    #expect(reading.head.minorVersion == 0)
    #expect(reading.head.keepAlive == keepAlive)
}

@Test func theFinalResponseFollowsAnInterimOne() throws {
    let interim = Array("HTTP/1.1 100 Continue\r\nA: b\r\n\r\n".utf8)
    let final = Array("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".utf8)
    var parser = ResponseParser(limits: roomy)
    var head = ResponseHead()
    let both = interim + final
    let first = try unsafe parser.parse(both.span.bytes, requestMethod: .post, into: &head)
    #expect(first == interim.count)
    #expect(head.status == 100)
    let second = try unsafe parser.parse(final.span.bytes, requestMethod: .post, into: &head)
    #expect(second == final.count - 1)
    #expect(head.status == 200)
    #expect(head.fields.count == 1)
}
