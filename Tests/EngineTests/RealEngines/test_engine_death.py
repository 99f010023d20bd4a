# SPDX-License-Identifier: Apache-2.0
"""An engine that ends under its streams: their clients can tell, and nobody else is sent there."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import refused
from http_client import BrokenAnswer
from rig import CHAT, Stream, chat, exactly
from waiting import eventually


def test_a_killed_engine_breaks_its_streams_leaves_and_comes_back(gateway, engine):
    stream = Stream(gateway, engine, CHAT, chat(**exactly(8000)))
    assert stream.start().status == 200
    stream.read(20)
    engine.kill()
    try:
        with pytest.raises(BrokenAnswer):
            stream.read()
        assert gateway.settled().output >= stream.received

        eventually(lambda: not gateway.endpoint(engine)["available"], "out of rotation", 5)
        answer = gateway.ask(engine, CHAT, chat(**exactly(5)))
        refused(answer, 503, "no_healthy_endpoint")
        assert gateway.admin("/readyz").status == 503
    finally:
        engine.start()
    eventually(lambda: gateway.endpoint(engine)["available"], "back in rotation", 5)
    assert gateway.ask(engine, CHAT, chat(**exactly(5))).status == 200
    assert gateway.admin("/readyz").status == 200


def test_an_engine_told_to_end_keeps_nobody_waiting(gateway, engine):
    """llama-server leaves what it has begun open and silent, and vLLM does, or breaks it off, or
    ends it and says why: `abort`."""
    stream = Stream(gateway, engine, CHAT, chat(**exactly(8000)))
    assert stream.start().status == 200
    stream.read(20)
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(gateway.ask, engine, CHAT, chat(**exactly(8000)))
        eventually(lambda: engine.running() == 2, "both are at the engine")
        try:
            engine.tell_to_end()
            told = time.monotonic()
            try:
                stream.read()
                assert stream.error or stream.finish == "abort", "it looks complete"
            except BrokenAnswer:
                pass
            answer = whole.result()
            # Long before the timeouts of the tokens, 30 s.
            assert time.monotonic() - told < 10.0
            ended = answer.status == 200 and answer.json["choices"][0]["finish_reason"]
            assert answer.status in (500, 502) or ended == "abort", answer
            eventually(lambda: not gateway.endpoint(engine)["available"], "out of rotation", 5)
            late = gateway.ask(engine, CHAT, chat(**exactly(5)))
            refused(late, 503, "no_healthy_endpoint")
            assert gateway.settled().output >= stream.received
        finally:
            engine.kill()
            engine.start()
    eventually(lambda: gateway.endpoint(engine)["available"], "back in rotation", 5)
