// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

@Test func aRequestIsReadIntoItsParts() {
    let reading = RequestReading(
        "POST /v1/chat?a=b HTTP/1.1\r\nHost: llm:8080\r\nContent-Length: 12\r\n"
            + "X-API-KEY: \t k v \t\r\nX-Empty:\r\n\r\n{\"rest\": 1}")
    #expect(reading.taken == reading.bytes.count - 11)
    #expect(reading.head.method == .post)
    #expect(reading.text(reading.head.methodName) == "POST")
    #expect(reading.text(reading.head.target) == "/v1/chat?a=b")
    #expect(reading.head.targetForm == .origin)
    #expect(reading.text(reading.head.authority) == "llm:8080")
    #expect(reading.head.minorVersion == 1)
    #expect(reading.head.fields.map(\.id) == [.host, .contentLength, .xAPIKey, .other])
    #expect(reading.value(.xAPIKey) == "k v")
    #expect(reading.value(.other) == "")
    #expect(reading.text(reading.head.fields[3].name) == "X-Empty")
    #expect(reading.head.framing == .length(12))
    #expect(reading.head.keepAlive)
    #expect(!reading.head.expectsContinue)
}

@Test(arguments: [
    ("GET", Wire.Method.get), ("HEAD", .head), ("POST", .post), ("PUT", .put), ("DELETE", .delete),
    ("PATCH", .patch), ("OPTIONS", .options), ("TRACE", .trace), ("get", .other), ("GETS", .other),
    ("G", .other), ("OPTIONSX", .other), ("PROPPATCH", .other), ("M!#$%&'*+-.^_`|~9", .other),
])
func aMethodIsATokenInItsExactCase(name: String, method: Wire.Method) {
    let reading = RequestReading("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(reading.fault == nil)
    #expect(reading.head.method == method)
    #expect(reading.text(reading.head.methodName) == name)
}

@Test(arguments: [
    " / HTTP/1.1\r\n", "GET  / HTTP/1.1\r\n", "GET /  HTTP/1.1\r\n", "GET\t/ HTTP/1.1\r\n",
    "GET / HTTP/1.1 \r\n", "GET /\r\n", "GET / \r\n", "GET\r\n", "G(T / HTTP/1.1\r\n",
    "GET / http/1.1\r\n", "GET / HTTP/1\r\n", "GET / HTTP/11\r\n", "GET / HTTP/1.11\r\n",
    "GET / HTTP/1,1\r\n", "GET / HTTP /1.1\r\n", "GET / HTTPS/1.1\r\n", "GET / HTTP/a.1\r\n",
    "GET /a b HTTP/1.1\r\n", "GET /a\u{1}b HTTP/1.1\r\n", "GET /a\u{7F} HTTP/1.1\r\n",
    "GET /\u{E4} HTTP/1.1\r\n", "GET /a#b HTTP/1.1\r\n", "GET /a\tb HTTP/1.1\r\n",
    "GET /a\0 HTTP/1.1\r\n", "GET\0 / HTTP/1.1\r\n", "\u{E4} / HTTP/1.1\r\n",
    "GET / HTTP/1.1x\r\n", "\u{16}\u{3}\u{1}\u{2}\0\u{1}", " GET / HTTP/1.1\r\n",
])
func aRequestLineThatIsNotExactIsRefused(line: String) {
    let reading = RequestReading(line + "Host: a\r\n\r\n")
    #expect(reading.fault == .malformedRequestLine)
    #expect(reading.fault?.status == 400)
}

@Test(arguments: [
    "GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\rHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\rX", "\nGET / HTTP/1.1\r\n",
    "\r\rGET / HTTP/1.1\r\n", "GET /\nHTTP/1.1\r\n", "GET\n/ HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "GET / HTTP/1.1\r\nHo\nst: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost\n: a\r\n\r\n", "GET / HTTP/1.1\r\nHost:\na\r\n\r\n",
])
func aBareCarriageReturnOrLineFeedIsRefused(text: String) {
    let fault = RequestReading(text).fault
    #expect(fault == .bareLineBreak)
    #expect(fault?.status == 400)
}

@Test func oneEmptyLineBeforeARequestIsSkippedAndASecondRefused() {
    let reading = RequestReading("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(reading.taken == reading.bytes.count)
    #expect(reading.text(reading.head.methodName) == "GET")
    #expect(RequestReading("\r\n\r\nGET / HTTP/1.1\r\n").fault == .malformedRequestLine)
}

@Test(arguments: [("HTTP/1.0", 0), ("HTTP/1.1", 1), ("HTTP/1.2", 1), ("HTTP/1.9", 1)])
func aMinorVersionAboveOneIsReadAsOne(version: String, minor: UInt8) {
    let reading = RequestReading("GET / \(version)\r\nHost: a\r\n\r\n")
    #expect(reading.fault == nil)
    #expect(reading.head.minorVersion == minor)
}

@Test(arguments: ["HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/9.9"])
func anotherMajorVersionGets505(version: String) {
    let fault = RequestReading("GET / \(version)\r\nHost: a\r\n\r\n").fault
    #expect(fault == .unsupportedVersion)
    #expect(fault?.status == 505)
}

@Test func thePrefaceOfHTTP2IsAnotherVersion() {
    #expect(RequestReading("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").fault == .unsupportedVersion)
}

@Test(arguments: [
    ("GET", "http://h/p?q", "/p?q", TargetForm.absolute, "h"),
    ("GET", "HTTP://h:80/", "/", .absolute, "h:80"),
    ("GET", "https://[::1]:9/x", "/x", .absolute, "[::1]:9"),
    ("GET", "http://h", "/", .absolute, "h"),
    ("OPTIONS", "http://h", "/", .asterisk, "h"),
    ("OPTIONS", "http://h/p", "/p", .absolute, "h"),
    ("OPTIONS", "*", "*", .asterisk, "host"),
    ("OPTIONS", "/p", "/p", .origin, "host"),
    ("CONNECT", "h:443", "h:443", .authority, "h:443"),
    ("GET", "//h/p", "//h/p", .origin, "host"),
    ("GET", "/p?q=http://x", "/p?q=http://x", .origin, "host"),
    ("GET", "/%zz[]|{}^`\\\"<>", "/%zz[]|{}^`\\\"<>", .origin, "host"),
])
func theFourFormsOfATargetAreTold(
    method: String, target: String, path: String, form: TargetForm, authority: String
) {
    let reading = RequestReading("\(method) \(target) HTTP/1.1\r\nHost: host\r\n\r\n")
    #expect(reading.fault == nil)
    #expect(reading.text(reading.head.target) == path)
    #expect(reading.head.targetForm == form)
    #expect(reading.text(reading.head.authority) == authority)
}

@Test(arguments: [
    ("GET", "*"), ("GET", "h:80"), ("GET", "example"), ("GET", "ftp://h/"), ("GET", "http:/h/p"),
    ("GET", "http:"), ("OPTIONS", "**"), ("CONNECT", "/"), ("CONNECT", "h"), ("CONNECT", "h:"),
    ("CONNECT", "http://h:80/"), ("GET", "http://h?q"), ("GET", "?q"), ("GET", "httpx://h/"),
])
func aTargetInNoFormOfItsMethodIsRefused(method: String, target: String) {
    let fault = RequestReading("\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n").fault
    #expect(fault == .malformedTarget)
    #expect(fault?.status == 400)
}

@Test(arguments: ["http:///p", "http://u@h/", "http://u:p@h/", "http://h:x/", "http://[::1/"])
func anAbsoluteTargetWithABadAuthorityIsRefused(target: String) {
    #expect(RequestReading("GET \(target) HTTP/1.1\r\nHost: h\r\n\r\n").fault == .invalidHost)
}

@Test func anAbsoluteTargetDoesNotExcuseAMissingHost() {
    #expect(RequestReading("GET http://h/ HTTP/1.1\r\n\r\n").fault == .missingHost)
}

@Test func aParserIsReadyForTheNextRequestAfterAHead() throws {
    let first = Array("GET /a HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let second = Array("PUT /bc HTTP/1.0\r\n\r\n".utf8)
    var parser = RequestParser(limits: roomy)
    var head = RequestHead()
    let taken = try unsafe parser.parse((first + second).span.bytes, into: &head)
    #expect(taken == first.count)
    let rest = try unsafe parser.parse(second.span.bytes, into: &head)
    #expect(rest == second.count)
    #expect(head.method == .put)
    #expect(head.fields.isEmpty)
    #expect(head.authority.isEmpty)
    #expect(!head.keepAlive)
}

@Test func resettingForgetsAHalfReadHead() throws {
    var parser = RequestParser(limits: roomy)
    var head = RequestHead()
    #expect(
        try unsafe parser.parse(Array("GET /abc HTTP/1.1\r\nHo".utf8).span.bytes, into: &head)
            == nil)
    parser.reset()
    let bytes = Array("PUT / HTTP/1.0\r\nA: b\r\n\r\n".utf8)
    #expect(try unsafe parser.parse(bytes.span.bytes, into: &head) == bytes.count)
    #expect(head.fields.count == 1)
}
