# SPDX-License-Identifier: Apache-2.0
"""The gateway as a process of its own, and what tests ask it."""

import hashlib
import os
import pathlib
import signal
import subprocess
import threading
import time

import yaml
from fake_engine import MODEL, FakeEngine
from http_client import Answer, Connection
from waiting import eventually

KEY = "sk-test-acme"
OTHER_KEY = "sk-test-other"
TOKEN = "operator-token"


def hashed(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def settings(*engines: FakeEngine, limits: dict | None = None, **sections: object) -> dict:
    """A configuration with one pool of `engines`, two classes and two tenants.

    `limits` are the tenant acme's, whose key is `KEY`; `sections` replace top-level keys, except
    that `upstream` and `http` are merged into what makes tests quick, `interactive` into its class.
    """
    # A machine that is busy must not pass for an engine that is silent.
    upstream = {"scrape_interval": "100ms", "scrape_timeout": "10s"}
    configuration = {
        "workers": 2,
        "listeners": [{"address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "upstream": upstream | sections.pop("upstream", {}),  # type: ignore[operator]
        "models": [
            {"name": MODEL, "aliases": ["alias"], "context_length": 8192},
            {"name": "not-for-acme", "context_length": 8192},
        ],
        "pools": [
            {
                "name": "main",
                "engine": "vllm",
                "endpoints": [engine.url for engine in engines],
                "models": [MODEL, "not-for-acme"],
            }
        ],
        "classes": [
            {"name": "interactive", "pool": "main"} | sections.pop("interactive", {}),
            {"name": "batch", "pool": "main"},
            {"name": "not-for-acme", "pool": "main"},
        ],
        "tenants": [
            {
                "id": "acme",
                "keys": [hashed(KEY)],
                "classes": ["interactive", "batch"],
                "models": [MODEL],
                "limits": limits or {},
            },
            {
                "id": "beta",
                "keys": [hashed(OTHER_KEY)],
                "classes": ["interactive", "not-for-acme"],
                "models": [MODEL, "not-for-acme"],
            },
        ],
    }
    return configuration | sections


def chat_body(text: str = "Say hello.", **members: object) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]} | members


class Gateway:
    """One running gateway."""

    def __init__(self, binary: pathlib.Path, folder: pathlib.Path, configuration: dict):
        self.binary = binary
        self.file = folder / "penstock.yaml"
        self.configuration = configuration
        self.write(configuration)
        self.logs: list[str] = []
        self.process = subprocess.Popen(
            [binary, "serve", "--config", self.file],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"SWIFT_BACKTRACE": "enable=no"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.logs.append(line.rstrip("\n"))

    def write(self, configuration: dict | str) -> None:
        """Replaces the configuration file, whole at any moment."""
        text = (
            configuration
            if isinstance(configuration, str)
            else yaml.safe_dump(configuration, sort_keys=False)
        )
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.file)

    def wait_started(self) -> "Gateway":
        def started() -> bool:
            if self.process.poll() is not None:
                self._reader.join(5)
                raise RuntimeError(f"exit {self.process.returncode}: {self.logs}")
            return any(line.startswith("admin on ") for line in self.logs)

        eventually(started, "the gateway starts", within=30)
        listening = "listening on "
        self.listeners = [
            line.removeprefix(listening) for line in self.logs if line.startswith(listening)
        ]
        admin = next(line for line in self.logs if line.startswith("admin on "))
        self.admin_address = _address(admin.removeprefix("admin on "))
        self.address = _address(self.listeners[0])
        return self

    @property
    def base_url(self) -> str:
        assert not isinstance(self.address, str)
        return f"http://{self.address[0]}:{self.address[1]}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.admin_address[0]}:{self.admin_address[1]}"

    @property
    def pid(self) -> int:
        return self.process.pid

    # Requests.

    def connect(self, **options: object) -> Connection:
        return Connection(self.address, **options)  # type: ignore[arg-type]

    def post(
        self,
        path: str,
        body: bytes | dict,
        key: str | None = KEY,
        fields: dict[str, str] | None = None,
    ) -> Answer:
        with self.connect() as connection:
            return connection.exchange("POST", path, body, fields, key)

    def chat(
        self, key: str | None = KEY, fields: dict[str, str] | None = None, **members: object
    ) -> Answer:
        return self.post("/v1/chat/completions", chat_body(**members), key, fields)

    def get(self, path: str, key: str | None = KEY) -> Answer:
        with self.connect() as connection:
            return connection.exchange("GET", path, key=key)

    def admin(self, path: str, method: str = "GET", key: str | None = None) -> Answer:
        with Connection(self.admin_address) as connection:
            return connection.exchange(method, path, key=key)

    def tenant(self, name: str = "acme") -> dict:
        return self.admin(f"/admin/tenants/{name}").json

    def used(self, limit: str, tenant: str = "acme") -> float:
        found = [entry for entry in self.tenant(tenant)["limits"] if entry["name"] == limit]
        return found[0].get("used", 0.0)

    def endpoints(self) -> list[dict]:
        return self.admin("/admin/endpoints").json["endpoints"]

    def endpoint(self, engine: FakeEngine) -> dict:
        return next(e for e in self.endpoints() if e["endpoint"] == engine.authority)

    def queue(self, name: str = "interactive") -> dict:
        queues = self.admin("/admin/queues").json["queues"]
        return next(queue for queue in queues if queue["class"] == name)

    def wait_scraped(self, *engines: FakeEngine) -> None:
        """Until what the engines say now has arrived."""
        marks = {engine: engine.pages for engine in engines}
        eventually(
            lambda: all(engine.pages >= mark + 2 for engine, mark in marks.items()),
            "the engines are scraped",
        )

    def wait_scraped_once(self, *engines: FakeEngine) -> None:
        eventually(
            lambda: all(self.endpoint(engine)["scrape_age_s"] is not None for engine in engines),
            "the engines were scraped once",
        )

    def wait_healthy(self, *engines: FakeEngine, healthy: bool = True) -> None:
        for engine in engines:
            eventually(
                lambda engine=engine: self.endpoint(engine)["healthy"] == healthy,
                f"endpoint {engine.authority} healthy: {healthy}",
            )

    # Life.

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within: float = 20.0) -> int:
        code = self.process.wait(within)
        self._reader.join(5)
        return code

    def stop(self, within: float = 20.0) -> int:
        if self.is_running:
            self.signal(signal.SIGTERM)
        return self.wait(within)

    def kill(self) -> None:
        if self.is_running:
            self.process.kill()
        self.wait()

    def wait_log(self, text: str, within: float = 10.0) -> str:
        return eventually(
            lambda: next((line for line in self.logs if text in line), None),
            f"the log says {text!r}: {self.logs}",
            within,
        )

    # Nothing lost, nothing leaked.

    @property
    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    @property
    def resident_bytes(self) -> int:
        pages = pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def assert_at_rest(self, within: float = 10.0) -> None:
        """Waits until no request is left in any account: endpoints, queues, concurrency."""

        def at_rest() -> bool:
            for endpoint in self.endpoints():
                assert endpoint["own_sequences"] == 0, endpoint
                assert endpoint["prefilling_tokens"] == 0, endpoint
                assert endpoint["kv"]["projected_tokens"] == endpoint["kv"]["others_tokens"]
            for queue in self.admin("/admin/queues").json["queues"]:
                assert queue["requests"] == 0 and queue["tokens"] == 0, queue
            for tenant in self.admin("/admin/tenants").json["tenants"]:
                for limit in tenant["limits"]:
                    if limit["name"] == "concurrent_requests":
                        assert limit.get("used", 0) == 0, tenant
            return True

        eventually(at_rest, "nothing is left in flight", within)

    def assert_descriptors_return(self, to: int, within: float = 10.0) -> None:
        eventually(
            lambda: self.descriptors <= to,
            f"descriptors return to {to}, are {self.descriptors}",
            within,
        )


def _address(text: str) -> tuple[str, int] | str:
    if text.startswith("unix:"):
        return text.removeprefix("unix:")
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def elapsed(since: float) -> float:
    return time.monotonic() - since
