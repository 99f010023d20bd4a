# SPDX-License-Identifier: Apache-2.0
"""Clients that know whose every byte is."""

import asyncio
import collections
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway_process import KEY, chat_body
from http_client import request_bytes

TOKEN = re.compile(rb"~\d+~")
COUNT = re.compile(rb"#(\d+)#")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")


@dataclass
class Found:
    """What a request got: its token, and the bytes."""

    token: str
    data: bytes

    @property
    def others(self) -> set[str]:
        """The tokens of others in it."""
        return {found.decode() for found in TOKEN.findall(self.data)} - {self.token}


class Clients:
    """Sends `total` requests over kept connections, so many at a time, and counts what came."""

    def __init__(self, address: tuple[str, int], total: int, seed: int):
        self.address = address
        self.random = random.Random(seed)
        self.numbers: Iterator[int] = iter(range(total))
        self.outcomes: collections.Counter = collections.Counter()
        self.foreign: list[Found] = []
        # Answers that looked complete and were not what was asked for.
        self.wrong: list[Found] = []

    async def run(self, connections: int) -> None:
        await asyncio.gather(*(self._one() for _ in range(connections)))

    async def _one(self) -> None:
        reader = writer = None
        for number in self.numbers:
            if writer is None:
                reader, writer = await asyncio.open_connection(*self.address)
            token = f"~{number}~"
            body = chat_body(f"say {token}", stream=number % 3 == 0, max_tokens=16)
            writer.write(request_bytes("gateway", "POST", "/v1/chat/completions", body, key=KEY))
            data, is_whole, is_kept = await self._answer(reader)
            self._judge(token, data, is_whole)
            if is_kept and self.random.random() < 0.1:
                # What comes now was asked for by nobody.
                await asyncio.sleep(0.001 * self.random.random())
            if not is_kept:
                writer.close()
                writer = None
        if writer is not None:
            writer.close()
            self._unasked(await reader.read())

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[bytes, bool, bool]:
        """All of one answer, or what there is of it."""
        data = b""
        try:
            head = b"HTTP/1.1 100"
            while head.startswith(b"HTTP/1.1 1"):
                head = await reader.readuntil(b"\r\n\r\n")
                data += head
            if b"\r\nTransfer-Encoding: chunked\r\n" in head:
                size = -1
                while size != 0:
                    line = await reader.readuntil(b"\r\n")
                    size = int(line, 16)
                    data += (await reader.readexactly(size + 2))[:-2]
            else:
                found = LENGTH.search(head)
                data += await reader.readexactly(int(found[1]) if found else 0)
            return data, True, b"\r\nConnection: close\r\n" not in head
        except asyncio.IncompleteReadError as error:
            return data + error.partial, False, False
        except ConnectionResetError:
            return data, False, False

    def _judge(self, token: str, data: bytes, is_whole: bool) -> None:
        own = token.encode()
        found = Found(token, data)
        if found.others:
            self.foreign.append(found)
        status = data[9:12].decode()
        self.outcomes[status if is_whole else "cut"] += 1
        if found.others or not is_whole or status != "200":
            return
        head, _, body = data[data.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
        count = COUNT.search(body)
        is_right = count and body.count(own) == int(count[1])
        if b"text/event-stream" in head:
            is_right = is_right and body.endswith(b"data: [DONE]\n\n")
        else:
            is_right = is_right and json.loads(body)["object"] == "chat.completion"
        if not is_right:
            self.wrong.append(found)

    def _unasked(self, data: bytes) -> None:
        if data:
            self.foreign.append(Found("", data))
