# SPDX-License-Identifier: Apache-2.0
"""Redis servers that work together, and servers that speak TLS, of the test's own."""

import pathlib
import shutil
import socket
import subprocess

from redis_process import ask
from waiting import eventually

# The largest port that leaves room for the cluster's bus, ten thousand above.
HIGHEST = 55_000


def free_port() -> int:
    """One that nobody has now, nor the one ten thousand above it."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            if port > HIGHEST:
                port -= 20_000
            try:
                second.bind(("127.0.0.1", port + 10_000))
                return port
            except OSError:
                continue


class Server:
    """One redis-server process; it may be killed and started again."""

    def __init__(self, folder: pathlib.Path, *options: str, port: int | None = None):
        self.port = port or free_port()
        self.folder = folder / f"redis-{self.port}"
        self.folder.mkdir()
        self.options = options
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *files: str) -> "Server":
        binary = shutil.which("redis-server")
        assert binary, "redis-server is not installed: make deps"
        words = [binary, *files, "--bind", "127.0.0.1", "--dir", str(self.folder)]
        if "--tls-port" not in self.options:
            words += ["--port", str(self.port)]
        self.process = subprocess.Popen(
            [*words, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return self

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words: str) -> str:
        return ask(self.port, *words)

    def has_told_its_replica(self) -> bool:
        """A replica has acknowledged all that was written here: it may take over without loss."""
        lines = self.ask("INFO", "replication").split()
        own = next(line.split(":")[1] for line in lines if line.startswith("master_repl_offset:"))
        return any(line.startswith("slave0:") and f",offset={own}," in line for line in lines)

    def wait(self) -> "Server":
        eventually(lambda: self.ask("PING") == "PONG", f"{self.address} answers")
        return self


PLAIN = (
    *("--save", "", "--appendonly", "no", "--loglevel", "warning"),
    # A primary would wait five seconds for more replicas before it sends what it has.
    *("--repl-diskless-sync-delay", "0"),
)


class Sentinels:
    """A master, a replica, and three sentinels that watch them."""

    def __init__(self, folder: pathlib.Path):
        self.master = Server(folder, *PLAIN)
        self.replica = Server(folder, *PLAIN, "--replicaof", f"127.0.0.1 {self.master.port}")
        self.sentinels = [Server(folder) for _ in range(3)]

    @property
    def addresses(self) -> list[str]:
        return [sentinel.address for sentinel in self.sentinels]

    @property
    def servers(self) -> list[Server]:
        return [self.master, self.replica, *self.sentinels]

    def start(self) -> "Sentinels":
        self.master.start().wait()
        self.replica.start().wait()
        eventually(
            lambda: "master_link_status:up" in self.replica.ask("INFO", "replication"),
            "the replica follows",
        )
        for sentinel in self.sentinels:
            file = sentinel.folder / "sentinel.conf"
            # As they would write it once they have heard of each other.
            file.write_text(
                f"sentinel myid {self._name(sentinel)}\n"
                f"sentinel monitor mymaster 127.0.0.1 {self.master.port} 2\n"
                "sentinel down-after-milliseconds mymaster 500\n"
                "sentinel failover-timeout mymaster 2000\n"
                f"sentinel known-replica mymaster 127.0.0.1 {self.replica.port}\n"
                + "".join(
                    f"sentinel known-sentinel mymaster 127.0.0.1 {other.port} "
                    f"{self._name(other)}\n"
                    for other in self.sentinels
                    if other is not sentinel
                )
            )
            sentinel.start(str(file), "--sentinel").wait()
        eventually(self._know_all, "the sentinels know each other")
        return self

    @staticmethod
    def _name(sentinel: Server) -> str:
        return f"{sentinel.port:040x}"

    def _know_all(self) -> bool:
        return all(
            "slaves=1,sentinels=3" in sentinel.ask("INFO", "sentinel")
            for sentinel in self.sentinels
        )

    def has_failed_over(self) -> bool:
        """All sentinels name the replica: a gateway asks one, and two learn it from the third."""
        return all(
            f"address=127.0.0.1:{self.replica.port}" in sentinel.ask("INFO", "sentinel")
            for sentinel in self.sentinels
        )

    def close(self) -> None:
        for server in self.servers:
            server.kill()


class Cluster:
    """Three primaries with a replica each."""

    def __init__(self, folder: pathlib.Path):
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        self.servers = [Server(folder, *PLAIN, *options) for _ in range(6)]

    @property
    def addresses(self) -> list[str]:
        return [server.address for server in self.servers[:2]]

    def start(self) -> "Cluster":
        for server in self.servers:
            server.start()
        for server in self.servers:
            server.wait()
        nodes = [server.address for server in self.servers]
        create = ["redis-cli", "--cluster", "create", *nodes]
        done = subprocess.run(
            [*create, "--cluster-replicas", "1", "--cluster-yes"],
            capture_output=True, text=True, timeout=60, check=False,
        ).stdout  # fmt: skip
        assert "All 16384 slots covered" in done, done
        eventually(self._are_ready, "the cluster is there", within=30)
        return self

    def _are_ready(self) -> bool:
        return all(
            "cluster_state:ok" in server.ask("CLUSTER", "INFO") for server in self.servers
        ) and all(
            "master_link_status:up" in server.ask("INFO", "replication")
            for server in self.servers
            if "role:slave" in server.ask("INFO", "replication")
        )

    def owner(self, key: str) -> Server:
        """The primary that has a key's slot."""
        living = next(server for server in self.servers if server.process)
        slot = int(living.ask("CLUSTER", "KEYSLOT", key))
        for server in self.servers:
            if server.process is None:
                continue
            for line in server.ask("CLUSTER", "NODES").splitlines():
                words = line.split()
                if len(words) < 8 or "myself,master" not in words[2]:
                    continue
                for part in words[8:]:
                    first, _, last = part.partition("-")
                    if first.isdigit() and int(first) <= slot <= int(last or first):
                        return server
        raise AssertionError(f"nobody has the slot of {key}")

    def move(self, key: str) -> "Move":
        """What moves the slot of `key` from its primary to another one."""
        source = self.owner(key)
        target = next(
            server
            for server in self.servers
            if server is not source
            and server.process
            and "role:master" in server.ask("INFO", "replication")
        )
        return Move(source, target, source.ask("CLUSTER", "KEYSLOT", key))

    def close(self) -> None:
        for server in self.servers:
            server.kill()


class Move:
    """A slot on its way from one primary to another, step by step as `redis-cli --cluster reshard`
    does it."""

    def __init__(self, source: Server, target: Server, slot: str):
        self.source, self.target, self.slot = source, target, slot
        self._names = {server: server.ask("CLUSTER", "MYID") for server in (source, target)}

    def begin(self) -> None:
        self._set(self.target, "IMPORTING", self._names[self.source])
        self._set(self.source, "MIGRATING", self._names[self.target])

    def keys(self) -> list[str]:
        """Those that have not moved yet."""
        return self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, "1000").splitlines()

    def carry(self, *keys: str) -> None:
        words = ("MIGRATE", "127.0.0.1", str(self.target.port), "", "0", "5000", "KEYS")
        done = self.source.ask(*words, *keys)
        assert done in ("OK", "NOKEY"), done

    def end(self) -> None:
        for server in (self.target, self.source):
            self._set(server, "NODE", self._names[self.target])

    def whole(self) -> None:
        self.begin()
        while keys := self.keys():
            self.carry(*keys)
        self.end()

    def back(self) -> "Move":
        return Move(self.target, self.source, self.slot)

    def _set(self, server: Server, state: str, name: str) -> None:
        done = server.ask("CLUSTER", "SETSLOT", self.slot, state, name)
        assert done == "OK", done
