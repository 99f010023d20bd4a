#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPU microseconds of a proxy for a request, a refusal and an event, and bytes for an idle stream.

One worker each; figures are medians over rounds in which the proxies take turns. CPU is user and
system time of the proxy's process, from /proc.
"""

import argparse
import contextlib
import getpass
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SECONDS = 1.5
CONNECTIONS = 64
STREAMS, EVENTS, GAP_MS = 50, 100, 2
IDLE = 1_000
TEXT = " ".join(["word"] * 180)

NGINX = """
daemon off; user {user}; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 19000; use epoll; multi_accept on; }}
worker_rlimit_nofile 20000;
http {{
  access_log off; tcp_nodelay on; keepalive_requests 1000000000; client_body_temp_path {folder}/b;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
  scgi_temp_path {folder}/s;
  limit_req_zone $http_authorization zone=tenant:1m rate=1r/m;
  limit_req_status 429;
  upstream engine {{ server 127.0.0.1:{engine}; keepalive 1024; keepalive_requests 1000000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
  proxy_read_timeout 600s; proxy_buffer_size 16k; proxy_buffers 8 16k;
  proxy_busy_buffers_size 32k;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://engine; }}
  }}
  server {{
    listen 127.0.0.1:{refusing};
    error_page 429 = @refuse;
    location / {{ limit_req zone=tenant; proxy_pass http://engine; }}
    location @refuse {{ add_header Retry-After 1 always; return 429 '{{"error":"limit"}}'; }}
  }}
}}
"""


def hashed(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(key: str, **members: object) -> bytes:
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": TEXT}], "max_tokens": 200}
        | members,
        separators=(",", ":"),
    )
    return (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Proxy:
    """One process between load and engine. `refusing` is the port of a tenant over its limit."""

    def __init__(self, name: str, command: list, port: int, refusing: int):
        self.name = name
        self.command = command
        self.port = port
        self.refusing = refusing
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < deadline and self.process.poll() is None, f"{name} is down"
            time.sleep(0.05)
        # nginx works in a child.
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        worker = children.read_text().split()
        self.pid = int(worker[0]) if worker else self.process.pid

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as to:
            to.settimeout(2)
            to.sendall(request("sk-bench"))
            return to.recv(64).startswith(b"HTTP/1.1 200")
        return False

    @property
    def cpu_seconds(self) -> float:
        """User and system time."""
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def bytes(self) -> int:
        """Memory that is this process's, its share of what is shared included."""
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def penstock(
    binary: str, folder: pathlib.Path, engine: int, name: str = "penstock",
    port: int | None = None, **more: object,
) -> Proxy:
    """`more`: of the configuration; its listeners, if any, have `port`."""
    port = port or free_port()
    tenants = {
        "bench": {"tokens_per_minute": 10**12, "requests_per_minute": 10**9},
        "spent": {"requests_per_minute": 1},
    }
    configuration = {
        "workers": 1,
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"address": f"unix:{folder}/{name}.sock"},
        "models": [{"name": "m", "context_length": 10**6}],
        "pools": [
            {
                "name": "p",
                "engine": "vllm",
                "endpoints": [f"http://127.0.0.1:{engine}"],
                "models": ["m"],
            }
        ],
        "classes": [{"name": "c", "pool": "p", "queue": {"max_wait": "60s"}}],
        "tenants": [
            {
                "id": tenant,
                "keys": [hashed(f"sk-{tenant}")],
                "classes": ["c"],
                "models": ["m"],
                "limits": limits,
            }
            for tenant, limits in tenants.items()
        ],
    }
    # JSON is YAML.
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(configuration | more))
    return Proxy(name, [binary, "serve", "--config", file], port, port)


def nginx(binary: str, folder: pathlib.Path, engine: int) -> Proxy:
    port, refusing = free_port(), free_port()
    file = folder / "nginx.conf"
    names = {"user": getpass.getuser(), "folder": folder, "engine": engine}
    file.write_text(NGINX.format(**names, port=port, refusing=refusing))
    command = [binary, "-c", file, "-p", folder, "-e", folder / "error.log"]
    return Proxy("nginx", command, port, refusing)


class Bench:
    """The program that is both ends, and the requests that it sends."""

    def __init__(self, binary: str, folder: pathlib.Path):
        self.binary = binary
        self.folder = folder
        self.engine = subprocess.Popen([binary, "engine"], stdout=subprocess.PIPE, text=True)
        self.port = int(self.engine.stdout.readline())
        stream = {"stream": True, "stream_options": {"include_usage": True}}
        for name, content in {
            "request": request("sk-bench"),
            "refusal": request("sk-spent"),
            "events": request("sk-bench", **stream, x_events=EVENTS, x_gap_ms=GAP_MS),
            "idle": request("sk-bench", **stream, x_events=2, x_gap_ms=60_000),
        }.items():
            (folder / name).write_bytes(content)

    def load(self, proxy: Proxy, name: str) -> float:
        """CPU microseconds of one request, refusal or event."""
        port = proxy.refusing if name == "refusal" else proxy.port
        status = 429 if name == "refusal" else 200
        connections = STREAMS if name == "events" else CONNECTIONS
        before = proxy.cpu_seconds
        words = [self.binary, "load", port, connections, SECONDS, status, self.folder / name]
        out = subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        good, bad, _ = out.split()
        # The very first of a tenant over its limit may have been let in.
        assert int(bad) <= 1 + (name == "refusal"), f"{proxy.name}, {name}: {out}"
        each = EVENTS if name == "events" else 1
        return 1e6 * (proxy.cpu_seconds - before) / (int(good) * each)

    def idle(self, proxy: Proxy) -> float:
        """Bytes of one open stream that has had its first event."""
        before = proxy.bytes
        words = [self.binary, "hold", proxy.port, IDLE, self.folder / "idle"]
        holding = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert holding.stdout.readline() == "held\n"
            return (proxy.bytes - before) / IDLE
        finally:
            holding.communicate()

    def stop(self) -> None:
        self.engine.kill()
        self.engine.communicate()


def options() -> argparse.Namespace:
    """Of a benchmark that puts load through proxies, by turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--penstock", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    arguments = options()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(arguments.bench, folder)
        stack.callback(bench.stop)
        proxies = [penstock(arguments.penstock, folder, bench.port)]
        stack.callback(proxies[0].stop)
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if found:
            proxies.append(nginx(found, folder, bench.port))
            stack.callback(proxies[1].stop)
        figures: dict[tuple[str, str], list[float]] = {}
        for _ in range(arguments.rounds):
            for name in ("request", "refusal", "events"):
                for proxy in proxies:
                    figures.setdefault((name, proxy.name), []).append(bench.load(proxy, name))
        for proxy in proxies:
            figures["idle", proxy.name] = [bench.idle(proxy)]
    report(figures, [proxy.name for proxy in proxies], arguments.rounds)


def report(figures: dict, proxies: list[str], rounds: int) -> None:
    labels = {
        "request": "CPU us a request, full admission (nginx: relay)",
        "refusal": "CPU us a refusal with 429",
        "events": "CPU us an event",
        "idle": f"bytes an idle stream, of {IDLE}",
    }
    print(f"medians of {rounds} rounds, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'':50}" + "".join(f"{name:>22}" for name in proxies))
    for name, label in labels.items():
        cells = ""
        for proxy in proxies:
            values = figures[name, proxy]
            form = ".0f" if name == "idle" else ".2f"
            spread = f" ({min(values):{form}}-{max(values):{form}})" if len(values) > 1 else ""
            cells += f"{statistics.median(values):{form}}{spread}".rjust(22)
        print(f"{label:50}{cells}")


if __name__ == "__main__":
    sys.exit(main())
