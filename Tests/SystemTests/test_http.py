# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 with clients: framing, pipelining, backpressure, many at once."""

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import admitted, refused
from core_waits import Stopwatch
from fake_engine import chunk_of, reply, usage_of
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer, request_bytes
from misbehaviour import silent
from waiting import eventually

CHAT = "/v1/chat/completions"
MIB = 1 << 20


@pytest.fixture
def gateway(start, engine):
    return start(settings(engine))


def chat_request(fields: dict | None = None, **members: object) -> bytes:
    return request_bytes("x", "POST", CHAT, chat_body(**members), fields, KEY)


# Requests.


def test_a_connection_is_kept_for_many_requests(gateway):
    with gateway.connect() as connection:
        for number in range(20):
            admitted(connection.exchange("POST", CHAT, chat_body(stream=number % 2 == 0), key=KEY))
        assert connection.exchange("GET", "/v1/models", key=KEY).status == 200


def test_pipelined_requests_are_answered_in_their_order(gateway, engine):
    engine.default = reply(usage=None)
    batch = b"".join(
        chat_request({"X-Request-Id": f"n-{number}"}, stream=number % 3 == 0)
        for number in range(12)
    )
    with gateway.connect() as connection:
        connection.send(batch)
        for number in range(12):
            answer = admitted(connection.answer())
            assert answer.fields["x-request-id"] == f"n-{number}"
    assert [call.field("x-request-id") for call in engine.calls] == [f"n-{n}" for n in range(12)]


def test_good_and_bad_requests_may_stand_in_one_pipeline(gateway):
    batch = (
        chat_request()
        + request_bytes("x", "POST", CHAT, b"{", key=KEY)
        + request_bytes("x", "POST", CHAT, chat_body(), key="sk-wrong")
        + request_bytes("x", "GET", "/nonesuch")
        + request_bytes("x", "GET", "/v1/models", key=KEY)
        + chat_request(stream=True)
    )
    with gateway.connect() as connection:
        connection.send(batch)
        assert [connection.answer().status for _ in range(6)] == [200, 400, 401, 404, 200, 200]


def test_a_pipeline_goes_on_behind_a_request_that_was_refused_later(start, engine):
    timeouts = {"timeouts": {"first_token": "200ms"}}
    gateway = start(settings(engine, interactive=timeouts))
    engine.script(silent())
    with gateway.connect() as connection:
        connection.send(chat_request() + chat_request())
        refused(connection.answer(), 504, "deadline_exceeded")
        started = Stopwatch()
        admitted(connection.answer())
        assert started.seconds < 2


def test_a_connection_that_is_to_close_does_so_behind_a_late_refusal(start, engine):
    timeouts = {"timeouts": {"first_token": "200ms"}}
    gateway = start(settings(engine, interactive=timeouts))
    engine.script(silent())
    with gateway.connect() as connection:
        connection.send(chat_request({"Connection": "close"}))
        refused(connection.answer(), 504, "deadline_exceeded")
        assert connection.is_closed(within=2.0)


def test_a_request_may_come_byte_by_byte(gateway):
    with gateway.connect() as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in chat_request():
            connection.send(bytes([byte]))
        admitted(connection.answer())


def test_a_chunked_body_reaches_the_engine_whole_and_with_its_length(gateway, engine):
    body = json.dumps(chat_body("word " * 6_000)).encode()
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Transfer-Encoding": "chunked"}, KEY)
        for start in range(0, len(body), 7_001):
            piece = body[start : start + 7_001]
            connection.send(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece))
        connection.send(b"0\r\nX-Trailer: dropped\r\n\r\n")
        admitted(connection.answer())
        admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))
    assert engine.calls[0].body == body
    assert engine.calls[0].field("content-length") == str(len(body))
    assert engine.calls[0].field("x-trailer") is None


def test_a_client_that_expects_100_is_invited_and_one_that_is_refused_is_not(gateway):
    body = json.dumps(chat_body()).encode()
    fields = {"Expect": "100-continue", "Content-Length": str(len(body))}
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, fields, KEY)
        assert connection.head().status == 100
        connection.send(body)
        admitted(connection.answer())
        # Again on the same connection, this time refused before the body.
        connection.request("POST", CHAT, None, fields, "sk-wrong")
        answer = connection.head()
        assert answer.status == 401
        assert b"".join(connection.pieces(answer))
        # What follows cannot be told from the body that was not invited.
        assert answer.fields["connection"] == "close"
        assert connection.is_closed()


def test_the_absolute_form_and_other_spellings_of_the_target_are_understood(gateway):
    with gateway.connect() as connection:
        assert connection.exchange("GET", "http://any/v1/models", key=KEY).status == 200
        assert connection.exchange("GET", "/v1/models?x=/y", key=KEY).status == 200
        assert connection.exchange("GET", "/v1/%6dodels", key=KEY).status == 200


def test_trailers_and_framing_of_the_engine_are_made_the_clients(gateway, engine):
    async def behave(call):
        call.head(kind="application/json")
        for piece in (b'{"choices"', b": []", b"}"):
            call.piece(piece)
        call.raw(b"0\r\nX-Checksum: 5\r\n\r\n")

    engine.script(behave)
    with gateway.connect() as connection:
        answer = admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))
        assert answer.json == {"choices": []}
        admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))


def test_http_1_0_gets_a_body_that_ends_with_the_connection(gateway):
    body = json.dumps(chat_body(stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    with gateway.connect() as connection:
        connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = admitted(connection.answer())
        assert "transfer-encoding" not in answer.fields
        assert answer.events[-1] == "[DONE]"


def test_an_http_1_0_stream_that_breaks_off_ends_in_a_reset(gateway, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        await asyncio.sleep(0.2)
        call.close()

    engine.script(behave)
    body = json.dumps(chat_body(stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    with gateway.connect() as connection:
        connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        # Nothing else could tell the client that this was not the end.
        with pytest.raises(ConnectionResetError):
            connection.answer()


def test_idle_connections_are_closed(start, engine):
    gateway = start(settings(engine, http={"idle_timeout": "300ms"}))
    with gateway.connect() as connection:
        admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))
        started = Stopwatch()
        assert connection.is_closed()
        assert 0.2 < started.passed and started.seconds < 3


# Answers.


def test_events_are_not_held_back(gateway, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        for _ in range(20):
            await asyncio.sleep(0.01)
            call.event({**chunk_of(call, "x"), "sent": time.monotonic()})
        call.event("[DONE]")
        call.end()

    engine.script(behave)
    delays = []
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        for piece in connection.pieces(connection.head()):
            now = time.monotonic()
            if b'"sent"' in piece:
                delays.append(now - json.loads(piece.split(b"data: ")[1])["sent"])
    assert len(delays) == 20
    assert sorted(delays)[10] < 0.02, delays


def flood(count: int, size: int = 16_384):
    """A stream of `count` large events, as fast as the connection takes them."""

    async def behave(call):
        call.head(kind="text/event-stream")
        text = "x" * size
        for number in range(count):
            call.event(chunk_of(call, text))
            call.connection.sent = number + 1
            await call.drain()
            if call.gone.is_set():
                return
        call.event("[DONE]")
        call.end()

    return behave


def test_a_slow_reader_stops_its_own_engine_and_nobody_elses(start, engine):
    gateway = start(settings(engine, workers=1, http={"write_timeout": "60s"}))
    admitted(gateway.chat())
    before = gateway.resident_bytes
    total = 2_000
    engine.script(flood(total))
    with gateway.connect(receive_buffer=4096) as slow:
        slow.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = slow.head()
        call = engine.calls[-1]

        def stalled() -> bool:
            sent = getattr(call.connection, "sent", 0)
            time.sleep(0.2)
            return 0 < sent == call.connection.sent

        eventually(stalled, "the engine stops", within=20)
        # Of 32 MB at most kernel buffers and the gateway's own 64 KiB are under way.
        assert call.connection.sent * 16_384 < 8 * MIB
        assert gateway.resident_bytes - before < 4 * MIB
        # Another stream on the same thread stays fast.
        started = Stopwatch()
        for _ in range(10):
            admitted(gateway.chat(stream=True))
        assert started.seconds < 2
        # And the slow one loses nothing once it reads.
        events = sum(piece.count(b'"content"') for piece in slow.pieces(head))
        assert events == total


def test_a_client_that_never_reads_is_cut_off_and_its_engine_freed(start, engine):
    gateway = start(settings(engine, http={"write_timeout": "500ms"}))
    engine.script(flood(4_000))
    with gateway.connect(receive_buffer=4096) as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        eventually(lambda: engine.calls and engine.calls[0].gone_at, "the engine is freed")
        gateway.assert_at_rest()


def test_an_engine_that_dies_while_its_client_is_slow_is_noticed_at_the_end(start, engine):
    gateway = start(settings(engine))

    async def behave(call):
        call.head(kind="text/event-stream")
        for _ in range(300):
            call.event(chunk_of(call, "x" * 16_384))
            await call.drain()
        call.close()

    engine.script(behave)
    with gateway.connect(receive_buffer=4096) as slow:
        slow.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = slow.head()
        time.sleep(0.3)
        events = 0
        with pytest.raises(BrokenAnswer):
            for piece in slow.pieces(head):
                events += piece.count(b'"content"')
        assert events == 300
    gateway.assert_at_rest()


# Many at once.


def test_five_hundred_streams_at_once(start, engine):
    gateway = start(settings(engine, upstream={"scrape_interval": "1s", "scrape_timeout": "10s"}))
    admitted(gateway.chat())
    descriptors = gateway.descriptors
    gate = engine.gate()
    engine.default = reply(tokens=5, gate=gate, usage=usage_of(7, 5))

    async def one(host: str, port: int) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(chat_request(stream=True))
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            data = await reader.read(65536)
            assert data, "the stream broke off"
            received += data
        writer.close()
        return received

    async def all_of_them() -> list[bytes]:
        streams = [asyncio.ensure_future(one(*gateway.address)) for _ in range(500)]
        while len(engine.calls) < 501:
            await asyncio.sleep(0.01)
        gate.open()
        return await asyncio.gather(*streams)

    started = Stopwatch()
    answers = asyncio.run(all_of_them())
    assert started.seconds < 30
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b'"content"') == 5 and b"data: [DONE]" in answer
    gateway.assert_at_rest()
    assert gateway.tenant()["tokens"] == {"input": 501 * 7, "output": 500 * 5 + 4}
    eventually(lambda: len(engine.connections) <= 500 + 8)
    # Kept connections to the engine go with their idle time.
    gateway.assert_descriptors_return(descriptors + 8, within=15)


def test_answers_never_mix(start, engine):
    # The engine dies often here; that must not take it out of the rotation.
    gateway = start(settings(engine, upstream={"unhealthy_after": 100}))

    async def echo(call):
        text = call.json["messages"][0]["content"]
        if call.json.get("stream"):
            call.head(kind="text/event-stream")
            for _ in range(3):
                call.event(chunk_of(call, text))
                await asyncio.sleep(0)
            if text.endswith("7"):
                call.close()
                return
            call.event("[DONE]")
            call.end()
        else:
            call.whole(200, {"choices": [{"message": {"content": text}}]})

    engine.default = echo

    def client(name: int) -> int:
        right = 0
        with gateway.connect() as connection:
            for number in range(40):
                text = f"client-{name}-{number}"
                stream = number % 2 == 1
                connection.request("POST", CHAT, chat_body(text, stream=stream), key=KEY)
                try:
                    answer = connection.answer()
                except BrokenAnswer:
                    assert stream and text.endswith("7")
                    connection.close()
                    connection.__init__(gateway.address)
                    continue
                admitted(answer)
                found = [c["choices"][0] for c in (answer.chunks if stream else [answer.json])]
                texts = {(c.get("delta") or c.get("message"))["content"] for c in found}
                assert texts == {text}
                right += 1
        return right

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(client, range(8))) == 8 * 36
