# SPDX-License-Identifier: Apache-2.0
"""An engine that is told to end closes its port, and leaves what it owes open and silent."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import admitted, refused
from core_waits import Stopwatch
from fake_engine import reply
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer
from misbehaviour import silent
from waiting import eventually

CHAT = "/v1/chat/completions"
# Far below the 30 s of the timeouts.
SOON = 5.0


def test_what_is_silent_is_given_up_with_its_engine(start, engine):
    gateway = start(settings(engine))
    gateway.wait_scraped_once(engine)
    engine.script(reply(gate=engine.gate()), silent(), silent())
    with ThreadPoolExecutor(2) as pool, gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        assert head.status == 200
        waiting = [pool.submit(gateway.chat, stream=stream) for stream in (True, False)]
        eventually(lambda: len(engine.calls) == 3, "all are at the engine")
        engine.desert()
        deserted = Stopwatch()
        with pytest.raises(BrokenAnswer):
            list(connection.pieces(head))
        for answer in waiting:
            refused(answer.result(), 502, "upstream_failed")
            assert answer.result().fields["x-should-retry"] == "false"
        assert deserted.seconds < SOON
    gateway.assert_at_rest()
    assert gateway.tenant()["requests"]["engine_failed"] == 3
    engine.start()
    gateway.wait_healthy(engine)
    admitted(gateway.chat())


def test_a_stream_that_goes_on_is_left_alone_and_vouches_for_the_silent(start, engine):
    async def slow(call):
        await asyncio.sleep(2.5)
        await reply()(call)

    gateway = start(settings(engine))
    gateway.wait_scraped_once(engine)
    engine.script(reply(tokens=30, gap=0.1), slow)
    with ThreadPoolExecutor(2) as pool:
        streaming = pool.submit(gateway.chat, stream=True)
        eventually(lambda: len(engine.calls) == 1, "the stream is at the engine")
        quiet = pool.submit(gateway.chat)
        eventually(lambda: len(engine.calls) == 2, "both are at the engine")
        engine.desert()
        gateway.wait_healthy(engine, healthy=False)
        admitted(streaming.result())
        admitted(quiet.result())


def test_an_engine_that_ends_what_it_began_is_waited_for(start, engine):
    """Not all kinds desert: a closed port may be a graceful end."""

    async def slow(call):
        await asyncio.sleep(2.5)
        await reply()(call)

    configuration = settings(engine)
    configuration["pools"][0]["engine"] = "tgi"
    gateway = start(configuration)
    engine.script(slow)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(gateway.chat)
        eventually(lambda: len(engine.calls) == 1, "it is at the engine")
        engine.desert()
        gateway.wait_healthy(engine, healthy=False)
        admitted(answer.result())
