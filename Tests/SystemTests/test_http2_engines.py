# SPDX-License-Identifier: Apache-2.0
"""Engines that are spoken to over HTTP/2."""

import asyncio
import time

import pytest
from checks import refused
from fake_engine import chunk_of, reply
from gateway_process import settings
from h2.errors import ErrorCodes
from h2_client import INTERNAL_ERROR, Client
from h2_engine import H2Engine
from http_client import BrokenAnswer
from hyperframe.frame import SettingsFrame
from misbehaviour import die_mid_stream, fails_with, silent
from tls_gateway import authority
from waiting import eventually


@pytest.fixture
def h2_engine():
    engine = H2Engine().start()
    yield engine
    engine.close()
    assert not engine.faults, f"an engine's script failed: {engine.faults}"


def configuration(engine, **sections):
    made = settings(engine, **sections) | {"workers": 1}
    made["pools"][0]["protocol"] = "http2"
    made["listeners"][0]["protocols"] = ["http1", "http2"]
    return made


@pytest.fixture
def gateway(start, h2_engine):
    return start(configuration(h2_engine))


@pytest.mark.parametrize("stream", [True, False])
def test_answers_are_the_same(gateway, h2_engine, stream):
    h2_engine.default = reply(5)
    answers = [gateway.chat(stream=stream) for _ in range(3)]
    assert all(answer.status == 200 for answer in answers)
    assert answers[0].body == answers[1].body and b"word" in answers[0].body
    assert h2_engine.multiplexed == 1
    call = h2_engine.calls[-1]
    assert call.pseudo[":authority"] == h2_engine.authority
    assert call.field("content-length") == str(len(call.body))
    assert call.field("via") == "1.1 penstock" and call.field("host") is None


def test_many_requests_share_a_connection(gateway, h2_engine):
    gate = h2_engine.gate()

    async def held(call):
        if await gate.passed(call):
            call.whole(200, {"choices": [], "echo": call.json["messages"][0]["content"]})

    h2_engine.default = held
    with Client(gateway.address) as client:
        streams = {client.chat(text=f"number {n}"): n for n in range(80)}
        eventually(lambda: len(h2_engine.calls) == 80)
        assert h2_engine.multiplexed == 1
        gate.open()
        for stream, number in streams.items():
            assert client.answer(stream).json["echo"] == f"number {number}"


def test_over_what_an_engine_allows_there_is_another_connection(start, h2_engine):
    h2_engine.max_streams = 2
    gateway = start(configuration(h2_engine))
    assert gateway.chat().status == 200
    h2_engine.default = silent()
    with Client(gateway.address) as client:
        for _ in range(6):
            client.chat()
        eventually(lambda: len(h2_engine.calls) == 7)
    assert h2_engine.multiplexed >= 2


def test_a_client_that_leaves_resets_its_stream_alone(gateway, h2_engine):
    h2_engine.default = silent()
    with Client(gateway.address) as client:
        left, kept = client.chat(), client.chat()
        eventually(lambda: len(h2_engine.calls) == 2)
        client.reset(left)
        eventually(lambda: sum(call.gone.is_set() for call in h2_engine.calls) == 1)
        gone = next(call for call in h2_engine.calls if call.gone.is_set())
        assert gone.reset_code == ErrorCodes.CANCEL
        assert not client.stream(kept).is_over
    eventually(lambda: all(call.gone.is_set() for call in h2_engine.calls))


def test_a_stream_that_breaks_off_is_cut(gateway, h2_engine):
    h2_engine.default = die_mid_stream(after=2)
    with Client(gateway.address) as client:
        answer = client.answer(client.chat(stream=True))
        assert answer.reset == INTERNAL_ERROR and not answer.ended and b"word" in answer.body
        h2_engine.default = reply()
        assert client.answer(client.chat()).status == 200
    assert h2_engine.multiplexed == 1


def test_errors_pass(gateway, h2_engine):
    h2_engine.default = fails_with(500, {"error": "no"})
    assert gateway.chat().status == 500


def test_what_was_refused_is_sent_again(gateway, h2_engine):
    async def refuse(call):
        call.cut(ErrorCodes.REFUSED_STREAM)

    h2_engine.script(refuse)
    assert gateway.chat().status == 200
    assert len(h2_engine.calls) == 2


def test_what_lies_behind_the_last_stream_of_a_goaway_is_sent_again(gateway, h2_engine):
    assert gateway.chat().status == 200

    async def go_away(call):
        call.go_away(call.stream - 2)

    h2_engine.script(go_away)
    assert gateway.chat().status == 200
    assert len(h2_engine.calls) == 3 and h2_engine.multiplexed == 2


def test_what_an_engine_may_have_begun_is_not_sent_again(gateway, h2_engine):
    async def die(call):
        call.close()

    h2_engine.script(die)
    assert gateway.chat().status == 502
    assert len(h2_engine.calls) == 1


def test_a_client_that_does_not_read_stops_its_stream_alone(gateway, h2_engine):
    async def endless(call):
        call.head(kind="text/event-stream")
        while not call.gone.is_set():
            call.event(chunk_of(call, "word " * 200))
            await asyncio.sleep(0)
            await call.drain()
            call.sent = getattr(call, "sent", 0) + 1

    h2_engine.default = endless
    window = {SettingsFrame.INITIAL_WINDOW_SIZE: 1_000}
    with Client(gateway.address, window, updates=False) as client:
        client.chat(stream=True)
        eventually(lambda: h2_engine.calls and getattr(h2_engine.calls[0], "sent", 0) > 20)

        def is_stopped() -> bool:
            before = h2_engine.calls[0].sent
            time.sleep(0.3)
            return h2_engine.calls[0].sent == before

        eventually(is_stopped, "the engine has to wait", within=20)
        assert h2_engine.calls[0].sent * 1_000 < 1 << 20
        h2_engine.default = reply(3)
        assert gateway.chat(stream=True).status == 200
        assert h2_engine.multiplexed == 1
    eventually(lambda: h2_engine.calls[0].gone.is_set())


def test_an_idle_connection_is_closed_and_made_again(start, h2_engine):
    gateway = start(configuration(h2_engine, upstream={"idle_timeout": "200ms"}))
    assert gateway.chat().status == 200
    eventually(lambda: h2_engine.calls[0].gone.is_set(), "the connection ends")
    assert gateway.chat().status == 200
    assert h2_engine.multiplexed == 2


# Through TLS.


@pytest.fixture
def secure_engine(authority):
    """Makes engines that agree to what is spoken (ALPN) out of `spoken`."""
    made: list[H2Engine] = []

    def make(*spoken: str) -> H2Engine:
        engine = H2Engine()
        made.append(engine)
        engine.security = authority.serving(**authority.pair("engine", "IP:127.0.0.1"))
        if spoken:
            engine.security.set_alpn_protocols(list(spoken))
        return engine.start()

    yield make
    for engine in made:
        engine.close()
        assert not engine.faults, f"an engine's script failed: {engine.faults}"


def trusting(engine, authority, **sections):
    made = configuration(engine, **sections)
    made["pools"][0]["tls"] = {"ca": str(authority.certificate)}
    return made


def test_http2_through_tls(start, secure_engine, authority):
    engine = secure_engine("h2", "http/1.1")
    gateway = start(trusting(engine, authority))
    gateway.wait_healthy(engine)
    engine.default = reply(5)
    for stream in (True, False, True):
        answer = gateway.chat(stream=stream)
        assert answer.status == 200 and b"word" in answer.body
    assert engine.multiplexed == 1
    assert engine.calls[-1].pseudo[":scheme"] == "https"
    # Both ways more than any window or record holds.
    long = "z" * 2_000_000
    engine.default = reply(text=long, tokens=1)
    answer = gateway.chat(text="y " * 3_000)
    assert answer.json["choices"][0]["message"]["content"] == long
    assert engine.multiplexed == 1


def test_many_requests_share_a_connection_through_tls(start, secure_engine, authority):
    engine = secure_engine("h2", "http/1.1")
    gateway = start(trusting(engine, authority))
    gateway.wait_healthy(engine)
    gate = engine.gate()

    async def held(call):
        if await gate.passed(call):
            call.whole(200, {"choices": [], "echo": call.json["messages"][0]["content"]})

    engine.default = held
    with Client(gateway.address) as client:
        streams = {client.chat(text=f"number {n}"): n for n in range(60)}
        eventually(lambda: len(engine.calls) == 60, "all are there")
        gate.open()
        for stream, number in streams.items():
            assert client.answer(stream).json["echo"] == f"number {number}"
    assert engine.multiplexed == 1


def test_a_stream_that_dies_through_tls_is_cut(start, secure_engine, authority):
    engine = secure_engine("h2", "http/1.1")
    gateway = start(trusting(engine, authority))
    gateway.wait_healthy(engine)
    engine.script(die_mid_stream())
    with pytest.raises(BrokenAnswer):
        gateway.chat(stream=True)
    assert gateway.chat().status == 200


@pytest.mark.parametrize("spoken", [["http/1.1"], []])
def test_an_engine_that_does_not_agree_to_http2_is_not_spoken_to(
    start, secure_engine, authority, spoken
):
    engine = secure_engine(*spoken)
    gateway = start(trusting(engine, authority))
    gateway.wait_healthy(engine)
    refused(gateway.chat(), 503, "no_healthy_endpoint")
    assert engine.multiplexed == 0 and not engine.calls


def test_an_engine_that_nobody_vouches_for_is_not_spoken_to(
    start, secure_engine, authority
):
    engine = secure_engine("h2", "http/1.1")
    made = trusting(engine, authority)
    del made["pools"][0]["tls"]
    gateway = start(made)
    gateway.wait_healthy(engine, healthy=False)
    refused(gateway.chat(), 503, "no_healthy_endpoint")
    assert not engine.calls
