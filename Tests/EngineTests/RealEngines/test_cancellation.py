# SPDX-License-Identifier: Apache-2.0
"""A client that leaves takes its work off the engine, and pays for what it got."""

import time

import pytest
from gateway_process import KEY
from rig import CHAT, COMPLETIONS, Stream, chat, completion, exactly, settings
from waiting import eventually

# Far more than an engine makes while it is noticing.
TOKENS = 8000
LONG = exactly(TOKENS)


@pytest.mark.parametrize(
    ("path", "body"), [(CHAT, chat(**LONG)), (COMPLETIONS, completion(**LONG))]
)
def test_a_stream_ends_in_the_engine_when_its_client_leaves(gateway, engine, path, body):
    before = engine.count()
    stream = Stream(gateway, engine, path, body)
    assert stream.start().status == 200
    stream.read(30)
    assert engine.running() == 1
    stream.leave()
    engine.wait_idle(within=1.0)
    settled, made = gateway.settled(), engine.count() - before
    assert 30 <= stream.received <= settled.output <= made.output < TOKENS
    assert settled.input > 0


def test_twenty_streams_end_together(gateway, engine):
    streams = [Stream(gateway, engine, CHAT, chat(**exactly(2000))) for _ in range(20)]
    eventually(lambda: engine.running() > 4, "the engine has some of them")
    for stream in streams:
        stream.leave()
    engine.wait_idle(within=engine.notices_within)
    gateway.assert_at_rest()


def test_an_answer_that_nobody_waits_for_is_not_finished(start, engine):
    # llama-server looks for a client that left after a second without any result, whoever's: a
    # scrape, the gateway's or ours, begins that second anew. So nobody asks it anything meanwhile.
    gateway = start(settings(engine, upstream={"scrape_interval": "1m"}))
    gateway.wait_scraped_once(engine)
    before = engine.count()
    with gateway.connect() as connection:
        fields = {"X-Traffic-Class": engine.name}
        connection.request("POST", COMPLETIONS, completion(**LONG), fields, KEY)
        eventually(lambda: engine.running() == 1, "the engine works on it")
    gateway.assert_at_rest()
    time.sleep(engine.notices_within)
    assert engine.running() == 0
    assert (engine.count() - before).output < TOKENS
