# SPDX-License-Identifier: Apache-2.0
"""Requests that two readers may frame in two ways, each with a name.

`@@` in a message stands for the case's number: it marks target and fields, so that what comes out
behind a proxy is known by where it came from. A hidden request is marked `@@-hidden`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fake_engine import MODEL
from gateway_process import KEY

HOST = b"penstock.test"
PATH = b"/v1/chat/completions"
BODY = json.dumps(
    {"model": MODEL, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
).encode()
LENGTH = len(BODY)
TAKEN = 200


@dataclass(frozen=True)
class Case:
    group: str
    name: str
    message: bytes
    # What Penstock answers first; TAKEN: it forwards.
    status: int
    # How many requests a reader of the standard finds in the message.
    requests: int = 1

    def bytes(self, number: int) -> bytes:
        return self.message.replace(b"@@", str(number).encode())


def head(*lines: bytes, mark: bytes = b"", line: bytes = b"", host: bytes = HOST) -> bytes:
    """A head with `lines` behind what every request here carries."""
    line = line or b"POST " + PATH + b"?case=@@" + mark + b" HTTP/1.1"
    fields = [b"X-Case: @@" + mark]
    fields += [b"Host: " + host] if host else []
    fields += [b"Authorization: Bearer " + KEY.encode(), b"Content-Type: application/json"]
    return b"\r\n".join([line, *fields, *lines]) + b"\r\n\r\n"


def sized(*lines: bytes, **options: bytes) -> bytes:
    """A request whose body has an honest length."""
    return head(b"Content-Length: %d" % LENGTH, *lines, **options) + BODY


def chunk(data: bytes = BODY) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


def chunked(body: bytes, *lines: bytes) -> bytes:
    return head(b"Transfer-Encoding: chunked", *lines) + body


CHUNKS = chunk() + b"0\r\n\r\n"
HIDDEN = sized(mark=b"-hidden")
FOLLOWING = sized(b"Connection: close", mark=b"-next")


def lengths() -> Iterator[Case]:
    size = b"%d" % LENGTH

    def case(name: str, *lines: bytes, status: int = 400, body: bytes = BODY) -> Case:
        return Case("Content-Length", name, head(*lines) + body, status)

    for name, value in {
        "in a list": size + b", " + size,
        "in a list of two": size + b", 5",
        "behind a comma": b"," + size,
        "before a comma": size + b",",
        "with a plus": b"+" + size,
        "with a minus": b"-" + size,
        "minus zero": b"-0",
        "hexadecimal": b"0x%x" % LENGTH,
        "hexadecimal without prefix": b"%xh" % LENGTH,
        "with a space inside": size[:1] + b" " + size[1:],
        "two numbers": size + b" " + size,
        "with a letter behind": size + b"a",
        "with a dot": size + b".0",
        "with an exponent": b"1e2",
        "with an underscore": size[:1] + b"_" + size[1:],
        "with a parameter": size + b";a=b",
        "in quotes": b'"' + size + b'"',
        "empty": b"",
        "a word": b"chunked",
        "with NUL behind": size + b"\0",
        "with vertical tab before": b"\x0b" + size,
        "with form feed behind": size + b"\x0c",
        "with 8-bit space before": b"\xa0" + size,
        "in Arabic digits": "\u0661\u0660".encode(),
        "of 64 bits, wrapping": b"%d" % (2**64 + LENGTH),
        "of 64 bits": b"%d" % (2**64 - 1),
        "of 63 bits": b"%d" % 2**63,
        "of 100 digits": b"9" * 100,
    }.items():
        yield case(name, b"Content-Length: " + value)
    huge = b"Content-Length: %d" % (2**32 + LENGTH)
    yield case("of 32 bits, wrapping", huge, status=413)
    yield case("largest of 63 bits", b"Content-Length: %d" % (2**63 - 1), status=413)
    yield case("with a zero before", b"Content-Length: 0" + size, status=TAKEN)
    yield case("with 30 zeros before", b"Content-Length: " + b"0" * 30 + size, status=TAKEN)
    yield case("without a space", b"Content-Length:" + size, status=TAKEN)
    yield case("between tabs", b"Content-Length:\t" + size + b"\t", status=TAKEN)
    yield case("in small letters", b"content-length: " + size, status=TAKEN)
    yield case("twice", b"Content-Length: " + size, b"Content-Length: " + size)
    yield case("twice, different", b"Content-Length: " + size, b"Content-Length: 5")
    yield case("twice, the first smaller", b"Content-Length: 5", b"Content-Length: " + size)
    yield case("twice, one empty", b"Content-Length: " + size, b"Content-Length:")
    yield case("space before the colon", b"Content-Length : " + size)
    yield case("tab before the colon", b"Content-Length\t: " + size)
    yield case("space before the name", b" Content-Length: " + size)
    yield case("folded", b"Content-Length:\r\n " + size)
    yield case("behind NUL in the name", b"Content-Length\0: " + size)
    named = b"Connection: close, Content-Length"
    yield case("named by Connection", named, b"Content-Length: " + size)
    other = b"Content_Length: 5"
    yield case("beside one with underscore", b"Content-Length: " + size, other, status=TAKEN)
    near = b"X-Content-Length: 5"
    yield case("beside one like it", b"Content-Length: " + size, near, status=TAKEN)


def codings() -> Iterator[Case]:
    def case(name: str, *lines: bytes, status: int = 400) -> Case:
        return Case("Transfer-Encoding", name, head(*lines) + CHUNKS, status)

    for name, value in {
        "twice in a list": b"chunked, chunked",
        "chunked not last": b"chunked, gzip",
        "chunked and identity": b"chunked, identity",
        "identity and chunked": b"identity, chunked",
        "unknown": b"xchunked",
        "a longer word": b"chunkedx",
        "two words": b"chunked x",
        "identity": b"identity",
        "empty": b"",
        "a comma": b",",
        "behind a comma": b", chunked",
        "before a comma": b"chunked,",
        "in quotes": b'"chunked"',
        "in single quotes": b"'chunked'",
        "with a parameter": b"chunked;q=1",
        "with an empty parameter": b"chunked;",
        "with vertical tab before": b"\x0bchunked",
        "with form feed behind": b"chunked\x0c",
        "with NUL inside": b"chunk\0ed",
        "with NUL behind": b"chunked\0",
        "with 8-bit space before": b"\xa0chunked",
        "with a long s": "\u017fhunked".encode(),
        "behind a colon": b": chunked",
        "with CR before": b"\rchunked",
    }.items():
        refused = 501 if name in ("identity and chunked",) else 400
        yield case(name, b"Transfer-Encoding: " + value, status=refused)
    yield case("gzip, chunked", b"Transfer-Encoding: gzip, chunked", status=501)
    yield case("in capitals", b"Transfer-Encoding: CHUNKED", status=TAKEN)
    yield case("between tabs", b"Transfer-Encoding:\tchunked\t", status=TAKEN)
    yield case("without a space", b"transfer-encoding:chunked", status=TAKEN)
    twice = b"Transfer-Encoding: chunked"
    yield case("twice", twice, twice)
    yield case("twice, identity last", twice, b"Transfer-Encoding: identity")
    yield case("twice, identity first", b"Transfer-Encoding: identity", twice)
    yield case("twice, unknown last", twice, b"Transfer-Encoding: cow")
    yield case("space before the colon", b"Transfer-Encoding : chunked")
    yield case("tab before the colon", b"Transfer-Encoding\t: chunked")
    yield case("space before the name", b" Transfer-Encoding: chunked")
    yield case("folded", b"Transfer-Encoding:\r\n chunked")
    yield case("in a fold", b"X: y\r\n\tTransfer-Encoding: chunked")
    yield case("behind bare CR", b"X: y\rTransfer-Encoding: chunked")
    yield case("behind bare LF", b"X: y\nTransfer-Encoding: chunked")
    yield case("named by Connection", twice, b"Connection: close, transfer-encoding")
    old = b"POST " + PATH + b"?case=@@ HTTP/1.0"
    yield Case("Transfer-Encoding", "in HTTP/1.0", head(twice, line=old) + CHUNKS, 400)
    keep = head(twice, b"Connection: keep-alive", line=old) + CHUNKS
    yield Case("Transfer-Encoding", "in HTTP/1.0, kept", keep, 400)


def both() -> Iterator[Case]:
    size = b"Content-Length: %d" % LENGTH
    coding = b"Transfer-Encoding: chunked"
    short = b"Content-Length: %d" % len(b"%x\r\n" % LENGTH)

    def case(name: str, message: bytes, status: int = 400) -> Case:
        return Case("Both", name, message, status)

    ends = b"0\r\n\r\n"
    whole = b"Content-Length: %d" % len(ends + HIDDEN)
    yield case("length first", head(size, coding) + CHUNKS)
    yield case("coding first", head(coding, size) + CHUNKS)
    yield case("length zero", head(coding, b"Content-Length: 0") + CHUNKS)
    yield case("length of the chunks", head(coding, b"Content-Length: %d" % len(CHUNKS)) + CHUNKS)
    yield case("hidden behind the last chunk", head(whole, coding) + ends + HIDDEN)
    yield case("hidden in a chunk", head(short, coding) + chunk(HIDDEN) + ends)
    yield case("hidden, identity", head(whole, b"Transfer-Encoding: identity") + ends + HIDDEN)
    yield case("hidden, unknown", head(whole, b"Transfer-Encoding: xchunked") + ends + HIDDEN)
    yield case("hidden, tab", head(whole, b"Transfer-Encoding:\x0bchunked") + ends + HIDDEN)
    yield case("hidden, space", head(whole, b"Transfer-Encoding : chunked") + ends + HIDDEN)
    yield case("hidden, bare LF", head(whole, b"X: y\nTransfer-Encoding: chunked") + ends + HIDDEN)
    yield case("hidden, fold", head(whole, b"X: y\r\n Transfer-Encoding: chunked") + ends + HIDDEN)
    yield case("two lengths, a coding", head(size, short, coding) + CHUNKS)
    near = head(size, b"Transfer_Encoding: chunked") + BODY
    yield case("coding with underscore", near, TAKEN)
    near = head(size, b"X-Transfer-Encoding: chunked") + BODY
    yield case("coding with a prefix", near, TAKEN)
    old = b"POST " + PATH + b"?case=@@ HTTP/1.0"
    yield case("in HTTP/1.0", head(size, coding, line=old) + CHUNKS)


def chunk_forms() -> Iterator[Case]:
    size = b"%x" % LENGTH
    data = b"\r\n" + BODY + b"\r\n0\r\n\r\n"

    def case(name: str, body: bytes, status: int = 400) -> Case:
        return Case("Chunks", name, chunked(body), status)

    for name, form in {
        "prefixed size": b"0x" + size,
        "signed size": b"+" + size,
        "negative size": b"-" + size,
        "space before the size": b" " + size,
        "space behind the size": size + b" ",
        "tab behind the size": size + b"\t",
        "NUL behind the size": size + b"\0",
        "underscore in the size": size[:1] + b"_" + size[1:],
        "no size": b"",
        "letters for a size": b"gg",
        "size in a list": size + b"," + size,
        "size with h": size + b"h",
        "size with a dot": size + b".0",
        "size in quotes": b'"' + size + b'"',
        "extension without a name": size + b";",
        "extension without a value": size + b";a=",
        "extension with bare LF": size + b";a\nb",
        "extension with bare CR": size + b";a\rb",
        "extension with quoted LF": size + b';a="\n"',
        "extension with an open quote": size + b';a="',
        "extension with NUL": size + b";a=\0",
        "extension without semicolon": size + b" a=b",
        "extension of 5,000 bytes": size + b";" + b"a" * 5_000,
    }.items():
        yield case(name, form + data)
    for name, form in {
        "size of 17 digits": size.rjust(17, b"0"),
        "size of 40 digits": size.rjust(40, b"0"),
        "size of 64 bits": b"f" * 16,
        "size that wraps at 64 bits": b"1" + size.rjust(16, b"0"),
    }.items():
        yield case(name, form + data, 413)
    # A chunk is refused when it brings a byte too many, not when it is announced.
    yield case("size that wraps at 32 bits", b"1" + size.rjust(8, b"0") + data, 413)
    for name, form in {
        "size with zeros": b"000" + size,
        "size of 16 digits": size.rjust(16, b"0"),
        "size in capitals": size.upper(),
        "extension": size + b";a=b",
        "extension with spaces": size + b" ; a = b",
        "extension in quotes": size + b';a="b;c\\""',
        "extensions": size + b";a;b=c;d",
    }.items():
        yield case(name, form + data, TAKEN)
    yield case("two chunks", chunk(BODY[:9]) + chunk(BODY[9:]) + b"0\r\n\r\n", TAKEN)
    yield case("last chunk of many zeros", chunk() + b"0000\r\n\r\n", TAKEN)
    yield case("last chunk with an extension", chunk() + b"0;a=b\r\n\r\n", TAKEN)
    yield case("LF behind the size", size + b"\n" + BODY + b"\r\n0\r\n\r\n")
    yield case("CR behind the size", size + b"\r" + BODY + b"\r\n0\r\n\r\n")
    yield case("CR CR LF behind the size", size + b"\r\r\n" + BODY + b"\r\n0\r\n\r\n")
    yield case("LF behind the data", size + b"\r\n" + BODY + b"\n0\r\n\r\n")
    yield case("nothing behind the data", size + b"\r\n" + BODY + b"0\r\n\r\n")
    yield case("two bytes behind the data", size + b"\r\n" + BODY + b"ab0\r\n\r\n")
    yield case("a byte too many", size + b"\r\n" + BODY + b"!\r\n0\r\n\r\n")
    yield case("LF behind the last chunk", chunk() + b"0\n\r\n")
    yield case("LF ends the body", chunk() + b"0\r\n\n")
    yield case("LF everywhere", size + b"\n" + BODY + b"\n0\n\n")
    yield case("CR and a byte end the body", chunk() + b"0\r\n\rX")
    yield case("hidden in an extension", size + b";\n" + data[2:] + HIDDEN)
    yield case("hidden behind an open extension", b"0;\n\r\n\r\n" + HIDDEN)


def trailers() -> Iterator[Case]:
    def case(name: str, lines: bytes, status: int = 400) -> Case:
        return Case("Trailers", name, chunked(chunk() + b"0\r\n" + lines + b"\r\n"), status)

    yield case("a field", b"X-Own: y\r\n", TAKEN)
    yield case("length", b"Content-Length: 5\r\n")
    yield case("coding", b"Transfer-Encoding: chunked\r\n")
    yield case("host", b"Host: b\r\n")
    yield case("key", b"Authorization: Bearer x\r\n")
    yield case("folded", b"X: y\r\n z\r\n")
    yield case("bare LF", b"X: y\n")
    yield case("no colon", b"X\r\n")
    yield case("space before the colon", b"X : y\r\n")
    yield case("NUL", b"X: \0\r\n")
    yield case("no name", b": y\r\n")
    yield case("a request", HIDDEN.partition(b"\r\n\r\n")[0] + b"\r\n")
    yield case("9,000 bytes", b"X: " + b"y" * 9_000 + b"\r\n", 431)


def field_lines() -> Iterator[Case]:
    def case(name: str, line: bytes, status: int = 400) -> Case:
        return Case("Fields", name, sized(line), status)

    yield case("CR in a value", b"X: a\rb")
    yield case("NUL in a value", b"X: a\0b")
    yield case("DEL in a value", b"X: a\x7fb")
    yield case("SOH in a value", b"X: a\x01b")
    yield case("ESC in a value", b"X: a\x1bb")
    yield case("8-bit value", "X: \u00e9".encode())
    yield case("8-bit name", "\u00e9: x".encode())
    yield case("NUL in a name", b"X\0: x")
    yield case("space in a name", b"X Y: x")
    yield case("no name", b": x")
    yield case("no colon", b"X")
    yield case("a request line", b"GET /hidden HTTP/1.1")
    yield case("parenthesis in a name", b"X(: x")
    yield case("slash in a name", b"X/Y: x")
    yield case("fold", b"X: a\r\n b")
    yield case("fold with a tab", b"X: a\r\n\tb")
    yield case("fold of spaces alone", b"X: a\r\n ")
    yield case("LF ends a field", b"X: y\nY: z")
    yield case("CR CR LF ends a field", b"X: y\r")
    yield case("empty value", b"X:", TAKEN)
    yield case("underscore in a name", b"X_Y: z", TAKEN)
    yield case("every mark a name may have", b"X!#$%&'*+-.^_`|~: z", TAKEN)
    yield case("a field twice", b"X: y\r\nX: z", TAKEN)
    plain = sized()
    cut = plain.index(b"\r\n")
    first, rest = plain[:cut], plain[cut + 2 :]
    for name, message in {
        "LF ends the request line": first + b"\n" + rest,
        "CR ends the request line": first + b"\r" + rest,
        "CR CR LF ends the request line": first + b"\r\r\n" + rest,
        "LF ends the head": plain.replace(b"\r\n\r\n", b"\r\n\n"),
        "LF everywhere": plain.replace(b"\r\n", b"\n"),
        "fold before the first field": first + b"\r\n X: y\r\n" + rest,
        "NUL first": b"\0" + plain,
        "space first": b" " + plain,
        "LF first": b"\n" + plain,
        "CR first": b"\r" + plain,
        "two empty lines first": b"\r\n\r\n" + plain,
    }.items():
        yield Case("Fields", name, message, 400)
    yield Case("Fields", "an empty line first", b"\r\n" + plain, TAKEN)
