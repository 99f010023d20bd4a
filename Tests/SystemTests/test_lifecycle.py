# SPDX-License-Identifier: Apache-2.0
"""Start, reload, drain and end."""

import json
import os
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from checks import admitted, refused
from core_waits import Stopwatch
from fake_engine import MODEL, reply
from gateway_process import KEY, OTHER_KEY, chat_body, hashed, settings
from http_client import BrokenAnswer, Connection
from misbehaviour import silent
from waiting import eventually

CHAT = "/v1/chat/completions"


# Start.


def test_a_port_that_is_taken_ends_the_start_with_one_clear_line(start, engine, run, tmp_path):
    gateway = start(settings(engine))
    for section in ("listeners", "admin"):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            configuration = settings(engine)
            configuration[section] = (
                [{"address": address}] if section == "listeners" else {"address": address}
            )
            file = tmp_path / f"{section}.yaml"
            file.write_text(yaml.safe_dump(configuration))
            result = run("serve", "--config", file)
        assert result.returncode == 3, result
        assert result.stdout == ""
        [line] = result.stderr.splitlines()
        assert line.startswith("penstock: ") and address in line
        assert "in use" in line.lower()
    # A gateway that runs already is one of those who can hold the port.
    configuration = settings(engine)
    configuration["listeners"] = [{"address": gateway.listeners[0]}]
    file = tmp_path / "second.yaml"
    file.write_text(yaml.safe_dump(configuration))
    result = run("serve", "--config", file)
    assert result.returncode == 3, result
    assert gateway.listeners[0] in result.stderr


def test_a_configuration_that_is_not_there_ends_the_start(run):
    result = run("serve", "--config", "nonesuch.yaml")
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "nonesuch.yaml" in line


def test_a_wrong_command_line_exits_with_2(run):
    for arguments in (["serve"], ["nonesuch"], ["serve", "--config"], ["serve", "--bogus", "x"]):
        result = run(*arguments)
        assert result.returncode == 2, arguments
        assert result.stderr and not result.stdout


def test_help_and_version_exit_with_0(run):
    for arguments in (["--help"], ["serve", "--help"], ["check", "--help"], ["--version"]):
        result = run(*arguments)
        assert result.returncode == 0 and result.stdout, arguments


def test_the_addresses_that_were_bound_are_told(start, engine, tmp_path):
    configuration = settings(engine)
    path = tmp_path / "gateway.sock"
    configuration["listeners"] = [
        {"address": "127.0.0.1:0"},
        {"address": "[::1]:0"},
        {"address": f"unix:{path}"},
    ]
    gateway = start(configuration)
    ipv4, ipv6, unix = gateway.listeners
    assert re.fullmatch(r"127\.0\.0\.1:\d+", ipv4)
    assert re.fullmatch(r"\[::1\]:\d+", ipv6)
    assert unix == f"unix:{path}"
    host, _, port = ipv6.rpartition(":")
    for address in (gateway.address, (host.strip("[]"), int(port)), str(path)):
        with Connection(address) as connection:
            admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))
    assert gateway.stop() == 0
    assert not path.exists(), "the socket's file goes with the gateway"


def test_a_unix_socket_left_behind_by_a_crash_is_replaced(start, engine, tmp_path):
    configuration = settings(engine)
    path = tmp_path / "gateway.sock"
    configuration["listeners"].append({"address": f"unix:{path}"})
    gateway = start(configuration)
    gateway.kill()
    assert path.exists()
    start(configuration)
    with Connection(str(path)) as connection:
        admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))


def test_a_door_that_belongs_to_a_tenant_takes_its_requests_without_a_key(start, engine, tmp_path):
    configuration = settings(engine)
    path = tmp_path / "other.sock"
    configuration["listeners"].append({"address": f"unix:{path}", "tenant": "beta"})
    gateway = start(configuration)
    with Connection(str(path)) as connection:
        admitted(connection.exchange("POST", CHAT, chat_body(model="not-for-acme")))
        # Keys are ignored there.
        admitted(connection.exchange("POST", CHAT, chat_body(), key="sk-wrong"))
    assert gateway.tenant("beta")["requests"]["completed"] == 2


# Reload.


def test_a_reload_by_signal_changes_tenants_models_and_limits(start, engine):
    gateway = start(settings(engine))
    configuration = settings(engine, limits={"requests_per_minute": 2})
    configuration["models"].append({"name": "new-model", "context_length": 100})
    configuration["pools"][0]["models"].append("new-model")
    configuration["tenants"][0]["models"].append("new-model")
    configuration["tenants"][0]["keys"] = [hashed("sk-fresh")]
    configuration["tenants"].append(
        {"id": "third", "keys": [hashed("sk-third")], "classes": ["batch"], "models": [MODEL]}
    )
    del configuration["tenants"][1]
    gateway.write(configuration)
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("is in force")
    refused(gateway.chat(KEY), 401, "invalid_api_key")
    refused(gateway.chat(OTHER_KEY), 401, "invalid_api_key")
    admitted(gateway.chat("sk-fresh", model="new-model"))
    admitted(gateway.chat("sk-fresh"))
    refused(gateway.chat("sk-fresh"), 429, "requests_per_minute_exceeded")
    admitted(gateway.chat("sk-third"))
    assert [t["id"] for t in gateway.admin("/admin/tenants").json["tenants"]] == ["acme", "third"]


def test_a_bad_file_changes_nothing_and_says_why(start, engine):
    gateway = start(settings(engine))
    gateway.write("listeners: [")
    gateway.signal(signal.SIGHUP)
    line = gateway.wait_log("reload refused")
    assert str(gateway.file) in line
    admitted(gateway.chat())
    os.unlink(gateway.file)
    gateway.signal(signal.SIGHUP)
    eventually(lambda: sum("reload refused" in line for line in gateway.logs) >= 2)
    admitted(gateway.chat())
    gateway.write(settings(engine))
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("is in force")
    admitted(gateway.chat())


def test_engines_come_and_go_with_reloads(start, new_engine):
    old, new = new_engine(), new_engine()
    gateway = start(settings(old))
    gateway.wait_healthy(old)
    gate = old.gate()
    old.script(reply(gate=gate))
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        gateway.write(settings(new))
        assert gateway.admin("/admin/reload", "POST").status == 200
        eventually(lambda: new.pages > 0, "the new engine is probed")
        admitted(gateway.chat())
        assert len(new.calls) == 1
        assert [e["endpoint"] for e in gateway.endpoints()] == [new.authority]
        # The stream that runs keeps what admitted it.
        gate.open()
        assert b"".join(connection.pieces(head)).endswith(b"data: [DONE]\n\n")
    pages = old.pages
    # And back again.
    gateway.write(settings(old, new))
    assert gateway.admin("/admin/reload", "POST").status == 200
    eventually(lambda: old.pages > pages + 1, "the old engine is probed again")
    gateway.wait_healthy(old, new)
    new.stop()
    gateway.wait_healthy(new, healthy=False)
    admitted(gateway.chat())
    assert len(old.calls) == 2


def test_a_removed_engine_is_asked_no_more(start, new_engine):
    old, new = new_engine(), new_engine()
    gateway = start(settings(old, new))
    gateway.wait_healthy(old, new)
    gateway.write(settings(new))
    assert gateway.admin("/admin/reload", "POST").status == 200
    gateway.wait_scraped(new)
    pages = old.pages
    gateway.wait_scraped(new)
    gateway.wait_scraped(new)
    assert old.pages <= pages + 1
    for _ in range(4):
        admitted(gateway.chat())
    assert not old.calls


def test_what_is_known_of_an_engine_follows_a_reload(start, engine):
    engine.metrics = "gone"
    configuration = settings(engine)
    configuration["pools"][0]["capacity"] = {"kv_tokens": 1000}
    gateway = start(configuration)
    big = {"text": "word " * 3_000, "max_tokens": 10}
    refused(gateway.chat(**big), 400, "request_exceeds_limit", "messages")
    configuration["pools"][0]["capacity"] = {"kv_tokens": 100_000}
    configuration["upstream"]["unhealthy_after"] = 50
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    admitted(gateway.chat(**big))
    engine.health = 500
    failures = "probe_failures"
    eventually(lambda: gateway.endpoint(engine)[failures] >= 5, "probes fail")
    assert gateway.endpoint(engine)["healthy"]


def test_a_request_that_waits_may_go_to_an_engine_that_a_reload_adds(start, new_engine):
    full, fresh = new_engine(), new_engine()
    full.pressure.usage = 0.87
    kind = {"clamp": {"under_pressure": False}}
    gateway = start(settings(full, interactive=kind))
    gateway.wait_scraped(full)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(gateway.chat) for _ in range(4)]
        eventually(lambda: gateway.queue()["requests"] == 4)
        gateway.write(settings(full, fresh, interactive=kind))
        assert gateway.admin("/admin/reload", "POST").status == 200
        for future in waiting:
            admitted(future.result(), "queued")
    assert len(fresh.calls) == 4


def test_a_request_whose_body_comes_behind_a_reload_keeps_what_its_head_met(start, engine):
    gateway = start(settings(engine))
    configuration = settings(engine)
    configuration["models"].append({"name": "new-model", "context_length": 8192})
    configuration["pools"][0]["models"].append("new-model")
    configuration["tenants"][0]["models"].append("new-model")
    body = json.dumps(chat_body(model="new-model")).encode()
    with gateway.connect() as connection:
        fields = {"Content-Length": str(len(body)), "Expect": "100-continue"}
        connection.request("POST", CHAT, None, fields, KEY)
        assert connection.head().status == 100
        gateway.write(configuration)
        assert gateway.admin("/admin/reload", "POST").status == 200
        connection.send(body)
        refused(connection.answer(), 404, "model_not_found", "model")
        admitted(connection.exchange("POST", CHAT, body, key=KEY))


def test_a_class_that_a_reload_brings_is_counted_too(start, engine):
    gateway = start(settings(engine))
    configuration = settings(engine)
    configuration["classes"].append({"name": "fresh", "pool": "main"})
    configuration["tenants"][0]["classes"].append("fresh")
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    admitted(gateway.chat(fields={"X-Traffic-Class": "fresh"}, stream=True))
    assert 'class="fresh"' in gateway.admin("/metrics").body.decode()
    assert gateway.queue("fresh")["requests"] == 0


def test_budgets_survive_a_reload(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 3}))
    for _ in range(3):
        admitted(gateway.chat())
    configuration = settings(engine, limits={"requests_per_minute": 4})
    configuration["tenants"].reverse()
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    assert 2.9 < gateway.used("requests_per_minute") <= 3
    admitted(gateway.chat())
    refused(gateway.chat(), 429, "requests_per_minute_exceeded")


def test_no_request_fails_in_five_reloads_under_load(start, new_engine):
    one = new_engine()
    gateway = start(settings(one))
    gateway.wait_healthy(one)
    over = threading.Event()

    def load(number: int) -> int:
        served = 0
        with gateway.connect() as connection:
            while not over.is_set():
                stream = served % 2 == 0
                body = chat_body(stream=stream)
                admitted(connection.exchange("POST", CHAT, body, key=KEY))
                served += 1
        return served

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(load, number) for number in range(4)]
        for round_number in range(5):
            # Every reload brings a new engine, and takes one away.
            configuration = settings(new_engine(), new_engine(), *([one] * (round_number % 2)))
            configuration["tenants"][0]["limits"] = {"requests_per_minute": 10**6 + round_number}
            if round_number == 3:
                configuration["tenants"].insert(0, {**configuration["tenants"][1], "id": "zero"})
                configuration["tenants"][0]["keys"] = [hashed("sk-zero")]
            gateway.write(configuration)
            gateway.signal(signal.SIGHUP)
            eventually(
                lambda n=round_number: sum("is in force" in line for line in gateway.logs) > n,
                "the reload is done",
            )
            time.sleep(0.2)
        over.set()
        served = [future.result() for future in futures]
    assert min(served) > 5
    assert "reload refused" not in "\n".join(gateway.logs)


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_finishes_what_runs_and_takes_nothing_new(start, engine, number):
    gateway = start(settings(engine, http={"drain_timeout": "20s"}))
    gate = engine.gate()
    engine.script(reply(gate=gate))
    idle = gateway.connect()
    kept = gateway.connect()
    assert kept.exchange("GET", "/v1/models", key=KEY).status == 200
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        assert head.status == 200
        gateway.signal(number)
        gateway.wait_log("drain")
        # Idle connections are closed, new ones refused, operators still answered.
        assert idle.is_closed(2.0) and kept.is_closed(2.0)

        def refuses() -> bool:
            try:
                with gateway.connect():
                    return False
            except ConnectionRefusedError:
                return True

        eventually(refuses, "new connections are refused")
        answer = gateway.admin("/readyz")
        assert answer.status == 503 and b"draining" in answer.body
        assert gateway.admin("/healthz").status == 200
        assert gateway.is_running
        gate.open()
        assert b"".join(connection.pieces(head)).endswith(b"data: [DONE]\n\n")
        ended = Stopwatch()
        assert connection.is_closed()
    assert gateway.wait(5) == 0
    assert ended.seconds < 2
    idle.close()
    kept.close()


def test_a_second_signal_ends_at_once(start, engine):
    gateway = start(settings(engine, http={"drain_timeout": "60s"}))
    engine.script(silent())
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        eventually(lambda: engine.calls)
        gateway.signal(signal.SIGTERM)
        gateway.wait_log("drain")
        assert gateway.is_running
        started = Stopwatch()
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(5) == 0
        assert started.seconds < 2
        with pytest.raises(BrokenAnswer):
            connection.answer()
    assert any("1 request" in line and "cut" in line for line in gateway.logs), gateway.logs


def test_a_drain_ends_after_its_time(start, engine):
    gateway = start(settings(engine, http={"drain_timeout": "500ms"}))
    engine.script(reply(gate=engine.gate()))
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        started = Stopwatch()
        gateway.signal(signal.SIGTERM)
        with pytest.raises(BrokenAnswer):
            for _ in connection.pieces(head):
                pass
    assert gateway.wait(5) == 0
    assert 0.4 < started.passed and started.seconds < 3


def test_a_request_on_a_kept_connection_during_a_drain_is_told_to_go_elsewhere(start, engine):
    gateway = start(settings(engine, http={"drain_timeout": "20s"}))
    gate = engine.gate()
    engine.script(reply(gate=gate))
    with gateway.connect() as connection:
        # The second request is under way behind the first when the drain begins.
        connection.request("POST", CHAT, chat_body(stream=True), key=KEY)
        head = connection.head()
        gateway.signal(signal.SIGTERM)
        gateway.wait_log("drain")
        connection.request("POST", CHAT, chat_body(), key=KEY)
        gate.open()
        assert b"".join(connection.pieces(head)).endswith(b"data: [DONE]\n\n")
        # It was told that this answer is the last, or gets a refusal that says when to come again.
        try:
            answer = connection.answer()
        except BrokenAnswer:
            pass
        else:
            refused(answer, 503, "draining")
    assert gateway.wait(5) == 0


def test_requests_that_wait_in_a_queue_are_served_during_a_drain(start, engine):
    kind = {"queue": {"max_wait": "20s"}, "clamp": {"under_pressure": False}}
    gateway = start(settings(engine, interactive=kind, http={"drain_timeout": "20s"}))
    engine.pressure.usage = 0.87
    gateway.wait_scraped(engine)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.chat)
        eventually(lambda: gateway.queue()["requests"] == 1)
        gateway.signal(signal.SIGTERM)
        gateway.wait_log("drain")
        engine.pressure.usage = 0.1
        admitted(waiting.result(), "queued")
    assert gateway.wait(5) == 0


def test_an_idle_gateway_ends_at_once(start, engine):
    gateway = start(settings(engine))
    with gateway.connect():
        started = Stopwatch()
        assert gateway.stop() == 0
        assert started.seconds < 1.5
