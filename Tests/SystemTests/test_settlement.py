# SPDX-License-Identifier: Apache-2.0
"""What a request costs in the end, and what its client sees of it."""

import json
import statistics
import time

import pytest
from checks import admitted
from fake_engine import MODEL, chunk_of, reply, usage_of
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer, parse_events
from misbehaviour import sends, silent
from waiting import eventually

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
LIMITS = {"tokens_per_day": 1_000_000, "concurrent_requests": 100}


@pytest.fixture
def gateway(start, engine):
    return start(settings(engine, limits=LIMITS))


def settled(gateway) -> float:
    """What the tenant has used once nothing is in flight."""
    gateway.assert_at_rest()
    return gateway.used("tokens_per_day")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (CHAT, chat_body(), (123, 45)),
        (COMPLETIONS, {"model": MODEL, "prompt": "hi"}, (123, 45)),
        (EMBEDDINGS, {"model": MODEL, "input": ["a", "b"]}, (123, 0)),
    ],
)
def test_the_usage_in_an_answer_is_what_is_charged(gateway, engine, path, body, expected):
    engine.default = reply(prompt=123, usage=usage_of(123, 45))
    answer = admitted(gateway.post(path, body))
    assert answer.json["usage"]["prompt_tokens"] == 123
    assert settled(gateway) == sum(expected)
    tokens = gateway.tenant()["tokens"]
    assert (tokens["input"], tokens["output"]) == expected


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_usage_is_asked_for_in_a_stream_and_hidden_from_a_client_that_did_not_ask(
    gateway, engine, path
):
    body = chat_body(stream=True) if path == CHAT else {"model": MODEL, "prompt": "hi"}
    engine.default = reply(tokens=6, usage=usage_of(200, 33))
    answer = admitted(gateway.post(path, body | {"stream": True}))
    [call] = engine.calls
    assert call.json["stream_options"]["include_usage"] is True
    assert answer.events[-1] == "[DONE]" and answer.events.count("[DONE]") == 1
    for chunk in answer.chunks:
        assert chunk["choices"], chunk
        assert "usage" not in chunk, chunk
    assert len(answer.chunks) == 7
    assert settled(gateway) == 233


def test_a_client_that_asked_for_usage_gets_the_engines_bytes(gateway, engine):
    engine.default = reply(tokens=3, usage=usage_of(200, 33) | {"odd": [1.50]})
    answer = admitted(
        gateway.chat(stream=True, stream_options={"include_usage": True, "other": 1})
    )
    [call] = engine.calls
    assert call.json["stream_options"] == {"include_usage": True, "other": 1}
    *chunks, last = answer.chunks
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == [] and last["usage"] == usage_of(200, 33) | {"odd": [1.5]}
    assert b'"odd": [1.5]' in answer.body
    assert settled(gateway) == 233


@pytest.mark.parametrize(
    "options", [{}, {"include_usage": False}, {"include_obfuscation": False}, None]
)
def test_the_clients_other_stream_options_stay(gateway, engine, options):
    answer = admitted(gateway.chat(stream=True, stream_options=options))
    sent = engine.calls[0].json["stream_options"]
    assert sent == (options or {}) | {"include_usage": True}
    assert all("usage" not in chunk and chunk["choices"] for chunk in answer.chunks)


def test_continuous_usage_that_the_client_asked_for_stays_in_what_it_sees(gateway, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        for number in (1, 2, 3):
            call.event(chunk_of(call, "x") | {"usage": usage_of(9, number)})
        call.event(chunk_of(call, None) | {"choices": [], "usage": usage_of(9, 3)})
        call.event("[DONE]")
        call.end()

    engine.default = behave
    answer = admitted(
        gateway.chat(stream=True, stream_options={"continuous_usage_stats": True})
    )
    assert engine.calls[0].json["stream_options"]["continuous_usage_stats"] is True
    assert [c["usage"]["completion_tokens"] for c in answer.chunks if c["choices"]] == [1, 2, 3]
    assert settled(gateway) == 12


def test_an_engine_that_reports_no_usage_is_charged_by_what_was_counted(gateway, engine):
    engine.default = reply(tokens=10, usage=None)
    admitted(gateway.chat(stream=True))
    used = settled(gateway)
    tokens = gateway.tenant()["tokens"]
    assert tokens["output"] == 10
    assert 3 <= tokens["input"] <= 40
    assert used == tokens["input"] + tokens["output"]


def test_usage_that_only_stands_on_the_last_choice_counts(gateway, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        call.event(chunk_of(call, None, "stop") | {"usage": usage_of(50, 6)})
        call.event("[DONE]")
        call.end()

    engine.default = behave
    answer = admitted(gateway.chat(stream=True))
    assert all("usage" not in chunk for chunk in answer.chunks)
    assert answer.chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert settled(gateway) == 56


def test_the_streams_usage_survives_any_cut_and_foreign_line_ends(gateway, engine):
    def stream(end: str) -> bytes:
        chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "h\u00e9"}}]}
        usage = {"id": "c", "choices": [], "usage": usage_of(70, 7)}
        events = [json.dumps(chunk), json.dumps(usage), "[DONE]"]
        body = f": comment{end}{end}" + "".join(f"data: {event}{end}{end}" for event in events)
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        payload = body.encode()
        return f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + payload

    for end in ("\n", "\r\n"):
        for pieces in (1, 2, 3, 7, 50):
            engine.script(sends(stream(end), pieces=pieces))
            answer = admitted(gateway.chat(stream=True))
            assert [chunk["choices"] for chunk in answer.chunks] == [
                [{"index": 0, "delta": {"content": "h\u00e9"}}]
            ], answer.body
            assert answer.events[-1] == "[DONE]"
    assert settled(gateway) == 10 * 77


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_usage_is_hidden_in_events_of_several_lines_too(gateway, engine, end):
    async def behave(call):
        call.head(kind="text/event-stream")
        for chunk in (
            chunk_of(call, "a"),
            {"usage": None} | chunk_of(call, "b"),
            chunk_of(call, "c") | {"usage": usage_of(9, 3)},
            chunk_of(call, None, "stop") | {"usage": usage_of(50, 6), "z": 1},
        ):
            lines = json.dumps(chunk, indent=2).split("\n")
            call.piece((end.join(f"data: {line}" for line in lines) + end + end).encode())
        call.event("[DONE]")
        call.end()

    engine.default = behave
    answer = admitted(gateway.chat(stream=True))
    body = answer.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events = list(parse_events(body))
    assert events.pop() == "[DONE]"
    chunks = [json.loads(event) for event in events]
    assert [chunk["choices"][0]["delta"].get("content") for chunk in chunks] == [*"abc", None]
    assert b"usage" not in body and b"tokens" not in body
    assert chunks[-1]["z"] == 1 and chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert settled(gateway) == 56


def test_blocks_without_data_are_not_passed_on(gateway, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        call.piece(b"retry: 1000\n\nid: 4\n\nevent: ping\n\ndata:\n\n: alive\n\n")
        call.event(chunk_of(call, "x"))
        call.event("[DONE]")
        call.end()

    engine.default = behave
    answer = admitted(gateway.chat(stream=True))
    # The parser of this test refuses blocks without data; the comment may stay.
    assert len(answer.chunks) == 1
    assert b"retry" not in answer.body and b"ping" not in answer.body


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_last_event_without_its_blank_line_is_judged_like_the_rest(gateway, engine, end):
    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        usage = chunk_of(call, None) | {"choices": [], "usage": usage_of(50, 6)}
        call.piece(f"data: {json.dumps(usage)}{end}".encode())
        call.end()

    engine.default = behave
    answer = admitted(gateway.chat(stream=True))
    assert len(answer.chunks) == 1 and b"usage" not in answer.body
    assert settled(gateway) == 56


def test_an_event_of_almost_the_largest_size_passes(start, engine):
    gateway = start(settings(engine, limits=LIMITS, upstream={"max_event": "256KiB"}))
    engine.default = reply(tokens=3, text="x" * 200_000, usage=usage_of(1, 3))
    answer = admitted(gateway.chat(stream=True))
    assert [len(c["choices"][0]["delta"].get("content", "")) for c in answer.chunks] == [
        200_000,
        200_000,
        200_000,
        0,
    ]
    assert settled(gateway) == 4


def test_an_event_without_an_end_breaks_the_stream_off(start, engine):
    gateway = start(settings(engine, limits=LIMITS, upstream={"max_event": "64KiB"}))

    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        call.piece(b"data: " + b"x" * 200_000)
        await call.gone.wait()

    engine.default = behave
    with pytest.raises(BrokenAnswer):
        gateway.chat(stream=True)
    settled(gateway)


def test_an_answer_too_large_to_be_kept_still_passes(start, engine):
    gateway = start(settings(engine, limits=LIMITS, upstream={"max_buffered_answer": "64KiB"}))
    engine.default = reply(tokens=1, text="x" * 500_000, usage=usage_of(11, 4))
    answer = admitted(gateway.chat())
    assert len(answer.json["choices"][0]["message"]["content"]) == 500_000
    settled(gateway)


# Clients that leave.


def test_the_engine_learns_within_100_ms_that_the_client_has_left(gateway, engine):
    delays = []
    for _ in range(7):
        gate = engine.gate()
        engine.script(reply(gate=gate))
        with gateway.connect() as connection:
            connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
            pieces = connection.pieces(connection.head())
            assert next(pieces).startswith(b"data: ")
            call = engine.calls[-1]
            left_at = time.monotonic()
        delays.append(eventually(lambda call=call: call.gone_at, "the engine is told") - left_at)
    assert statistics.median(delays) < 0.1, delays
    assert max(delays) < 1.0, delays


@pytest.mark.parametrize("stream", [True, False])
def test_the_engine_learns_it_before_its_first_byte_too(gateway, engine, stream):
    engine.default = silent()
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=stream), key=KEY)
        call = eventually(lambda: engine.calls and engine.calls[0])
        left_at = time.monotonic()
    assert eventually(lambda: call.gone_at, "the engine is told") - left_at < 1.0
    # Nothing had been produced.
    assert gateway.tenant()["tokens"]["output"] == 0
    settled(gateway)


def test_a_stream_that_the_client_left_is_charged_by_the_tokens_counted(gateway, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        for _ in range(25):
            call.event(chunk_of(call, "x "))
        await call.gone.wait()

    engine.default = behave
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        received = b""
        for piece in connection.pieces(connection.head()):
            received += piece
            if received.count(b"data: ") == 25:
                break
    used = settled(gateway)
    tokens = gateway.tenant()["tokens"]
    assert tokens["output"] == 25
    assert used == tokens["input"] + 25
    assert gateway.tenant()["requests"]["client_left"] == 1


def test_a_client_that_resets_counts_as_one_that_left(gateway, engine):
    import socket
    import struct

    gate = engine.gate()
    engine.default = reply(gate=gate)
    connection = gateway.connect()
    connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
    next(connection.pieces(connection.head()))
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    eventually(lambda: engine.calls[0].gone_at, "the engine is told")
    settled(gateway)


def test_descriptors_and_accounts_return_after_many_ways_to_end(gateway, engine):
    admitted(gateway.chat())
    before = gateway.descriptors
    for number in range(60):
        gate = engine.gate()
        engine.script(reply(gate=gate))
        with gateway.connect() as connection:
            connection.request("POST", CHAT, chat_body(stream=number % 2 == 0), key=KEY)
            if number % 2 == 0:
                next(connection.pieces(connection.head()))
            if number % 3 == 0:
                gate.open()
    gateway.assert_at_rest()
    gateway.assert_descriptors_return(before + 4)
