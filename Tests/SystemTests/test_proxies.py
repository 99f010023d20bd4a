# SPDX-License-Identifier: Apache-2.0
"""Who the client is where proxies stand in front, and how many connections one address has."""

import contextlib
import re
import socket
import struct

import pytest
from gateway_process import KEY, Gateway, chat_body, settings
from http_client import BrokenAnswer, Connection
from tls_gateway import authority, chat
from waiting import eventually

LOOPBACK = ["127.0.0.0/8"]
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(client: str, command: int = 0x21, extensions: bytes = b"") -> bytes:
    """A header of version 2."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    here = "::1" if family == socket.AF_INET6 else "10.0.0.1"
    rest = socket.inet_pton(family, client) + socket.inet_pton(family, here)
    rest += struct.pack(">HH", 12_345, 80) + extensions
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + bytes((command, kind)) + struct.pack(">H", len(rest)) + rest


def line(client: str) -> bytes:
    return b"PROXY TCP4 %s 10.0.0.1 12345 80\r\n" % client.encode()


def refused(gateway: Gateway, reason: str) -> int:
    page = gateway.admin("/metrics").body.decode()
    name = re.escape(f'penstock_connections_refused_total{{reason="{reason}"}} ')
    return int(re.search(name + r"(\d+)", page)[1])


@pytest.fixture
def fronted(start, engine):
    """A gateway behind a proxy of the PROXY protocol at loopback."""

    def make(trusted: list[str] = LOOPBACK, **sections: object) -> Gateway:
        configuration = settings(engine, **sections)
        configuration["listeners"] = [{"address": "127.0.0.1:0", "proxy_protocol": trusted}]
        gateway = start(configuration)
        gateway.wait_healthy(engine)
        return gateway

    return make


def told(gateway: Gateway, engine, header: bytes, fields: dict | None = None) -> str | None:
    """Whom the engine is told of, and the operator too."""
    with gateway.connect() as connection:
        connection.send(header)
        answer = connection.exchange("POST", "/v1/chat/completions", chat_body(), fields, KEY)
    assert answer.status == 200
    name = answer.fields["x-request-id"]
    shown = gateway.admin(f"/admin/requests/{name}").json["client"]
    assert shown == engine.calls[-1].field("x-forwarded-for")
    return shown


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (line("192.0.2.7"), "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7"),
        (binary("192.0.2.7"), "192.0.2.7"),
        (binary("2001:db8::7"), "2001:db8::7"),
        (binary("192.0.2.7", extensions=b"\x04\0\x01x"), "192.0.2.7"),
        (binary("192.0.2.7", command=0x20), "127.0.0.1"),
    ],
)
def test_the_client_is_who_the_header_names(fronted, engine, header, client):
    assert told(fronted(), engine, header) == client


def test_a_header_may_come_in_pieces(fronted, engine):
    gateway = fronted()
    for header in (line("192.0.2.7"), binary("192.0.2.7")):
        with gateway.connect() as connection:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in header:
                connection.send(bytes((byte,)))
                eventually(connection.is_taken, "the piece is read")
            answer = connection.exchange("POST", "/v1/chat/completions", chat_body(), key=KEY)
            assert answer.status == 200
        assert engine.calls[-1].field("x-forwarded-for") == "192.0.2.7"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n",
        b"PROXY TCP4 192.0.2.777 10.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x31\x11\0\0",
    ],
)
def test_without_a_header_a_proxy_is_not_served(fronted, engine, header):
    gateway = fronted()
    with gateway.connect() as connection:
        connection.send(header)
        with pytest.raises((BrokenAnswer, OSError)):
            connection.exchange("POST", "/v1/chat/completions", chat_body(), key=KEY)
    assert refused(gateway, "proxy_header") == 1
    assert not engine.calls


def test_a_header_is_waited_for_no_longer_than_a_handshake(fronted):
    gateway = fronted(http={"handshake_timeout": "200ms"})
    for start in (b"", b"PROXY TCP4", SIGNATURE):
        with gateway.connect() as connection:
            connection.send(start)
            assert connection.socket.recv(1) == b""
    assert refused(gateway, "proxy_header") == 3


def test_who_is_no_proxy_says_nothing(fronted, engine):
    """A client elsewhere is itself, and its header is no request."""
    gateway = fronted(trusted=["192.0.2.0/24"])
    assert told(gateway, engine, b"") == "127.0.0.1"
    with gateway.connect() as connection:
        connection.send(line("192.0.2.7"))
        connection.request("POST", "/v1/chat/completions", chat_body(), key=KEY)
        assert connection.answer().status == 400
    assert len(engine.calls) == 1


def test_a_header_stands_before_tls(start, engine, authority):
    configuration = settings(engine)
    pair = authority.pair("server", "DNS:localhost")
    configuration["listeners"] = [
        {"address": "127.0.0.1:0", "proxy_protocol": LOOPBACK, "tls": pair}
    ]
    gateway = start(configuration)
    gateway.wait_healthy(engine)
    with gateway.connect() as connection:
        connection.send(binary("192.0.2.7"))
        connection.socket = authority.trusting().wrap_socket(
            connection.socket, server_hostname="localhost"
        )
        assert chat(connection).status == 200
        assert chat(connection).status == 200
    assert engine.calls[-1].field("x-forwarded-for") == "192.0.2.7"


# X-Forwarded-For.


@pytest.mark.parametrize(
    ("trusted", "value", "client"),
    [
        ([], "192.0.2.7", "127.0.0.1"),
        (["10.0.0.0/8"], "192.0.2.7", "127.0.0.1"),
        (LOOPBACK, "192.0.2.7", "192.0.2.7"),
        (LOOPBACK, "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ([*LOOPBACK, "10.0.0.0/8"], "198.51.100.1, 192.0.2.7 ,10.1.1.1,\t10.2.2.2", "192.0.2.7"),
        ([*LOOPBACK, "10.0.0.0/8"], "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ([*LOOPBACK, "10.0.0.0/8"], "192.0.2.7, nonsense, 10.2.2.2", "10.2.2.2"),
        (LOOPBACK, "192.0.2.7, ", "127.0.0.1"),
        (LOOPBACK, "nonsense", "127.0.0.1"),
        (LOOPBACK, "2001:db8::7", "2001:db8::7"),
        (LOOPBACK, "[2001:db8::7]:443", "2001:db8::7"),
        (LOOPBACK, "192.0.2.7:443", "192.0.2.7"),
        (LOOPBACK, "192.0.2.7:x", "127.0.0.1"),
        (["::ffff:127.0.0.1", "2001:db8::/32"], "192.0.2.7, 2001:db8::1", "192.0.2.7"),
    ],
)
def test_the_last_address_that_is_no_proxys_is_the_clients(start, engine, trusted, value, client):
    gateway = start(settings(engine, http={"trusted_proxies": trusted} if trusted else {}))
    gateway.wait_healthy(engine)
    assert told(gateway, engine, b"", {"X-Forwarded-For": value}) == client


def test_what_a_client_says_of_itself_does_not_reach_engines(start, engine):
    gateway = start(settings(engine))
    gateway.wait_healthy(engine)
    names = ["Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Client"]
    assert told(gateway, engine, b"", {name: "192.0.2.7" for name in names}) == "127.0.0.1"
    assert all("192.0.2.7" not in value for _, value in engine.calls[-1].fields)


# Connections of one address.


def test_one_address_has_so_many_connections(start, engine):
    gateway = start(settings(engine, http={"max_connections_per_address": 20}))
    gateway.wait_healthy(engine)
    held = [gateway.connect() for _ in range(20)]
    # Each is with its worker; what follows comes to whichever.
    for connection in held:
        assert connection.exchange("GET", "/v1/models", key=KEY).status == 200
    for _ in range(10):
        with pytest.raises((BrokenAnswer, OSError)), gateway.connect() as connection:
            connection.exchange("GET", "/v1/models", key=KEY)
    assert refused(gateway, "address") == 10
    assert held[0].exchange("GET", "/v1/models", key=KEY).status == 200
    for connection in held[10:]:
        connection.close()

    def is_let_in() -> bool:
        with contextlib.suppress(BrokenAnswer, OSError):
            return gateway.get("/v1/models").status == 200
        return False

    eventually(is_let_in, "those that left have left room")
    for connection in held[:10]:
        connection.close()
    eventually(
        lambda: "penstock_client_addresses 0\n" in gateway.admin("/metrics").body.decode()
    )


def test_proxies_are_not_counted_and_their_clients_are(fronted):
    gateway = fronted(http={"max_connections_per_address": 3})

    def through(client: str) -> Connection | None:
        connection = gateway.connect()
        connection.send(binary(client))
        try:
            assert connection.exchange("GET", "/v1/models", key=KEY).status == 200
            return connection
        except (BrokenAnswer, OSError):
            connection.close()
            return None

    held = [through("192.0.2.7") for _ in range(3)] + [through("192.0.2.8") for _ in range(3)]
    # One /64 is one client.
    held += [through(f"2001:db8::{number}:1") for number in range(1, 4)]
    assert all(held)
    assert not through("192.0.2.7") and not through("2001:db8::4:1")
    assert through("2001:db8:0:1::1") and through("192.0.2.9")
    assert refused(gateway, "address") == 2


def test_trusted_proxies_have_as_many_as_they_want(start, engine):
    http = {"max_connections_per_address": 2, "trusted_proxies": LOOPBACK}
    gateway = start(settings(engine, http=http))
    gateway.wait_healthy(engine)
    for connection in [gateway.connect() for _ in range(10)]:
        with connection:
            assert connection.exchange("GET", "/v1/models", key=KEY).status == 200
    assert refused(gateway, "address") == 0


def test_a_full_worker_counts_whom_it_turns_away(start, engine):
    gateway = start(settings(engine, workers=1, http={"max_connections": 5}))
    gateway.wait_healthy(engine)
    held = [gateway.connect() for _ in range(5)]
    assert held[4].exchange("GET", "/v1/models", key=KEY).status == 200
    with pytest.raises((BrokenAnswer, OSError)), gateway.connect() as connection:
        connection.exchange("GET", "/v1/models", key=KEY)
    assert refused(gateway, "full") == 1
    for connection in held:
        connection.close()
