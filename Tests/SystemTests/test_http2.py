# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 in clear: the same answers as over HTTP/1.1, many at once."""

import json
import socket

import pytest
from fake_engine import MODEL, reply
from gateway_process import chat_body, settings
from h2_client import (
    INTERNAL_ERROR,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    Client,
    request_fields,
)
from hyperframe.frame import SettingsFrame, WindowUpdateFrame
from misbehaviour import die_mid_stream, fails_with, silent
from waiting import eventually

BOTH = ["http1", "http2"]


def configuration(engine, **sections):
    made = settings(engine, **sections)
    made["listeners"][0]["protocols"] = BOTH
    return made


@pytest.fixture
def gateway(start, engine):
    return start(configuration(engine))


@pytest.fixture
def client(gateway):
    with Client(gateway.address) as client:
        yield client.greeted()


# Answers.


@pytest.mark.parametrize("stream", [True, False])
def test_answers_are_those_of_http1(gateway, engine, client, stream):
    engine.default = reply(3)
    answer = client.answer(client.chat(stream=stream))
    engine.default = reply(3)
    other = gateway.chat(stream=stream)
    assert answer.status == other.status == 200
    assert len(answer.body) == len(other.body) and b"word" in answer.body
    mine = set(answer.fields) - {":status"}
    theirs = {name for name, _ in other.fields.list} - {"transfer-encoding"}
    assert mine == theirs
    assert answer.reset is None
    for name in ("content-type", "x-penstock-decision"):
        assert answer.fields[name] == other.fields[name]


def test_refusals_carry_the_same_body_and_fields(gateway, client):
    stream = client.headers(request_fields(path="/v1/nothing"), end=True)
    answer, other = client.answer(stream), gateway.get("/v1/nothing")
    assert answer.status == other.status == 404
    assert answer.json == other.json and answer.fields["x-penstock-decision"] == "not_found"
    wrong = [(k, v) for k, v in request_fields() if k != "authorization"]
    refused = client.answer(client.headers([*wrong, ("x-api-key", "sk-wrong")], end=True))
    assert refused.status == 401 and refused.json["error"]["code"] == "invalid_api_key"
    assert refused.fields["www-authenticate"] == "Bearer"


def test_a_refusal_says_when_to_come_back(start, engine):
    gateway = start(configuration(engine, limits={"requests_per_minute": 1}))
    with Client(gateway.address) as client:
        assert client.answer(client.chat()).status == 200
        answer = client.answer(client.chat())
    assert answer.status == 429 and int(answer.fields["retry-after"]) >= 1
    assert answer.json["error"]["code"] == "requests_per_minute_exceeded"
    assert int(answer.fields["retry-after-ms"]) > 0


def test_lists_of_models_and_head(gateway, client):
    listed = client.answer(client.headers(request_fields("GET", "/v1/models"), end=True))
    assert [model["id"] for model in listed.json["data"]] == [MODEL]
    head = client.answer(client.headers(request_fields("HEAD", "/v1/models"), end=True))
    assert head.body == b"" and head.ended and int(head.fields["content-length"]) > 0


def test_a_hundred_streams_are_answered_side_by_side(gateway, engine, client):
    gate = engine.gate()

    async def held(call):
        if await gate.passed(call):
            call.whole(200, {"choices": [], "echo": call.json["messages"][0]["content"]})

    engine.default = held
    streams = {client.chat(text=f"number {n}"): n for n in range(100)}
    eventually(lambda: len(engine.calls) == 100, "all hundred are at the engine")
    gate.open()
    for stream, number in streams.items():
        assert client.answer(stream).json["echo"] == f"number {number}"


def test_one_stream_too_many_is_refused(start, engine):
    gateway = start(configuration(engine, http2={"max_concurrent_streams": 2}))
    engine.default = silent()
    with Client(gateway.address) as client:
        client.greeted().ping()
        assert client.peer_settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == 2
        client.chat(), client.chat(), client.chat()
        assert client.ended_with() in (REFUSED_STREAM, PROTOCOL_ERROR)


# Bodies.


def test_a_body_in_many_frames_and_beyond_the_window(gateway, engine, client):
    text = "word " * 100_000
    stream = client.chat(text=text, max_tokens=1)
    answer = client.answer(stream)
    assert answer.status in (200, 400), answer
    assert any(isinstance(frame, WindowUpdateFrame) for frame in client.frames)


def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(start, engine):
    gateway = start(configuration(engine, http={"max_body": "64KiB"}))
    with Client(gateway.address) as client:
        announced = client.headers(
            request_fields("POST", "/v1/chat/completions", ("content-length", "70000"))
        )
        answer = client.answer(announced)
        assert answer.status == 413 and answer.json["error"]["code"] == "request_too_large"
        assert answer.ended and answer.reset in (None, NO_ERROR)
        grown = client.headers(request_fields())
        for _ in range(5):
            client.data(grown, b"x" * 16_000)
        assert client.answer(grown).status == 413
        assert client.answer(client.chat()).status == 200


def test_an_invitation_comes_before_the_body(gateway, client):
    stream = client.headers(
        request_fields("POST", "/v1/chat/completions", ("expect", "100-continue"))
    )
    client.wait(lambda: client.stream(stream).heads)
    assert client.stream(stream).heads == [[(":status", "100")]]
    client.data(stream, json.dumps(chat_body()).encode(), end=True)
    assert client.answer(stream).status == 200


def test_a_body_that_never_comes_is_given_up(start, engine):
    gateway = start(configuration(engine, http={"body_timeout": "200ms"}))
    with Client(gateway.address) as client:
        slow = client.headers(request_fields())
        answer = client.answer(slow)
        assert answer.status == 408
        assert client.answer(client.chat()).status == 200


# What an engine sees.


def test_what_goes_down_is_plain_http1(gateway, engine, client):
    stream = client.headers(
        request_fields(
            "POST",
            "/v1/chat/completions",
            ("cookie", "a=1"),
            ("x-custom", "kept"),
            ("te", "trailers"),
            ("cookie", "b=2"),
            ("x_under", "dropped"),
        )
    )
    client.data(stream, json.dumps(chat_body()).encode(), end=True)
    assert client.answer(stream).status == 200
    call = engine.calls[-1]
    names = [name for name, _ in call.fields]
    assert call.field("host") == engine.authority
    assert call.field("x-custom") == "kept"
    assert call.field("content-length") == str(len(call.body)) and len(call.body) > 0
    assert not {"te", "x_under", "authorization", "transfer-encoding"} & set(names)
    assert not any(name.startswith(":") for name in names)


def test_trailers_come_after_the_answer(gateway, engine, client):
    async def with_trailers(call):
        call.head(kind="application/json")
        call.piece(b'{"choices": []}')
        call.raw(b"0\r\nX-Sum: 42\r\n\r\n")

    engine.default = with_trailers
    answer = client.answer(client.chat())
    assert answer.ended and answer.trailers == [("x-sum", "42")]


def test_a_clients_trailers_are_read_and_dropped(gateway, engine, client):
    stream = client.headers(request_fields())
    client.data(stream, json.dumps(chat_body()).encode())
    client.headers([("x-checksum", "1")], end=True, stream=stream)
    assert client.answer(stream).status == 200
    assert engine.calls[-1].field("x-checksum") is None


# Ends.


def test_a_cut_stream_is_reset_and_never_ended(gateway, engine, client):
    engine.default = die_mid_stream(after=2)
    answer = client.answer(client.chat(stream=True))
    assert answer.status == 200 and b"word" in answer.body
    assert answer.reset == INTERNAL_ERROR and not answer.ended
    assert b"[DONE]" not in answer.body
    engine.default = reply()
    assert client.answer(client.chat()).status == 200


def test_an_engines_failure_before_a_byte_is_an_answer(gateway, engine, client):
    engine.default = fails_with(500, {"error": "no"})
    answer = client.answer(client.chat())
    assert answer.status == 500 and answer.ended


def test_a_reset_by_the_client_cancels_the_engine_at_once(gateway, engine, client):
    engine.default = silent()
    kept, left = client.chat(), client.chat()
    eventually(lambda: len(engine.calls) == 2)
    client.reset(left)
    eventually(lambda: sum(call.gone.is_set() for call in engine.calls) == 1, "one was left")
    assert not client.stream(kept).is_over
    client.reset(kept)
    eventually(lambda: all(call.gone.is_set() for call in engine.calls))


def test_a_closed_connection_cancels_all_its_engines(gateway, engine):
    engine.default = silent()
    client = Client(gateway.address)
    for _ in range(10):
        client.chat()
    eventually(lambda: len(engine.calls) == 10)
    client.close()
    eventually(lambda: all(call.gone.is_set() for call in engine.calls))


# Doors.


def test_the_preface_may_come_in_pieces(gateway):
    with Client(gateway.address, preface=False) as client:
        for byte in PREFACE:
            client.raw(bytes([byte]))
        client.send(SettingsFrame(0, settings={}))
        assert client.answer(client.chat()).status == 200


def test_a_door_without_http2_refuses_the_preface(start, engine):
    gateway = start(settings(engine))
    with socket.create_connection(gateway.address) as plain:
        plain.sendall(PREFACE)
        assert plain.recv(100).startswith(b"HTTP/1.1 505 ")


def test_a_door_of_http2_alone_speaks_nothing_else(start, engine):
    made = configuration(engine)
    made["listeners"][0]["protocols"] = ["http2"]
    gateway = start(made)
    with Client(gateway.address) as client:
        assert client.answer(client.chat()).status == 200
    with socket.create_connection(gateway.address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        plain.settimeout(10)
        received = b""
        while data := plain.recv(1000):
            received += data
        assert not received.startswith(b"HTTP/")


def test_an_idle_connection_ends_with_goaway(start, engine):
    gateway = start(configuration(engine, http={"idle_timeout": "200ms"}))
    with Client(gateway.address) as client:
        assert client.answer(client.chat()).status == 200
        assert client.ended_with() == NO_ERROR


def test_settlement_is_that_of_http1(start, engine):
    gateway = start(configuration(engine, limits={"tokens_per_day": 100_000}))
    client = Client(gateway.address)
    engine.default = reply(5, prompt=9)
    gateway.chat(stream=True)
    eventually(lambda: gateway.used("tokens_per_day") == 14)
    assert client.answer(client.chat(stream=True)).status == 200
    eventually(lambda: gateway.used("tokens_per_day") == 28, "it was charged")
