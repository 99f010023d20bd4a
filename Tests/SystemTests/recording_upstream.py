# SPDX-License-Identifier: Apache-2.0
"""An upstream that keeps every byte it gets, and a reader of them that forgives nothing."""

import json
import re
import socket
import threading
from dataclasses import dataclass

from fake_engine import MODEL
from waiting import eventually

REPLY = json.dumps(
    {
        "id": "c-1", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
).encode()


class Malformed(Exception):
    """Bytes that the grammar of RFC 9112 has no place for."""


@dataclass(frozen=True)
class Message:
    method: str
    target: str
    body: bytes


TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.([01])")


def read_message(data: bytes) -> tuple[Message, bytes] | None:
    """The first request and what is behind it; None while it is not whole."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.split(b"\r\n")
    match = LINE.fullmatch(first)
    if not match:
        raise Malformed(f"request line {first!r}")
    fields = [_field(line) for line in lines]
    body = _body(fields, rest)
    if body is None:
        return None
    return Message(match[1].decode(), match[2].decode(), body[0]), body[1]


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.fullmatch(name) or re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
        raise Malformed(f"field line {line!r}")
    return name.lower(), value.strip(b" \t")


def _body(fields: list[tuple[bytes, bytes]], rest: bytes) -> tuple[bytes, bytes] | None:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or (codings and codings[0].lower() != b"chunked"):
        raise Malformed(f"framing {lengths} {codings}")
    if codings:
        return _chunks(rest)
    if not lengths:
        return b"", rest
    if not re.fullmatch(rb"[0-9]{1,40}", lengths[0]) or int(lengths[0]) >= 2**63:
        raise Malformed(f"length {lengths[0]!r}")
    size = int(lengths[0])
    return (rest[:size], rest[size:]) if len(rest) >= size else None


def _chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    while b"\r\n" in rest:
        line, _, rest = rest.partition(b"\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", line):
            raise Malformed(f"chunk size {line!r}")
        size = int(line, 16)
        if size == 0:
            return _trailers(body, rest)
        if len(rest) < size + 2:
            return None
        if rest[size : size + 2] != b"\r\n":
            raise Malformed("no line end behind a chunk")
        body, rest = body + rest[:size], rest[size + 2 :]
    return None


def _trailers(body: bytes, rest: bytes) -> tuple[bytes, bytes] | None:
    while b"\r\n" in rest:
        line, _, rest = rest.partition(b"\r\n")
        if not line:
            return body, rest
        name, _ = _field(line)
        if name in (b"content-length", b"transfer-encoding", b"host", b"authorization"):
            raise Malformed(f"trailer {line!r}")
    return None


@dataclass
class Record:
    """What came over one connection, and whether it has ended."""

    bytes: bytes = b""
    over: bool = False
    answered: bool = False


class RecordingUpstream:
    """Answers the first request of each connection, and then reads on until the peer leaves."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.authority = "127.0.0.1:%d" % self._socket.getsockname()[1]
        self.url = f"http://{self.authority}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            record = Record()
            self.records.append(record)
            threading.Thread(target=self._serve, args=(peer, record), daemon=True).start()

    def _serve(self, peer: socket.socket, record: Record) -> None:
        peer.settimeout(30)
        try:
            while data := peer.recv(65536):
                record.bytes += data
                if not record.answered:
                    self._answer(peer, record)
        except OSError:
            pass
        finally:
            record.over = True
            peer.close()

    def _answer(self, peer: socket.socket, record: Record) -> None:
        try:
            if not read_message(record.bytes):
                return
            status = b"200 OK"
        except Malformed:
            status = b"400 Bad Request"
        record.answered = True
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\n" % status
        peer.sendall(head + b"Content-Length: %d\r\n\r\n" % len(REPLY) + REPLY)
        peer.shutdown(socket.SHUT_WR)

    def take(self) -> list[Record]:
        """The connections since the last call, once all of them have ended."""
        eventually(lambda: all(r.over for r in list(self.records)), "the proxy leaves the upstream")
        taken, self.records = self.records, []
        return taken

    def close(self) -> None:
        # A descriptor that is only closed goes on accepting.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
