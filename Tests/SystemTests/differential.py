# SPDX-License-Identifier: Apache-2.0
"""The same ambiguous requests through Penstock, nginx and HAProxy: what comes out behind each.

The table of all cases: python Tests/SystemTests/differential_table.py > docs/differential.md
"""

import pathlib
import re
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ambiguous_lines import CASES
from ambiguous_requests import FOLLOWING
from gateway_process import Gateway, settings
from recording_upstream import Malformed, Message, Record, RecordingUpstream, read_message
from reference_proxies import ReferenceProxy, executable

PEERS = [name for name in ("nginx", "haproxy") if executable(name)]
# Seconds for a message that is not whole; long enough for a busy machine to read one that is.
PATIENCE = 2
LANES = 32
MARK = re.compile(rb"(?:case=|X-Case: )(\d{3})(-hidden|-next)?", re.IGNORECASE)
# What Penstock asks an engine of its own accord.
PROBES = (b"GET /health ", b"GET /v1/models ", b"GET /metrics ")


@dataclass
class Outcome:
    """What one proxy made of one case."""

    statuses: list[int] = field(default_factory=list)
    forwarded: list[Message] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    hidden: int = 0
    faults: list[str] = field(default_factory=list)
    kept: bool = False

    @property
    def verdict(self) -> str:
        """In a few words: statuses, bytes of each body that went upstream, what was hidden."""
        told = " ".join(map(str, self.statuses)) or "no answer"
        if self.forwarded:
            told += " → " + " + ".join(f"{len(message.body)} B" for message in self.forwarded)
        if self.hidden:
            told += ", hidden one ran"
        if self.faults:
            told += ", malformed upstream"
        return told + (", kept" if self.kept else "")


def statuses(data: bytes) -> list[int]:
    """Of the final answers in `data`; 9 for an answer without a head, as HTTP/0.9 has it."""
    found = []
    while data:
        match = re.match(rb"HTTP/1\.[01] (\d{3})", data)
        head, _, data = data.partition(b"\r\n\r\n")
        if not match:
            return [*found, 9]
        status = int(match[1])
        size = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if status >= 200:
            found.append(status)
            data = data[int(size[1]) :] if size else b""
    return found


def exchange(
    address: tuple[str, int] | str, message: bytes, half_close: bool = False
) -> bytes:
    """Sends, and reads to the end of the connection, which the proxy has to bring about."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(15)
        client.connect(address)
        received = b""
        try:
            client.sendall(message)
            if half_close:
                client.shutdown(socket.SHUT_WR)
            while data := client.recv(65536):
                received += data
        except (BrokenPipeError, ConnectionResetError):
            pass
        return received


def run(
    address: tuple[str, int] | str, upstream: RecordingUpstream, messages: dict[int, bytes]
) -> dict[int, Outcome]:
    """Each message with a good request behind it, over a connection of its own."""

    def one(number: int) -> bytes:
        following = FOLLOWING.replace(b"@@", b"%d" % number)
        return exchange(address, messages[number] + following)

    with ThreadPoolExecutor(LANES) as lanes:
        answers = dict(zip(messages, lanes.map(one, messages), strict=True))
    outcomes = {number: Outcome(statuses(answers[number])) for number in messages}
    for record in upstream.take():
        if not record.bytes.startswith(PROBES):
            _attribute(record, outcomes)
    for outcome in outcomes.values():
        if outcome.kept:
            assert outcome.statuses[-1] == 200, outcome
            outcome.statuses.pop()
    return outcomes


def _attribute(record: Record, outcomes: dict[int, Outcome]) -> None:
    mark = MARK.search(record.bytes)
    assert mark, f"nobody's request reached the upstream: {record.bytes!r}"
    outcome = outcomes[int(mark[1])]
    try:
        found = read_message(record.bytes)
    except Malformed as error:
        outcome.faults.append(str(error))
        return
    if not found:
        # A proxy that gives up in the middle of a body; its upstream never had a request.
        return
    message, rest = found
    if rest:
        outcome.faults.append(f"{len(rest)} bytes behind the request")
    if mark[2] == b"-next":
        outcome.kept = True
        return
    outcome.hidden += mark[2] == b"-hidden"
    outcome.forwarded.append(message)
    outcome.raw.append(record.bytes)


@dataclass
class Bench:
    """The proxies, each before an upstream of its own."""

    addresses: dict[str, tuple[str, int] | str]
    upstreams: dict[str, RecordingUpstream]

    def run(self, name: str, messages: dict[int, bytes]) -> dict[int, Outcome]:
        return run(self.addresses[name], self.upstreams[name], messages)

    def run_after(self, name: str, outcomes: dict[int, Outcome]) -> dict[int, Outcome]:
        """What another proxy let through first, as it left that one."""
        return self.run(name, {n: found.raw[0] for n, found in outcomes.items() if found.raw})

    def run_all(self) -> dict[str, dict[int, Outcome]]:
        messages = {number: case.bytes(number) for number, case in CASES.items()}
        with ThreadPoolExecutor(len(self.addresses)) as pool:
            found = pool.map(lambda name: self.run(name, messages), self.addresses)
            return dict(zip(self.addresses, found, strict=True))


@contextmanager
def bench(penstock: pathlib.Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = Bench({}, {})
        for name in ["penstock", *PEERS]:
            upstream = made.upstreams[name] = RecordingUpstream()
            stack.callback(upstream.close)
        for name in PEERS:
            proxy = ReferenceProxy(name, folder, made.upstreams[name].authority, PATIENCE)
            stack.callback(proxy.close)
            made.addresses[name] = proxy.address
        gateway = Gateway(penstock, folder, configuration(made.upstreams["penstock"]))
        stack.callback(gateway.kill)
        made.addresses["penstock"] = gateway.wait_started().address
        yield made
        gateway.assert_at_rest()
        assert gateway.stop() == 0, gateway.logs


def configuration(upstream: RecordingUpstream) -> dict:
    patience = f"{PATIENCE}s"
    http = {"head_timeout": patience, "body_timeout": patience}
    made = settings(upstream, http=http, upstream={"scrape_interval": "1m"})  # type: ignore
    made["pools"][0]["engine"] = "openai"
    return made
