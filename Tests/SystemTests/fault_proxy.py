# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy that does to connections what networks do: delay, swallow, reset, forget."""

import asyncio
import contextlib
import socket
import struct
import threading


class FaultProxy:
    """Between clients and one server on loopback. What it does may change at any time."""

    def __init__(self, target: int):
        self.target = target
        self.loop = asyncio.new_event_loop()
        self.latency = 0.0
        # Bytes vanish, in both directions, and connections stay.
        self.swallows = False
        self._pairs: set[_Pair] = set()
        self._server: asyncio.Server
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.port = self._on_loop(self._listen())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def heal(self) -> None:
        self.latency = 0.0
        self.swallows = False

    def reset(self) -> None:
        """Ends every connection with a reset."""
        self._on_loop(self._each(lambda pair: pair.reset()))

    def forget(self) -> None:
        """The server's side is gone and clients are not told: half-open connections."""
        self._on_loop(self._each(lambda pair: pair.forget()))

    def refuse(self) -> None:
        """Nobody listens any more, and what there was is reset."""
        self._on_loop(self._unlisten())

    def listen_again(self) -> None:
        self._on_loop(self._listen(self.port))

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._on_loop(self._unlisten())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    def _on_loop(self, coroutine):  # noqa: ANN001, ANN202
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    async def _listen(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        return self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        self._server.close()
        await self._each(lambda pair: pair.reset())

    async def _each(self, action) -> None:  # noqa: ANN001
        for pair in list(self._pairs):
            action(pair)

    async def _accept(self, reader, writer) -> None:  # noqa: ANN001
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        pair = _Pair(self, (reader, writer), upstream)
        self._pairs.add(pair)
        await pair.run()
        self._pairs.discard(pair)


class _Pair:
    def __init__(self, proxy: FaultProxy, client, server):  # noqa: ANN001
        self.proxy = proxy
        self.client = client
        self.server = server
        self.is_forgotten = False

    async def run(self) -> None:
        one = asyncio.ensure_future(self._pass(self.client[0], self.server[1]))
        other = asyncio.ensure_future(self._pass(self.server[0], self.client[1]))
        await asyncio.wait((one, other), return_when=asyncio.FIRST_COMPLETED)
        if self.is_forgotten:
            # Until the client has had enough.
            await one
        for writer in (self.client[1], self.server[1]):
            writer.close()
        one.cancel()
        other.cancel()

    async def _pass(self, reader, writer) -> None:  # noqa: ANN001
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self.proxy.swallows or self.is_forgotten:
                    continue
                if self.proxy.latency:
                    await asyncio.sleep(self.proxy.latency)
                writer.write(data)
                await writer.drain()

    def reset(self) -> None:
        _reset(self.client[1])
        _reset(self.server[1])

    def forget(self) -> None:
        self.is_forgotten = True
        _reset(self.server[1])


def _reset(writer) -> None:  # noqa: ANN001
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
