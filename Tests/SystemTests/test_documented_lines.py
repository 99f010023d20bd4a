# SPDX-License-Identifier: Apache-2.0
"""The `penstock` lines of README.md and docs/ work as they stand."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
IS_SOAK = bool(os.environ.get("PENSTOCK_SOAK"))
# What a debug build would take minutes for is made smaller: fixtures have dozens of rows, of which
# one case with one number of gateways is run, and a million requests are a million.
ONE_ROW = ["--rule", "penstock", "--gateways", "1", "--scrape", "1s", "--seeds", "1"]
ONE_CASE = {"B": ["--workload", "overload"], "C": ["--load", "near"], "D": ["--variant", "6"]}
FEWER = {"1000000": "2000", "20000": "2000"}


def lines() -> list[str]:
    """Every command in a block or between backticks that is all of a line: no FILE, no …"""
    found: list[str] = []
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
        candidates = [line for block in blocks for line in block.splitlines()]
        prose = re.sub(r"```.*?```", "", text, flags=re.S)
        candidates += re.findall(r"`(penstock [^`\n]+)`", prose)
        for line in candidates:
            command = line.partition(" #")[0].strip()
            if command.startswith("penstock ") and not re.search(r"\b[A-Z]{2,}\b|…", command):
                found.append(command)
    return list(dict.fromkeys(found))


SIMULATIONS = [line for line in lines() if line.startswith("penstock simulate ")]


def test_the_pages_have_lines_to_try():
    assert len(SIMULATIONS) >= 6
    readme = [line for line in SIMULATIONS if "--config penstock.yaml" in line]
    assert readme, "the what-if with a configuration is the one that people try"


@pytest.fixture
def home(tmp_path) -> pathlib.Path:
    """A folder with what the lines name."""
    fixtures = REPOSITORY / "Tests" / "SimulationTests" / "Fixtures"
    shutil.copy(fixtures / "azure2023_conv.csv", tmp_path / "yesterday.csv")
    shutil.copy(REPOSITORY / "config" / "penstock.yaml", tmp_path)
    for name in ("Tests", "config"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return tmp_path


def without(words: list[str], option: str) -> list[str]:
    """All words but an option with its value, however often it stands there."""
    kept = []
    for place, word in enumerate(words):
        if option not in words[max(place - 1, 0) : place + 1]:
            kept.append(word)
    return kept


def sized(words: list[str]) -> list[str]:
    if IS_SOAK:
        return words
    if "--fixture" in words and "--rule" not in words:
        case = ONE_CASE.get(words[words.index("--fixture") + 1], [])
        named = {"--variant", "--workload", "--load"} & set(words)
        return without(words, "--gateways") + ONE_ROW + ([] if named else case)
    return [FEWER.get(word, word) for word in words]


@pytest.mark.parametrize("line", SIMULATIONS)
def test_a_simulation_runs_as_it_is_written(penstock, home, line):
    words = shlex.split(line)
    if words[-2:] == ["--fixture", "E"]:
        pytest.skip("its traces are too large for this repository")
    found = subprocess.run(
        [penstock, *sized(words[1:])], capture_output=True, text=True, cwd=home, check=False,
        timeout=3600 if IS_SOAK else 300,
    )  # fmt: skip
    assert found.returncode == 0, f"{line}\n{found.stderr}"
    assert "penstock" in found.stdout and found.stderr == ""


@pytest.mark.parametrize(
    "line", [line for line in lines() if re.match(r"penstock (check|key new|\S+ --help)", line)]
)
def test_a_line_that_only_tells_something_runs_as_it_is_written(penstock, home, line):
    words = shlex.split(line)
    found = subprocess.run(
        [penstock, *words[1:]], capture_output=True, text=True, cwd=home, timeout=60, check=False
    )
    assert found.returncode == 0, f"{line}\n{found.stderr}"
    assert found.stdout
