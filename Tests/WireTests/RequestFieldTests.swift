// SPDX-License-Identifier: Apache-2.0

import Testing
import Wire

/// A request with `fields` behind its Host.
private func request(_ fields: String, version: String = "HTTP/1.1") -> RequestReading {
    RequestReading("POST / \(version)\r\nHost: a\r\n\(fields)\r\n")
}

@Test(arguments: [
    "A : b\r\n", "A\t: b\r\n", ": b\r\n", "A b: c\r\n", "A\r\n", "A(: b\r\n", "A/: b\r\n",
    "A\0: b\r\n",
    "\u{E4}: b\r\n", "A;: b\r\n", "\"A\": b\r\n", "A@: b\r\n", "{A}: b\r\n", "A[]: b\r\n",
    "A: b\u{1}c\r\n", "A: b\0\r\n", "A: \u{7F}\r\n", "A: \u{1F}\r\n", "A: \u{E4}\r\n",
    "A: b\u{B}\r\n", "A: b\u{C}c\r\n", "A: \u{8}\r\n", "A: long enough for a word \u{80}\r\n",
])
func aFieldWithABadByteIsRefused(line: String) {
    let fault = request(line).fault
    #expect(fault == .malformedField)
    #expect(fault?.status == 400)
}

@Test func everyByteIsAllowedInNamesAndValuesAsTheGrammarSays() {
    let tokens = Set("!#$%&'*+-.^_`|~".utf8)
    for byte in UInt8.min...UInt8.max where byte != 0x0D && byte != 0x0A && byte != 0x3A {
        // At every distance from the end of a word, since eight bytes are looked at at once.
        for padding in 0..<9 {
            let filler = Array(repeating: UInt8(ascii: "a"), count: padding)
            let start = Array("GET / HTTP/1.1\r\nHost: a\r\n".utf8)
            let end = Array(": v\r\n\r\n".utf8)
            let named = RequestReading(start + [UInt8(ascii: "n")] + filler + [byte] + filler + end)
            let isToken =
                tokens.contains(byte) || Character(UnicodeScalar(byte)).isLetter && byte < 0x80
                || (0x30...0x39).contains(byte)
            #expect((named.fault == nil) == isToken, "byte \(byte) in a name")
            let valued = RequestReading(
                start + Array("n:v".utf8) + filler + [byte] + filler + Array("\r\n\r\n".utf8))
            let isText = byte == 9 || (0x20...0x7E).contains(byte)
            #expect((valued.fault == nil) == isText, "byte \(byte) in a value")
            let targeted = RequestReading(
                Array("GET /".utf8) + filler + [byte] + filler + Array(" HTTP/1.0\r\n\r\n".utf8))
            let isVisible = (0x21...0x7E).contains(byte) && byte != 0x23
            #expect((targeted.fault == nil) == isVisible, "byte \(byte) in a target")
        }
    }
}

@Test(arguments: [" b\r\n", "\tb\r\n", "A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A: b\r\n \r\n"])
func foldedLinesAreRefused(lines: String) {
    #expect(request(lines).fault == .obsoleteFolding)
    #expect(RequestReading("GET / HTTP/1.1\r\n Host: a\r\n\r\n").fault == .obsoleteFolding)
}

@Test(arguments: [
    ("a", nil), ("a:80", nil), ("a.b-c_d~e", nil), ("A:", nil), ("1.2.3.4:65535", nil),
    ("[::1]", nil), ("[::1]:80", nil), ("a%2Db", nil), ("a!$&'()*+,;=b", nil),
    ("", HeadFault.invalidHost), (":80", .invalidHost), ("a:65536", .invalidHost),
    ("a:8x", .invalidHost), ("a:80:80", .invalidHost), ("a b", .invalidHost),
    ("a/b", .invalidHost), ("a@b", .invalidHost), ("a%2", .invalidHost), ("a%zz", .invalidHost),
    ("[::1", .invalidHost), ("[]", .invalidHost), ("[::1]x", .invalidHost), ("a?b", .invalidHost),
    ("[1.2.3.4]", .invalidHost), ("[v1.a]", .invalidHost), ("[fe80::1%25eth0]", .invalidHost),
    ("a\\b", .invalidHost), ("a#b", .invalidHost), ("a\"b", .invalidHost), ("::1", .invalidHost),
    ("a, b", .invalidHost), ("http://a", .invalidHost), ("a:+80", .invalidHost),
    ("%", .invalidHost),
])
func aHostIsANameOrAnAddressAndPerhapsAPort(host: String, fault: HeadFault?) {
    let reading = RequestReading("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    #expect(reading.fault == fault)
    if fault == nil { #expect(reading.text(reading.head.authority) == host) }
    // An HTTP/1.0 client need not send it, but what it sends must be right.
    #expect(RequestReading("GET / HTTP/1.0\r\nHost: \(host)\r\n\r\n").fault == fault)
}

@Test(arguments: [
    ("::", true), ("1::", true), ("::1", true), ("1:2:3:4:5:6:7:8", true), ("1::8", true),
    ("1:2:3:4:5:6:7::", true), ("::2:3:4:5:6:7:8", true), ("::ffff:1.2.3.4", true),
    ("1:2:3:4:5:6:1.2.3.4", true), ("abcd:EF01::", true), ("64:ff9b::255.255.255.255", true),
    (":", false), (":::", false), ("1:", false), (":1", false), ("1::2::3", false),
    ("1:2:3:4:5:6:7", false), ("1:2:3:4:5:6:7:8:9", false), ("1:2:3:4:5:6:7:8::", false),
    ("12345::", false), ("g::", false), ("::1.2.3", false), ("::1.2.3.4.5", false),
    ("::256.1.1.1", false), ("::01.1.1.1", false), ("::1.2.3.4:1", false), ("::1.2.3.", false),
    ("1:2:3:4:5:6:7:1.2.3.4", false), ("::.1.2.3", false), ("::1..2.3", false), ("1", false),
    ("::1.2.3.1234", false), ("::a.2.3.4", false), ("::1 ", false),
])
func bracketsHoldAnIPv6Address(address: String, isValid: Bool) {
    let reading = RequestReading("GET / HTTP/1.1\r\nHost: [\(address)]\r\n\r\n")
    #expect((reading.fault == nil) == isValid)
}

@Test func aRequestNeedsExactlyOneHost() {
    #expect(RequestReading("GET / HTTP/1.1\r\n\r\n").fault == .missingHost)
    #expect(request("Host: a\r\n").fault == .duplicateHost)
    #expect(request("hOST: b\r\n").fault == .duplicateHost)
    #expect(RequestReading("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n").fault == .duplicateHost)
    let old = RequestReading("GET / HTTP/1.0\r\n\r\n")
    #expect(old.fault == nil)
    #expect(old.head.authority.isEmpty)
}

@Test(arguments: [
    ("0", 0), ("7", 7), ("0000000000000000000000042", 42),
    ("9223372036854775807", Int.max),
])
func aContentLengthIsDigits(value: String, length: Int) {
    #expect(request("Content-Length: \(value)\r\n").head.framing == .length(length))
}

@Test(arguments: [
    "", "-1", "+1", "1.0", "0x10", "1e3", "9223372036854775808", "99999999999999999999", "1 2",
    "1,1", "1, 2", ",1", "1,", "\u{661}", "1;", "a", "18446744073709551617", "1_0", "\"1\"",
])
func aContentLengthThatIsNotDigitsOrDoesNotFitIsRefused(value: String) {
    let fault = request("Content-Length: \(value)\r\n").fault
    #expect(fault == .invalidLength || (value == "\u{661}" && fault == .malformedField))
}

@Test(arguments: ["Content-Length: 5\r\n", "content-length: 6\r\n", "CONTENT-LENGTH: 5\r\n"])
func aSecondContentLengthIsRefusedEvenWhenEqual(line: String) {
    let fault = request("Content-Length: 5\r\nA: b\r\n" + line).fault
    #expect(fault == .conflictingLength)
    #expect(fault?.status == 400)
}

@Test func noLengthAndNoCodingMeansNoContent() {
    #expect(request("").head.framing == .none)
    #expect(request("").fault == nil)
}

@Test(arguments: ["chunked", "CHUNKED", "Chunked", " \tchunked \t"])
func oneChunkedCodingIsTheOnlyCoding(value: String) {
    let reading = request("Transfer-Encoding:\(value)\r\n")
    #expect(reading.fault == nil)
    #expect(reading.head.framing == .chunked)
}

@Test(arguments: [
    ("gzip, chunked", HeadFault.unsupportedTransferCoding),
    ("identity, chunked", .unsupportedTransferCoding),
    ("x,chunked", .unsupportedTransferCoding),
    // No coding that is known here is the last one: the end cannot be found.
    ("gzip", .malformedTransferEncoding), ("identity", .malformedTransferEncoding),
    ("xchunked", .malformedTransferEncoding), ("chunkedx", .malformedTransferEncoding),
    ("chunked, gzip", .malformedTransferEncoding), ("chunked, chunked", .malformedTransferEncoding),
    ("gzip, chunked, chunked", .malformedTransferEncoding), ("", .malformedTransferEncoding),
    (",chunked", .malformedTransferEncoding), ("chunked,", .malformedTransferEncoding),
    ("chunked;q=1", .malformedTransferEncoding), ("\"chunked\"", .malformedTransferEncoding),
    ("chunked chunked", .malformedTransferEncoding), ("chun ked", .malformedTransferEncoding),
    ("chunked;", .malformedTransferEncoding), (";chunked", .malformedTransferEncoding),
    ("\u{B}chunked", .malformedField), ("chunked\0", .malformedField),
    ("ch\u{FF}nked", .malformedField),
])
func anotherTransferEncodingIsRefused(value: String, fault: HeadFault) {
    #expect(request("Transfer-Encoding: \(value)\r\n").fault == fault)
    #expect(HeadFault.unsupportedTransferCoding.status == 501)
    #expect(HeadFault.malformedTransferEncoding.status == 400)
}

@Test func aSecondTransferEncodingFieldIsRefused() {
    let twice = request("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")
    #expect(twice.fault == .malformedTransferEncoding)
    let split = request("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")
    #expect(split.fault == .malformedTransferEncoding)
}

@Test(arguments: [
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: x\r\nTransfer-Encoding: gzip\r\n",
])
func aLengthBesideATransferCodingIsRefused(lines: String) {
    #expect(request(lines).fault == .lengthWithTransferEncoding)
}

@Test func transferEncodingInHTTP10IsRefused() {
    let reading = request("Transfer-Encoding: chunked\r\n", version: "HTTP/1.0")
    #expect(reading.fault == .transferEncodingInHTTP10)
}

@Test(arguments: [
    ("HTTP/1.1", "", true), ("HTTP/1.1", "Connection: close\r\n", false),
    ("HTTP/1.1", "Connection: Close\r\n", false), ("HTTP/1.1", "connection: te , CLOSE\r\n", false),
    ("HTTP/1.1", "Connection: keep-alive\r\n", true), ("HTTP/1.1", "Connection: closed\r\n", true),
    ("HTTP/1.1", "Connection: keep-alive, close\r\n", false), ("HTTP/1.1", "Connection:\r\n", true),
    ("HTTP/1.1", "Connection: te\r\nConnection: close\r\n", false),
    ("HTTP/1.1", "Connection: ,, close ,\r\n", false),
    ("HTTP/1.0", "", false), ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
    ("HTTP/1.0", "Connection: keep-alive, close\r\n", false),
    ("HTTP/1.0", "Connection: te\r\n", false),
])
func theConnectionFieldDecidesWithTheVersion(version: String, lines: String, keepAlive: Bool) {
    let reading = request(lines, version: version)
    #expect(reading.fault == nil)
    #expect(reading.head.keepAlive == keepAlive)
}

@Test(arguments: [
    "close x", "\"close\"", "a;b", "@", "Content-Length", "te, hoST", "transfer-encoding",
])
func aMalformedConnectionFieldIsRefused(value: String) {
    let fault = request("Connection: \(value)\r\n").fault
    #expect(fault == .malformedConnection)
    #expect(fault?.status == 400)
}

@Test(arguments: [
    ("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 5\r\n", true),
    ("HTTP/1.1", "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
    ("HTTP/1.1", "Expect: 100-continue\r\nContent-Length: 0\r\n", false),
    ("HTTP/1.1", "Expect: 100-continue\r\n", false), ("HTTP/1.1", "Content-Length: 5\r\n", false),
    ("HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", false),
    ("HTTP/1.0", "Expect: 200-ok\r\nContent-Length: 5\r\n", false),
])
func whoAnnouncesContentMayExpectToBeAskedForIt(version: String, lines: String, expects: Bool) {
    let reading = request(lines, version: version)
    #expect(reading.fault == nil)
    #expect(reading.head.expectsContinue == expects)
}

@Test(arguments: ["200-ok", "", "100-continue, x", "100-continue;q=1", "100"])
func anotherExpectationGets417(value: String) {
    let fault = request("Expect: \(value)\r\n").fault
    #expect(fault == .unknownExpectation)
    #expect(fault?.status == 417)
}
