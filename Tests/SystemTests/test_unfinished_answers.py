# SPDX-License-Identifier: Apache-2.0
"""Answers that are not streams come whole or not at all, and errors in streams as SDKs see them."""

import json

import pytest
from checks import admitted, refused
from fake_engine import chunk_of, usage_of
from gateway_process import settings
from http_client import BrokenAnswer
from misbehaviour import sends

LIMITS = {"tokens_per_day": 1_000_000, "concurrent_requests": 100}
SLOW_PROBES = {"scrape_interval": "30s", "unhealthy_after": 3}
CHUNKED = b"Transfer-Encoding: chunked"


def test_an_answer_that_breaks_off_is_held_back(start, engine):
    gateway = start(settings(engine, limits=LIMITS, upstream=SLOW_PROBES))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    engine.script(sends(head + b'{"id": "x", ', close=True))
    answer = gateway.chat()
    refused(answer, 502, "upstream_failed")
    # What the engine has made of it is paid for: it is not to be asked for again.
    assert answer.fields["x-should-retry"] == "false"
    assert len(engine.calls) == 1
    gateway.assert_at_rest()


def test_a_large_answer_is_held_back_to_the_bound_and_then_passes(start, engine):
    gateway = start(settings(engine, upstream=SLOW_PROBES | {"max_buffered_answer": "64KiB"}))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n"
    engine.script(sends(head + b" " * 100_000, close=True), sends(head + b" " * 200_000))
    with pytest.raises(BrokenAnswer):
        gateway.chat()
    assert len(admitted(gateway.chat()).body) == 200_000
    # In pieces, and without its length.
    whole = json.dumps({"id": "x" * 30_000, "usage": usage_of(3, 4)}).encode()
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in whole) + b"0\r\n\r\n"
    engine.script(sends(head.replace(b"Content-Length: 200000", CHUNKED) + chunked, pieces=999))
    answer = admitted(gateway.chat())
    assert answer.body == whole
    assert answer.fields["content-length"] == str(len(whole))


@pytest.mark.parametrize(
    "told",
    [
        {"object": "error", "message": 'it "broke"', "type": "BadRequestError", "code": 400},
        {"error": 'it "broke"'},
    ],
)
def test_an_error_event_that_sdks_do_not_see_is_told_in_their_form(start, engine, told):
    gateway = start(settings(engine, limits=LIMITS))

    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        call.event(told)
        call.event("[DONE]")
        call.end()

    engine.script(behave)
    answer = admitted(gateway.chat(stream=True))
    shown = {"message": 'it "broke"', "type": "server_error", "param": None}
    assert answer.chunks[1] == {"error": shown | {"code": "upstream_failed"}}
    gateway.assert_at_rest()
