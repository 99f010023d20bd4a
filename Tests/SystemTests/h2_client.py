# SPDX-License-Identifier: Apache-2.0
"""An HTTP/2 client that sends the frames that a test says, right or wrong, and keeps what comes."""

import json
import socket
import time
from dataclasses import dataclass, field

from gateway_process import KEY, chat_body
from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11

Fields = list[tuple[str, str]]


def request_fields(
    method: str = "POST", path: str = "/v1/chat/completions", *more: tuple[str, str]
) -> Fields:
    return [
        (":method", method),
        (":scheme", "http"),
        (":authority", "gateway"),
        (":path", path),
        ("authorization", f"Bearer {KEY}"),
        *more,
    ]


@dataclass
class Stream:
    """What came on one stream."""

    heads: list[Fields] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    @property
    def is_over(self) -> bool:
        return self.ended or self.reset is not None

    @property
    def fields(self) -> dict[str, str]:
        """Of the answer itself, not of interim ones."""
        return dict(next(h for h in self.heads if not h[0][1].startswith("1")))

    @property
    def status(self) -> int | None:
        final = [h for h in self.heads if h[0][0] == ":status" and not h[0][1].startswith("1")]
        return int(final[0][0][1]) if final else None

    @property
    def trailers(self) -> Fields:
        return self.heads[-1] if self.heads[-1][0][0] != ":status" else []

    @property
    def json(self) -> dict:
        return json.loads(self.body)


class Client:
    """One connection. `window` is what it allows each stream; `updates`: it gives it back."""

    def __init__(
        self,
        address: tuple[str, int],
        settings: dict[int, int] | None = None,
        preface: bool = True,
        updates: bool = True,
        receive_buffer: int | None = None,
    ):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder = Encoder()
        self.decoder = Decoder(max_header_list_size=1 << 24)
        self.streams: dict[int, Stream] = {}
        self.frames: list[Frame] = []
        self.goaways: list[GoAwayFrame] = []
        self.peer_settings: dict[int, int] = {}
        self.pongs: list[bytes] = []
        self.closed = False
        self.updates = updates
        self.acknowledges = True
        self._buffer = b""
        self._next = 1
        if preface:
            self.raw(PREFACE)
            self.send(SettingsFrame(0, settings=settings or {}))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    # Sending.

    def raw(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def send(self, *frames: Frame) -> None:
        self.raw(b"".join(frame.serialize() for frame in frames))

    def frame(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """Any frame at all, its length as it is."""
        self.raw(frame_bytes(kind, flags, stream, payload))

    def block(self, fields: Fields) -> bytes:
        return self.encoder.encode(fields)

    def next_stream(self) -> int:
        self._next += 2
        return self._next - 2

    def headers(
        self, fields: Fields, end: bool = False, stream: int | None = None, block: bytes = b""
    ) -> int:
        """Opens a stream with these fields, or with a block that is ready."""
        stream = stream or self.next_stream()
        data = block or self.block(fields)
        frame = HeadersFrame(stream, data[:16_000])
        if end:
            frame.flags.add("END_STREAM")
        pieces = [data[at : at + 16_000] for at in range(16_000, len(data), 16_000)]
        frames: list[Frame] = [frame, *(ContinuationFrame(stream, piece) for piece in pieces)]
        frames[-1].flags.add("END_HEADERS")
        self.send(*frames)
        return stream

    def data(self, stream: int, data: bytes, end: bool = False) -> None:
        frame = DataFrame(stream, data)
        if end:
            frame.flags.add("END_STREAM")
        self.send(frame)

    def request(self, body: bytes | dict = b"", *more: tuple[str, str], **options: str) -> int:
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        stream = self.headers(
            request_fields(
                options.get("method", "POST"), options.get("path", "/v1/chat/completions"), *more
            ),
            end=not body,
        )
        for at in range(0, len(body), 16_000):
            self.data(stream, body[at : at + 16_000], end=at + 16_000 >= len(body))
        return stream

    def chat(self, **members: object) -> int:
        return self.request(chat_body(**members), ("content-type", "application/json"))

    def reset(self, stream: int, code: int = CANCEL) -> None:
        self.send(RstStreamFrame(stream, error_code=code))

    # Receiving.

    def pump(self, timeout: float = 0.05) -> bool:
        """Takes in what is there; false when nothing came."""
        if self.closed:
            return False
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            return False
        except ConnectionResetError:
            data = b""
        finally:
            self.socket.settimeout(10)
        if not data:
            self.closed = True
            return False
        self._buffer += data
        while len(self._buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._buffer[:9]))
            if len(self._buffer) < 9 + length:
                break
            frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
            self._buffer = self._buffer[9 + length :]
            self._take(frame)
        return True

    def wait(self, condition, within: float = 10.0, what: str = "") -> None:
        deadline = time.monotonic() + within
        while not condition():
            assert time.monotonic() < deadline, f"not within {within} s: {what} {self.frames[-5:]}"
            if not self.pump() and self.closed:
                assert condition(), f"closed before: {what} {self.frames[-5:]}"

    def answer(self, stream: int, within: float = 10.0) -> Stream:
        """The whole answer, or the reset that came for it."""
        self.wait(lambda: self.stream(stream).is_over, within, f"stream {stream} is over")
        return self.stream(stream)

    def head(self, stream: int) -> Stream:
        self.wait(lambda: self.stream(stream).status or self.stream(stream).is_over)
        return self.stream(stream)

    def ended_with(self, within: float = 10.0) -> int | None:
        """Waits for the connection's end: the code of the last GOAWAY, nil without one."""
        self.wait(lambda: self.closed, within, "the connection closes")
        return self.goaways[-1].error_code if self.goaways else None

    def greeted(self) -> "Client":
        self.wait(lambda: self.peer_settings, what="the gateway's settings")
        return self

    def ping(self) -> None:
        """Until the gateway has read all that was sent before."""
        count = len(self.pongs)
        self.send(PingFrame(0, opaque_data=b"question"))
        self.wait(lambda: len(self.pongs) > count, what="a PING's answer")

    def stream(self, number: int) -> Stream:
        return self.streams.setdefault(number, Stream())

    def _take(self, frame: Frame) -> None:
        self.frames.append(frame)
        if isinstance(frame, HeadersFrame):
            assert "END_HEADERS" in frame.flags
            decoded = self.decoder.decode(frame.data)
            self.stream(frame.stream_id).heads.append([(str(k), str(v)) for k, v in decoded])
        elif isinstance(frame, DataFrame):
            self.stream(frame.stream_id).body += frame.data
            if self.updates and frame.flow_controlled_length:
                size = frame.flow_controlled_length
                self.send(WindowUpdateFrame(0, window_increment=size))
                if "END_STREAM" not in frame.flags:
                    self.send(WindowUpdateFrame(frame.stream_id, window_increment=size))
        elif isinstance(frame, RstStreamFrame):
            stream = self.stream(frame.stream_id)
            if stream.reset is None:
                stream.reset = frame.error_code
        elif isinstance(frame, GoAwayFrame):
            self.goaways.append(frame)
        elif isinstance(frame, PingFrame) and "ACK" in frame.flags:
            self.pongs.append(frame.opaque_data)
        elif isinstance(frame, PingFrame) and self.acknowledges:
            self.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.peer_settings |= dict(frame.settings) | {0: 0}
            self.send(SettingsFrame(0, flags=["ACK"]))
        if isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags:
            self.stream(frame.stream_id).ended = True


def frame_bytes(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload
