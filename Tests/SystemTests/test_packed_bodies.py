# SPDX-License-Identifier: Apache-2.0
"""Bodies that come packed: unpacked for engines, within bounds, and by gzip alone."""

import gzip
import json
import threading
import time
import zlib

import pytest
from gateway_process import KEY, chat_body, settings
from h2_client import Client, request_fields

PATH = "/v1/chat/completions"
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def gateway(start, engine):
    configuration = settings(engine, workers=1)
    configuration["listeners"][0]["protocols"] = ["http1", "http2"]
    gateway = start(configuration)
    gateway.wait_healthy(engine)
    return gateway


def body(text: str = "Say hello.") -> bytes:
    return json.dumps(chat_body(text)).encode()


PACKED = gzip.compress(body(), mtime=0)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip"])
def test_an_engine_gets_the_body_itself(gateway, engine, coding):
    sent = body("Say hello, and say it again. " * 50)
    packed = gzip.compress(sent)
    assert gateway.post(PATH, packed, fields={"Content-Encoding": coding}).status == 200
    call = engine.calls[-1]
    assert call.body == sent
    assert call.field("content-encoding") is None
    assert call.field("content-length") == str(len(sent))


def test_members_in_a_row_are_one_body(gateway, engine):
    sent = body()
    packed = gzip.compress(sent[:10]) + gzip.compress(b"") + gzip.compress(sent[10:])
    assert gateway.post(PATH, packed, fields=GZIP).status == 200
    assert engine.calls[-1].body == sent


def test_a_body_may_be_long_and_edited(gateway, engine):
    """More than one piece, and the model's alias is replaced in what was unpacked."""
    words = " ".join(f"{number:x}" for number in range(3_000))
    sent = json.dumps(chat_body(words) | {"model": "alias", "max_tokens": 5}).encode()
    assert gateway.post(PATH, gzip.compress(sent), fields=GZIP).status == 200
    assert engine.calls[-1].json["messages"][0]["content"] == words
    assert engine.calls[-1].json["model"] != "alias"


def test_chunks_and_what_follows(gateway, engine):
    """A chunked packed body, and a plain request pipelined behind it."""
    packed, plain = gzip.compress(body()), body("Another.")
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(packed[at : at + 7]), packed[at : at + 7])
        for at in range(0, len(packed), 7)
    )
    with gateway.connect() as connection:
        connection.send(
            head.encode() + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            + chunks + b"0\r\n\r\n"
            + head.encode() + b"Content-Length: %d\r\n\r\n" % len(plain) + plain
        )
        assert [connection.answer().status for _ in range(2)] == [200, 200]
    assert [call.body for call in engine.calls] == [body(), plain]


def test_http2_is_the_same(gateway, engine):
    sent = body()
    packed = gzip.compress(sent)
    with Client(gateway.address) as client:
        fields = request_fields("POST", PATH, ("content-encoding", "gzip"))
        stream = client.headers(fields)
        client.data(stream, packed, end=True)
        assert client.answer(stream).status == 200
        other = client.headers(request_fields("POST", PATH, ("content-encoding", "br")))
        client.data(other, b"x", end=True)
        assert client.answer(other).status == 415
    assert [call.body for call in engine.calls] == [sent]


@pytest.mark.parametrize(
    "coding", ["br", "zstd", "deflate", "gzip, gzip", "gzip,identity", "", "7z"]
)
def test_other_ways_are_refused(gateway, engine, coding):
    answer = gateway.post(PATH, gzip.compress(body()), fields={"Content-Encoding": coding})
    assert answer.status == 415
    assert answer.error["code"] == "unsupported_content_encoding"
    assert answer.fields["accept-encoding"] == "gzip"
    assert not engine.calls


def test_identity_is_no_packing(gateway, engine):
    assert gateway.post(PATH, body(), fields={"Content-Encoding": "identity"}).status == 200
    assert engine.calls[-1].body == body()


@pytest.mark.parametrize(
    "packed",
    [
        body(),
        PACKED[:-1],
        PACKED[:-9],
        PACKED + b"{}",
        PACKED[:-8] + b"\0" * 8,
        zlib.compress(body()),
        b"",
        b"\x1f\x8b",
    ],
    ids=["plain", "short", "without its end", "more", "checksum", "zlib", "empty", "begun"],
)
def test_what_is_damaged_is_refused(gateway, engine, packed):
    answer = gateway.post(PATH, packed, fields=GZIP)
    assert answer.status == 400
    assert answer.error["code"] == "invalid_content_encoding"
    assert "gzip" in answer.error["message"]
    assert not engine.calls


def test_a_bomb_is_refused(gateway, engine):
    memory = gateway.resident_bytes
    # 64 MiB in 64 KiB.
    packed = gzip.compress(b'{"model":"' + b"a" * (64 << 20) + b'"}', 9)
    for _ in range(20):
        answer = gateway.post(PATH, packed, fields=GZIP)
        assert (answer.status, answer.error["code"]) == (413, "request_too_dense")
    assert gateway.resident_bytes - memory < 8 << 20
    assert not engine.calls


def test_the_limit_is_of_what_is_unpacked(start, engine):
    http = {"max_body": "64KiB", "max_compression_ratio": 1032}
    gateway = start(settings(engine, http=http))
    gateway.wait_healthy(engine)
    frame = len(body(""))
    fits = body("a" * (65_536 - frame))
    assert len(fits) == 65_536
    assert gateway.post(PATH, gzip.compress(fits), fields=GZIP).status in (200, 400)
    answer = gateway.post(PATH, gzip.compress(fits + b" "), fields=GZIP)
    assert answer.status == 413 and "65536" in answer.error["message"]


def test_clients_that_leave_meanwhile_leave_nothing(gateway, engine):
    packed = gzip.compress(body("".join(f"{n:x} " for n in range(400_000))))
    before = gateway.descriptors
    for _ in range(30):
        with gateway.connect() as connection:
            connection.request("POST", PATH, packed, GZIP, KEY)
    gateway.assert_descriptors_return(before + 4)
    assert gateway.chat().status == 200


def test_unpacking_holds_nobody_up(gateway):
    """Bodies that unpack to much, one after the other, beside small requests on the same worker."""
    words = "".join(f"{number:x} " for number in range(1_500_000))
    packed = gzip.compress(body(words), 1)[:-4] + b"\0\0\0\0"  # Damaged at its very end.
    stop = threading.Event()
    done = [0]

    def flood() -> None:
        while not stop.is_set():
            assert gateway.post(PATH, packed, fields=GZIP).status == 400
            done[0] += 1

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    waits = []
    with gateway.connect() as connection:
        for _ in range(50):
            began = time.monotonic()
            assert connection.exchange("GET", "/v1/models", key=KEY).status == 200
            waits.append(time.monotonic() - began)
    stop.set()
    for thread in threads:
        thread.join(60)
    waits.sort()
    print(f"{done[0]} bodies; waits p50 {waits[25] * 1e3:.1f} ms, latest {waits[-1] * 1e3:.1f}")
    assert waits[25] < 0.25
