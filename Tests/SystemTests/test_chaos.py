# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to Redis: nobody waits for it, it is used again, and no charge is lost.

Requests go on all the time while something is done to Redis, and undone. Then: no request took
longer than the store's timeout and what a request takes anyway, and by the gateway's own clock none
waited for the store longer than its timeout; the store is used again within a second of its
return; the ledger has what the engine has generated, to the token. While processes of the test wait
for a core of a machine that is busy with other things, no clock runs.
"""

import os
import random
import threading
import time

import pytest
from core_waits import Recorder, Stopwatch
from fake_engine import reply, usage_of
from fault_proxy import FaultProxy
from gateway_process import settings
from redis_fleets import PLAIN, Cluster, Sentinels, Server
from test_ledger import usage
from test_redis import store_is_up, wait_store
from waiting import eventually

TIMEOUT = 0.05
# What a request takes beside the store: of a debug build, its client and its engine in one Python
# process on a machine that is busy. With a release build on a quiet machine set it to 10 or so.
SLACK = float(os.environ.get("PENSTOCK_CHAOS_SLACK_MS", "200")) / 1_000
# What the gateway may be late by its own clock. With a release build on a quiet machine set it to
# 10.
LATE = float(os.environ.get("PENSTOCK_CHAOS_LATE_MS", "50")) / 1_000
RECOVERY = 1.0
# Between two requests of a client: what burns a core proves nothing more.
REST = 0.01


class Storm:
    """Requests without end, what came of them, and what the engine says it did."""

    def __init__(self, gateway, engine, seed: int = 1):  # noqa: ANN001
        self.gateway = gateway
        # When each began, how long it took, its status, and its name.
        self.answers: list[tuple[float, float, int, str]] = []
        self.prompt = self.completion = 0
        self.faults: list[Exception] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._waits = Recorder(gateway.pid, os.getpid())
        self._random = random.Random(seed)
        engine.default = self._serve
        self._clients = [threading.Thread(target=self._client, args=(c,)) for c in range(4)]
        for client in self._clients:
            client.start()

    async def _serve(self, call) -> None:  # noqa: ANN001
        with self._lock:
            prompt, completion = self._random.randint(1, 500), self._random.randint(1, 90)
            self.prompt += prompt
            self.completion += completion
        await reply(tokens=2, usage=usage_of(prompt, completion))(call)

    def _client(self, client: int) -> None:
        number = 0
        while not self._stop.wait(REST):
            number += 1
            name = f"storm-{client}-{number}"
            began = time.monotonic()
            try:
                answer = self.gateway.chat(
                    fields={"X-Request-Id": name}, stream=number % 2 == 0
                )
                status = answer.status
                if status == 429:
                    self.faults.append(AssertionError(f"refused: {answer.body}"))
            except Exception as error:  # Told at the end: a thread's is not the test's.
                self.faults.append(error)
                return
            self.answers.append((began, time.monotonic() - began, status, name))

    def wait_for(self, count: int) -> None:
        mark = len(self.answers) + count
        eventually(lambda: self.faults or len(self.answers) >= mark, "requests go on", within=30)

    def end(self, run, path) -> None:  # noqa: ANN001
        """Stops, and looks at everything."""
        self._stop.set()
        for client in self._clients:
            client.join()
        self._waits.stop()
        assert not self.faults, self.faults
        assert self.gateway.is_running, self.gateway.logs
        longest = max(
            max(took - self._waits.between(began, began + took), 0.0)
            for began, took, _, _ in self.answers
        )
        print(f"longest {longest * 1_000:.1f} ms of {len(self.answers)}")
        waited = self._longest_wait()
        print(f"waited for the store {waited * 1_000:.1f} ms")
        assert waited <= TIMEOUT + LATE, waited
        assert longest <= TIMEOUT + SLACK, longest
        statuses = {status for _, _, status, _ in self.answers}
        assert statuses <= {200, 503}, statuses
        self.gateway.assert_at_rest()
        eventually(
            lambda: self.gateway.admin("/admin/ledger").json["sinks"][0]["waiting"] == 0,
            "all of it is written down",
        )
        rows = usage(run, path)
        written = (sum(row["input"] for row in rows), sum(row["output"] for row in rows))
        assert written == (self.prompt, self.completion)
        served = sum(status == 200 for _, _, status, _ in self.answers)
        assert sum(row["requests"] for row in rows) == served

    def _longest_wait(self) -> float:
        """For the store, by the gateway's clock, of the hundred that took longest."""
        waits = []
        for began, took, _, name in sorted(self.answers, key=lambda a: a[1])[-100:]:
            trace = self.gateway.admin(f"/admin/requests/{name}")
            assert trace.status == 200, name
            times = trace.json["times"]
            if times["budgeted_s"] is not None:
                late = self._waits.between(began, began + took)
                waits.append(times["budgeted_s"] - times["read_s"] - late)
        assert waits, "none was budgeted"
        return max(*waits, 0.0)


def on(engine, address: list[str], path, **redis: object) -> dict:  # noqa: ANN001
    configuration = settings(engine, limits={"tokens_per_day": 10**9, "concurrent_requests": 50})
    configuration["store"] = {
        "kind": "redis",
        "redis": {
            "addresses": address,
            "timeout": f"{int(TIMEOUT * 1_000)}ms",
            "on_failure": "local",
            "reservation_lease": "5s",
        }
        | redis,
    }
    configuration["ledger"] = {"file": {"path": str(path)}}
    configuration["admin"]["request_history"] = 20_000
    return configuration


def recovered(gateway) -> None:  # noqa: ANN001
    watch = Stopwatch()
    eventually(lambda: store_is_up(gateway), f"the store is used again: {gateway.logs}", within=10)
    took = watch.seconds
    print(f"recovered in {took * 1_000:.0f} ms")
    assert took <= RECOVERY + (SLACK if SLACK > 0.1 else 0), took


@pytest.fixture
def path(tmp_path):
    return tmp_path / "usage.ndjson"


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path, *PLAIN, "--busy-reply-threshold", "10").start().wait()
    yield server
    server.kill()


@pytest.fixture
def proxy(server):
    proxy = FaultProxy(server.port)
    yield proxy
    proxy.close()


# What a network does: how it begins, and how it ends.
NETWORK = {
    "latency": (lambda p: setattr(p, "latency", 0.2), lambda p: p.heal()),
    "black hole": (lambda p: setattr(p, "swallows", True), lambda p: p.heal()),
    "reset": (lambda p: p.reset(), lambda p: None),
    "half open": (lambda p: p.forget(), lambda p: None),
    "refused": (lambda p: p.refuse(), lambda p: p.listen_again()),
}


def strike(storm, gateway, times: int, begin, end) -> None:  # noqa: ANN001
    """The fault comes and goes under load, and each time all is well again soon."""
    for _ in range(times):
        storm.wait_for(30)
        begin()
        storm.wait_for(30)
        end()
        recovered(gateway)
    storm.wait_for(30)


@pytest.mark.parametrize("on_failure", ["local", "closed"])
@pytest.mark.parametrize("fault", NETWORK)
def test_what_a_network_does(start, engine, run, proxy, path, fault, on_failure):
    begin, end = NETWORK[fault]
    gateway = start(on(engine, [proxy.address], path, on_failure=on_failure))
    wait_store(gateway)
    storm = Storm(gateway, engine)
    strike(storm, gateway, 3, lambda: begin(proxy), lambda: end(proxy))
    storm.end(run, path)


def busy(server: Server) -> None:
    """A script that does not end, of somebody else."""
    threading.Thread(
        target=lambda: server.ask("EVAL", "while true do end", "0"), daemon=True
    ).start()


# What operators and machines do to a server.
DEEDS = {
    "restart": (lambda s: s.kill(), lambda s: s.start().wait()),
    "flush all": (lambda s: s.ask("FLUSHALL"), lambda s: None),
    "script flush": (lambda s: s.ask("SCRIPT", "FLUSH"), lambda s: None),
    "read only": (
        lambda s: s.ask("REPLICAOF", "127.0.0.1", "1"),
        lambda s: s.ask("REPLICAOF", "NO", "ONE"),
    ),
    "no memory": (
        lambda s: s.ask("CONFIG", "SET", "maxmemory", "1"),
        lambda s: s.ask("CONFIG", "SET", "maxmemory", "0"),
    ),
    "busy": (busy, lambda s: s.ask("SCRIPT", "KILL")),
    "clients killed": (lambda s: s.ask("CLIENT", "KILL", "TYPE", "normal"), lambda s: None),
    # It ends by itself: a server that is paused takes no command to go on.
    "paused": (lambda s: s.ask("CLIENT", "PAUSE", "500", "ALL"), lambda s: s.wait()),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_done_to_a_server(start, engine, run, server, path, deed):
    begin, end = DEEDS[deed]
    gateway = start(on(engine, [server.address], path))
    wait_store(gateway)
    storm = Storm(gateway, engine)
    strike(storm, gateway, 2, lambda: begin(server), lambda: end(server))
    storm.end(run, path)


def test_a_failover_of_sentinels(start, engine, run, tmp_path, path):
    fleet = Sentinels(tmp_path)
    try:
        fleet.start()
        gateway = start(on(engine, fleet.addresses, path, mode="sentinel"))
        wait_store(gateway)
        storm = Storm(gateway, engine)
        storm.wait_for(60)
        fleet.master.kill()
        eventually(fleet.has_failed_over, "all sentinels name the replica", within=30)
        recovered(gateway)
        storm.wait_for(60)
        storm.end(run, path)
    finally:
        fleet.close()


def test_a_failover_of_a_primary(start, engine, run, tmp_path, path):
    fleet = Cluster(tmp_path)
    try:
        fleet.start()
        gateway = start(on(engine, fleet.addresses, path, mode="cluster"))
        wait_store(gateway)
        storm = Storm(gateway, engine)
        storm.wait_for(60)
        old = fleet.owner("{penstock::acme}")
        old.kill()
        eventually(lambda: _is_followed(fleet, old), "a replica has taken over", within=30)
        recovered(gateway)
        storm.wait_for(60)
        storm.end(run, path)
    finally:
        fleet.close()


def _is_followed(fleet: Cluster, old: Server) -> bool:
    living = [server for server in fleet.servers if server.process]
    return all("cluster_state:ok" in server.ask("CLUSTER", "INFO") for server in living) and (
        fleet.owner("{penstock::acme}") is not old
    )
