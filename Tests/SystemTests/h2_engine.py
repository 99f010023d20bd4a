# SPDX-License-Identifier: Apache-2.0
"""A fake engine that speaks HTTP/2 by prior knowledge as well: the same behaviours, on streams."""

import asyncio

from fake_engine import Call, FakeEngine, _Connection
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class StreamCall(Call):
    """One request on a stream; what HTTP/1.1 says by closing, a reset says here."""

    def __init__(self, connection: "_H2", stream: int, fields: list):
        names = dict(fields)
        plain = [(name, value) for name, value in fields if not name.startswith(":")]
        super().__init__(connection, names[":method"], names[":path"], plain)
        self.stream = stream
        self.pseudo = names
        self.left = asyncio.Event()
        self.pending = b""
        self.is_ending = False
        self.is_closed = False
        self.room = asyncio.Event()

    @property
    def gone(self) -> asyncio.Event:
        return self.left

    def head(self, status=200, kind="application/json", length=None, fields=None) -> None:
        sent = [(":status", str(status)), ("content-type", kind)]
        if length is not None:
            sent.append(("content-length", str(length)))
        sent += [(name.lower(), value) for name, value in (fields or {}).items()]
        if not self.is_closed:
            self.connection.h2.send_headers(self.stream, sent)
            self.connection.push()

    def raw(self, data: bytes) -> None:
        self.pending += data
        self.flush()

    piece = raw

    def end(self) -> None:
        self.is_ending = True
        self.flush()

    def whole(self, status, document, fields=None) -> None:
        super().whole(status, document, fields)
        self.end()

    async def drain(self) -> None:
        while self.pending and not self.left.is_set():
            self.room.clear()
            await self.room.wait()

    def flush(self) -> None:
        """What the windows allow."""
        h2 = self.connection.h2
        while not self.is_closed and (self.pending or self.is_ending):
            size = min(h2.local_flow_control_window(self.stream), h2.max_outbound_frame_size)
            size = min(size, len(self.pending))
            if self.pending and size <= 0:
                break
            data, self.pending = self.pending[:size], self.pending[size:]
            is_last = self.is_ending and not self.pending
            h2.send_data(self.stream, data, end_stream=is_last)
            self.is_closed = is_last
        self.connection.push()
        self.room.set()

    def close(self) -> None:
        self.cut(ErrorCodes.INTERNAL_ERROR)

    reset = close

    def cut(self, code: ErrorCodes) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.connection.h2.reset_stream(self.stream, code)
            self.connection.push()

    def go_away(self, last: int) -> None:
        """Says that nothing beyond stream `last` is served, and closes."""
        h2 = self.connection.h2
        h2.close_connection(last_stream_id=last)
        self.connection.push()
        self.connection.transport.close()


class _H2(_Connection):
    def __init__(self, engine: FakeEngine):
        super().__init__(engine)
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams: dict[int, StreamCall] = {}

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self.engine.multiplexed += 1
        self.h2.initiate_connection()
        if self.engine.max_streams:
            self.h2.update_settings({3: self.engine.max_streams})
        self.push()

    def push(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.h2.data_to_send())

    def _leave(self) -> None:
        super()._leave()
        for call in self.streams.values():
            call.left.set()
            call.room.set()

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            if isinstance(event, RequestReceived):
                call = StreamCall(self, event.stream_id, event.headers)
                self.streams[event.stream_id] = call
            elif isinstance(event, DataReceived):
                self.streams[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                asyncio.ensure_future(self._answer(self.streams[event.stream_id]))
            elif isinstance(event, StreamReset) and event.stream_id in self.streams:
                call = self.streams[event.stream_id]
                call.is_closed = True
                call.reset_code = event.error_code
                call.left.set()
                call.room.set()
            elif isinstance(event, WindowUpdated):
                for call in list(self.streams.values()):
                    call.flush()
            elif isinstance(event, ConnectionTerminated):
                self._leave()
        self.push()

    async def _answer(self, call: StreamCall) -> None:
        try:
            await self.engine.serve(call)
        except Exception as error:
            self.engine.faults.append(error)
            self.transport.abort()


class _Sniffer(asyncio.Protocol):
    """Chooses by the first bytes."""

    def __init__(self, engine: FakeEngine):
        self.engine = engine

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        chosen = (_H2 if data.startswith(PREFACE) else _Connection)(self.engine)
        self.transport.set_protocol(chosen)
        chosen.connection_made(self.transport)
        chosen.data_received(data)


class H2Engine(FakeEngine):
    """`multiplexed` counts its HTTP/2 connections; `max_streams` is what it announces."""

    def __init__(self) -> None:
        self.multiplexed = 0
        self.max_streams = 0
        super().__init__()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self.loop.create_server(
                lambda: _Sniffer(self),
                sock=self._bind(self.port),
                backlog=1024,
                ssl=self.security,
            )
