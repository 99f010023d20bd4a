# SPDX-License-Identifier: Apache-2.0
"""What a request in Anthropic's messages or OpenAI's responses costs in the end."""

import json
import random
import re

import pytest
from answer_forms import MESSAGES, RESPONSES, form_of
from checks import admitted
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, settings
from http_client import BrokenAnswer
from misbehaviour import sends
from prometheus_client.parser import text_string_to_metric_families
from waiting import eventually

LIMITS = {"tokens_per_day": 1_000_000, "concurrent_requests": 100}
TEXT = "Say hello."
BODIES = {
    MESSAGES: {
        "model": MODEL,
        "messages": [{"role": "user", "content": TEXT}],
        "max_tokens": 100,
    },
    RESPONSES: {"model": MODEL, "input": TEXT},
}
PATHS = list(BODIES)
# What is read from a cache, what is written to it, and the rest: 100 of the prompt in all.
IN_PARTS = {
    "input_tokens": 20,
    "cache_read_input_tokens": 70,
    "cache_creation_input_tokens": 10,
    "output_tokens": 9,
}


@pytest.fixture
def gateway(start, engine):
    made = settings(engine, limits=LIMITS)
    price = {"input_per_million": 1.0, "cached_input_per_million": 0.1, "output_per_million": 4.0}
    made["models"][0]["price"] = price | {"currency": "USD"}
    return start(made)


def settled(gateway) -> tuple[int, int, int]:
    """Input, cached part of it and output, once nothing is in flight: by all that count them."""
    gateway.assert_at_rest()
    page = gateway.admin("/metrics").body.decode()
    counted = dict.fromkeys(("input", "cached_input", "output"), 0)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == "penstock_tokens_total" and sample.labels["tenant"] == "acme":
                counted[sample.labels["kind"]] += int(sample.value)
    tokens = gateway.tenant()["tokens"]
    assert (tokens["input"], tokens["output"]) == (counted["input"], counted["output"])
    assert gateway.used("tokens_per_day") == tokens["input"] + tokens["output"]
    return tuple(counted.values())


@pytest.mark.parametrize("stream", [False, True])
def test_the_parts_of_a_prompt_are_charged_as_one_and_what_was_cached_as_such(
    gateway, engine, stream
):
    engine.default = reply(tokens=9, usage=IN_PARTS)
    name = {"X-Request-Id": "parts"}
    answer = admitted(gateway.post(MESSAGES, BODIES[MESSAGES] | {"stream": stream}, fields=name))
    assert b'"cache_creation_input_tokens": 10' in answer.body
    assert settled(gateway) == (100, 70, 9)
    trace = gateway.admin("/admin/requests/parts").json
    found = {part: trace["settlement"][part] for part in ("input", "cached_input", "output")}
    assert found == {"input": 100, "cached_input": 70, "output": 9}
    assert trace["settlement"]["source"] == "engine"
    assert trace["settlement"]["cost"] == pytest.approx((30 + 7 + 36) / 1e6, rel=0.01)


@pytest.mark.parametrize("path", PATHS)
def test_usage_is_settled_as_the_engine_tells_it(gateway, engine, path):
    engine.default = reply(tokens=5, usage=usage_of(40, 33, cached=30))
    for number, stream in enumerate((False, True), 1):
        admitted(gateway.post(path, BODIES[path] | {"stream": stream}))
        assert settled(gateway) == (40 * number, 30 * number, 33 * number)


def test_the_last_usage_of_messages_is_the_whole_output(gateway, engine):
    """vLLM, llama.cpp and Anthropic tell different parts of it in the two events."""
    told = [
        ({"input_tokens": 100, "output_tokens": 0}, IN_PARTS, (100, 70, 9)),
        (
            {"cache_read_input_tokens": 12, "input_tokens": 1, "output_tokens": 0},
            {"output_tokens": 4},
            (13, 12, 4),
        ),
        ({"input_tokens": 50, "output_tokens": 3}, {"output_tokens": 8}, (50, 0, 8)),
    ]
    total = (0, 0, 0)
    for first, last, expected in told:

        async def behave(call, first=first, last=last):
            call.head(kind="text/event-stream")
            form = form_of(call, last)
            form.send("message_start", message={"id": "msg_1", "content": [], "usage": first})
            form.piece("word ")
            form.end()
            call.end()

        engine.script(behave)
        admitted(gateway.post(MESSAGES, BODIES[MESSAGES] | {"stream": True}))
        total = tuple(map(sum, zip(total, expected, strict=True)))
        assert settled(gateway) == total, (first, last)


@pytest.mark.parametrize("path", PATHS)
def test_without_usage_it_is_charged_by_what_was_counted(gateway, engine, path):
    engine.default = reply(tokens=10, usage=None)
    admitted(gateway.post(path, BODIES[path] | {"stream": True}))
    counted = settled(gateway)
    assert counted[1:] == (0, 10) and 3 <= counted[0] <= 40


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_the_client_left_is_charged_by_what_was_made(gateway, engine, path):
    async def behave(call):
        call.head(kind="text/event-stream")
        form = form_of(call, usage_of(33, 0))
        form.begin()
        for _ in range(25):
            form.piece("x ")
        await call.gone.wait()

    engine.default = behave
    with gateway.connect() as connection:
        connection.request("POST", path, BODIES[path] | {"stream": True}, key=KEY)
        received = b""
        for piece in connection.pieces(connection.head()):
            received += piece
            if received.count(b'"x "') == 25:
                break
    eventually(lambda: engine.calls[0].gone_at, "the engine is told")
    found = settled(gateway)
    assert found[2] == 25
    # Messages tell the prompt's length at once.
    assert found[0] == 33 if path == MESSAGES else 3 <= found[0] <= 40
    assert gateway.tenant()["requests"]["client_left"] == 1


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_is_cut_is_charged_by_what_was_made(start, engine, path):
    gateway = start(
        settings(engine, limits=LIMITS, interactive={"timeouts": {"total": "400ms"}})
    )
    engine.default = reply(tokens=1_000, gap=0.02, usage=usage_of(33, 1_000))
    answer = admitted(gateway.post(path, BODIES[path] | {"stream": True}))
    events = [json.loads(event) for event in answer.events]
    kinds = [event["type"] for event in events]
    made = sum(kind.endswith("delta") and kind != "message_delta" for kind in kinds)
    assert made > 1 and settled(gateway)[2] == made
    eventually(lambda: engine.calls[0].gone_at, "the engine is told")
    # Each event stands under its name, and the end is whole.
    assert re.findall(rb"^event: (\S+)$", answer.body, re.M) == [kind.encode() for kind in kinds]
    if path == MESSAGES:
        assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
        assert events[-2]["delta"]["stop_reason"] == "max_tokens"
        assert events[-2]["usage"]["output_tokens"] == made
    else:
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        last = events[-1]["response"]
        assert (kinds[-1], last["status"]) == ("response.incomplete", "incomplete")
        assert last["incomplete_details"] == {"reason": "max_output_tokens"}
        assert last["id"] == events[0]["response"]["id"]
        assert last["usage"]["output_tokens"] == made


@pytest.mark.parametrize("path", PATHS)
def test_an_engine_that_dies_at_any_byte_never_ends_a_stream(start, engine, path):
    """A stream in pieces, cut by chance: the client sees that it broke, and it is settled."""
    gateway = start(settings(engine, limits=LIMITS, upstream={"unhealthy_after": 100}))
    whole: list[bytes] = []

    async def record(call):
        class Recorder:
            """What an answer to `call` would send."""

            path, json = call.path, call.json

            @staticmethod
            def piece(data):
                whole.append(b"%x\r\n%s\r\n" % (len(data), data))

        form = form_of(Recorder, usage_of(7, 5))
        form.begin()
        for _ in range(5):
            form.piece("word ")
        form.end()
        call.whole(200, {})

    engine.script(record)
    gateway.post(path, BODIES[path])
    kind = b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + kind
    stream = b"".join(whole)
    chance = random.Random(7)
    # The last event ends the answer, whatever its framing lacks.
    last = len(stream) - len(whole[-1])
    for _ in range(40):
        engine.script(sends(head + stream[: chance.randrange(1, last)], close=True))
        try:
            answer = gateway.post(path, BODIES[path] | {"stream": True})
            assert answer.status == 502, answer
        except BrokenAnswer:
            pass
    engine.script(sends(head + stream + b"0\r\n\r\n"))
    assert admitted(gateway.post(path, BODIES[path] | {"stream": True})).events
    settled_input, _, output = settled(gateway)
    assert output <= 41 * 5 and settled_input > 0
    outcomes = gateway.tenant()["requests"]
    assert outcomes["engine_failed"] == 40 and outcomes["completed"] == 2
