# SPDX-License-Identifier: Apache-2.0
"""Which connections to an engine are kept for later requests."""

import time
from concurrent.futures import ThreadPoolExecutor

from checks import admitted
from fake_engine import reply
from gateway_process import elapsed, settings
from waiting import eventually


def kept(engine) -> list:
    """The engine's connections that have served requests for tokens."""
    held = {call.connection for call in engine.calls}
    return [connection for connection in engine.connections if connection in held]


def test_a_kept_connection_that_talks_out_of_turn_leaves_the_others_kept(start, engine):
    gateway = start(settings(engine, workers=1, upstream={"idle_timeout": "60s"}))
    gate = engine.gate()
    engine.script(*[reply(gate=gate)] * 3)
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(gateway.chat) for _ in range(3)]
        eventually(lambda: len(engine.calls) == 3, "all are at the engine")
        gate.open()
        for answer in answers:
            admitted(answer.result())
    assert len(kept(engine)) == 3
    # The one used last would be the next.
    admitted(gateway.chat())
    loud = engine.calls[-1].connection
    others = [connection for connection in kept(engine) if connection is not loud]
    engine.loop.call_soon_threadsafe(loud.transport.write, b"HTTP/1.1 200 OK\r\n")
    eventually(lambda: loud.gone_at, "the gateway drops it")
    admitted(gateway.chat())
    assert engine.calls[-1].connection is not loud
    assert len(others) == 2 and all(other.gone_at is None for other in others)


def test_connections_to_an_engine_that_talks_out_of_turn_rest_between_requests(start, engine):
    gateway = start(settings(engine, workers=1, upstream={"idle_timeout": "60s"}))

    async def behave(call):
        await reply()(call)
        call.raw(b"HTTP/1.1 200 OK\r\n")

    admitted(gateway.chat())
    first = engine.calls[-1].connection
    engine.script(behave)
    admitted(gateway.chat())
    assert engine.calls[-1].connection is first, "an engine is trusted until it gives cause"
    eventually(lambda: first.gone_at, "the gateway drops it")
    admitted(gateway.chat())
    resting = engine.calls[-1].connection
    started = time.monotonic()
    admitted(gateway.chat())
    # A machine that is busy may let it rest long enough.
    assert engine.calls[-1].connection is not resting or elapsed(started) > 0.1

    def is_used_again() -> bool:
        time.sleep(0.12)
        before = set(kept(engine))
        admitted(gateway.chat())
        return engine.calls[-1].connection in before

    eventually(is_used_again, "one that has rested is used again")
