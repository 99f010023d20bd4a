// SPDX-License-Identifier: Apache-2.0

import Testing

/// Bytes that two readers could understand in two ways, or that nobody should understand at all.
struct Attack: Sendable, CustomTestStringConvertible {
    let name: String
    let bytes: [UInt8]
    let status: Int

    init(_ name: String, _ text: String, _ status: Int = 400) {
        self.init(name, Array(text.utf8), status)
    }
    init(_ name: String, _ bytes: [UInt8], _ status: Int = 400) {
        self.name = name
        self.bytes = bytes
        self.status = status
    }

    var testDescription: String { name }

    /// What every attack wants to have executed: it follows each of them.
    static let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
}

extension Attack {
    /// One field line of a POST whose body is `5\r\nhello\r\n0\r\n\r\n`.
    private static func field(_ name: String, _ lines: String, _ status: Int = 400) -> Attack {
        Attack(
            name, "POST / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n5\r\nhello\r\n0\r\n\r\n", status)
    }
    private static func field(_ name: String, bytes: [UInt8]) -> Attack {
        Attack(
            name,
            Array("POST / HTTP/1.1\r\nHost: a\r\n".utf8) + bytes
                + Array("\r\n\r\n5\r\nhello\r\n0\r\n\r\n".utf8))
    }
    private static func line(_ name: String, _ line: String, _ status: Int = 400) -> Attack {
        Attack(name, "\(line)\r\nHost: a\r\n\r\n", status)
    }

    /// Where the body ends.
    static let framing: [Attack] = [
        field("length before coding", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        field("coding before length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        field("length zero and coding", "Transfer-Encoding: chunked\r\nContent-Length: 0"),
        field("coding twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        field("coding and identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        field("chunked twice in a list", "Transfer-Encoding: chunked, chunked"),
        field("chunked not last", "Transfer-Encoding: chunked, gzip"),
        field("unknown coding first", "Transfer-Encoding: gzip, chunked", 501),
        field("unknown coding", "Transfer-Encoding: xchunked"),
        field("identity", "Transfer-Encoding: identity"),
        field("empty coding", "Transfer-Encoding:"),
        field("only a comma", "Transfer-Encoding: ,"),
        field("coding in quotes", "Transfer-Encoding: \"chunked\""),
        field("coding with a parameter", "Transfer-Encoding: chunked;q=1"),
        field("space before the colon", "Transfer-Encoding : chunked"),
        field("tab before the colon", "Transfer-Encoding\t: chunked"),
        field("space before the name", " Transfer-Encoding: chunked"),
        field("folded coding", "Transfer-Encoding:\r\n chunked"),
        field("coding in a fold", "X: y\r\n\tTransfer-Encoding: chunked"),
        field("vertical tab before the coding", "Transfer-Encoding: \u{0B}chunked"),
        field("form feed behind the coding", "Transfer-Encoding: chunked\u{0C}"),
        field("NUL in the coding", "Transfer-Encoding: chunk\0ed"),
        field(
            "8-bit space before the coding",
            bytes: Array("Transfer-Encoding: ".utf8) + [0xA0] + Array("chunked".utf8)),
        field("coding behind a bare CR", "X: y\rTransfer-Encoding: chunked"),
        field("coding behind a bare LF", "X: y\nTransfer-Encoding: chunked"),
        Attack(
            "coding in HTTP/1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        Attack(
            "coding in a kept HTTP/1.0 connection",
            "POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "0\r\n\r\n"),
        field("length twice", "Content-Length: 5\r\nContent-Length: 5"),
        field("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
        field("length in a list", "Content-Length: 5, 5"),
        field("signed length", "Content-Length: +5"),
        field("negative length", "Content-Length: -5"),
        field("hexadecimal length", "Content-Length: 0x5"),
        field("length with a space", "Content-Length: 5 5"),
        field("length with letters", "Content-Length: 5a"),
        field("empty length", "Content-Length:"),
        field("length of 64 bits", "Content-Length: 18446744073709551621"),
        field("length of 63 bits", "Content-Length: 9223372036854775808"),
        field("length in other digits", "Content-Length: ٥"),
        field("length behind a comma", "Content-Length: ,5"),
        field("length with a dot", "Content-Length: 5.0"),
        field("space before the length's colon", "Content-Length : 5"),
        field("NUL behind the length", "Content-Length: 5\0"),
        field("length named by Connection", "Connection: Content-Length\r\nContent-Length: 5"),
        field("coding named by Connection", "Connection: close, transfer-encoding"),
        field("host named by Connection", "Connection: Host"),
    ]

    /// Where a head and its lines end, and what they are made of.
    static let heads: [Attack] = [
        Attack("LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        Attack("LF ends a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
        Attack("LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        Attack("LF everywhere", "GET / HTTP/1.1\nHost: a\n\n"),
        Attack("CR ends the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n"),
        Attack("CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n"),
        Attack("CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"),
        Attack("NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        Attack("DEL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7F}b\r\n\r\n"),
        Attack("8-bit value", "GET / HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n"),
        Attack("8-bit name", "GET / HTTP/1.1\r\nHost: a\r\né: x\r\n\r\n"),
        Attack("NUL in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\0: x\r\n\r\n"),
        Attack("space in a name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: x\r\n\r\n"),
        Attack("no name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"),
        Attack("no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n"),
        Attack("parenthesis in a name", "GET / HTTP/1.1\r\nHost: a\r\nX(: x\r\n\r\n"),
        Attack("fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"),
        Attack("fold with a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"),
        Attack("fold before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        Attack("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("space first", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("NUL first", "\0GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("no host", "GET / HTTP/1.1\r\nX: y\r\n\r\n"),
        Attack("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        Attack("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        Attack("host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        Attack("host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        Attack("host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        Attack("host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
        Attack("host with a bad port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"),
        Attack("host with a bad address", "GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n"),
        Attack("unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
        Attack("malformed Connection", "GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n"),
    ]

    /// The request line.
    static let lines: [Attack] = [
        line("two spaces before the target", "GET  / HTTP/1.1"),
        line("two spaces before the version", "GET /  HTTP/1.1"),
        line("tab before the target", "GET\t/ HTTP/1.1"),
        line("tab before the version", "GET /\tHTTP/1.1"),
        line("space at the end", "GET / HTTP/1.1 "),
        line("space in the target", "GET /a b HTTP/1.1"),
        line("a request line in the target", "GET / HTTP/1.1 / HTTP/1.1"),
        line("no version", "GET /"),
        line("no target", "GET HTTP/1.1"),
        line("no method", "/ HTTP/1.1"),
        line("method with a slash", "GET/ / HTTP/1.1"),
        line("8-bit method", "GÉT / HTTP/1.1"),
        line("small version", "GET / http/1.1"),
        line("long version", "GET / HTTP/1.11"),
        line("padded version", "GET / HTTP/01.1"),
        line("version without a dot", "GET / HTTP/11"),
        line("version of letters", "GET / HTTP/1.x"),
        line("HTTP/0.9", "GET / HTTP/0.9", 505),
        line("HTTP/2.0", "GET / HTTP/2.0", 505),
        line("another protocol", "GET / RTSP/1.0"),
        line("8-bit target", "GET /é HTTP/1.1"),
        line("NUL in the target", "GET /\0 HTTP/1.1"),
        line("DEL in the target", "GET /\u{7F} HTTP/1.1"),
        line("fragment", "GET /#a HTTP/1.1"),
        line("no slash", "GET a HTTP/1.1"),
        line("asterisk", "GET * HTTP/1.1"),
        line("another scheme", "GET ftp://a/ HTTP/1.1"),
        line("no authority", "GET http:///a HTTP/1.1"),
        line("user in the authority", "GET http://u:p@a/ HTTP/1.1"),
        line("bad port in the authority", "GET http://a:b/ HTTP/1.1"),
        line("backslash for a slash", "GET http:\\\\a\\ HTTP/1.1"),
        line("CONNECT without a port", "CONNECT a HTTP/1.1"),
        line("CONNECT with a path", "CONNECT / HTTP/1.1"),
        Attack("HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        Attack("PROXY protocol", "PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n"),
        Attack("TLS", [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]),
        Attack("only zeros", [UInt8](repeating: 0, count: 64)),
    ]

    private static func chunks(_ name: String, _ text: String, _ status: Int = 400) -> Attack {
        Attack(
            name, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + text, status)
    }

    /// The chunked coding.
    static let bodies: [Attack] = [
        chunks("LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        chunks("CR behind the size", "5\rhello\r\n0\r\n\r\n"),
        chunks("LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        chunks("nothing behind the data", "5\r\nhello0\r\n\r\n"),
        chunks("a byte too many", "5\r\nhello!\r\n0\r\n\r\n"),
        chunks("bytes before the end of a chunk", "5\r\nhelloXX0\r\n\r\n"),
        chunks("CR CR LF behind the data", "5\r\nhello\r\r\n0\r\n\r\n"),
        chunks("LF ends the body", "0\n\n"),
        chunks("LF ends the trailers", "0\r\n\n"),
        chunks("CR and another byte end the body", "0\r\n\rX"),
        chunks("prefixed size", "0x5\r\nhello\r\n0\r\n\r\n"),
        chunks("signed size", "+5\r\nhello\r\n0\r\n\r\n"),
        chunks("negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        chunks("space before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        chunks("space behind the size", "5 \r\nhello\r\n0\r\n\r\n"),
        chunks("tab behind the size", "5\t\r\nhello\r\n0\r\n\r\n"),
        chunks("NUL behind the size", "5\0\r\nhello\r\n0\r\n\r\n"),
        chunks("no size", "\r\nhello\r\n0\r\n\r\n"),
        chunks("letters for a size", "g\r\nhello\r\n0\r\n\r\n"),
        chunks("size in a list", "5,5\r\nhello\r\n0\r\n\r\n"),
        chunks("size of 64 bits", "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", 413),
        chunks("size that wraps around", "10000000000000005\r\nhello\r\n0\r\n\r\n", 413),
        chunks("size of 17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n", 413),
        chunks("size without end", String(repeating: "0", count: 100_000), 413),
        chunks("LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        chunks("CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        chunks("LF in a quoted extension", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"),
        chunks("open quote", "5;a=\"\r\nhello\r\n0\r\n\r\n"),
        chunks("NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"),
        chunks("extension without a name", "5;\r\nhello\r\n0\r\n\r\n"),
        chunks("extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n"),
        chunks(
            "extensions without end", "5;" + String(repeating: "a", count: 5_000) + "\r\nhello"),
        chunks(
            "extensions of many chunks",
            String(repeating: "1;abcdefghij\r\nx\r\n", count: 1_000) + "0\r\n\r\n"),
        chunks("length as a trailer", "0\r\nContent-Length: 5\r\n\r\n"),
        chunks("coding as a trailer", "0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        chunks("host as a trailer", "0\r\nHost: b\r\n\r\n"),
        chunks("key as a trailer", "0\r\nAuthorization: Bearer x\r\n\r\n"),
        chunks("class as a trailer", "0\r\nX-Traffic-Class: x\r\n\r\n"),
        chunks("folded trailer", "0\r\nX: y\r\n z\r\n\r\n"),
        chunks("trailer that ends in LF", "0\r\nX: y\n\r\n"),
        chunks("trailer without a colon", "0\r\nX\r\n\r\n"),
        chunks("space in a trailer's name", "0\r\nX : y\r\n\r\n"),
        chunks("NUL in a trailer", "0\r\nX: \0\r\n\r\n"),
        chunks("a request as a trailer", "0\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"),
        chunks(
            "trailers too large", "0\r\nX: " + String(repeating: "y", count: 9_000) + "\r\n\r\n",
            431),
        chunks(
            "too many trailers", "0\r\n" + String(repeating: "X: y\r\n", count: 200) + "\r\n", 431),
    ]

    static let all = framing + heads + lines + bodies
}
