# SPDX-License-Identifier: Apache-2.0
"""Anthropic's messages and OpenAI's responses over the wire: fields, refusals, bounds, counts."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import (
    admitted,
    anthropic_limits,
    limits,
    refused,
    refused_as_anthropic,
    seconds,
    wait_of,
)
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, hashed, settings
from h2_client import Client, request_fields
from http_client import Answer, request_bytes
from waiting import eventually

MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"
COUNT = "/v1/messages/count_tokens"
BOTH = pytest.mark.parametrize("path", [MESSAGES, RESPONSES])


def body_of(path: str, **changes: object) -> dict:
    if path == RESPONSES:
        return {"model": MODEL, "input": "Say hello."} | changes
    bound = {} if path == COUNT else {"max_tokens": 100}
    messages = [{"role": "user", "content": "Say hello."}]
    return {"model": MODEL, "messages": messages} | bound | changes


def check_refused(path: str, answer: Answer, status: int, code: str, param=None) -> dict:
    """In the form that belongs to the path."""
    if path == RESPONSES:
        return refused(answer, status, code, param)
    return refused_as_anthropic(answer, status, code)


@pytest.fixture
def gateway(start, engine):
    return start(settings(engine))


# Fields.


def test_answers_carry_the_limits_in_both_families_words(start, engine):
    given = {
        "requests_per_minute": 60,
        "tokens_per_minute": 90_000,
        "input_tokens_per_minute": 50_000,
        "output_tokens_per_minute": 10_000,
    }
    gateway = start(settings(engine, limits=given))
    answer = admitted(gateway.post(MESSAGES, body_of(MESSAGES)))
    assert answer.fields["request-id"] == answer.fields["x-request-id"]
    assert answer.fields["request-id"] == engine.calls[0].field("x-request-id")
    found = anthropic_limits(answer)
    assert [limit for limit, _, _ in found.values()] == [60, 90_000, 50_000, 10_000]
    assert found["requests"][1] == limits(answer)["requests"][1] == 59
    # What was reserved comes back in seconds; the date is rounded up.
    assert all(0 <= left <= 62 for _, _, left in found.values()), found
    assert found["output-tokens"][1] < 10_000 and found["input-tokens"][1] < 50_000
    assert "anthropic-ratelimit-requests-limit" not in gateway.chat().fields
    assert "request-id" not in gateway.post(RESPONSES, body_of(RESPONSES)).fields


def test_remaining_falls_with_a_reservation_and_rises_on_settlement(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_minute": 100_000}))
    engine.default = reply(usage=usage_of(5, 5))
    for path, bound in ((MESSAGES, "max_tokens"), (RESPONSES, "max_output_tokens")):
        body = body_of(path, **{bound: 4_000, "ignore_eos": True, "stream": True})
        reserved = limits(admitted(gateway.post(path, body)))["tokens"][1]
        assert reserved <= 96_500, path
        eventually(lambda: gateway.used("tokens_per_minute") < 100, "it is settled")
    told = admitted(gateway.post(MESSAGES, body_of(MESSAGES, max_tokens=10)))
    assert anthropic_limits(told)["tokens"][:2] == limits(told)["tokens"][:2]
    assert limits(told)["tokens"][1] > 99_000


@BOTH
def test_refusals_tell_the_wait_and_keep_their_word(start, engine, path):
    gateway = start(settings(engine, limits={"requests_per_minute": 60}))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.post(path, body_of(path)), range(80)))
    refusals = [answer for answer in answers if answer.status == 429]
    for answer in refusals:
        check_refused(path, answer, 429, "requests_per_minute_exceeded")
        assert limits(answer)["requests"][:2] == (60, 0)
        if path == MESSAGES:
            limit, remaining, left = anthropic_limits(answer)["requests"]
            assert (limit, remaining) == (60, 0)
            full = seconds(answer.fields["x-ratelimit-reset-requests"])
            assert left > full - 20, "the time at which it is full again"
    waits = [wait_of(answer) for answer in refusals]
    # Refused in the same moment, they come back in different ones.
    assert len(refusals) >= 5 and len(set(waits)) > len(waits) / 2, waits
    last = max(refusals, key=lambda answer: answer.received_at)
    time.sleep(max(0.0, last.received_at + wait_of(last) - time.monotonic()))
    admitted(gateway.post(path, body_of(path)))


@BOTH
def test_long_waits_are_not_to_be_retried_and_what_never_fits_has_none(start, engine, path):
    gateway = start(
        settings(engine, limits={"tokens_per_day": 1_000, "max_prompt_tokens": 5_000})
    )
    engine.default = reply(usage=usage_of(500, 490))
    admitted(gateway.post(path, body_of(path)))
    # `check_refused` looks at the fields.
    answer = gateway.post(path, body_of(path))
    check_refused(path, answer, 429, "tokens_per_day_exceeded")
    assert wait_of(answer) > 60 or "x-should-retry" not in answer.fields
    param = "input"
    large = body_of(path, **long_prompt(path, 1_500))
    check_refused(path, gateway.post(path, large), 400, "request_exceeds_limit", param)
    larger = body_of(path, **long_prompt(path, 12_000))
    check_refused(path, gateway.post(path, larger), 400, "context_length_exceeded", param)


def long_prompt(path: str, words: int) -> dict:
    text = "word " * words
    if path == RESPONSES:
        return {"input": text}
    return {"messages": [{"role": "user", "content": text}]}


# Refusals.

MALFORMED = [
    (MESSAGES, {"max_tokens": None}, "max_tokens"),
    (MESSAGES, {"max_tokens": "many"}, "max_tokens"),
    (MESSAGES, {"messages": "hi"}, "messages"),
    (MESSAGES, {"messages": []}, "messages"),
    (MESSAGES, {"messages": [{"role": "user", "content": 7}]}, "messages"),
    (MESSAGES, {"system": 7}, "system"),
    (MESSAGES, {"stream": "yes"}, "stream"),
    (RESPONSES, {"input": None}, "input"),
    (RESPONSES, {"input": 7}, "input"),
    (RESPONSES, {"input": []}, "input"),
    (RESPONSES, {"max_output_tokens": -1}, "max_output_tokens"),
    (RESPONSES, {"instructions": 7}, "instructions"),
    (RESPONSES, {"background": True}, "background"),
    (COUNT, {"messages": "hi"}, "messages"),
]


def test_a_wrong_member_is_named(gateway, engine):
    for path, changes, name in MALFORMED:
        answer = gateway.post(path, body_of(path, **changes))
        error = check_refused(path, answer, 400, "invalid_request", name)
        assert name in error["message"], (changes, error)
    for path in (MESSAGES, RESPONSES, COUNT):
        check_refused(path, gateway.post(path, b"{"), 400, "invalid_request")
    assert not engine.calls


def test_refusals_before_the_body_have_the_paths_form(gateway, engine):
    for path in (MESSAGES, RESPONSES, COUNT):
        check_refused(path, gateway.post(path, body_of(path), "sk-wrong"), 401, "invalid_api_key")
        check_refused(path, gateway.post(path, body_of(path), None), 401, "invalid_api_key")
        answer = gateway.get(path)
        check_refused(path, answer, 405, "method_not_allowed")
        assert answer.fields["allow"] == "POST"
    check_refused(MESSAGES, gateway.post("/v1/messages/none", b"{}"), 404, "not_found")
    assert not engine.calls


def test_an_expired_key_is_told_in_the_paths_form(start, engine):
    made = settings(engine)
    old = {"hash": hashed("sk-old"), "expires": "2020-01-01T00:00:00Z"}
    made["tenants"][0]["keys"].append(old)
    gateway = start(made)
    for path in (MESSAGES, RESPONSES, COUNT):
        check_refused(path, gateway.post(path, body_of(path), "sk-old"), 401, "api_key_expired")


def test_head_gets_the_fields_alone(gateway):
    with gateway.connect() as connection:
        for path in (MESSAGES, RESPONSES, COUNT):
            answer = connection.exchange("HEAD", path, key=KEY)
            assert answer.status == 405 and int(answer.fields["content-length"]) > 0
            assert ("request-id" in answer.fields) == (path != RESPONSES)
        assert connection.exchange("GET", "/v1/models", key=KEY).status == 200


def test_a_large_body_is_refused_without_being_sent(start, engine):
    """Announced, invited or in chunks: the answer can be read, and the connection closes."""
    gateway = start(settings(engine, http={"max_body": "1MiB"}))
    for fields in ({}, {"Expect": "100-continue"}):
        large = {"Content-Length": str(2 << 20)} | fields
        answer = refuse_early(gateway, RESPONSES, large)
        check_refused(RESPONSES, answer, 413, "request_too_large")
    for path in (RESPONSES, MESSAGES, COUNT):
        uninvited = {"Content-Length": "100", "Expect": "100-continue"}
        answer = refuse_early(gateway, path, uninvited, key="sk-wrong")
        check_refused(path, answer, 401, "invalid_api_key")
        chunk = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))
        chunked = {"Transfer-Encoding": "chunked"}
        answer = refuse_early(gateway, path, chunked, chunk + b"1\r\n \r\n")
        check_refused(path, answer, 413, "request_too_large")
    assert not engine.calls


def refuse_early(gateway, path: str, fields: dict, rest: bytes = b"", key: str = KEY) -> Answer:
    """The answer to a request that is not sent whole, with which the connection ends."""
    with gateway.connect() as connection:
        connection.send(request_bytes("x", "POST", path, None, fields, key=key) + rest)
        answer = connection.answer()
        assert connection.is_closed()
        return answer


def test_an_invited_body_is_served(gateway):
    for path in (MESSAGES, RESPONSES, COUNT):
        body = json.dumps(body_of(path)).encode()
        fields = {"Expect": "100-continue", "Content-Length": str(len(body))}
        with gateway.connect() as connection:
            connection.request("POST", path, None, fields, KEY)
            assert connection.head().status == 100
            connection.send(body)
            assert connection.answer().status == 200


def test_http2_gets_the_same(start, engine):
    made = settings(engine, limits={"requests_per_minute": 1})
    made["listeners"][0]["protocols"] = ["http1", "http2"]
    gateway = start(made)
    with Client(gateway.address) as client:
        client.greeted()

        def post(path: str, key: str) -> Answer:
            fields = [
                (name, f"Bearer {key}" if name == "authorization" else value)
                for name, value in request_fields(path=path)
            ]
            stream = client.headers(fields)
            client.data(stream, json.dumps(body_of(path)).encode(), end=True)
            return client.answer(stream)

        wrong = post(MESSAGES, "sk-wrong")
        assert wrong.status == 401
        assert wrong.json["error"]["details"] == {"error_code": "invalid_api_key"}
        assert wrong.json["request_id"] == wrong.fields["request-id"]
        assert post(RESPONSES, "sk-wrong").json["error"]["code"] == "invalid_api_key"
        good = post(MESSAGES, KEY)
        assert good.status == 200 and good.json["content"][0]["text"] == "word " * 4
        for path, kind in ((MESSAGES, "rate_limit_error"), (RESPONSES, "requests")):
            answer = post(path, KEY)
            assert answer.status == 429 and answer.json["error"]["type"] == kind
            assert int(answer.fields["retry-after"]) >= 1


# Bodies and streams.


def test_bodies_reach_the_engine_as_they_are(gateway, engine):
    for path in (MESSAGES, RESPONSES):
        for stream in (False, True):
            body = body_of(path, stream=stream, metadata={"user_id": "x"}, odd=[1.50, None])
            admitted(gateway.post(path, body))
            call = engine.calls[-1]
            assert call.path == path
            assert call.json == body, "nothing is asked of the engine that the client did not"


def test_a_bound_over_the_tenants_is_lowered_and_told(start, engine):
    gateway = start(settings(engine, limits={"max_completion_tokens": 50}))
    for path, bound in ((MESSAGES, "max_tokens"), (RESPONSES, "max_output_tokens")):
        answer = gateway.post(path, body_of(path, **{bound: 1_000}))
        admitted(answer, "clamped")
        assert answer.fields["x-penstock-max-tokens"] == "50"
        assert engine.calls[-1].json == body_of(path, **{bound: 50})
    admitted(gateway.post(RESPONSES, body_of(RESPONSES)), "clamped")
    assert engine.calls[-1].json["max_output_tokens"] == 50


def test_events_are_passed_as_they_are_and_blocks_without_data_are_not(gateway, engine):
    events = [
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"h\\u00e9"}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ]

    async def behave(call):
        call.head(kind="text/event-stream")
        call.piece(b"retry: 1000\n\nid: 4\n\nevent: ping\n\ndata:\n\n")
        for event in events:
            call.piece(event)
        call.piece(b"event: message_stop\n\n")
        call.end()

    engine.default = behave
    for path in (MESSAGES, RESPONSES):
        answer = admitted(gateway.post(path, body_of(path, stream=True)))
        assert answer.body == b"".join(events)


def test_an_alias_becomes_the_models_name(gateway, engine):
    for path in (MESSAGES, RESPONSES):
        admitted(gateway.post(path, body_of(path, model="alias")))
        assert engine.calls[-1].json["model"] == MODEL


# The count of a prompt.


def test_a_count_is_the_estimate_of_the_same_message(gateway, engine):
    # Of an engine that reports nothing, nothing is learnt.
    engine.default = reply(usage=None)
    tools = [{"name": "look", "description": "Looks. " * 30, "input_schema": {"type": "object"}}]
    parts = [{"type": "text", "text": "One. " * 40}, {"type": "text", "text": "Two."}]
    for number, changes in enumerate(
        [
            {},
            {"system": "Be brief. " * 20},
            {"system": [{"type": "text", "text": "Be brief. " * 20}], "tools": tools},
            {"messages": [{"role": "user", "content": parts}] * 3},
        ]
    ):
        name = {"X-Request-Id": f"message-{number}"}
        count = gateway.post(COUNT, body_of(COUNT, **changes))
        assert count.status == 200 and list(count.json) == ["input_tokens"]
        admitted(gateway.post(MESSAGES, body_of(MESSAGES, **changes), fields=name))
        trace = gateway.admin(f"/admin/requests/message-{number}").json
        assert count.json["input_tokens"] == trace["estimate"]["input"], changes
    assert len(engine.calls) == 4


def test_a_count_costs_nothing(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 2, "tokens_per_day": 300}))
    before = gateway.tenant()["tokens"]
    with gateway.connect() as connection:
        for _ in range(10):
            answer = connection.exchange("POST", COUNT, body_of(COUNT), key=KEY)
            assert answer.status == 200
            assert answer.fields["request-id"] == answer.fields["x-request-id"]
    assert gateway.tenant()["tokens"] == before
    assert gateway.used("requests_per_minute") == gateway.used("tokens_per_day") == 0
    # Over every limit as well: to ask is how one finds out.
    assert gateway.post(COUNT, body_of(COUNT, **long_prompt(COUNT, 20_000))).status == 200
    check_refused(COUNT, gateway.post(COUNT, body_of(COUNT, model="x")), 404, "model_not_found")
    assert not engine.calls
