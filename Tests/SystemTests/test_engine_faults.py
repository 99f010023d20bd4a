# SPDX-License-Identifier: Apache-2.0
"""Engines that refuse, die, stay silent or answer nonsense."""

import asyncio
import json

import pytest
from checks import admitted, refused, wait_of
from core_waits import Stopwatch
from fake_engine import chunk_of, reply, usage_of
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer
from misbehaviour import die_before_head, die_mid_stream, fails_with, sends, silent
from waiting import eventually

CHAT = "/v1/chat/completions"
LIMITS = {"tokens_per_day": 1_000_000, "concurrent_requests": 100}
SLOW_PROBES = {"scrape_interval": "30s", "unhealthy_after": 3}


# Engines that are not there.


def test_an_engine_that_refuses_connections_is_passed_over(start, new_engine):
    up, down = new_engine(), new_engine()
    gateway = start(settings(up, down, limits=LIMITS, upstream=SLOW_PROBES))
    gateway.wait_scraped_once(up, down)
    down.stop()
    for _ in range(6):
        admitted(gateway.chat())
    assert len(up.calls) == 6
    assert gateway.tenant()["requests"]["completed"] == 6


def test_an_engine_that_refuses_leaves_the_rotation_and_returns(start, new_engine):
    first, second = new_engine(), new_engine()
    gateway = start(settings(first, second))
    gateway.wait_healthy(first, second)
    second.stop()
    gateway.wait_healthy(second, healthy=False)
    endpoint = gateway.endpoint(second)
    assert not endpoint["available"] and endpoint["probe_failures"] >= 2
    assert "refused" in endpoint["last_fault"].lower()
    second.start()
    gateway.wait_healthy(second)
    assert gateway.endpoint(second)["last_fault"] is None


def test_without_an_engine_503_comes_at_once_and_service_within_two_seconds(start, engine):
    # The defaults of the probes count here.
    configuration = settings(engine)
    del configuration["upstream"]
    gateway = start(configuration)
    gateway.wait_healthy(engine)
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    started = Stopwatch()
    answer = gateway.chat()
    assert started.seconds < 1.0
    refused(answer, 503, "no_healthy_endpoint")
    assert wait_of(answer) <= 1.0
    assert gateway.admin("/readyz").status == 503
    engine.start()
    back = Stopwatch()
    eventually(lambda: gateway.chat().status == 200, "service returns")
    assert back.seconds <= 2.0
    assert gateway.admin("/readyz").status == 200


def test_an_engine_that_was_never_there_is_refused_for_from_the_first_request_on(start, engine):
    engine.stop()
    gateway = start(settings(engine, limits=LIMITS))
    refused(gateway.chat(), 503, "no_healthy_endpoint")
    gateway.assert_at_rest()
    assert gateway.used("tokens_per_day") == 0


def test_an_engine_whose_health_fails_leaves_and_returns(start, new_engine):
    well, ill = new_engine(), new_engine()
    gateway = start(settings(well, ill))
    gateway.wait_healthy(well, ill)
    ill.health = 503
    gateway.wait_healthy(ill, healthy=False)
    asked = len(ill.calls)
    for _ in range(5):
        admitted(gateway.chat())
    assert len(ill.calls) == asked
    ill.health = 200
    gateway.wait_healthy(ill)


# Engines that die.


@pytest.mark.parametrize("stream", [True, False])
def test_an_engine_that_dies_before_its_answer_gives_502_and_no_retry(start, engine, stream):
    gateway = start(settings(engine, limits=LIMITS, upstream=SLOW_PROBES))
    engine.script(die_before_head())
    answer = gateway.chat(stream=stream)
    refused(answer, 502, "upstream_failed")
    # It may have produced, and been charged for, output.
    assert answer.fields["x-should-retry"] == "false"
    assert len(engine.calls) == 1
    gateway.assert_at_rest()
    admitted(gateway.chat(stream=stream))
    assert gateway.tenant()["requests"]["engine_failed"] == 1


@pytest.mark.parametrize("reset", [True, False])
def test_a_stream_whose_engine_dies_is_broken_off_and_never_looks_complete(start, engine, reset):
    gateway = start(settings(engine, limits=LIMITS, upstream=SLOW_PROBES))
    engine.script(die_mid_stream(after=5, reset=reset, delay=0.1))
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        assert head.status == 200
        received = b""
        with pytest.raises(BrokenAnswer):
            for piece in connection.pieces(head):
                received += piece
    assert received.count(b"data: ") == 5
    assert b"[DONE]" not in received and b"length" not in received
    gateway.assert_at_rest()
    tokens = gateway.tenant()["tokens"]
    assert tokens["output"] == 5
    assert gateway.used("tokens_per_day") == tokens["input"] + 5


def test_a_kept_connection_that_dies_under_a_request_is_not_asked_again_elsewhere(start, engine):
    gateway = start(
        settings(engine, limits=LIMITS, workers=1, upstream=SLOW_PROBES | {"idle_timeout": "10s"})
    )
    for round_number in range(5):
        admitted(gateway.chat())

        async def close_when_used_again(call):
            # The answer is complete and the connection kept; it dies under the next request.
            await reply()(call)
            connection = call.connection
            connection.data_received = lambda data: connection.transport.abort()

        engine.script(close_when_used_again)
        admitted(gateway.chat())
        # It is with the engine, which may have begun.
        answer = gateway.chat()
        refused(answer, 502, "upstream_failed")
        assert answer.fields["x-should-retry"] == "false"
    assert gateway.tenant()["requests"]["completed"] == 10
    assert gateway.endpoint(engine)["healthy"]


def test_a_kept_connection_that_the_engine_closed_meanwhile_is_not_used(start, engine):
    gateway = start(settings(engine, limits=LIMITS, workers=1, upstream=SLOW_PROBES))
    admitted(gateway.chat())
    for connection in list(engine.connections):
        engine.loop.call_soon_threadsafe(connection.transport.close)
    eventually(lambda: not engine.connections, "the engine has closed its connections")
    admitted(gateway.chat())
    assert [call.number for call in engine.calls if call.path == CHAT][-1] == 1


def test_a_fresh_connection_that_dies_is_not_tried_again(start, engine):
    gateway = start(settings(engine, upstream=SLOW_PROBES))
    engine.script(die_before_head(), reply())
    refused(gateway.chat(), 502, "upstream_failed")
    assert len(engine.calls) == 1


def test_connections_to_the_engine_are_kept_and_used_again(start, engine):
    gateway = start(settings(engine, workers=1, upstream=SLOW_PROBES))
    for number in range(10):
        admitted(gateway.chat(stream=number % 2 == 0))
    assert [call.number for call in engine.calls] == list(range(1, 11))


# Engines that are slow.


@pytest.mark.parametrize("stream", [True, False])
def test_an_engine_without_a_first_token_in_time_gives_504(start, engine, stream):
    timeouts = {"timeouts": {"first_token": "300ms", "total": "20s"}}
    gateway = start(settings(engine, limits=LIMITS, interactive=timeouts))
    engine.script(silent())
    started = Stopwatch()
    answer = gateway.chat(stream=stream)
    assert 0.3 <= started.passed and started.seconds < 2.0
    refused(answer, 504, "deadline_exceeded")
    assert answer.fields["x-should-retry"] == "false"
    assert eventually(lambda: engine.calls[0].gone_at, "the engine's request is cancelled")
    gateway.assert_at_rest()
    admitted(gateway.chat(stream=stream))


def test_a_head_alone_is_no_first_token(start, engine):
    timeouts = {"timeouts": {"first_token": "300ms", "total": "20s"}}
    gateway = start(settings(engine, interactive=timeouts))

    async def head_only(call):
        call.head(kind="text/event-stream")
        await call.gone.wait()

    engine.script(head_only)
    refused(gateway.chat(stream=True), 504, "deadline_exceeded")


def test_a_slow_first_token_within_the_limit_is_waited_for(start, engine):
    timeouts = {"timeouts": {"first_token": "5s", "between_tokens": "5s"}}
    gateway = start(settings(engine, interactive=timeouts))
    engine.script(reply(first=0.5))
    admitted(gateway.chat(stream=True))


def test_a_stream_that_stalls_between_tokens_is_broken_off(start, engine):
    timeouts = {"timeouts": {"first_token": "5s", "between_tokens": "300ms", "total": "20s"}}
    gateway = start(settings(engine, limits=LIMITS, interactive=timeouts))
    engine.script(reply(gate=engine.gate()))
    started = Stopwatch()
    with pytest.raises(BrokenAnswer):
        gateway.chat(stream=True)
    assert started.seconds < 3
    gateway.assert_at_rest()
    assert gateway.tenant()["requests"]["timed_out"] == 1


@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_over_its_total_time_ends_validly_with_length(start, engine, path, asked):
    timeouts = {"timeouts": {"first_token": "5s", "between_tokens": "5s", "total": "600ms"}}
    gateway = start(settings(engine, limits=LIMITS, interactive=timeouts))
    engine.script(reply(tokens=1000, gap=0.02))
    body = chat_body(stream=True)
    if path != CHAT:
        body = {"model": body["model"], "prompt": "hi", "stream": True}
    if asked:
        body["stream_options"] = {"include_usage": True}
    started = Stopwatch()
    answer = admitted(gateway.post(path, body))
    assert 0.5 < started.passed and started.seconds < 2.5
    assert answer.events[-1] == "[DONE]"
    chunks = answer.chunks
    usage = chunks.pop() if asked else None
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    content = [chunk for chunk in chunks if chunk["choices"][0]["finish_reason"] is None]
    assert 5 <= len(content) < 200
    if usage:
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] == len(content)
    assert eventually(lambda: engine.calls[0].gone_at, "the engine's request is cancelled")
    gateway.assert_at_rest()
    assert gateway.tenant()["tokens"]["output"] == len(content)


def test_an_answer_over_its_total_time_gives_504(start, engine):
    timeouts = {"timeouts": {"first_token": "5s", "total": "400ms"}}
    gateway = start(settings(engine, limits=LIMITS, interactive=timeouts))
    engine.script(silent())
    refused(gateway.chat(), 504, "deadline_exceeded")
    gateway.assert_at_rest()


def test_the_clients_own_deadline_shortens_the_time(start, engine):
    gateway = start(settings(engine, limits=LIMITS))
    engine.script(silent())
    started = Stopwatch()
    answer = gateway.chat(fields={"X-Penstock-Deadline-Ms": "300"})
    assert started.seconds < 2.0
    refused(answer, 504, "deadline_exceeded")
    assert answer.fields["x-should-retry"] == "false"


# What engines answer.


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503])
@pytest.mark.parametrize("stream", [True, False])
def test_an_engines_error_passes_as_it_is(start, engine, status, stream):
    gateway = start(settings(engine, limits=LIMITS))
    error = {"error": {"message": "no", "type": "SomeError", "param": None, "code": status}}
    engine.script(fails_with(status, error, {"X-Engine": "yes"}))
    answer = gateway.chat(stream=stream)
    assert answer.status == status
    assert json.loads(answer.body) == error
    assert answer.fields["x-engine"] == "yes"
    assert answer.fields["x-penstock-decision"] == "admitted"
    gateway.assert_at_rest()
    assert gateway.used("tokens_per_day") == 0
    if status in (429, 503):
        # Whoever refuses, the client is told when to come back.
        assert wait_of(answer) == 1.0


@pytest.mark.parametrize(
    ("told", "wait"), [("7", 7), ("0", 1), ("soon", 1), ("Wed, 21 Oct 2026 07:28:00 GMT", 1)]
)
def test_an_engines_own_wait_passes_in_both_fields(start, engine, told, wait):
    gateway = start(settings(engine))
    engine.script(fails_with(503, {"error": {"message": "full"}}, {"Retry-After": told}))
    answer = gateway.chat()
    assert answer.status == 503
    assert wait_of(answer) == wait


def test_an_error_event_inside_a_stream_passes(start, engine):
    gateway = start(settings(engine, limits=LIMITS))
    error = {"error": {"message": "broke", "type": "InternalServerError", "code": 500}}

    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        call.event(error)
        call.event("[DONE]")
        call.end()

    engine.script(behave)
    answer = admitted(gateway.chat(stream=True))
    assert error in answer.chunks
    gateway.assert_at_rest()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_well_formed_gives_502(start, engine, head):
    gateway = start(settings(engine, limits=LIMITS, upstream=SLOW_PROBES))
    engine.script(sends(head, close=True))
    refused(gateway.chat(), 502, "upstream_failed")
    gateway.assert_at_rest()
    admitted(gateway.chat())


@pytest.mark.parametrize(
    "chunks", [b"zz\r\ndata: x\r\n", b"5\r\nhelloXX", b"5\nhello\n0\n\n", b"-1\r\n\r\n"]
)
def test_a_stream_with_broken_framing_is_broken_off(start, engine, chunks):
    gateway = start(settings(engine, limits=LIMITS, upstream=SLOW_PROBES))
    event = b'data: {"choices": [{"index": 0, "delta": {"content": "x"}}]}\n\n'
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    first = b"%x\r\n%s\r\n" % (len(event), event)

    async def behave(call):
        call.raw(head + first)
        await asyncio.sleep(0.1)
        call.raw(chunks)
        await call.gone.wait()

    engine.script(behave)
    with pytest.raises(BrokenAnswer):
        gateway.chat(stream=True)
    gateway.assert_at_rest()


def test_an_answer_without_framing_ends_with_its_connection(start, engine):
    gateway = start(settings(engine, limits=LIMITS))
    body = json.dumps({"choices": [], "usage": usage_of(5, 6)}).encode()
    engine.script(sends(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body, True))
    answer = admitted(gateway.chat())
    assert answer.body == body
    gateway.assert_at_rest()
    assert gateway.used("tokens_per_day") == 11


def test_what_an_engine_says_about_limits_and_identity_is_not_passed_on(start, engine):
    gateway = start(settings(engine, limits=LIMITS))
    engine.script(
        fails_with(
            200,
            {"choices": []},
            {
                "X-Request-Id": "engines-own",
                "x-ratelimit-limit-requests": "5",
                "RateLimit": '"x";r=1;t=1',
                "X-Penstock-Decision": "queued",
                "Retry-After": "7",
                "Connection": "keep-alive, X-Hop",
                "X-Hop": "1",
                "Keep-Alive": "timeout=5",
                "X-Kept": "yes",
            },
        )
    )
    answer = admitted(gateway.chat())
    assert answer.fields["x-request-id"] != "engines-own"
    assert answer.fields["x-ratelimit-limit-requests"] == "100"
    assert "retry-after" not in answer.fields
    assert "keep-alive" not in answer.fields
    assert "x-hop" not in answer.fields
    assert answer.fields["x-kept"] == "yes"


def test_the_engine_gets_a_clean_request_with_the_pools_key(start, engine):
    configuration = settings(engine)
    configuration["pools"][0]["key"] = "sk-engine"
    gateway = start(configuration)
    admitted(
        gateway.chat(
            fields={
                "X-Traffic-Class": "batch",
                "X-Penstock-Deadline-Ms": "60000",
                "OpenAI-Organization": "org",
                "Cookie": "secret",
                "Connection": "keep-alive, X-Hop",
                "X-Hop": "1",
                "Accept-Encoding": "gzip",
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "X-Kept": "yes",
            }
        )
    )
    [call] = engine.calls
    names = {name for name, _ in call.fields}
    assert call.field("authorization") == "Bearer sk-engine"
    assert call.field("host") == engine.authority
    assert call.field("x-kept") == "yes"
    assert "traceparent" in names and "x-request-id" in names
    forbidden = {"x-traffic-class", "x-penstock-deadline-ms", "openai-organization", "x-hop"}
    assert not names & (forbidden | {"cookie", "accept-encoding", "expect", "keep-alive"})


def test_no_field_with_an_underscore_reaches_an_engine(start, engine):
    # Servers in the manner of CGI take it for the one with hyphens.
    gateway = start(settings(engine))
    spelled = {
        "Transfer_Encoding": "chunked",
        "Content_Length": "5",
        "X_Request_Id": "mine",
        "_": "x",
        "X-Odd_": "x",
        "X-Good": "x_y",
    }
    admitted(gateway.chat(fields=spelled))
    [call] = engine.calls
    assert not [name for name, _ in call.fields if "_" in name], call.fields
    assert call.field("x-good") == "x_y"


def test_interim_answers_of_the_engine_are_not_the_answer(start, engine):
    gateway = start(settings(engine))
    body = b'{"choices": []}'
    engine.script(
        sends(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
    )
    assert admitted(gateway.chat()).body == body


def test_bytes_after_an_answer_never_become_part_of_another(start, engine):
    gateway = start(settings(engine, workers=1, upstream=SLOW_PROBES))
    body = b'{"choices": []}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    engine.script(sends(answer + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfoeign"))
    assert admitted(gateway.chat()).body == body
    assert admitted(gateway.chat()).json["model"]
