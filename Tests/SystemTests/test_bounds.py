# SPDX-License-Identifier: Apache-2.0
"""What happens when a bound is reached, and that nothing stays behind it."""

import contextlib
import resource
import socket
import threading
import time

from checks import admitted, refused
from fake_engine import reply
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer, Connection, request_bytes
from waiting import eventually

CHAT = "/v1/chat/completions"


def is_served(connection: Connection) -> bool:
    try:
        return connection.exchange("GET", "/v1/models", key=KEY).status == 200
    except (BrokenAnswer, ConnectionError):
        return False


def test_connections_over_the_bound_are_closed_at_once(start, engine):
    gateway = start(settings(engine, workers=1, http={"max_connections": 10}))
    held = [gateway.connect() for _ in range(10)]
    assert all(is_served(connection) for connection in held)
    with gateway.connect() as surplus:
        assert not is_served(surplus)
    held.pop().close()

    def has_room() -> bool:
        with gateway.connect() as connection:
            return is_served(connection)

    eventually(has_room, "the place is free again")
    for connection in held:
        assert is_served(connection)
        connection.close()


def test_without_descriptors_the_gateway_waits_and_recovers(start, engine):
    gateway = start(settings(engine, workers=1, http={"idle_timeout": "60s"}))
    admitted(gateway.chat())
    limit = gateway.descriptors + 12
    soft, hard = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (limit, hard))
    crowd = [gateway.connect() for _ in range(40)]
    time.sleep(0.2)
    # It does not spin on what it cannot take.
    before = cpu_seconds(gateway.pid)
    time.sleep(0.5)
    assert cpu_seconds(gateway.pid) - before < 0.25
    for connection in crowd:
        connection.close()

    def served() -> bool:
        with gateway.connect() as connection:
            return is_served(connection)

    eventually(served, "it takes connections again")
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (soft, hard))
    admitted(gateway.chat())


def cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:
        words = stat.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


def test_bodies_over_the_bound_on_all_are_refused_until_there_is_room(start, engine):
    gateway = start(
        settings(engine, workers=1, http={"max_body": "1MiB", "max_buffered_bodies": "1MiB"})
    )
    gate = engine.gate()
    engine.default = reply(gate=gate)
    filling = chat_body() | {"padding": "x" * 900_000}
    with gateway.connect() as first, gateway.connect() as second:
        # Its body is held until the engine begins to answer.
        first.request("POST", CHAT, filling, key=KEY)
        eventually(lambda: engine.calls, "the first is at the engine")
        # The second is refused in the middle of its body: nothing waits for the end of it.
        head = request_bytes("x", "POST", CHAT, None, {"Content-Length": "1000000"}, KEY)
        second.send(head + b" " * 600_000)
        refused(second.answer(), 503, "gateway_overloaded")
        assert second.is_closed()
        gate.open()
        admitted(first.answer())
    admitted(gateway.post(CHAT, filling))


def test_many_bodies_that_come_at_once_stay_within_the_bound(start, engine):
    gateway = start(
        settings(engine, workers=1, http={"max_body": "1MiB", "max_buffered_bodies": "4MiB"})
    )
    admitted(gateway.chat())
    before = gateway.resident_bytes
    head = request_bytes("x", "POST", CHAT, None, {"Content-Length": "1000000"}, KEY)
    connections = [gateway.connect() for _ in range(60)]
    for connection in connections:
        connection.send(head)
    for connection in connections:
        with contextlib.suppress(ConnectionError):
            connection.send(b" " * 900_000)
    time.sleep(0.2)
    assert gateway.resident_bytes - before < 16 << 20
    for connection in connections:
        connection.close()
    gateway.assert_at_rest()
    admitted(gateway.chat())


def test_a_pipeline_longer_than_what_is_read_ahead_is_served_whole(start, engine):
    gateway = start(settings(engine))
    one = request_bytes("x", "GET", "/v1/models", key=KEY)
    count = 100_000 // len(one) + 1
    with gateway.connect() as connection:
        sender = threading.Thread(target=connection.send, args=(one * count,))
        sender.start()
        for _ in range(count):
            assert connection.answer("GET").status == 200
        sender.join(10)


def test_memory_and_descriptors_return_after_a_thousand_aborts(start, engine):
    gateway = start(settings(engine, http={"head_timeout": "10s"}))

    def abort(number: int) -> None:
        whole = request_bytes("x", "POST", CHAT, chat_body("y" * 5_000, stream=True), key=KEY)
        with gateway.connect() as connection:
            connection.send(whole[: len(whole) * (number % 10 + 1) // 10])

    for number in range(200):
        abort(number)
    gateway.assert_at_rest()
    admitted(gateway.chat())
    descriptors, memory = gateway.descriptors, gateway.resident_bytes
    for number in range(1_000):
        abort(number)
    gateway.assert_at_rest()
    gateway.assert_descriptors_return(descriptors + 8)
    assert gateway.resident_bytes - memory < 8 << 20
    admitted(gateway.chat())


def test_connections_that_never_say_a_word_cost_little_and_are_closed(start, engine):
    gateway = start(settings(engine, http={"head_timeout": "2s"}))
    admitted(gateway.chat())
    descriptors, memory = gateway.descriptors, gateway.resident_bytes
    silent = [socket.create_connection(gateway.address) for _ in range(400)]
    eventually(lambda: gateway.descriptors >= descriptors + 400 - 8, "all are open")
    assert gateway.resident_bytes - memory < 400 * 16_384
    admitted(gateway.chat())
    gateway.assert_descriptors_return(descriptors + 8)
    for connection in silent:
        connection.close()


def test_a_request_without_an_end_does_not_hold_memory(start, engine):
    gateway = start(settings(engine, http={"max_body": "16MiB", "body_timeout": "10s"}))
    admitted(gateway.chat())
    before = gateway.resident_bytes
    connections = [gateway.connect() for _ in range(50)]
    for connection in connections:
        # Announces sixteen megabytes and sends a few bytes.
        connection.request("POST", CHAT, None, {"Content-Length": str(16 << 20)}, KEY)
        connection.send(b"{")
    time.sleep(0.3)
    assert gateway.resident_bytes - before < 8 << 20
    for connection in connections:
        connection.close()
    gateway.assert_at_rest()


def test_refusals_of_many_tenants_do_not_outgrow_the_history(start, engine):
    configuration = settings(engine, limits={"requests_per_minute": 1})
    configuration["admin"]["throttle_history"] = 20
    gateway = start(configuration)
    for _ in range(60):
        gateway.chat()
    records = gateway.admin("/admin/throttles?limit=1000").json["throttles"]
    assert len(records) == 20
    assert gateway.tenant()["throttled"]["requests_per_minute_exceeded"] >= 58
    refused(gateway.chat(), 429, "requests_per_minute_exceeded")


def reload(gateway, configuration: dict) -> None:
    gateway.write(configuration)
    answer = gateway.admin("/admin/reload", "POST")
    assert answer.status == 200, answer


def test_the_bound_on_connections_follows_a_reload(start, engine):
    configuration = settings(engine, workers=1, http={"max_connections": 4})
    gateway = start(configuration)
    held = [gateway.connect() for _ in range(4)]
    assert all(is_served(connection) for connection in held)
    with gateway.connect() as surplus:
        assert not is_served(surplus)
    configuration["http"]["max_connections"] = 5_000
    reload(gateway, configuration)
    crowd = [gateway.connect() for _ in range(100)]
    assert all(is_served(connection) for connection in crowd)
    # And down: who is in stays, and nobody comes in until there is room.
    configuration["http"]["max_connections"] = 3
    reload(gateway, configuration)
    for connection in crowd:
        connection.close()
    eventually(lambda: open_connections(gateway) == 4, "the crowd has left")
    assert all(is_served(connection) for connection in held)
    with gateway.connect() as surplus:
        assert not is_served(surplus)
    for connection in (held.pop(), held.pop()):
        connection.close()
    eventually(lambda: open_connections(gateway) == 2, "two have left")
    with gateway.connect() as connection:
        assert is_served(connection)
    for connection in held:
        assert is_served(connection)
        connection.close()


def open_connections(gateway) -> int:
    page = gateway.admin("/metrics").body.decode()
    line = next(line for line in page.splitlines() if line.startswith("penstock_connections "))
    return int(float(line.split()[1]))


def test_the_history_of_refusals_follows_a_reload(start, engine):
    configuration = settings(engine, limits={"requests_per_minute": 1})
    configuration["admin"]["throttle_history"] = 5
    gateway = start(configuration)
    admitted(gateway.chat())

    def refuse(numbers: range) -> None:
        for number in numbers:
            fields = {"X-Request-Id": f"n-{number}"}
            refused(gateway.chat(fields=fields), 429, "requests_per_minute_exceeded")

    def shown() -> list[int]:
        records = gateway.admin("/admin/throttles?limit=1000").json["throttles"]
        return [int(record["request_id"].removeprefix("n-")) for record in records]

    refuse(range(8))
    assert shown() == [7, 6, 5, 4, 3]
    configuration["admin"]["throttle_history"] = 3
    reload(gateway, configuration)
    assert shown() == [7, 6, 5]
    refuse(range(8, 10))
    assert shown() == [9, 8, 7]
    configuration["admin"]["throttle_history"] = 6
    reload(gateway, configuration)
    refuse(range(10, 12))
    assert shown() == [11, 10, 9, 8, 7]
    refuse(range(12, 15))
    assert shown() == [14, 13, 12, 11, 10, 9]
