# SPDX-License-Identifier: Apache-2.0
"""What `penstock simulate --json` prints: members that programs rely on, and options' spellings."""

import gzip
import json
import pathlib
import subprocess

import pytest

FIXTURES = pathlib.Path(__file__).parents[1] / "SimulationTests" / "Fixtures"
TRACE = FIXTURES / "azure2023_conv.csv"

# Of every run.
PLACE = {"rule": str, "gateways": int, "scrape_ms": float, "seed": int}
FIGURES = {
    "requests": int, "preemptions": int, "kv_peak": float, "ttft_p50_s": float,
    "ttft_p95_s": float, "ttft_p99_s": float, "tpot_p99_ms": float, "makespan_s": float,
    "shed": int, "goodput": float,
}  # fmt: skip
TRACES = {
    "met_slo": float, "good_tokens_per_s": float, "hit_ratio": float, "wasted_prefill": float,
    "late_refusals": int,
}  # fmt: skip
ONE = ["--gateways", 1, "--scrape", "1s", "--seeds", 1]


@pytest.fixture
def document(penstock, tmp_path):
    """The document of a simulation, which is all that it prints."""
    folder = tmp_path / "traces"
    folder.mkdir()
    packed = gzip.compress(TRACE.read_bytes())
    for name in ("azure2023_conv", "servegen_mlarge"):
        (folder / f"{name}.csv.gz").write_bytes(packed)

    def document(*arguments: object) -> dict:
        found = subprocess.run(
            [penstock, "simulate", *map(str, arguments), "--json"],
            capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        assert found.stderr == ""
        return json.loads(found.stdout)

    return document


def check(run: dict, members: dict) -> None:
    for name, kind in (PLACE | FIGURES | members).items():
        assert name in run, name
        value = run[name]
        assert isinstance(value, (int, float) if kind is float else kind), (name, value)
        assert kind is str or value >= 0, (name, value)


def test_fixture_a(document):
    found = document("--fixture", "A", "--variant", "bursts", "--gateways", 2, "--scrape", "1s",
                     "--rule", "penstock", "--seed", 7, "--seeds", 1)  # fmt: skip
    assert found["fixture"] == "A"
    [run] = [run for run in found["runs"] if run["case"] == "bursts"]
    check(run, {})
    assert (run["rule"], run["gateways"], run["scrape_ms"], run["seed"]) == ("penstock", 2, 1000, 7)


@pytest.mark.parametrize(
    "rule", ["penstock", "none", "reactive", "fcfs", "round_robin", "least_requests", "vtc"]
)
def test_every_rule_goes_by_its_name(document, rule):
    found = document("--fixture", "B", "--workload", "overload", "--rule", rule, *ONE)
    [run] = found["runs"]
    assert run["rule"] == rule
    members = {"workload": str, "joint_gap": float, "tokens_per_s": float,
               "light_ttft_p50_s": float}  # fmt: skip
    check(run, members)
    assert run["workload"] == "overload"
    assert len(run["shares"]) == 2 and sum(run["shares"]) == pytest.approx(1)


@pytest.mark.parametrize("load", ["near", "burst", "overload"])
def test_fixture_c(document, load):
    found = document("--fixture", "C", "--load", load, "--rule", "penstock", *ONE)
    [run] = found["runs"]
    check(run, {"load": str, "ttft_mean_s": float, "ttft_max_s": float, "shed_ratio": float})
    assert run["load"] == load


def test_clients_that_come_back_when_they_are_told_find_room(document):
    [run] = document("--fixture", "C", "--load", "returns", "--rule", "penstock", *ONE)["runs"]
    assert run["refusals"] > 10 and run["shed"] == 0
    assert run["admitted_at_first_return"] >= 0.8
    assert run["returns_over_drain"] <= 1.3


def test_fixture_d(document):
    rules = ["--rule", "penstock", "--rule", "round_robin"]
    found = document("--fixture", "D", "--variant", 6, "--variant", 10, *rules, *ONE)
    for run in found["runs"]:
        check(run, {"rate": float, "ttft_p90_s": float, "hit_ratio": float,
                    "load_max_over_mean": float})  # fmt: skip
    assert {run["rate"] for run in found["runs"]} == {6, 10}
    assert set(found["knee"]) == {"penstock", "round_robin"}
    assert all(isinstance(knee, int) for knee in found["knee"].values())


def test_fixture_e_finds_its_traces_where_it_runs(document):
    found = document("--fixture", "E", "--name", "azure2023_conv", "--rule", "penstock")
    assert found["fixture"] == "E"
    assert [run["load"] for run in found["runs"]] == [0.6, 0.8, 1.0, 1.2]
    for run in found["runs"]:
        check(run, TRACES | {"trace": str, "load": float})
        assert run["trace"] == "azure2023_conv"


def test_a_trace(document):
    arguments = ["--trace", TRACE, "--profile", "llama70b-h100-tp2-fp8", "--endpoints", 4,
                 "--load", 1.2]  # fmt: skip
    [plain] = document(*arguments)["runs"]
    [run] = document(*arguments, "--slo", "ttft=2s,tpot=50ms")["runs"]
    check(run, TRACES | {"load": float})
    assert run["load"] == 1.2 and run["requests"] == 2_000
    # Told what to aim at, the gateway aims at it.
    assert run["met_slo"] > plain["met_slo"] + 0.2


def test_fixture_d_on_other_engines(document):
    arguments = ["--fixture", "D", "--variant", 24, "--rule", "penstock"]
    [slow] = document(*arguments, *ONE)["runs"]
    [fast] = document(*arguments, "--profile", "qwen32b-h200-tp2-fp8", *ONE)["runs"]
    assert fast["ttft_p90_s"] < 5 < slow["ttft_p90_s"]


def test_a_window_of_a_trace(document):
    arguments = ["--trace", TRACE, "--endpoints", 4]
    [run] = document(*arguments)["runs"]
    parts = [document(*arguments, *window)["runs"][0]
             for window in (("--to", "1m"), ("--from", "1m"))]  # fmt: skip
    assert all(part["requests"] > 0 for part in parts)
    assert sum(part["requests"] for part in parts) == run["requests"]


def test_without_a_choice_the_whole_table_is_run(document):
    found = document("--fixture", "C", "--load", "near", *ONE)
    assert {run["rule"] for run in found["runs"]} >= {"penstock", "fcfs"}
    found = document("--fixture", "C", "--rule", "fcfs", *ONE)
    assert [run["load"] for run in found["runs"]] == ["near", "burst", "overload", "returns"]
