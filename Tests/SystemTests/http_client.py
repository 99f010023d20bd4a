# SPDX-License-Identifier: Apache-2.0
"""A client that sees every byte: it checks the framing of answers and hides nothing."""

import json
import pathlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


class BrokenAnswer(Exception):
    """The connection ended before the answer's framing said so."""


class Fields:
    """The fields of an answer; a field that stands twice is an error."""

    def __init__(self, lines: list[bytes]):
        self.list: list[tuple[str, str]] = []
        for line in lines:
            name, colon, value = line.partition(b":")
            assert colon and name == name.strip(), f"malformed field line {line!r}"
            self.list.append((name.decode("ascii").lower(), value.decode("latin-1").strip()))
        names = [name for name, _ in self.list]
        assert len(names) == len(set(names)), f"a field stands twice: {names}"

    def __getitem__(self, name: str) -> str:
        return dict(self.list)[name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:
        return dict(self.list).get(name.lower(), default)

    def __contains__(self, name: str) -> bool:
        return name.lower() in dict(self.list)

    def __repr__(self) -> str:
        return repr(self.list)


@dataclass(repr=False)
class Answer:
    """One complete answer."""

    status: int
    fields: Fields
    body: bytes = b""
    version: str = "HTTP/1.1"
    trailers: list[bytes] = field(default_factory=list)
    received_at: float = 0.0

    def __repr__(self) -> str:
        body = self.body if len(self.body) < 400 else self.body[:400] + b"..."
        return f"{self.version} {self.status} {self.fields} {body!r}"

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def error(self) -> dict:
        """The error object of an OpenAI error body: all four members, and nothing beside them."""
        assert self.fields["content-type"] == "application/json", self
        document = self.json
        assert list(document) == ["error"], document
        error = document["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str) and error["message"]
        assert isinstance(error["type"], str) and isinstance(error["code"], str)
        return error

    @property
    def events(self) -> list[str]:
        return list(parse_events(self.body))

    @property
    def chunks(self) -> list[dict]:
        """The stream's JSON events, without the terminator."""
        return [json.loads(event) for event in self.events if event != "[DONE]"]


def parse_events(body: bytes) -> Iterator[str]:
    """The data of each event; a block with fields but without data is an error."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    assert blocks[-1] == b"", f"the stream ends inside a block: {blocks[-1]!r}"
    for block in blocks[:-1]:
        lines = [line for line in block.split(b"\n") if line and not line.startswith(b":")]
        if not lines:
            continue
        data = [line[5:].lstrip(b" ") for line in lines if line.startswith(b"data:")]
        assert data and all(data), f"a block without data: {block!r}"
        yield b"\n".join(data).decode()


class Connection:
    """One connection to the gateway. `address` is (host, port), or the path of a Unix socket."""

    def __init__(
        self,
        address: tuple[str, int] | str,
        timeout: float = 20.0,
        receive_buffer: int = 0,
        security: ssl.SSLContext | None = None,
        server_name: str = "localhost",
        session: ssl.SSLSession | None = None,
    ):
        family = (
            socket.AF_UNIX
            if isinstance(address, str)
            else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if security:
            self.socket = security.wrap_socket(
                self.socket, server_hostname=server_name, session=session
            )
        if isinstance(address, str):
            self.host = "localhost"
        else:
            host = f"[{address[0]}]" if ":" in address[0] else address[0]
            self.host = f"{host}:{address[1]}"
        self.buffer = b""

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # Sending.

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | dict | None = None,
        fields: dict[str, str] | None = None,
        key: str | None = None,
    ) -> None:
        self.send(request_bytes(self.host, method, path, body, fields, key))

    def is_taken(self) -> bool:
        """Whether the gateway has read all that was sent, by the kernel's table of IPv4."""
        here, there = (
            f":{name[1]:04X}" for name in (self.socket.getsockname(), self.socket.getpeername())
        )
        rows = map(str.split, pathlib.Path("/proc/net/tcp").read_text().splitlines())
        return any(
            row[1].endswith(there) and row[2].endswith(here) and row[4].endswith(":00000000")
            for row in rows
        )

    # Receiving.

    def read_line(self) -> bytes:
        while b"\n" not in self.buffer:
            self._more()
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), f"a line that does not end in CRLF: {line!r}"
        return line[:-1]

    def read_exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _more(self) -> None:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError as error:
            raise BrokenAnswer(f"reset after {self.buffer!r}") from error
        if not data:
            raise BrokenAnswer(f"closed after {self.buffer!r}")
        self.buffer += data

    def head(self) -> Answer:
        """The next answer's head, 1xx included; its body is still to be read."""
        status_line = self.read_line().decode("ascii")
        version, status, _ = status_line.split(" ", 2)
        lines = []
        while line := self.read_line():
            lines.append(line)
        return Answer(int(status), Fields(lines), version=version, received_at=time.monotonic())

    def pieces(self, answer: Answer) -> Iterator[bytes]:
        """The body as it comes, by the framing that `answer` announces."""
        fields = answer.fields
        assert not ("transfer-encoding" in fields and "content-length" in fields), fields
        if fields.get("transfer-encoding") is not None:
            assert fields["transfer-encoding"] == "chunked"
            while size := int(self.read_line().split(b";")[0], 16):
                yield self.read_exactly(size)
                assert self.read_exactly(2) == b"\r\n"
            while line := self.read_line():
                answer.trailers.append(line)
        elif "content-length" in fields:
            yield self.read_exactly(int(fields["content-length"]))
        else:
            assert fields.get("connection") == "close" or answer.version == "HTTP/1.0", fields
            yield from self._to_the_end()

    def _to_the_end(self) -> Iterator[bytes]:
        while True:
            yield self.buffer
            self.buffer = b""
            data = self.socket.recv(65536)
            if not data:
                return
            self.buffer = data

    def answer(self, method: str = "POST") -> Answer:
        """The next answer that is not 1xx, complete."""
        answer = self.head()
        while answer.status in (100, 102, 103):
            answer = self.head()
        if method != "HEAD" and answer.status not in (204, 304):
            answer.body = b"".join(self.pieces(answer))
        return answer

    def exchange(self, method: str, path: str, *arguments: object, **named: object) -> Answer:
        self.request(method, path, *arguments, **named)  # type: ignore[arg-type]
        return self.answer(method)

    def is_closed(self, within: float = 5.0) -> bool:
        """Whether the gateway ends the connection without another byte."""
        self.socket.settimeout(within)
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False


def request_bytes(
    host: str,
    method: str,
    path: str,
    body: bytes | dict | None = None,
    fields: dict[str, str] | None = None,
    key: str | None = None,
) -> bytes:
    """A request as it goes over the wire; `fields` override what would be sent by itself."""
    payload = json.dumps(body).encode() if isinstance(body, dict) else body
    sent = {"Host": host}
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    if payload is not None:
        sent["Content-Type"] = "application/json"
        sent["Content-Length"] = str(len(payload))
    sent |= fields or {}
    lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in sent.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (payload or b"")
