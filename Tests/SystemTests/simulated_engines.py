# SPDX-License-Identifier: Apache-2.0
"""Simulated engines as a process of their own, and replays against a gateway before them."""

import json
import os
import pathlib
import re
import subprocess
from collections.abc import Iterable

from command_process import CommandProcess
from fake_engine import MODEL
from gateway_process import KEY, hashed, settings
from http_client import Connection
from waiting import eventually

BATCH_KEY = "sk-batch"
# The full size of the load tests: `make soak`. Without it they are short.
IS_SOAK = os.environ.get("PENSTOCK_SOAK") == "1"


class SimulatedEngines(CommandProcess):
    """Several engines in one process; `options` are those of `penstock engine`."""

    def __init__(self, penstock: pathlib.Path, count: int, **options: object):
        words = [word for _ in range(count) for word in ("--listen", "127.0.0.1:0")]
        for name, value in ({"model": MODEL, "seed": 7} | options).items():
            words += [f"--{name.replace('_', '-')}", value]
        super().__init__(penstock, "engine", *words)
        try:
            eventually(
                lambda: self.text.count("engine on ") == count, "the engines start", within=30
            )
        except BaseException:
            self.stop()
            raise
        self.addresses = re.findall(r"engine on (\S+)", self.text)

    def samples(self, name: str) -> list[float]:
        """One value of each engine, by its own page."""
        values = []
        for address in self.addresses:
            host, _, port = address.partition(":")
            with Connection((host, int(port))) as connection:
                page = connection.exchange("GET", "/metrics").body.decode()
            found = re.findall(rf"^{name}\{{.*\}} (\S+)$", page, re.M)
            assert found, page
            values.append(sum(float(value) for value in found))
        return values

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt and generated tokens by the engines' own counters."""
        return tuple(
            int(sum(self.samples(f"vllm:{kind}_tokens_total")))
            for kind in ("prompt", "generation")
        )


def two_pools(addresses: list[str], **sections: object) -> dict:
    """Half of the engines for the tenant acme's interactive class, half for beta's batch."""
    half = len(addresses) // 2
    configuration = settings(**sections)
    configuration["models"] = configuration["models"][:1]
    configuration["models"][0]["context_length"] = 32_768
    configuration["pools"] = [
        {
            "name": name,
            "engine": "vllm",
            "endpoints": [f"http://{address}" for address in part],
            "models": [MODEL],
        }
        for name, part in (("main", addresses[:half]), ("batch", addresses[half:]))
    ]
    configuration["classes"] = [
        {"name": "interactive", "pool": "main", "queue": {"max_wait": "30s"}},
        {"name": "batch", "pool": "batch", "queue": {"max_wait": "30s"}},
    ]
    configuration["tenants"] = [
        {
            "id": name,
            "keys": [hashed(key)],
            "classes": [kind],
            "models": [MODEL],
            "limits": {"tokens_per_day": 10**9, "concurrent_requests": 10**4},
        }
        for name, key, kind in (("acme", KEY, "interactive"), ("beta", BATCH_KEY, "batch"))
    ]
    return configuration


def write_trace(file: pathlib.Path, rows: Iterable[tuple[int, int, int]]) -> pathlib.Path:
    """A trace of (t_ms, in, out)."""
    file.write_text("t_ms,in,out\n" + "".join(f"{t},{i},{o}\n" for t, i, o in rows))
    return file


class Replay:
    """A `penstock replay` that runs beside the test."""

    def __init__(self, penstock: pathlib.Path, trace: pathlib.Path, url: str, *options: object):
        words = ["replay", "--trace", trace, "--target", url, "--model", MODEL, "--json", *options]
        self.process = subprocess.Popen(
            [str(word) for word in (penstock, *words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def report(self, within: float) -> dict:
        """Its document, once it has ended."""
        try:
            out, err = self.process.communicate(timeout=within)
        finally:
            self.kill()
        assert self.process.returncode == 0, err
        return json.loads(out)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
