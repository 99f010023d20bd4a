# SPDX-License-Identifier: Apache-2.0
"""Answers never mix, whatever engines do: no client sees a byte of another's."""

import asyncio
import collections
import json
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from gateway_process import settings
from mixing_clients import Clients
from simulated_engines import IS_SOAK

TOTAL = int(os.environ.get("N") or (1_000_000 if IS_SOAK else 4_000))
SEED = int(os.environ.get("SEED") or 1)
CONNECTIONS = 48


@dataclass
class UnrulyEngine:
    """One process of unruly_engine.py, as `settings` takes it."""

    process: subprocess.Popen
    url: str
    report: dict = field(default_factory=dict)

    def stop(self) -> None:
        out, _ = self.process.communicate(timeout=30)
        self.report = json.loads(out)


@pytest.fixture
def engines():
    program = pathlib.Path(__file__).with_name("unruly_engine.py")
    engines = []
    try:
        for number in range(2):
            process = subprocess.Popen(
                [sys.executable, program, str(SEED + number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            engines.append(UnrulyEngine(process, ""))
            engines[-1].url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        yield engines
    finally:
        for engine in engines:
            engine.process.kill()
            engine.process.communicate()


def test_no_client_ever_sees_what_is_not_its_own(start, engines):
    limits = {"tokens_per_day": 10**12, "concurrent_requests": 10**6}
    # The engines' faults must not keep them out of the game.
    gateway = start(settings(*engines, limits=limits, upstream={"unhealthy_after": 100}))
    clients = Clients(gateway.address, TOTAL, SEED)
    asyncio.run(clients.run(CONNECTIONS))
    gateway.assert_at_rest()

    crossed: set[str] = set()
    done: collections.Counter = collections.Counter()
    for engine in engines:
        engine.stop()
        crossed |= set(engine.report["crossed"])
        done.update(engine.report["done"])
    print(f"\nseed {SEED}: {dict(clients.outcomes)}; the engines: {dict(done)}")
    # What an engine sends unasked for while the next request is on its way to it cannot be told
    # from the answer to that by anybody. It is rare: once it was heard speaking out of turn, an
    # engine's connections rest between two requests.
    mixed = clients.foreign + clients.wrong
    undecidable = [found for found in mixed if found.others & crossed]
    print(f"{len(crossed)} of {done['unasked']} crossed a request, {len(undecidable)} show")
    assert [found for found in mixed if not found.others & crossed] == []
    assert len(undecidable) <= 5

    total = sum(clients.outcomes.values())
    assert total == TOTAL
    assert clients.outcomes["200"] > total / 2, clients.outcomes
    assert set(clients.outcomes) <= {"200", "502", "503", "cut"}, clients.outcomes
