# SPDX-License-Identifier: Apache-2.0
"""`penstock check`, `penstock key` and `penstock engine`."""

import contextlib
import json
import re
import signal
import subprocess

import pytest
import yaml
from command_process import CommandProcess
from core_waits import Stopwatch
from gateway_process import KEY, hashed, settings
from http_client import BrokenAnswer, Connection
from waiting import eventually

MISTAKEN = """\
listeners:
  - address: 127.0.0.1:99999
    protocls: [http1]
admin:
  address: 0.0.0.0:9901
upstream:
  scrape_interval: 1 fortnight
models:
  - name: llama
    context_length: many
  - name: llama
    context_length: 4096
pools:
  - name: main
    engine: vlm
    endpoints: [ftp://10.0.0.1:8000]
    models: [lama]
classes:
  - name: interactive
    pool: mian
    kv: {throttle_at: 0.95, reject_at: 0.90}
tenants:
  - id: acme
    keys: [sk-in-clear]
    classes: [interactive]
    models: [llama]
    limits: {cost_per_month: 5, max_prompt_tokens: -1}
"""


def test_every_mistake_is_told_with_its_place(run, tmp_path):
    file = tmp_path / "mistaken.yaml"
    file.write_text(MISTAKEN)
    result = run("check", "--config", file)
    assert result.returncode == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    found = {}
    for line in lines:
        match = re.fullmatch(rf"{re.escape(str(file))}:(\d+):(\d+): (.+)", line)
        assert match, line
        found.setdefault(int(match[1]), []).append((int(match[2]), match[3]))
    source = MISTAKEN.splitlines()
    expected = {
        2: ["127.0.0.1:99999"],
        3: ["protocls", "protocols"],
        7: ["1 fortnight"],
        10: ["context_length"],
        11: ["llama"],
        15: ["vlm", "vllm"],
        16: ["ftp"],
        17: ["lama", "llama"],
        20: ["mian", "main"],
        21: ["throttle_at"],
        24: ["sha256"],
        27: ["max_prompt_tokens"],
    }
    for number, words in expected.items():
        assert number in found, f"line {number}, {source[number - 1]!r}, is not reported: {lines}"
        text = " ".join(message for _, message in found[number])
        for word in words:
            assert word in text, (number, word, text)
    # A token is missing where the address is open to others.
    assert any("token" in message for n in (4, 5) for _, message in found.get(n, [])), lines
    for number, places in found.items():
        for column, _ in places:
            assert 1 <= column <= len(source[number - 1]) + 1
    # The clear key is not repeated, and the order is that of the file.
    assert "sk-in-clear" not in result.stderr
    assert list(found) == sorted(found)


def test_a_price_is_needed_where_cost_is_limited(run, engine, tmp_path):
    file = tmp_path / "priceless.yaml"
    file.write_text(yaml.safe_dump(settings(engine, limits={"cost_per_month": 5})))
    result = run("check", "--config", file)
    assert result.returncode == 1
    assert "price" in result.stderr


@pytest.mark.parametrize(
    ("text", "line"),
    [("listeners: [", 1), ("a: 1\na: 2\n", 2), ("\tx: 1", 1), ("- just\n- a list\n", 1), ("", 1)],
)
def test_what_is_no_configuration_at_all_is_told_with_its_place(run, tmp_path, text, line):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    result = run("check", "--config", file)
    assert result.returncode == 1
    assert re.match(rf"{re.escape(str(file))}:\d+:\d+: ", result.stderr.splitlines()[0])


def test_a_good_configuration_is_said_to_be_one(run, engine, tmp_path):
    file = tmp_path / "good.yaml"
    file.write_text(yaml.safe_dump(settings(engine)))
    result = run("check", "--config", file)
    assert result.returncode == 0
    assert result.stdout == f"{file}: ok\n" and result.stderr == ""


def test_the_effective_configuration_can_be_checked_again(run, engine, tmp_path):
    configuration = settings(engine)
    configuration["admin"]["token"] = "${TEST_TOKEN}"
    secret = tmp_path / "engine-key"
    secret.write_text("sk-engine-secret\n")
    configuration["pools"][0]["key"] = "file:engine-key"
    file = tmp_path / "good.yaml"
    file.write_text(yaml.safe_dump(configuration))
    import os

    environment = os.environ | {"TEST_TOKEN": "operator-secret"}
    result = run("check", "--config", file, "--print", env=environment)
    assert result.returncode == 0, result.stderr
    assert "secret" not in result.stdout
    shown = yaml.safe_load(result.stdout)
    assert shown["upstream"]["unhealthy_after"] == 2
    assert shown["upstream"]["scrape_interval"] == "100ms"
    # Without the variable the same file is wrong.
    missing = {name: value for name, value in os.environ.items() if name != "TEST_TOKEN"}
    result = run("check", "--config", file, env=missing)
    assert result.returncode == 1 and "TEST_TOKEN" in result.stderr


def test_a_configuration_that_is_not_there(run):
    result = run("check", "--config", "nonesuch.yaml")
    assert result.returncode == 1
    assert "nonesuch.yaml" in result.stderr and not result.stdout


def test_a_new_key_is_long_and_comes_with_its_hash(run):
    keys = set()
    for _ in range(5):
        result = run("key", "new")
        assert result.returncode == 0
        match = re.fullmatch(r"key:  (sk-[A-Za-z0-9]{40})\nhash: (sha256:[0-9a-f]{64})\n",
                             result.stdout)
        assert match, result.stdout
        assert hashed(match[1]) == match[2]
        keys.add(match[1])
    assert len(keys) == 5


def test_a_key_is_hashed_from_the_argument_or_from_standard_input(run):
    assert run("key", "hash", KEY).stdout == hashed(KEY) + "\n"
    assert run("key", "hash", input=KEY + "\n").stdout == hashed(KEY) + "\n"
    result = run("key", "hash", input="")
    assert result.returncode == 1 and "no key" in result.stderr and not result.stdout


def test_the_examples_are_good(run):
    from conftest import REPOSITORY

    for name in ("minimal", "penstock"):
        result = run("check", "--config", REPOSITORY / "config" / f"{name}.yaml")
        assert result.returncode == 0, result.stderr


def test_the_schema_takes_what_the_gateway_takes(engine):
    from conftest import REPOSITORY
    from jsonschema import Draft202012Validator

    schema = json.loads((REPOSITORY / "config" / "penstock.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert list(validator.iter_errors(settings(engine))) == []
    mistaken = yaml.safe_load(MISTAKEN)
    assert len(list(validator.iter_errors(mistaken))) >= 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_simulated_engine_ends_well_when_it_is_told_to(penstock, number):
    process = CommandProcess(
        penstock, "engine", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"
    )
    try:
        eventually(lambda: process.text.count("engine on ") == 2, "the engines start", within=30)
        # A terminal that goes away is no reason to end.
        process.process.send_signal(signal.SIGHUP)
        host, port = re.findall(r"engine on (\S+):(\d+)", process.text)[0]
        with Connection((host, int(port))) as connection:
            assert connection.exchange("GET", "/health").status == 200
            began = Stopwatch()
            process.process.send_signal(number)
            assert process.process.wait(10) == 0
            assert began.seconds < 2
            assert connection.is_closed()
    finally:
        process.stop()


def test_a_simulated_engine_that_dies_ends_the_command(penstock):
    process = CommandProcess(
        penstock, "engine", "--listen", "127.0.0.1:0", "--die-after", 3, "--speed", 100
    )
    try:
        eventually(lambda: "engine on " in process.text, "the engine starts", within=30)
        host, port = re.findall(r"engine on (\S+):(\d+)", process.text)[0]
        body = {"model": "simulated", "prompt": "hi", "max_tokens": 50, "ignore_eos": True}
        with Connection((host, int(port))) as connection, contextlib.suppress(BrokenAnswer):
            connection.exchange("POST", "/v1/completions", body)
        assert process.process.wait(10) == 0
    finally:
        process.stop()


def simulate(penstock, *arguments):
    return subprocess.run(
        [penstock, "simulate", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_a_fixtures_table_has_a_row_for_each_rule_and_says_what_is_missed(penstock):
    found = simulate(
        penstock, "--fixture", "a", "--rule", "none", "--rule", "penstock", "--gateways", 1,
        "--scrape", "1s", "--seeds", 1,
    )
    assert found.returncode == 0, found.stderr
    rows = [line.split("|") for line in found.stdout.splitlines() if line.startswith("|")]
    names = [name.strip() for name in rows[0]]
    assert [row[names.index("rule")].strip() for row in rows[2:]] == ["none", "penstock"]
    assert int(rows[2][names.index("preemptions")]) > 100
    assert int(rows[3][names.index("preemptions")]) == 0


def test_a_simulation_prints_the_same_document_each_time(penstock):
    arguments = ("--fixture", "B", "--workload", "overload", "--rule", "fcfs", "--rule", "penstock")
    arguments += ("--gateways", 1, "--seed", 7, "--seeds", 1, "--json")
    found = [simulate(penstock, *arguments).stdout for _ in range(2)]
    assert found[0] == found[1]
    document = json.loads(found[0])
    assert document["fixture"] == "B"
    assert [run["rule"] for run in document["runs"]] == ["fcfs", "penstock"]
    for run in document["runs"]:
        assert run["seed"] == 7
        assert run["workload"] == "overload"
        assert run["joint_gap"] > 0
        assert abs(sum(run["shares"]) - 1) < 1e-9


def test_a_missed_bar_is_an_exit_code_where_that_is_asked_for(penstock):
    arguments = ("--fixture", "B", "--workload", "overload", "--rule", "penstock")
    arguments += ("--gateways", 1, "--seeds", 1)
    found = simulate(penstock, *arguments, "--json")
    assert found.returncode == 0
    document = json.loads(found.stdout)
    missed = [bar for bar in document["bars"] if bar["bound"] is not None and not bar["met"]]
    assert simulate(penstock, *arguments, "--check").returncode == (1 if missed else 0)


def test_what_if_a_tenant_sends_more_or_an_endpoint_is_lost(penstock, tmp_path):
    trace = tmp_path / "trace.csv"
    lines = [f"{100 * place},500,200,{place % 2}" for place in range(400)]
    trace.write_text("t_ms,in,out,tenant\n" + "\n".join(lines) + "\n")

    def run(*more):
        found = simulate(
            penstock, "--trace", trace, "--profile", "small-8k", "--endpoints", 2, "--json", *more
        )
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)["runs"]

    (plain,) = run()
    (as_is, doubled), (_, lost) = run("--scale", "1=2"), run("--lose", "1@20s")
    assert plain["requests"] == as_is["requests"] == 400
    assert plain["met_slo"] == as_is["met_slo"]
    assert (as_is["case"], doubled["case"]) == ("as is", "what if")
    assert [tenant["requests"] for tenant in doubled["tenants"]] == [200, 400]
    assert doubled["requests"] == 600
    assert doubled["shares"][1] > plain["shares"][1]
    assert lost["shed"] > plain["shed"]


def test_a_tenant_of_a_trace_has_a_number_that_a_table_can_hold(penstock, tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("t_ms,in,out,tenant\n0,5,5,100000000000\n")
    found = simulate(penstock, "--trace", trace)
    assert found.returncode == 1
    assert "tenant 100000000000" in found.stderr


@pytest.mark.parametrize(
    ("code", "arguments", "word"),
    [
        (2, [], "--fixture"),
        (2, ["--fixture", "Q"], "--fixture Q"),
        (2, ["--fixture", "A", "--rule", "nobody"], "--rule nobody"),
        (2, ["--fixture", "B", "--workload", "nothing"], "nothing"),
        (2, ["--fixture", "B", "--print-trace"], "--print-trace"),
        (2, ["--rate", "1", "--print-trace"], "--print-trace"),
        (1, ["--fixture", "E"], "traces/azure2023_conv.csv.gz"),
        (2, ["--rate", "5", "--lose", "9@3s"], "--lose"),
        (2, ["--rate", "5", "--load", "much"], "--load much"),
        (1, ["--trace", "no-such-file.csv"], "no-such-file.csv"),
        (1, ["--rate", "5", "--scale", "nobody=2"], "--scale nobody"),
        (1, ["--rate", "5", "--config", "no-such-file.yaml"], "no-such-file.yaml"),
    ],
)
def test_what_is_wrong_with_a_simulation_is_said(penstock, code, arguments, word):
    found = simulate(penstock, *arguments)
    assert found.returncode == code
    assert word in found.stderr
    assert found.stdout == ""
