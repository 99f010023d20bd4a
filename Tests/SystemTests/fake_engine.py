# SPDX-License-Identifier: Apache-2.0
"""An engine that does what a test tells it to, down to the byte.

It speaks HTTP/1.1 over raw sockets in its own thread: `/health` and vLLM's `/metrics` by itself,
and every request for tokens through a behaviour that the test chooses.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

# Tests take all of them from here.
from answer_forms import MODEL, chunk_of, form_of, usage_of  # noqa: F401


@dataclass
class Pressure:
    """What the engine's metrics say."""

    usage: float = 0.0
    blocks: int = 10_000
    block_size: int = 16
    running: int = 0
    waiting: int = 0


class Call:
    """One request at the engine: what came in, and the means to answer it."""

    def __init__(self, connection: "_Connection", method: str, path: str, fields: list):
        self.connection = connection
        self.method = method
        self.path = path
        self.fields: list[tuple[str, str]] = fields
        self.body = b""
        self.at = time.monotonic()
        self.number = connection.requests
        self.is_chunked = False

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    def field(self, name: str) -> str | None:
        found = [value for field, value in self.fields if field == name.lower()]
        assert len(found) < 2, f"{name} stands twice"
        return found[0] if found else None

    @property
    def gone(self) -> asyncio.Event:
        """Set once the gateway has closed the connection."""
        return self.connection.gone

    @property
    def gone_at(self) -> float | None:
        return self.connection.gone_at

    # Answering.

    def raw(self, data: bytes) -> None:
        if not self.connection.transport.is_closing():
            self.connection.transport.write(data)

    async def drain(self) -> None:
        """Until the socket takes more: how an engine feels backpressure."""
        await self.connection.writable.wait()

    def head(
        self,
        status: int = 200,
        kind: str = "application/json",
        length: int | None = None,
        fields: dict[str, str] | None = None,
    ) -> None:
        """The answer's head; without a length the body is chunked."""
        sent = {"Content-Type": kind}
        if length is None:
            self.is_chunked = True
            sent["Transfer-Encoding"] = "chunked"
        else:
            sent["Content-Length"] = str(length)
        sent |= fields or {}
        lines = [f"HTTP/1.1 {status} Status"] + [f"{k}: {v}" for k, v in sent.items()]
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n")

    def piece(self, data: bytes) -> None:
        self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self.is_chunked else data)

    def event(self, document: dict | str) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        self.piece(f"data: {text}\n\n".encode())

    def end(self) -> None:
        if self.is_chunked:
            self.raw(b"0\r\n\r\n")

    def whole(
        self, status: int, document: dict | bytes, fields: dict[str, str] | None = None
    ) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.head(status, length=len(body), fields=fields)
        self.raw(body)

    def close(self) -> None:
        self.connection.transport.close()

    def reset(self) -> None:
        """Ends the connection with a reset instead of an orderly close."""
        sock = self.connection.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()


Behaviour = Callable[[Call], Awaitable[None]]


class Gate:
    """Holds behaviours up until the test opens it."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._event = asyncio.Event()

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._event.set)

    async def passed(self, call: Call) -> bool:
        """Waits for the gate; false when the gateway left first."""
        waits = [asyncio.ensure_future(e.wait()) for e in (self._event, call.gone)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return not call.gone.is_set()


# Behaviours.


def reply(
    tokens: int = 4,
    prompt: int = 7,
    first: float = 0.0,
    gap: float = 0.0,
    gate: Gate | None = None,
    usage: dict | None | str = "right",
    text: str = "word ",
) -> Behaviour:
    """A correct answer, streamed if the request says so: `tokens` pieces, usage where asked for.

    `first` and `gap` are seconds before the first token and between tokens; a `gate` is behind the
    first token. `usage` may be other than right, or None.
    """
    told = usage_of(prompt, tokens) if usage == "right" else usage

    async def behave(call: Call) -> None:
        if first:
            await asyncio.sleep(first)
        asked = call.json
        if call.path == "/v1/embeddings":
            return _embed(call, prompt)
        form = form_of(call, told)
        if not asked.get("stream"):
            if gate and not await gate.passed(call):
                return None
            if gap:
                await asyncio.sleep(gap * tokens)
            return call.whole(200, form.whole(text * tokens))
        call.head(kind="text/event-stream; charset=utf-8", fields={"Cache-Control": "no-cache"})
        form.begin()
        for number in range(tokens):
            form.piece(text)
            if number == 0 and gate and not await gate.passed(call):
                return None
            if gap:
                await asyncio.sleep(gap)
            if call.gone.is_set():
                return None
        form.end()
        call.end()
        return None

    return behave


def _embed(call: Call, prompt: int) -> None:
    call.whole(
        200,
        {
            "object": "list",
            "model": MODEL,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 1.0]}],
            "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
        },
    )


class _Connection(asyncio.Protocol):
    def __init__(self, engine: "FakeEngine"):
        self.engine = engine
        self.buffer = b""
        self.requests = 0
        self.gone = asyncio.Event()
        self.gone_at: float | None = None
        self.writable = asyncio.Event()
        self.writable.set()
        self.task: asyncio.Task | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if not self.engine.is_up:
            # It was taken in the turn in which the engine went down.
            transport.abort()
            return
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.engine.connections.add(self)
        self.engine.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self.writable.set()
        self.engine.connections.discard(self)

    def eof_received(self) -> bool:
        self._leave()
        return False

    def _leave(self) -> None:
        if self.gone_at is None:
            self.gone_at = time.monotonic()
            self.gone.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.task is None or self.task.done():
            self._next()

    def _next(self) -> None:
        call = self._parse()
        if call is not None and not self.engine.is_up:
            # It ends what it owes, and nothing new.
            self.transport.abort()
        elif call is not None:
            self.task = asyncio.ensure_future(self._serve(call))

    async def _serve(self, call: Call) -> None:
        try:
            await self.engine.serve(call)
        except Exception as error:  # A fault of the test's own script must not pass unseen.
            self.engine.faults.append(error)
            self.transport.abort()
            return
        self.task = None
        if self.buffer and not self.transport.is_closing():
            self._next()

    def _parse(self) -> Call | None:
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        fields = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip()))
        call = Call(self, method, path, fields)
        assert call.field("transfer-encoding") is None, "requests are sent with their length"
        length = int(call.field("content-length") or 0)
        if len(rest) < length:
            return None
        call.body, self.buffer = rest[:length], rest[length:]
        self.requests += 1
        call.number = self.requests
        return call


class FakeEngine:
    """An engine on a port of its own. Every attribute may be changed while it runs."""

    def __init__(self) -> None:
        # Behind TLS where it is set before the start.
        self.security: ssl.SSLContext | None = None
        self.default: Behaviour = reply()
        self.pressure = Pressure()
        self.health = 200
        # Answers for its health in place of the number.
        self.at_health: Behaviour | None = None
        # ok, gone (404) or silent.
        self.metrics = "ok"
        self.calls: list[Call] = []
        self.probes = 0
        self.pages = 0
        self.accepted = 0
        self.connections: set[_Connection] = set()
        self.faults: list[Exception] = []
        self._next: deque[Behaviour] = deque()
        # Keeps the port while the engine is down: bound, but not listening, it refuses connections.
        self._placeholder = self._bind(0)
        self.port = self._placeholder.getsockname()[1]
        self.loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self.is_up = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.security else 'http'}://{self.authority}"

    def gate(self) -> Gate:
        return self._on_loop(self._make_gate())

    async def _make_gate(self) -> Gate:
        return Gate(self.loop)

    def script(self, *behaviours: Behaviour) -> None:
        """What the next calls meet, one each; after them the default."""
        self._next.extend(behaviours)

    # Life.

    def start(self) -> "FakeEngine":
        self.is_up = True
        self._on_loop(self._listen())
        return self

    def stop(self) -> None:
        """Down: connections are cut, new ones refused."""
        self._on_loop(self._unlisten())

    def desert(self) -> None:
        """New connections are refused; those that there are stay open."""
        self._on_loop(self._unlisten(cut=False))

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self._placeholder.close()

    def _bind(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return sock

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def _on_loop(self, coroutine: Awaitable):  # noqa: ANN202
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self.loop.create_server(
                lambda: _Connection(self),
                sock=self._bind(self.port),
                backlog=1024,
                ssl=self.security,
            )

    async def _unlisten(self, cut: bool = True) -> None:
        self.is_up = False
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            if cut or connection.task is None or connection.task.done():
                connection.transport.abort()
        await asyncio.sleep(0)

    # Serving.

    async def serve(self, call: Call) -> None:
        if call.path in ("/health", "/ready"):
            self.probes += 1
            if self.at_health:
                await self.at_health(call)
            else:
                call.whole(self.health, b"")
        elif call.path in ("/metrics", "/prometheus/metrics"):
            await self._metrics(call)
        else:
            self.calls.append(call)
            behaviour = self._next.popleft() if self._next else self.default
            await behaviour(call)

    async def _metrics(self, call: Call) -> None:
        if self.metrics == "silent":
            await call.gone.wait()
        elif self.metrics == "gone":
            call.whole(404, {"detail": "Not Found"})
        else:
            call.whole(200, self._page())
            self.pages += 1

    def _page(self) -> bytes:
        told = self.pressure
        label = f'{{engine="0",model_name="{MODEL}"}}'
        prompt = sum(len(call.body) for call in self.calls)
        lines = [
            "# HELP vllm:num_requests_running Number of requests in model execution batches.",
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{label} {told.running}.0",
            "# TYPE vllm:num_requests_waiting gauge",
            f"vllm:num_requests_waiting{label} {told.waiting}.0",
            "# TYPE vllm:kv_cache_usage_perc gauge",
            f"vllm:kv_cache_usage_perc{label} {told.usage}",
            "# TYPE vllm:cache_config_info gauge",
            f'vllm:cache_config_info{{block_size="{told.block_size}",engine="0",'
            f'num_gpu_blocks="{told.blocks}"}} 1.0',
            "# TYPE vllm:num_preemptions_total counter",
            f"vllm:num_preemptions_total{label} 0.0",
            "# TYPE vllm:prompt_tokens_total counter",
            f"vllm:prompt_tokens_total{label} {prompt}.0",
            "# TYPE vllm:generation_tokens_total counter",
            f"vllm:generation_tokens_total{label} {len(self.calls)}.0",
        ]
        return ("\n".join(lines) + "\n").encode()
