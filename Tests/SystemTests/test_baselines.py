# SPDX-License-Identifier: Apache-2.0
"""The baselines of fixture E against an independent simulator, on whole traces.

The traces are too large for this repository: PENSTOCK_TRACES names the folder that has them, as
azure2023_conv.csv.gz and so on. The extracts of Tests/SimulationTests are compared always.
"""

import csv
import json
import os
import pathlib
import subprocess

import pytest

TRACES = os.environ.get("PENSTOCK_TRACES")
REFERENCE = pathlib.Path(__file__).parents[1] / "SimulationTests" / "Fixtures" / "baseline.csv"
# Half of the last digit that the reference prints, where that is more than the bound.
DIGITS = {"ttft_p50_s": 1e-4, "ttft_p99_s": 1e-4, "tpot_p50_ms": 0.05, "tpot_p99_ms": 0.05,
          "hit_ratio": 5e-4, "met_slo": 5e-5, "good_tokens_per_s": 0.05, "shed": 0.5,
          "preemptions": 0.5}  # fmt: skip


def rows():
    with REFERENCE.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.skipif(TRACES is None, reason="PENSTOCK_TRACES names no folder")
@pytest.mark.parametrize("trace", sorted({row["trace"] for row in rows()}))
def test_baselines_are_those_of_the_reference(penstock, trace):
    wanted = [row for row in rows() if row["trace"] == trace]
    rules = sorted({row["rule"] for row in wanted})
    arguments = [argument for rule in rules for argument in ("--rule", rule)]
    found = subprocess.run(
        [penstock, "simulate", "--fixture", "E", "--traces", TRACES, "--name", trace, "--json",
         *arguments],
        capture_output=True, text=True, timeout=3600, check=True,
    )  # fmt: skip
    runs = {(run["rule"], run["load"]): run for run in json.loads(found.stdout)["runs"]}
    for row in wanted:
        run = runs[row["rule"], float(row["load"])]
        for name, digit in DIGITS.items():
            expected = float(row[name])
            assert abs(run[name] - expected) <= max(0.03 * expected, digit * 1.001), (row, name)
