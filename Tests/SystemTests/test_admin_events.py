# SPDX-License-Identifier: Apache-2.0
"""`/admin/events`, and what the operators' door does where browsers are about."""

import json
import socket
import time
from contextlib import ExitStack

import pytest
from checks import admitted, refused
from fake_operators_door import page
from gateway_process import TOKEN, hashed, settings
from http_client import Connection
from waiting import eventually

BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


class Listener:
    """Follows the events, as slowly as it is told."""

    def __init__(self, gateway, fields: str = "", buffer: int | None = None):
        self.socket = socket.socket()
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(10)
        self.socket.connect(gateway.admin_address)
        self.socket.sendall(
            f"GET /admin/events HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode()
        )
        self.data = b""

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def status(self) -> int:
        while b"\r\n\r\n" not in self.data:
            self.data += self.socket.recv(4096)
        return int(self.data.split(b" ")[1])

    def event(self, name: str) -> dict:
        """The next event of that name; others are dropped."""
        while True:
            while b"\n\n" not in self.data:
                piece = self.socket.recv(65_536)
                assert piece, "the stream ended"
                self.data += piece
            event, _, self.data = self.data.partition(b"\n\n")
            mark = f"event: {name}\ndata: ".encode()
            if mark in event:
                # Chunks begin and end between events.
                return json.loads(event.partition(mark)[2])


def row(state: dict, name: str) -> dict | None:
    return next((tenant for tenant in state["tenants"] if tenant["id"] == name), None)


def test_a_listener_is_told_everything_once_and_then_what_changes(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 1, "tokens_per_day": 5000}))
    gateway.wait_scraped(engine)
    with Listener(gateway) as listener:
        assert listener.status == 200
        assert b"content-type: text/event-stream\r\n" in listener.data.lower()
        history = listener.event("throttles")
        assert history == {"all": True, "left_out": 0, "throttles": []}
    with Listener(gateway) as listener:
        whole = listener.event("state")
        assert whole["all"] is True and whole["gateway"]["store_up"] is True
        assert [tenant["id"] for tenant in whole["tenants"]] == ["acme", "beta"]
        assert [e["endpoint"] for e in whole["endpoints"]] == [engine.authority]
        assert {q["class"] for q in whole["queues"]} == {"interactive", "batch", "not-for-acme"}
        assert whole["queues"][0]["throttle_at"] == 0.85
        idle = listener.event("state")
        assert idle["all"] is False and idle["tenants"] == [] and idle["queues"] == []
        answer = admitted(gateway.chat())
        assert answer.status == 200

        def told() -> dict:
            found = row(listener.event("state"), "acme")
            assert found and found["requests"]["completed"] == 1
            return found

        acme = eventually(told)
        used = {limit["name"]: limit["used"] for limit in acme["limits"]}
        assert set(used) == {"requests_per_minute", "tokens_per_day"}
        assert used["tokens_per_day"] == sum(acme["tokens"].values()) > 0

        refused(gateway.chat(fields={"X-Request-Id": "seen"}), 429, "requests_per_minute_exceeded")
        began = time.monotonic()
        news = listener.event("throttles")
        assert time.monotonic() - began < 2
        assert news["all"] is False and news["left_out"] == 0
        assert [record["request_id"] for record in news["throttles"]] == ["seen"]
        assert news["throttles"] == gateway.admin("/admin/throttles").json["throttles"]


def test_refusals_that_come_too_fast_are_counted(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 1}))
    admitted(gateway.chat())
    with Listener(gateway) as listener:
        listener.event("throttles")
        with gateway.connect() as connection:
            body = {"model": "alias", "messages": [{"role": "user", "content": "x"}]}
            for _ in range(600):
                answer = connection.exchange(
                    "POST", "/v1/chat/completions", body, key="sk-test-acme"
                )
                assert answer.status == 429
        seen = 0
        while seen < 600:
            news = listener.event("throttles")
            assert len(news["throttles"]) <= 100
            seen += len(news["throttles"]) + news["left_out"]
        assert seen == 600


def test_a_reload_tells_everything_anew(start, engine):
    configuration = settings(engine)
    gateway = start(configuration)
    with Listener(gateway) as listener:
        before = listener.event("state")
        configuration["tenants"][1]["id"] = "gamma"
        gateway.write(configuration)
        assert gateway.admin("/admin/reload", "POST").status == 200
        after = listener.event("state")
        while not after["all"]:
            after = listener.event("state")
        assert after["gateway"]["generation"] > before["gateway"]["generation"]
        assert [tenant["id"] for tenant in after["tenants"]] == ["acme", "gamma"]


def test_listeners_are_bounded_and_need_the_token(start, engine):
    gateway = start(settings(engine, admin={"address": "127.0.0.1:0", "token": TOKEN}))
    with Listener(gateway) as listener:
        assert listener.status == 401
    fields = f"Authorization: Bearer {TOKEN}\r\n"
    with Connection(gateway.admin_address) as connection:
        assert connection.exchange("HEAD", "/admin/events", key=TOKEN).status == 200
        assert connection.exchange("GET", "/healthz").status == 200
    with ExitStack() as stack:
        listeners = [stack.enter_context(Listener(gateway, fields)) for _ in range(16)]
        assert {listener.status for listener in listeners} == {200}
        with Listener(gateway, fields) as another:
            assert another.status == 503
        listeners[7].socket.close()

        def free() -> bool:
            with Listener(gateway, fields) as again:
                return again.status == 200

        eventually(free)
        # One that listens does not keep the gateway from its end.
        assert gateway.stop() == 0


def many(engine, count: int, **sections) -> dict:
    """Tenants whose rows are long."""
    configuration = settings(engine, **sections)
    kinds = ("tokens", "input_tokens", "output_tokens", "requests")
    windows = ("second", "minute", "hour", "day", "week", "month")
    limits = {f"{kind}_per_{window}": 10_000_000 for kind in kinds for window in windows}
    configuration["tenants"] += [
        {
            "id": f"tenant-{n:04}",
            "keys": [hashed(f"sk-{n}")],
            "classes": ["interactive"],
            "models": configuration["tenants"][0]["models"],
            "limits": limits,
        }
        for n in range(count)
    ]
    return configuration


@pytest.mark.parametrize("bytes_a_look", [0, 64])
def test_a_listener_that_does_not_keep_up_is_dropped_and_nobody_else(start, engine, bytes_a_look):
    gateway = start(many(engine, 400, http={"write_timeout": "3s"}))
    before = gateway.resident_bytes
    with Listener(gateway, buffer=4_096) as slow, Listener(gateway) as quick:
        assert len(quick.event("state")["tenants"]) == 402
        slow.socket.settimeout(0.05)

        def dropped() -> bool:
            if bytes_a_look:
                try:
                    slow.socket.recv(bytes_a_look)
                except TimeoutError:
                    pass
                except ConnectionError:
                    return True
            # Of the two listeners' connections one is left.
            quick.event("state")
            return gateway.process.poll() is None and _open(gateway) == 1

        eventually(dropped, within=40)
        assert gateway.resident_bytes - before < 64 << 20
        assert quick.event("state")


def _open(gateway) -> int:
    """Connections of listeners that the gateway holds."""
    port = f"{gateway.admin_address[1]:04X}"
    with open(f"/proc/{gateway.pid}/net/tcp") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return sum(1 for row in rows if row[1].endswith(":" + port) and row[3] == "01")


def test_budgets_in_redis_are_told_too(start, engine, redis):
    redis.start()
    store = {"kind": "redis", "redis": {"addresses": [redis.address]}}
    gateway = start(settings(engine, limits={"tokens_per_day": 5000}, store=store))
    admitted(gateway.chat())
    with Listener(gateway) as listener:

        def told() -> bool:
            acme = row(listener.event("state"), "acme")
            return bool(acme) and (acme["limits"][0]["used"] or 0) > 0

        eventually(told)


# Browsers


def test_a_browser_gets_the_page_and_everybody_else_the_list(start, engine):
    gateway = start(settings(engine, admin={"address": "127.0.0.1:0", "token": TOKEN}))
    text, policy = page()
    with Connection(gateway.admin_address) as connection:
        shown = connection.exchange("GET", "/", fields=BROWSER)
        assert shown.status == 200 and shown.fields["content-type"] == "text/html; charset=utf-8"
        assert shown.fields["content-security-policy"] == policy
        assert shown.body == text
        assert shown.fields["vary"] == "Accept" and shown.fields["cache-control"] == "no-store"
        assert shown.fields["x-frame-options"] == "DENY"
        assert TOKEN.encode() not in shown.body
        assert connection.exchange("GET", "/").status == 401
        listed = connection.exchange("GET", "/", key=TOKEN)
        assert listed.fields["content-type"].startswith("text/plain")
        assert b"/admin/events" in listed.body and listed.fields["vary"] == "Accept"
        strict = connection.exchange("GET", "/admin/tenants", fields=BROWSER, key=TOKEN)
        assert strict.fields["content-security-policy"].startswith("default-src 'none'; base-uri")
    assert gateway.stop() == 0


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://gateway.example"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 200),
    ],
)
def test_other_sites_change_nothing(start, engine, fields, status):
    gateway = start(settings(engine))
    with Connection(gateway.admin_address) as connection:
        fields = {"Host": "localhost:1"} | fields
        assert connection.exchange("POST", "/admin/reload", fields=fields).status == status
        assert connection.exchange("GET", "/admin/tenants", fields=fields).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9901", 200),
        ("penstock.localhost", 200),
        ("127.0.0.1", 200),
        ("[::1]:9901", 200),
        ("rebound.example:9901", 403),
        ("127.0.0.1.rebound.example", 403),
        ("localhost.rebound.example", 403),
    ],
)
def test_without_a_token_other_names_do_not_lead_here(start, engine, host, status):
    gateway = start(settings(engine))
    with Connection(gateway.admin_address) as connection:
        answer = connection.exchange("GET", "/admin/tenants", fields={"Host": host})
        assert answer.status == status
        if status == 403:
            assert "admin token" in answer.json["error"]
