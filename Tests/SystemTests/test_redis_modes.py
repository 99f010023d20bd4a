# SPDX-License-Identifier: Apache-2.0
"""Redis behind TLS, access lists, sentinels and in a cluster: found, followed, and come back to."""

import json
import os
import pathlib
import threading
import time

import pytest
from certificates import Authority
from checks import admitted, refused
from core_waits import Recorder, Stopwatch
from fake_engine import reply, usage_of
from gateway_process import KEY, OTHER_KEY, hashed, settings
from redis_fleets import PLAIN, Cluster, Sentinels, Server
from test_chaos import LATE, SLACK
from test_redis import store_is_up, wait_store
from waiting import eventually


def on(engine, addresses: list[str], limits: dict | None = None, **redis: object) -> dict:
    configuration = settings(engine, limits=limits or {"tokens_per_day": 1_000_000})
    configuration["store"] = {
        "kind": "redis",
        "redis": {
            "addresses": addresses,
            "on_failure": "closed",
            "timeout": "100ms",
            "reservation_lease": "5s",
        }
        | redis,
    }
    return configuration


# TLS.


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def tls_server(tmp_path, authority):
    """Starts a server with a certificate for `alternative`."""
    servers: list[Server] = []

    def make(alternative: str = "IP:127.0.0.1", clients: str = "no") -> Server:
        certificate, key = authority.issue("server", alternative)
        server = Server(tmp_path, *PLAIN)
        server.options += (
            *("--tls-port", str(server.port), "--port", "0", "--tls-auth-clients", clients),
            *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
            *("--tls-ca-cert-file", str(authority.certificate)),
        )
        servers.append(server.start())
        return server

    yield make
    for server in servers:
        server.kill()


def test_tls_with_a_server_whose_certificate_is_right(start, engine, tls_server, authority):
    server = tls_server()
    tls = {"ca": str(authority.certificate)}
    gateway = start(on(engine, [server.address], tls=tls))
    wait_store(gateway)
    for _ in range(20):
        admitted(gateway.chat())
    eventually(lambda: gateway.used("tokens_per_day") == 20 * 11, "all of it is settled")
    server.kill()
    eventually(lambda: gateway.chat().status == 503, "it is away")
    server.start()
    eventually(lambda: gateway.chat().status == 200, "it is back", within=3)


def test_a_server_that_another_authority_vouches_for_is_not_trusted(
    start, engine, tls_server, tmp_path
):
    other = Authority(tmp_path, "other")
    gateway = start(on(engine, [tls_server().address], tls={"ca": str(other.certificate)}))
    gateway.wait_log("budget store is away: the server's certificate: ")
    refused(gateway.chat(), 503, "budget_store_unavailable")


def test_the_certificate_has_to_be_that_hosts(start, engine, tls_server, authority):
    server = tls_server("DNS:redis.internal")
    tls = {"ca": str(authority.certificate)}
    gateway = start(on(engine, [server.address], tls=tls))
    gateway.wait_log("IP address mismatch")
    named = start(on(engine, [server.address], tls=tls | {"server_name": "redis.internal"}))
    wait_store(named)
    other = start(on(engine, [server.address], tls=tls | {"server_name": "other.internal"}))
    other.wait_log("hostname mismatch")


def test_a_server_that_wants_to_know_us(start, engine, tls_server, authority):
    server = tls_server(clients="yes")
    certificate, key = authority.issue("gateway", "DNS:gateway")
    tls = {"ca": str(authority.certificate)}
    start(on(engine, [server.address], tls=tls)).wait_log("budget store is away")
    ours = {"certificate": str(certificate), "key": str(key)}
    wait_store(start(on(engine, [server.address], tls=tls | ours)))


def test_a_server_in_clear_is_no_tls_server(start, engine, redis, authority):
    redis.start()
    tls = {"ca": str(authority.certificate)}
    gateway = start(on(engine, [redis.address], tls=tls))
    gateway.wait_log("budget store is away")
    assert not store_is_up(gateway)


def test_a_missing_file_is_an_error_of_the_start(run, engine, tmp_path):
    file = tmp_path / "penstock.json"
    file.write_text(json.dumps(on(engine, ["127.0.0.1:1"], tls={"ca": "/none.pem"})))
    done = run("serve", "--config", file)
    assert done.returncode == 3
    assert "penstock: store: /none.pem has no certificates" in done.stderr


# Access lists, databases, Unix sockets.


def documented_rules() -> str:
    """What docs/redis.md says that a user needs."""
    page = (pathlib.Path(__file__).parents[2] / "docs/redis.md").read_text()
    [rules] = [line for line in page.splitlines() if line.startswith("~{penstock:*")]
    return rules


def test_a_user_with_only_what_is_needed(start, engine, tmp_path):
    users = tmp_path / "users.acl"
    users.write_text(
        f"user default off\nuser penstock on >secret resetchannels {documented_rules()}\n"
    )
    server = Server(tmp_path, *PLAIN, "--aclfile", str(users)).start()
    password = tmp_path / "password"
    password.write_text("secret\n")
    user = {"username": "penstock", "password": f"file:{password}"}
    try:
        configuration = on(engine, [server.address], **user)
        configuration["ledger"] = {"redis_stream": {}}
        gateway = start(configuration)
        wait_store(gateway)
        for _ in range(3):
            admitted(gateway.chat())
        eventually(lambda: gateway.used("tokens_per_day") == 33, "it is settled")
        eventually(
            lambda: gateway.admin("/admin/ledger").json["sinks"][0]["written"] == 3,
            "it is written down",
        )
        wrong = start(on(engine, [server.address], username="penstock", password="no"))
        wrong.wait_log("the server says WRONGPASS")
    finally:
        server.kill()


def test_another_database_keeps_its_own(start, engine, redis):
    redis.start()
    gateway = start(on(engine, [redis.address], database=3))
    wait_store(gateway)
    admitted(gateway.chat())
    gateway.assert_at_rest()
    assert redis.command("DBSIZE") == "0"


def test_a_unix_socket(start, engine, tmp_path):
    server = Server(tmp_path, *PLAIN, "--unixsocket", str(tmp_path / "redis.sock"))
    server.start().wait()
    try:
        gateway = start(on(engine, [f"unix:{tmp_path}/redis.sock"]))
        wait_store(gateway)
        admitted(gateway.chat())
    finally:
        server.kill()


# Sentinels.


@pytest.fixture
def sentinels(tmp_path):
    fleet = Sentinels(tmp_path)
    try:
        yield fleet.start()
    finally:
        fleet.close()


def by_sentinels(engine, fleet: Sentinels, **redis: object) -> dict:
    return on(engine, fleet.addresses, mode="sentinel", **redis)


def test_the_master_is_found_through_sentinels_and_followed(start, engine, sentinels):
    gateway = start(by_sentinels(engine, sentinels))
    wait_store(gateway)
    for _ in range(10):
        admitted(gateway.chat())
    eventually(lambda: gateway.used("tokens_per_day") == 110, "all of it is settled")
    eventually(
        lambda: sentinels.replica.ask("DBSIZE") == sentinels.master.ask("DBSIZE"),
        "the replica has it too",
    )
    sentinels.master.kill()
    eventually(lambda: gateway.chat().status == 503, "the master is gone")
    eventually(sentinels.has_failed_over, "the replica is the master", within=30)
    promoted = Stopwatch()
    eventually(lambda: gateway.chat().status == 200, "it is followed", within=5)
    took = promoted.seconds
    assert took <= 2.0, took
    # What was used before is not forgotten.
    eventually(lambda: gateway.used("tokens_per_day") >= 121, "budgets are those from before")


def test_a_master_that_becomes_a_replica_is_left(start, engine, sentinels):
    gateway = start(by_sentinels(engine, sentinels))
    wait_store(gateway)
    assert sentinels.sentinels[0].ask("SENTINEL", "FAILOVER", "mymaster") == "OK"
    eventually(
        lambda: "role:slave" in sentinels.master.ask("INFO", "replication"),
        "the old master is a replica",
        within=30,
    )
    eventually(lambda: gateway.chat().status == 200, "the new one is used")
    eventually(lambda: store_is_up(gateway), "by every worker", within=5)
    assert sentinels.replica.ask("DBSIZE") != "0"


def test_one_sentinel_is_enough_and_none_changes_nothing(start, engine, sentinels):
    sentinels.sentinels[0].kill()
    gateway = start(by_sentinels(engine, sentinels))
    wait_store(gateway)
    for sentinel in sentinels.sentinels:
        sentinel.kill()
    for _ in range(20):
        admitted(gateway.chat())
    assert store_is_up(gateway)


def test_a_master_that_no_sentinel_knows_is_told_of(start, engine, sentinels):
    configuration = by_sentinels(engine, sentinels, sentinel={"master": "other"})
    gateway = start(configuration)
    gateway.wait_log("budget store is away: nobody has said which server it is")
    refused(gateway.chat(), 503, "budget_store_unavailable")


# A cluster.


@pytest.fixture
def cluster(tmp_path):
    fleet = Cluster(tmp_path)
    try:
        yield fleet.start()
    finally:
        fleet.close()


TENANTS = 24


def by_cluster(engine, fleet: Cluster, **redis: object) -> dict:
    """Tenants enough to be in every part."""
    configuration = on(engine, fleet.addresses, mode="cluster", **redis)
    first = configuration["tenants"][0]
    configuration["tenants"] += [
        first | {"id": f"tenant-{number}", "keys": [hashed(f"sk-{number}")]}
        for number in range(TENANTS)
    ]
    return configuration


def test_budgets_are_spread_over_a_cluster(start, engine, cluster):
    gateway = start(by_cluster(engine, cluster))
    wait_store(gateway)
    for number in range(TENANTS):
        admitted(gateway.chat(key=f"sk-{number}"))
    for number in range(TENANTS):
        eventually(
            lambda number=number: gateway.used("tokens_per_day", f"tenant-{number}") == 11,
            "it is settled",
        )
    owners = {cluster.owner(f"{{penstock::tenant-{number}}}").port for number in range(TENANTS)}
    assert len(owners) == 3
    assert gateway.process.poll() is None


def test_a_primary_that_dies_is_followed(start, engine, cluster):
    gateway = start(by_cluster(engine, cluster))
    wait_store(gateway)
    key = "{penstock::acme}"
    admitted(gateway.chat())
    eventually(lambda: gateway.used("tokens_per_day") == 11, "it is settled")
    old = cluster.owner(key)
    eventually(old.has_told_its_replica, "a replica has it too")
    old.kill()
    eventually(lambda: gateway.chat().status == 503, "its part is gone")
    eventually(
        lambda: any(
            "cluster_state:ok" in server.ask("CLUSTER", "INFO") and cluster.owner(key) is not old
            for server in cluster.servers
            if server.process
        ),
        "a replica has taken over",
        within=30,
    )
    promoted = Stopwatch()
    eventually(lambda: gateway.chat().status == 200, "it is followed", within=5)
    took = promoted.seconds
    assert took <= 2.0, took
    eventually(lambda: gateway.used("tokens_per_day") >= 22, "budgets are those from before")


def served(gateway, key: str, count: int) -> None:  # noqa: ANN001
    """Asks until so many were admitted: on a busy machine the store may be late now and then."""
    for _ in range(10 * count):
        if gateway.chat(key=key).status == 200:
            count -= 1
        if count == 0:
            return
    raise AssertionError(f"{count} more should have been admitted: {gateway.logs}")


def test_a_slot_that_moves_is_followed(start, engine, cluster):
    gateway = start(by_cluster(engine, cluster))
    wait_store(gateway)

    def wait_used(expected: int) -> None:
        eventually(
            lambda: gateway.used("tokens_per_day", "tenant-0") == expected,
            f"{expected} are charged: {gateway.tenant('tenant-0')}",
        )

    move = cluster.move("{penstock::tenant-0}")
    move.begin()
    # The source has nothing of this tenant, and sends for it to the target (ASK), which has lost
    # the script: keys that are new are made there.
    move.target.ask("SCRIPT", "FLUSH")
    served(gateway, "sk-0", 5)
    wait_used(55)
    assert move.keys() == []
    assert int(move.target.ask("CLUSTER", "COUNTKEYSINSLOT", move.slot)) > 0
    move.end()
    # From now on it is the target's (MOVED).
    served(gateway, "sk-0", 5)
    wait_used(110)
    # On its way back its keys stay where they were: nobody can decide, and a request waits for it
    # in vain, but no longer than it may.
    back = move.back()
    back.begin()
    for _ in range(5):
        watch = Stopwatch()
        refused(gateway.chat(key="sk-0"), 503, "budget_store_unavailable")
        assert watch.seconds < 0.1 + SLACK
    # Others do not notice.
    for number in range(1, TENANTS):
        served(gateway, f"sk-{number}", 1)
    back.carry(*back.keys())
    served(gateway, "sk-0", 5)
    back.end()
    wait_used(165)
    eventually(lambda: store_is_up(gateway), "no server was left for it")


def test_a_slot_that_moves_under_load_costs_nothing(start, engine, cluster):
    """Key by key, while requests go: none is refused, none waits longer than for any other fault,
    and in the end all of it is charged."""
    configuration = by_cluster(engine, cluster, on_failure="local")
    configuration["admin"]["request_history"] = 20_000
    gateway = start(configuration)
    wait_store(gateway)
    engine.default = reply(usage=usage_of(6, 5), tokens=2)
    stop = threading.Event()
    # When each began, how long it took, its status, and its name.
    answers: dict[str, list[tuple[float, float, int, str]]] = {"sk-0": [], "sk-1": []}
    processes = [server.process.pid for server in cluster.servers if server.process]
    cores = Recorder(gateway.pid, os.getpid(), *processes)

    def client(key: str, number: int) -> None:
        while not stop.is_set():
            name = f"{key}-{number}-{len(answers[key])}"
            began = time.monotonic()
            status = gateway.chat(key=key, fields={"X-Request-Id": name}).status
            answers[key].append((began, time.monotonic() - began, status, name))

    threads = [
        threading.Thread(target=client, args=(key, number))
        for key in answers
        for number in range(2)
    ]
    for thread in threads:
        thread.start()

    def go_on(count: int) -> None:
        mark = len(answers["sk-0"]) + count
        eventually(lambda: len(answers["sk-0"]) >= mark, "requests go on", within=30)

    move = cluster.move("{penstock::tenant-0}")
    try:
        go_on(20)
        # Slowly, so that what one key after the other is missed is tried by requests.
        move.begin()
        steps = 0
        while keys := move.keys():
            move.carry(keys[0])
            steps += 1
            go_on(1 if steps < 20 else 0)
        go_on(10)
        move.end()
        go_on(10)
        # And as fast as operators' programs do it.
        for _ in range(4):
            move = move.back()
            move.whole()
            go_on(5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        cores.stop()
    assert {status for each in answers.values() for _, _, status, _ in each} == {200}
    for number, key in enumerate(answers):
        used = 11 * len(answers[key])
        eventually(
            lambda number=number, used=used: gateway.used("tokens_per_day", f"tenant-{number}")
            == used,
            f"{used} are charged: {gateway.tenant(f'tenant-{number}')}",
        )
    for key, each in answers.items():
        for began, took, _, name in sorted(each, key=lambda answer: answer[1])[-60:]:
            trace = gateway.admin(f"/admin/requests/{name}").json
            waited = trace["times"]["budgeted_s"] - trace["times"]["read_s"]
            late = cores.between(began, began + took)
            assert waited - late <= 0.1 + LATE, trace
            # One whose slot moves may have been decided by the replica, others were not.
            assert trace["budget_from"] == "store" or key == "sk-0" or late > LATE, trace
    eventually(lambda: store_is_up(gateway), "no server was left for it")


def test_a_cluster_without_one_of_its_parts_from_the_start(start, engine, cluster):
    gone = cluster.owner("{penstock::acme}")
    replica = next(
        server for server in cluster.servers if gone.ask("CLUSTER", "MYID") in server.ask(
            "CLUSTER", "NODES").split("myself,slave")[-1].split("\n")[0]
    )
    replica.kill()
    gone.kill()
    gateway = start(by_cluster(engine, cluster))
    gateway.wait_log("budget store is away")
    refused(gateway.chat(), 503, "budget_store_unavailable")
    gone.start()
    eventually(lambda: gateway.chat().status == 200, "it is back", within=20)


def test_the_other_tenants_keys_are_known(start, engine, cluster):
    gateway = start(by_cluster(engine, cluster))
    wait_store(gateway)
    assert gateway.chat(key=KEY).status == gateway.chat(key=OTHER_KEY).status == 200
