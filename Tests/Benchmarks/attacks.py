#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What attacks do to a client that behaves: a table, attack by attack.

For each attack a fresh gateway with one worker, so that nobody can keep out of its way. A client
asks for a short answer some fifty times a second, and reads one stream beside it; first in quiet,
then under the attack. The attack comes from another address of loopback, at a bounded rate, and
from a process that gives way where there is too little of the machine.

Passed is an attack where the client's 99th percentile stays below twice its quiet one and 5 ms
more, none of its answers or streams breaks, and the gateway's memory comes back to within 8 MiB.
"""

import argparse
import contextlib
import datetime
import json
import multiprocessing
import os
import pathlib
import platform
import queue
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

import attackers
from measure import Bench, Proxy, free_port, penstock, request

MEBIBYTE = 1 << 20
SLACK = 0.005
# Seconds without an attack.
QUIET = 10.0
MEMORY_SLACK = 8 * MEBIBYTE
IDLE = 10_000
BARS = {"in clear": 16_384, "TLS": 49_152}


# The client that behaves.


def behave(port: int, seconds: float, out: multiprocessing.Queue) -> None:
    """Asks and reads for so long; the time of each answer, and how often something broke."""
    end = time.monotonic() + seconds
    broken = [0]
    streams = [0]
    reader = threading.Thread(target=read_streams, args=(port, end, broken, streams))
    reader.start()
    times = ask(port, end, broken)
    reader.join()
    out.put((times, broken[0], streams[0]))


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def ask(port: int, end: float, broken: list[int]) -> list[float]:
    wanted = request("sk-bench")
    times: list[float] = []
    sock = None
    for _ in attackers.paced(50, end):
        began = time.monotonic()
        try:
            sock = sock or connect(port)
            sock.sendall(wanted)
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                piece = sock.recv(65_536)
                if not piece:
                    raise ConnectionResetError
                answer += piece
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise ConnectionAbortedError(answer[:100])
            times.append(time.monotonic() - began)
        except OSError as error:
            print(f"an answer broke: {error!r}", file=sys.stderr)
            broken[0] += 1
            sock = None
    return times


def read_streams(port: int, end: float, broken: list[int], streams: list[int]) -> None:
    """One stream after the other, an event each 20 ms, each read to its end."""
    while (left := end - time.monotonic()) > 0.1:
        events = max(1, min(100, int(left / 0.02)))
        try:
            with connect(port) as sock:
                sock.sendall(request("sk-bench", stream=True, x_events=events, x_gap_ms=20))
                answer = b""
                while not answer.endswith(b"0\r\n\r\n"):
                    piece = sock.recv(65_536)
                    if not piece:
                        raise ConnectionResetError
                    answer += piece
                whole = answer.count(b'"content"') == events and b"data: [DONE]" in answer
                if not whole:
                    raise ConnectionAbortedError(answer[-100:])
                streams[0] += 1
        except OSError as error:
            print(f"a stream broke: {error!r}", file=sys.stderr)
            broken[0] += 1


class Client:
    """One that behaves, for so many seconds, in a process of its own."""

    def __init__(self, port: int, seconds: float):
        self.out: multiprocessing.Queue = multiprocessing.Queue()
        self.seconds = seconds
        self.process = multiprocessing.Process(target=behave, args=(port, seconds, self.out))
        self.process.start()

    def result(self) -> tuple[list[float], int, int]:
        try:
            return self.out.get(timeout=self.seconds + 60)
        except queue.Empty:
            self.process.kill()
            return [], 1, 0
        finally:
            self.process.join()


def p99(times: list[float]) -> float:
    """Infinite without a time: nobody was answered."""
    if not times:
        return float("inf")
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.99))]


# One attack.


@dataclass
class Row:
    name: str
    did: int
    quiet: float
    under: float
    broken: int
    streams: int
    before: int
    peak: int
    after: int

    @property
    def bar(self) -> float:
        return 2 * self.quiet + SLACK

    @property
    def faults(self) -> list[str]:
        found = []
        if self.under > self.bar:
            found.append("slower")
        if self.broken:
            found.append(f"{self.broken} broken")
        if self.after - self.before > MEMORY_SLACK:
            found.append("memory stays")
        if not self.did:
            found.append("nothing was sent")
        return found

    @property
    def cells(self) -> list[str]:
        return [
            self.name, f"{self.did}",
            *(f"{1e3 * value:.2f}" for value in (self.quiet, self.under, self.bar)),
            f"{self.broken} of {self.streams + self.broken}",
            *(f"{value / MEBIBYTE:.1f}" for value in (self.before, self.peak, self.after)),
            ", ".join(self.faults) or "passed",
        ]  # fmt: skip


TITLES = [
    "attack", "times", "quiet p99 ms", "p99 ms", "bar ms", "streams broken", "MiB before", "peak",
    "after", "verdict",
]  # fmt: skip


def resident(proxy: Proxy) -> int:
    pages = pathlib.Path(f"/proc/{proxy.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def certificate(folder: pathlib.Path) -> dict[str, str]:
    names = {"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-subj", "/CN=localhost", "-days", "2", "-out", names["certificate"],
         "-keyout", names["key"]],
        check=True, capture_output=True,
    )  # fmt: skip
    return names


class Ground:
    """Gateways to attack, all before one engine."""

    def __init__(self, binary: str, bench: Bench, folder: pathlib.Path):
        self.binary = binary
        self.bench = bench
        self.folder = folder
        self.tls = certificate(folder)

    @contextlib.contextmanager
    def gateway(self, **http: object):
        port, secure = free_port(), free_port()
        listeners = [
            {"address": f"127.0.0.1:{port}", "protocols": ["http1", "http2"]},
            {"address": f"127.0.0.1:{secure}", "tls": self.tls},
        ]
        proxy = penstock(
            self.binary, self.folder, self.bench.port, port=port, listeners=listeners, http=http)
        try:
            yield proxy, attackers.Target(port, secure)
        finally:
            proxy.stop()

    def attack(self, name: str, seconds: float) -> Row:
        with self.gateway(max_connections_per_address=6_000) as (proxy, target):
            # Both sides of what follows are warm.
            Client(target.port, min(2.0, seconds)).result()
            quiet, early, _ = Client(target.port, min(QUIET, seconds)).result()
            before = peak = resident(proxy)
            attacker = multiprocessing.Pool(1)
            did = attacker.apply_async(attackers.run, (name, target, seconds + 0.5))
            time.sleep(0.25)
            client = Client(target.port, seconds)
            while client.process.is_alive() and not (client.out.qsize() and did.ready()):
                peak = max(peak, resident(proxy))
                time.sleep(0.02)
            under, broken, streams = client.result()
            count = did.get(timeout=120)
            attacker.terminate()
            after = self.settled(proxy, before)
        return Row(
            name, count, p99(quiet), p99(under), broken + early, streams, before, peak, after)

    @staticmethod
    def settled(proxy: Proxy, level: int) -> int:
        """What is held once all is over, ten seconds later at most."""
        for _ in range(100):
            if resident(proxy) - level <= MEMORY_SLACK:
                break
            time.sleep(0.1)
        return resident(proxy)

    def idle(self, kind: str, count: int) -> float:
        """Bytes of a connection that has had one answer and waits, of so many."""
        with self.gateway(max_connections_per_address=0, idle_timeout="600s") as (proxy, target):
            context = ssl.create_default_context(cafile=self.tls["certificate"])
            held = []

            def add(number: int) -> None:
                for _ in range(number):
                    held.append(self.asked(target, context if kind == "TLS" else None))

            add(50)
            before = proxy.bytes
            add(count)
            used = proxy.bytes - before
            for sock in held:
                sock.close()
            return used / count

    @staticmethod
    def asked(target: attackers.Target, context: ssl.SSLContext | None) -> socket.socket:
        sock = target.connect(target.secure if context else target.port)
        if context:
            sock = context.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-bench\r\n\r\n"
        )
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
        return sock


# What is told.


def table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 2) + ["---"], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def page(rows: list[Row], idle: dict[str, float], seconds: float, count: int) -> str:
    passed = sum(not row.faults for row in rows)
    quiet = statistics.median(row.quiet for row in rows) if rows else 0
    text = f"""# Attacks

<!-- Written by `make attacks`. -->

Made by `make attacks` on {datetime.date.today()}: {seconds:g} s for each attack, {os.cpu_count()}
cores ({platform.machine()}), loopback, the release build with one worker, so that nobody can keep
out of an attack's way. {passed} of {len(rows)} passed.

A client that behaves asks for a short answer fifty times a second, and reads one stream after the
other. *Quiet* is its 99th percentile in {min(QUIET, seconds):g} s before the attack (median of all:
{1e3 * quiet:.2f} ms), the *bar* twice that and 5 ms more. *Streams broken* counts its answers and
streams that were not whole, of all its streams. Memory is the gateway's resident set before, at
its highest, and within 10 s after; it has to come back to within 8 MiB. An attack comes from an
address of its own and at a bounded rate (`Tests/Benchmarks/attackers.py`), from one process on the
same machine, which gives way to the others: how often it was done stands under *times*. So the
table shows what the gateway does under an attack that the machine survives, not how much one
survives.

"""
    text += table(TITLES, [row.cells for row in rows])
    if idle:
        text += f"\n## Idle connections\n\nBytes of memory (Pss) for each of {count}, each of "
        text += "which has had one answer.\n\n"
        text += table(
            ["connection", "bytes", "bar", "verdict"],
            [
                [kind, f"{used:.0f}", f"{BARS[kind]}", "passed" if used <= BARS[kind] else "over"]
                for kind, used in idle.items()
            ],
        )
    return text


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True, help="the program made of bench.c")
    parser.add_argument("--penstock", required=True, help="the gateway")
    parser.add_argument("--seconds", type=float, default=30, help="for each attack")
    parser.add_argument(
        "--only", action="append", choices=list(attackers.ATTACKS), help="these attacks alone")
    parser.add_argument("--idle", type=int, default=IDLE, help="idle connections; 0: none")
    parser.add_argument("--write", type=pathlib.Path, help="the page, beside printing it")
    parser.add_argument("--json", type=pathlib.Path, help="the figures, for programs")
    return parser.parse_args()


def main() -> int:
    arguments = options()
    # Nothing of ours is inherited by an attacker but what it needs.
    multiprocessing.set_start_method("forkserver")
    rows, idle = [], {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        bench = Bench(arguments.bench, folder)
        try:
            ground = Ground(arguments.penstock, bench, folder)
            for attack in arguments.only or attackers.ATTACKS:
                rows.append(ground.attack(attack, arguments.seconds))
                print(" | ".join(rows[-1].cells), file=sys.stderr, flush=True)
            for kind in BARS if arguments.idle else ():
                idle[kind] = ground.idle(kind, arguments.idle)
        finally:
            bench.stop()
    text = page(rows, idle, arguments.seconds, arguments.idle)
    print(text)
    if arguments.write:
        arguments.write.write_text(text)
    if arguments.json:
        figures = [vars(row) | {"faults": row.faults} for row in rows]
        arguments.json.write_text(json.dumps({"attacks": figures, "idle": idle}))
    return 1 if any(row.faults for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
