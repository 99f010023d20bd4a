# SPDX-License-Identifier: Apache-2.0
"""TLS with clients that mean no good, or are slow, and what that does to others."""

import contextlib
import signal
import socket
import subprocess
import threading
import time

import pytest
from fake_engine import reply
from gateway_process import KEY, MODEL
from http_client import Connection
from tls_gateway import authority, chat, secure
from waiting import eventually


def test_plain_http_gets_an_answer(secure):
    gateway = secure()
    answer = gateway.chat()
    assert answer.status == 400
    assert "https" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 64,
        b"\x16\x03\x01\xff\xff" + b"A" * 70_000,
        b"\x16\x03\x01\x00\x05\x01\x00\xff\xff\xff",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x80\x2e\x01\x03\x01" + b"\x00" * 60,
    ],
)
def test_garbage_is_cut_off(secure, authority, data):
    gateway = secure()
    with Connection(gateway.address) as connection:
        with contextlib.suppress(OSError):
            connection.send(data)
            while connection.socket.recv(65536):
                pass
    with gateway.connect(security=authority.trusting()) as connection:
        assert chat(connection).status == 200


def test_slow_handshakes_end(secure, authority):
    gateway = secure(http={"handshake_timeout": "300ms"})
    before = gateway.descriptors
    silent = [socket.create_connection(gateway.address) for _ in range(20)]
    for sock in silent[10:]:
        sock.send(b"\x16\x03\x01\x02\x00\x01")
    for sock in silent:
        sock.settimeout(10)
        assert sock.recv(1) == b""
        sock.close()
    # Connections to the engine come and go: none of the twenty is among those that are left.
    gateway.assert_descriptors_return(before + 4)
    with gateway.connect(security=authority.trusting()) as connection:
        assert chat(connection).status == 200
    assert 'penstock_tls_handshakes_total{outcome="timed_out"} 20' in (
        gateway.admin("/metrics").body.decode()
    )


def test_handshakes_that_wait_give_way(secure, authority):
    gateway = secure(http={"max_handshakes": 8}, workers=1)
    before = gateway.descriptors
    silent = [socket.create_connection(gateway.address) for _ in range(50)]
    with gateway.connect(security=authority.trusting()) as connection:
        assert chat(connection).status == 200
    # Connections to the engine come and go.
    gateway.assert_descriptors_return(before + 12)
    for sock in silent:
        sock.close()
    gateway.assert_descriptors_return(before + 4)


def test_renegotiation_is_refused(secure, authority):
    gateway = secure()
    process = subprocess.Popen(
        ["openssl", "s_client", "-tls1_2", "-connect", "%s:%d" % gateway.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin and process.stdout
    lines = iter(process.stdout.readline, b"")
    assert any(b"Verify return code" in line for line in lines)
    process.stdin.write(b"R\n")
    process.stdin.flush()
    rest = process.communicate(timeout=20)[0]
    assert b"RENEGOTIATING" in rest and b"no renegotiation" in rest, rest


def test_key_updates_without_end_are_cut_off(secure, authority):
    gateway = secure()
    process = subprocess.Popen(
        ["openssl", "s_client", "-tls1_3", "-connect", "%s:%d" % gateway.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin
    with contextlib.suppress(BrokenPipeError):
        for _ in range(20_000):
            process.stdin.write(b"K\n")
            process.stdin.flush()
    eventually(lambda: process.poll() is not None, "the connection is cut", within=20)


def test_a_stream_is_not_held_up_by_handshakes(secure, authority, engine):
    """A flood of handshakes beside a stream: the longest pause between two of its events."""
    gateway = secure(workers=1)
    pauses: list[float] = []

    async def tick(call) -> None:
        import asyncio

        call.head(kind="text/event-stream")
        for number in range(150):
            call.event({"id": "x", "choices": [{"index": 0, "delta": {"content": f"{number} "}}]})
            await asyncio.sleep(0.01)
        call.event("[DONE]")
        call.end()

    engine.script(tick)
    stop = threading.Event()
    made = [0]

    def flood() -> None:
        context = authority.trusting()
        while not stop.is_set():
            with contextlib.suppress(OSError):
                gateway.connect(security=context).close()
                made[0] += 1

    threads = [threading.Thread(target=flood) for _ in range(4)]
    with gateway.connect(security=authority.trusting()) as connection:
        connection.request(
            *("POST", "/v1/chat/completions"),
            {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True},
            key=KEY,
        )
        head = connection.head()
        for thread in threads:
            thread.start()
        last = time.monotonic()
        for _ in connection.pieces(head):
            pauses.append(time.monotonic() - last)
            last = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join(20)
    assert made[0] > 20
    pauses.sort()
    print(f"{made[0]} handshakes; pauses p50 {pauses[75] * 1e3:.1f} ms, p99 {pauses[-2] * 1e3:.1f}")
    # Python's own threads and a busy machine are in it; what is held up for good is not missed.
    assert pauses[-1] < 1.0


def test_a_drain_lets_answers_end(secure, authority, engine):
    gateway = secure()
    gate = engine.gate()

    async def wait(call) -> None:
        if await gate.passed(call):
            await reply()(call)

    engine.script(wait)
    with gateway.connect(security=authority.trusting()) as connection:
        connection.request(
            *("POST", "/v1/chat/completions"),
            {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]},
            key=KEY,
        )
        eventually(lambda: engine.calls, "the request is at the engine")
        gateway.signal(signal.SIGTERM)
        gateway.wait_log("drain")
        gate.open()
        answer = connection.answer()
        assert answer.status == 200 and answer.fields["connection"] == "close"
        # The end is a proper one: close_notify, which Python would miss as an error.
        assert connection.socket.recv(1) == b""
    assert gateway.wait() == 0
