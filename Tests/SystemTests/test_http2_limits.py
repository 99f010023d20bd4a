# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 clients that ask too much, read too slowly or are in the way of an end."""

import asyncio
import signal
import time

import pytest
from core_waits import Stopwatch
from fake_engine import chunk_of, reply
from gateway_process import settings
from h2_client import (
    CANCEL,
    ENHANCE_YOUR_CALM,
    NO_ERROR,
    Client,
    frame_bytes,
    request_fields,
)
from hyperframe.frame import SettingsFrame, WindowUpdateFrame
from misbehaviour import silent
from waiting import eventually

WINDOW = SettingsFrame.INITIAL_WINDOW_SIZE


@pytest.fixture
def configured(engine):
    def make(**sections):
        made = settings(engine, **sections)
        made["listeners"][0]["protocols"] = ["http1", "http2"]
        return made

    return make


# Floods. Each is a way to make the gateway work for nothing; the n-th of many frames.


def rapid_reset(client: Client, _: int) -> bytes:
    stream = client.next_stream()
    block = client.block(request_fields())
    return frame_bytes(1, 5, stream, block) + frame_bytes(3, 0, stream, CANCEL.to_bytes(4))


def made_to_reset(client: Client, _: int) -> bytes:
    """The gateway itself has to reset each: its window is made too large."""
    stream = client.next_stream()
    block = client.block(request_fields())
    return frame_bytes(1, 4, stream, block) + frame_bytes(8, 0, stream, b"\x7f\xff\xff\xff")


def priority(client: Client, number: int) -> bytes:
    return frame_bytes(2, 0, number * 2 + 1, b"\0\0\0\0\1")


FLOODS = {
    "rapid reset": rapid_reset,
    "made to reset": made_to_reset,
    "ping": lambda client, n: frame_bytes(6, 0, 0, n.to_bytes(8)),
    "settings": lambda client, n: frame_bytes(4, 0, 0, b""),
    "priority": priority,
    "unknown frames": lambda client, n: frame_bytes(222, 0, 0, b"x" * 8),
    "window updates": lambda client, n: frame_bytes(8, 0, 0, b"\0\0\0\1"),
    "empty data": lambda client, n: frame_bytes(0, 0, 1, b""),
    "continuations": lambda client, n: frame_bytes(1 if n == 0 else 9, 0, 1, b""),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_its_connection_and_nobody_elses(start, engine, configured, name):
    gateway = start(configured())
    engine.default = silent()
    with Client(gateway.address) as good, Client(gateway.address) as bad:
        held = good.chat(stream=True)
        eventually(lambda: engine.calls, "one is at work")
        bad.greeted()
        if name == "empty data":
            bad.headers(request_fields())
        memory = gateway.resident_bytes
        for batch in range(200):
            if bad.closed or bad.goaways:
                break
            bad.raw(b"".join(FLOODS[name](bad, batch * 20 + n) for n in range(20)))
            bad.pump(0.001)
        assert bad.ended_with() == ENHANCE_YOUR_CALM
        assert gateway.resident_bytes - memory < 8 << 20
        assert not good.stream(held).is_over
        good.reset(held)
        engine.default = reply()
        assert good.answer(good.chat()).status == 200
        # What was asked for and given up reached engines at most for as long as it lived.
        eventually(lambda: all(call.gone.is_set() for call in engine.calls[:-1]))
    assert len(engine.calls) < 220


def test_a_bomb_of_indices_costs_nothing(start, engine, configured):
    gateway = start(configured())
    with Client(gateway.address) as client:
        client.greeted()
        memory = gateway.resident_bytes
        block = client.block([*request_fields(), ("bomb", "x" * 3_900)])
        client.frame(1, 0, 1, block)
        for _ in range(16):
            client.frame(9, 0, 1, b"\xbe" * 16_000)
        assert client.ended_with() == ENHANCE_YOUR_CALM
        assert gateway.resident_bytes - memory < 4 << 20


def test_a_head_over_the_limit_is_answered(start, configured):
    gateway = start(configured())
    with Client(gateway.address) as client:
        large = [*request_fields(), *((f"x-{n}", "y" * 1_000) for n in range(40))]
        answer = client.answer(client.headers(large, end=True))
        assert answer.status == 431 and answer.json["error"]["code"] == "header_too_large"
        many = [*request_fields(), *((f"x-{n}", "y") for n in range(130))]
        assert client.answer(client.headers(many, end=True)).status == 431
        long = request_fields("GET", "/" + "x" * 9_000)
        assert client.answer(client.headers(long, end=True)).status == 414
        assert client.answer(client.chat()).status == 200


def test_a_head_without_an_end_is_given_up(start, configured):
    gateway = start(configured(http={"head_timeout": "200ms"}))
    with Client(gateway.address) as client:
        client.greeted()
        client.frame(1, 0, 1, client.block(request_fields()))
        assert client.ended_with() == ENHANCE_YOUR_CALM
    with Client(gateway.address, preface=False) as client:
        client.raw(b"PRI * HTTP/2.0\r\n")
        client.wait(lambda: client.closed)


# Slow readers.


PIECE = "word " * 2_000


async def endless(call):
    call.head(kind="text/event-stream")
    while not call.gone.is_set():
        call.event(chunk_of(call, PIECE))
        await asyncio.sleep(0)
        await call.drain()
        call.sent = getattr(call, "sent", 0) + 1


def test_a_stream_that_is_not_read_stops_its_engine_and_no_other(start, engine, configured):
    gateway = start(configured())
    with Client(gateway.address, {WINDOW: 1_000}, updates=False) as client:
        client.greeted()
        client.send(WindowUpdateFrame(0, window_increment=1 << 24))
        engine.default = endless
        stalled = client.chat(stream=True)
        eventually(lambda: engine.calls and getattr(engine.calls[0], "sent", 0) > 10)

        def is_stopped() -> bool:
            before = engine.calls[0].sent
            time.sleep(0.3)
            return engine.calls[0].sent == before

        eventually(is_stopped, "the engine has to wait", within=20)
        assert engine.calls[0].sent * len(PIECE) < 8 << 20
        engine.default = reply(3)
        other = client.chat(stream=True)
        client.send(WindowUpdateFrame(other, window_increment=1 << 20))
        assert client.answer(other).body.endswith(b"data: [DONE]\n\n")
        before = engine.calls[0].sent
        client.send(WindowUpdateFrame(stalled, window_increment=1 << 24))
        eventually(lambda: client.pump() and engine.calls[0].sent > before, "it goes on")
        client.reset(stalled)
        eventually(lambda: engine.calls[0].gone.is_set())


def test_stalled_streams_are_bounded_in_memory(start, engine, configured):
    gateway = start(configured(workers=1))
    engine.pressure.blocks = 10_000_000
    engine.default = endless
    clients = [Client(gateway.address, {WINDOW: 0}, updates=False) for _ in range(5)]
    memory = gateway.resident_bytes
    for client in clients:
        for _ in range(20):
            client.chat(stream=True)
    eventually(lambda: len(engine.calls) == 100, "all are at the engine", within=60)

    def is_still() -> bool:
        before = sum(getattr(call, "sent", 0) for call in engine.calls)
        time.sleep(0.5)
        return sum(getattr(call, "sent", 0) for call in engine.calls) == before

    eventually(is_still, "all have to wait", within=60)
    grown = gateway.resident_bytes - memory
    print(f"a stalled stream: {grown / 100:.0f} bytes")
    assert grown < 100 * 131_072, grown
    for client in clients:
        client.close()
    eventually(lambda: all(call.gone.is_set() for call in engine.calls), within=30)


def test_a_stream_of_which_nothing_is_taken_is_given_up(start, engine, configured):
    gateway = start(configured(http={"write_timeout": "500ms"}))
    engine.default = endless
    with Client(gateway.address, {WINDOW: 0}, updates=False) as client:
        stream = client.chat(stream=True)
        assert client.answer(stream).reset == CANCEL
        eventually(lambda: engine.calls[0].gone.is_set())
        assert not client.goaways


# The end.


def test_a_drain_has_two_steps_and_serves_what_was_on_its_way(start, engine, configured):
    gateway = start(configured())
    gate = engine.gate()
    engine.default = reply(3, gate=gate)
    with Client(gateway.address) as client, Client(gateway.address) as idle:
        client.acknowledges = False
        open_before = client.chat(stream=True)
        idle.greeted().ping()
        eventually(lambda: engine.calls)
        gateway.signal(signal.SIGTERM)
        client.wait(lambda: client.goaways)
        assert client.goaways[0].last_stream_id == 2**31 - 1
        assert client.goaways[0].error_code == NO_ERROR
        on_its_way = client.chat(stream=True)
        client.wait(lambda: len(client.goaways) > 1)
        assert client.goaways[-1].last_stream_id == on_its_way
        too_late = client.chat(stream=True)
        gate.open()
        for stream in (open_before, on_its_way):
            answer = client.answer(stream)
            assert answer.ended and answer.body.endswith(b"data: [DONE]\n\n")
        assert not client.stream(too_late).heads
        assert client.ended_with() == NO_ERROR
        assert idle.ended_with(2.5) == NO_ERROR
    assert gateway.wait() == 0


def test_idle_connections_end_at_once_with_the_gateway(start, configured):
    gateway = start(configured())
    with Client(gateway.address) as client:
        assert client.answer(client.chat()).status == 200
        began = Stopwatch()
        gateway.signal(signal.SIGTERM)
        assert client.ended_with() == NO_ERROR
        assert gateway.wait() == 0
        assert began.seconds < 2


def test_what_outlives_the_drain_is_cut(start, engine, configured):
    gateway = start(configured(http={"drain_timeout": "300ms"}))
    engine.default = silent()
    with Client(gateway.address) as client:
        stream = client.chat(stream=True)
        eventually(lambda: engine.calls)
        gateway.signal(signal.SIGTERM)
        client.wait(lambda: client.closed)
        assert not client.stream(stream).ended
    assert gateway.wait() == 0


def test_memory_and_descriptors_return_after_many_connections(start, engine, configured):
    gateway = start(configured(workers=1))

    def visit() -> None:
        for _ in range(100):
            with Client(gateway.address) as client:
                client.chat(stream=True)
                client.chat()
                client.pump(0.005)

    visit()
    eventually(lambda: gateway.descriptors < 60)
    descriptors, memory = gateway.descriptors, gateway.resident_bytes
    for _ in range(3):
        visit()
    gateway.assert_at_rest()
    gateway.assert_descriptors_return(descriptors + 8)
    assert gateway.resident_bytes - memory < 8 << 20


def test_an_idle_connection_costs_little(start, configured):
    gateway = start(configured(workers=1))
    clients = [Client(gateway.address).greeted() for _ in range(20)]
    memory = gateway.resident_bytes
    clients += [Client(gateway.address).greeted() for _ in range(300)]
    each = (gateway.resident_bytes - memory) / 300
    print(f"an idle HTTP/2 connection: {each:.0f} bytes")
    assert each < 32_768
    for client in clients:
        client.close()
