# SPDX-License-Identifier: Apache-2.0
"""The rest of the ambiguous requests: request lines, hosts, connections, several in a row."""

from collections.abc import Iterator

from ambiguous_requests import (
    BODY,
    HIDDEN,
    HOST,
    LENGTH,
    PATH,
    TAKEN,
    Case,
    both,
    chunk,
    chunk_forms,
    chunked,
    codings,
    field_lines,
    head,
    lengths,
    sized,
    trailers,
)

TARGET = PATH + b"?case=@@"


def request_lines() -> Iterator[Case]:
    def case(name: str, line: bytes, status: int = 400) -> Case:
        return Case("Request line", name, sized(line=line.replace(b"TARGET", TARGET)), status)

    for name, line in {
        "two spaces before the target": b"POST  TARGET HTTP/1.1",
        "two spaces before the version": b"POST TARGET  HTTP/1.1",
        "tab before the target": b"POST\tTARGET HTTP/1.1",
        "tab before the version": b"POST TARGET\tHTTP/1.1",
        "space at the end": b"POST TARGET HTTP/1.1 ",
        "word at the end": b"POST TARGET HTTP/1.1 x",
        "space in the target": b"POST TARGET&a b HTTP/1.1",
        "a version in the target": b"POST TARGET HTTP/1.1 /b HTTP/1.1",
        "no version": b"POST TARGET",
        "GET without a version": b"GET TARGET",
        "no target": b"POST HTTP/1.1",
        "no method": b"TARGET HTTP/1.1",
        "slash in the method": b"POST/ TARGET HTTP/1.1",
        "colon in the method": b"POST: TARGET HTTP/1.1",
        "8-bit method": b"P\xd6ST TARGET HTTP/1.1",
        "small version": b"POST TARGET http/1.1",
        "version 1.11": b"POST TARGET HTTP/1.11",
        "version 01.1": b"POST TARGET HTTP/01.1",
        "version 11": b"POST TARGET HTTP/11",
        "version 1.x": b"POST TARGET HTTP/1.x",
        "version +1.1": b"POST TARGET HTTP/+1.1",
        "version 1,1": b"POST TARGET HTTP/1,1",
        "another protocol": b"POST TARGET RTSP/1.0",
        "8-bit target": b"POST TARGET&\xe9 HTTP/1.1",
        "NUL in the target": b"POST TARGET&\0 HTTP/1.1",
        "DEL in the target": b"POST TARGET&\x7f HTTP/1.1",
        "CR in the target": b"POST TARGET&\rx HTTP/1.1",
        "fragment": b"POST TARGET#a HTTP/1.1",
        "no slash": b"POST v1/chat/completions?case=@@ HTTP/1.1",
        "another scheme": b"POST ftp://penstock.testTARGET HTTP/1.1",
        "no authority": b"POST http://TARGET HTTP/1.1",
        "user in the authority": b"POST http://u:p@penstock.testTARGET HTTP/1.1",
        "bad port in the authority": b"POST http://penstock.test:xTARGET HTTP/1.1",
    }.items():
        yield case(name, line)
    for version in ("0.9", "2.0", "3.0", "9.9"):
        yield case(f"version {version}", f"POST TARGET HTTP/{version}".encode(), 505)
    yield case("version 1.2", b"POST TARGET HTTP/1.2", TAKEN)
    yield case("version 1.0", b"POST TARGET HTTP/1.0", TAKEN)
    yield case("absolute form", b"POST http://penstock.testTARGET HTTP/1.1", TAKEN)
    yield case("absolute form, another host", b"POST http://other.testTARGET HTTP/1.1", TAKEN)
    yield case("absolute form, capitals", b"POST HTTP://penstock.testTARGET HTTP/1.1", TAKEN)
    yield case("small method", b"post TARGET HTTP/1.1", 405)
    yield case("unknown method", b"BREW TARGET HTTP/1.1", 405)
    yield case("two slashes", b"POST /TARGET HTTP/1.1", 404)
    yield case("dots in the path", b"POST /v1/../v1/chat/completions?case=@@ HTTP/1.1", 404)
    yield case("encoded slash", b"POST /v1%2Fchat/completions?case=@@ HTTP/1.1", 404)
    yield case("encoded line end", b"POST TARGET&a=%0d%0aX:%20y HTTP/1.1", TAKEN)


def hosts() -> Iterator[Case]:
    def case(name: str, host: bytes, *lines: bytes, status: int = 400) -> Case:
        return Case("Host", name, sized(*lines, host=host), status)

    yield case("none", b"")
    yield case("twice", HOST, b"Host: " + HOST)
    yield case("two", HOST, b"Host: other.test")
    yield case("two, spelt otherwise", HOST, b"hOST: other.test")
    yield case("a list", HOST + b", other.test")
    yield case("with a space", b"penstock test")
    yield case("with a path", HOST + b"/b")
    yield case("with a query", HOST + b"?b")
    yield case("with a user", b"u@" + HOST)
    yield case("with a bad port", HOST + b":99999")
    yield case("with a port of letters", HOST + b":x")
    yield case("with a bad address", b"[::g]")
    yield case("with an open bracket", b"[::1")
    yield case("with NUL", HOST + b"\0")
    yield case("8-bit", b"p\xe9nstock.test")
    yield case("with a backslash", HOST + b"\\b")
    yield case("space before the colon", b"", b"Host : " + HOST)
    yield case("named by Connection", HOST, b"Connection: Host")
    yield case("an address", b"[::1]:80", status=TAKEN)
    yield case("in capitals", HOST.upper(), status=TAKEN)
    old = b"POST " + TARGET + b" HTTP/1.0"
    yield Case("Host", "none, HTTP/1.0", sized(line=old, host=b""), TAKEN)


def connections() -> Iterator[Case]:
    def case(name: str, *lines: bytes, status: int = TAKEN) -> Case:
        return Case("Connection", name, sized(*lines), status)

    yield case("expects 100-continue", b"Expect: 100-continue")
    yield case("expects 100-Continue", b"Expect: 100-Continue")
    yield case("expects something else", b"Expect: x", status=417)
    yield case("upgrade to h2c", b"Connection: upgrade", b"Upgrade: h2c")
    yield case("upgrade to websocket", b"Connection: Upgrade", b"Upgrade: websocket")
    yield case("upgrade without Connection", b"Upgrade: h2c")
    yield case("close", b"Connection: close")
    yield case("close and keep-alive", b"Connection: close, keep-alive")
    yield case("malformed", b"Connection: a b", status=400)
    yield case("names the key", b"Connection: close, Authorization")
    yield case("names a field", b"Connection: X-Own", b"X-Own: y")
    yield case("Proxy-Connection", b"Proxy-Connection: close")
    yield case("TE", b"TE: trailers, chunked;q=0.5")
    yield case("Trailer names a length", b"Trailer: Content-Length")


def rows() -> Iterator[Case]:
    """Several requests in one message, or what is taken for it."""

    def case(name: str, message: bytes, status: int = TAKEN, requests: int = 1) -> Case:
        return Case("In a row", name, message, status, requests)

    yield case("two with lengths", sized() + HIDDEN, requests=2)
    yield case("two, the first in chunks", chunked(chunk() + b"0\r\n\r\n") + HIDDEN, requests=2)
    yield case("two, an empty line between", sized() + b"\r\n" + HIDDEN, requests=2)
    yield case("two, a space between", sized() + b" " + HIDDEN)
    yield case("two, a byte between", sized() + b"X" + HIDDEN, requests=2)
    yield case("two, NUL between", sized() + b"\0" + HIDDEN)
    yield case("the second behind Connection: close", sized(b"Connection: close") + HIDDEN)
    yield case("the second inside the body", inside(), status=400)
    expecting = sized(b"Expect: 100-continue") + HIDDEN
    yield case("two, the first expects", expecting, requests=2)
    upgrade = sized(b"Connection: upgrade", b"Upgrade: h2c") + HIDDEN
    yield case("two, the first upgrades", upgrade, requests=2)
    yield case("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN, 505)
    yield case("PROXY protocol", b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n" + HIDDEN, 400)
    yield case("a length that is too small", head(b"Content-Length: 5") + BODY + HIDDEN, 400)
    yield case("no length", head() + BODY + HIDDEN, 400)
    yield case("length zero", head(b"Content-Length: 0") + BODY + HIDDEN, 400)
    size = b"Content-Length: %d" % (LENGTH + 2)
    yield case("a length that is too large by two", head(size) + BODY + HIDDEN, 400)


def inside() -> bytes:
    """A whole request as the body of another one: one request, with a body that is no JSON."""
    return head(b"Content-Length: %d" % len(HIDDEN.replace(b"@@", b"000"))) + HIDDEN


GROUPS = [
    lengths, codings, both, chunk_forms, trailers, field_lines, request_lines, hosts, connections,
    rows,
]
# Numbers of three digits, so that every marked message has a length that is known beforehand.
CASES = dict(enumerate((case for group in GROUPS for case in group()), start=100))
assert len({(case.group, case.name) for case in CASES.values()}) == len(CASES)
