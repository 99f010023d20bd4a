# SPDX-License-Identifier: Apache-2.0
"""The command behind `make attacks`, for a second of a few attacks: it does what it says it does.

Whether they are passed depends on the machine, and is not told here.
"""

import json
import subprocess
import sys

import pytest
from conftest import REPOSITORY

FOLDER = REPOSITORY / "Tests" / "Benchmarks"
# None that takes a core: other tests run meanwhile.
CHOSEN = ["slow headers", "connection flood"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = tmp_path_factory.mktemp("bench") / "bench"
    subprocess.run(["cc", "-O1", "-o", made, FOLDER / "bench.c"], check=True)
    return made


def test_the_table_is_made(penstock, bench, tmp_path):
    page, figures = tmp_path / "attacks.md", tmp_path / "attacks.json"
    command = [sys.executable, FOLDER / "attacks.py", "--bench", bench, "--penstock", penstock]
    command += ["--seconds", "1", "--idle", "200", "--write", page, "--json", figures]
    for name in CHOSEN:
        command += ["--only", name]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    found = json.loads(figures.read_text())
    assert [row["name"] for row in found["attacks"]] == CHOSEN
    for row in found["attacks"]:
        assert row["did"] > 0 and not row["broken"], (row, ran.stderr)
        assert 0 < row["quiet"] < 5 and 0 < row["under"] < 5, row
        assert 0 < row["before"] <= row["peak"], row
    # What so few take is less than what else comes and goes in a process.
    assert set(found["idle"]) == {"in clear", "TLS"}
    text = page.read_text()
    assert all(f"| {name} | " in text for name in CHOSEN)
