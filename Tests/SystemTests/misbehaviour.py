# SPDX-License-Identifier: Apache-2.0
"""What an engine can do wrong, as behaviours for the fake engine."""

import asyncio

from fake_engine import Behaviour, Call, form_of, usage_of


def die_before_head() -> Behaviour:
    """Reads the request and closes."""

    async def behave(call: Call) -> None:
        call.close()

    return behave


def die_mid_stream(after: int = 2, reset: bool = False, delay: float = 0.0) -> Behaviour:
    """Streams some tokens and breaks off, inside the chunked body."""

    async def behave(call: Call) -> None:
        call.head(kind="text/event-stream")
        form = form_of(call, usage_of(7, after))
        form.begin()
        for _ in range(after):
            form.piece("word ")
        await asyncio.sleep(delay)
        call.reset() if reset else call.close()

    return behave


def silent() -> Behaviour:
    """Takes the request and never answers."""

    async def behave(call: Call) -> None:
        await call.gone.wait()

    return behave


def fails_with(
    status: int, document: dict | bytes, fields: dict[str, str] | None = None
) -> Behaviour:
    async def behave(call: Call) -> None:
        call.whole(status, document, fields)

    return behave


def sends(data: bytes, close: bool = False, pieces: int = 0) -> Behaviour:
    """Exactly these bytes, cut into pieces of so many bytes if asked for."""

    async def behave(call: Call) -> None:
        step = pieces or len(data)
        for start in range(0, len(data), step):
            call.raw(data[start : start + step])
            if pieces:
                await asyncio.sleep(0)
        if close:
            call.close()

    return behave
