# SPDX-License-Identifier: Apache-2.0
"""A stream that waits for its first token tells its client that it lives."""

import json

import pytest
from checks import admitted
from fake_engine import MODEL, Pressure, reply
from gateway_process import KEY, chat_body, settings
from misbehaviour import die_before_head, fails_with, silent
from waiting import eventually

CHAT = "/v1/chat/completions"
SLOW_PROBES = {"scrape_interval": "30s", "unhealthy_after": 100}


def patient(*engines, keepalive: str = "60ms", **timeouts: str) -> dict:
    """The class interactive waits long, and says so soon."""
    return settings(
        *engines,
        limits={"tokens_per_day": 1_000_000},
        interactive={
            "queue": {"max_wait": "20s"},
            "clamp": {"under_pressure": False},
            "timeouts": {"keepalive": keepalive} | timeouts,
        },
    )


def blocks(answer) -> list[str]:
    return answer.body.decode().split("\n\n")[:-1]


def test_a_silent_engine_is_bridged_by_comments(start, engine):
    gateway = start(patient(engine))
    engine.script(reply(first=0.5))
    answer = admitted(gateway.chat(stream=True))
    signs = [block for block in blocks(answer) if block == ": keep-alive"]
    assert 3 <= len(signs) <= 8, answer.body
    # None once the first token is there.
    assert blocks(answer)[: len(signs)] == signs
    assert answer.events[-1] == "[DONE]"
    deltas = [chunk["choices"][0]["delta"] for chunk in answer.chunks if chunk["choices"]]
    assert "".join(delta.get("content", "") for delta in deltas) == "word " * 4
    # Who does not stream hears nothing until all is there.
    engine.script(reply(first=0.2))
    assert admitted(gateway.chat()).json["choices"]
    gateway.assert_at_rest()


def test_who_waits_in_the_queue_hears_of_it(start, engine):
    gateway = start(patient(engine))
    gateway.wait_scraped_once(engine)
    engine.pressure = Pressure(usage=0.87, blocks=1_000)
    gateway.wait_scraped(engine)
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        assert head.status == 200
        assert head.fields["content-type"] == "text/event-stream"
        assert head.fields["x-penstock-decision"] == "queued"
        assert "x-ratelimit-remaining-tokens" in head.fields
        pieces = connection.pieces(head)
        received = next(pieces)
        assert not engine.calls
        engine.pressure = Pressure()
        received += b"".join(pieces)
    assert received.startswith(b": keep-alive\n\n")
    assert received.endswith(b"data: [DONE]\n\n")
    assert b"word" in received
    gateway.assert_at_rest()


def test_pings_keep_clients_of_messages(start, engine):
    gateway = start(patient(engine, first_token="300ms"))
    engine.script(silent())
    body = chat_body(stream=True, max_tokens=9)
    answer = gateway.post("/v1/messages", body)
    assert answer.status == 200
    told = blocks(answer)
    ping = 'event: ping\ndata: {"type": "ping"}'
    assert told[:-1] and set(told[:-1]) == {ping}, told
    kind, data = told[-1].split("\n")
    assert kind == "event: error"
    error = json.loads(data.removeprefix("data: "))
    assert error["type"] == "error" and error["error"]["type"] == "timeout_error"
    assert error["request_id"] == answer.fields["request-id"]
    gateway.assert_at_rest()


@pytest.mark.parametrize("death", [True, False])
def test_what_goes_wrong_after_the_head_is_told_in_the_stream(start, engine, death):
    configuration = patient(engine)
    configuration["upstream"] |= SLOW_PROBES
    gateway = start(configuration)
    gate = engine.gate()
    fails = die_before_head() if death else fails_with(400, {"error": {"message": "no\nsuch"}})

    async def behave(call):
        if await gate.passed(call):
            await fails(call)

    engine.script(behave)
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        pieces = connection.pieces(head)
        received = next(pieces)
        gate.open()
        received += b"".join(pieces)
    events = [block for block in received.split(b"\n\n") if block.startswith(b"data: ")]
    assert len(events) == 1, received
    error = json.loads(events[0].removeprefix(b"data: "))["error"]
    assert error["message"] == "no\nsuch" if not death else error["code"] == "upstream_failed"
    gateway.assert_at_rest()
    assert gateway.tenant()["requests"]["engine_failed"] == 1
    assert len(engine.calls) == 1


def test_no_sign_where_none_is_wanted(start, engine):
    gateway = start(patient(engine, keepalive="0s", first_token="200ms"))
    engine.script(silent())
    answer = gateway.chat(stream=True)
    assert answer.status == 504, "the refusal keeps its status"


def test_a_client_that_hears_enough_may_wait_longer_than_its_read_timeout(start, engine):
    gateway = start(patient(engine))
    gateway.wait_scraped_once(engine)
    engine.pressure = Pressure(usage=0.87, blocks=1_000)
    gateway.wait_scraped(engine)
    fields = {"x-stainless-read-timeout": "1"}
    # Without signs it would be over before its client hangs up.
    assert gateway.chat(fields=fields).status in (503, 504)
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY, fields=fields)
        head = connection.head()
        pieces = connection.pieces(head)
        received = b""
        while received.count(b": keep-alive") < 20:
            received += next(pieces)
        engine.pressure = Pressure()
        received += b"".join(pieces)
    assert received.endswith(b"data: [DONE]\n\n")
    eventually(lambda: engine.calls[-1].json["model"] == MODEL, "it was served")
