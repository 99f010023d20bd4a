# SPDX-License-Identifier: Apache-2.0
"""A replay through the gateway against simulated engines."""

import json
import re
import signal
import subprocess

import pytest
from command_process import CommandProcess
from fake_engine import reply
from gateway_process import KEY, hashed, settings
from http_client import Connection
from waiting import eventually


@pytest.fixture
def simulated(penstock):
    """Four simulated engines in one process; gives their addresses."""
    listeners = [word for _ in range(4) for word in ("--listen", "127.0.0.1:0")]
    process = CommandProcess(
        penstock, "engine", *listeners, "--model", "llama-test", "--speed", 20, "--seed", 7
    )
    try:
        eventually(lambda: process.text.count("engine on ") == 4, "the engines start", within=30)
        yield re.findall(r"engine on (\S+)", process.text)
    finally:
        process.stop()


def engine_tokens(addresses: list[str]) -> tuple[int, int]:
    """Prompt and generated tokens by the engines' own counters."""
    sums = {"prompt": 0, "generation": 0}
    for address in addresses:
        host, _, port = address.partition(":")
        with Connection((host, int(port))) as connection:
            page = connection.exchange("GET", "/metrics").body.decode()
        for kind in sums:
            found = re.findall(rf"^vllm:{kind}_tokens_total\S* (\S+)$", page, re.M)
            assert found, page
            sums[kind] += int(sum(float(value) for value in found))
    return sums["prompt"], sums["generation"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_replay_settles_to_the_engines_counters_to_the_token(
    start, run, simulated, tmp_path, stream
):
    configuration = settings()
    configuration["models"] = configuration["models"][:1]
    configuration["models"][0]["context_length"] = 32_768
    configuration["pools"] = [
        {
            "name": name,
            "engine": "vllm",
            "endpoints": [f"http://{address}" for address in addresses],
            "models": ["llama-test"],
        }
        for name, addresses in (("main", simulated[:2]), ("batch", simulated[2:]))
    ]
    configuration["classes"] = [
        {"name": "interactive", "pool": "main", "queue": {"max_wait": "30s"}},
        {"name": "batch", "pool": "batch", "queue": {"max_wait": "30s"}},
    ]
    limits = {"tokens_per_day": 10**9, "concurrent_requests": 10**4}
    configuration["tenants"] = [
        {
            "id": name,
            "keys": [hashed(key)],
            "classes": [kind],
            "models": ["llama-test"],
            "limits": limits,
        }
        for name, key, kind in (("acme", KEY, "interactive"), ("other", "sk-batch", "batch"))
    ]
    gateway = start(configuration)
    trace = tmp_path / "trace.csv"
    rows = [(25 * n, 20 + (n * 37) % 700, 1 + (n * 13) % 90) for n in range(120)]
    trace.write_text("t_ms,in,out\n" + "".join(f"{t},{i},{o}\n" for t, i, o in rows))
    documents = []
    for key in (KEY, "sk-batch"):
        result = run(
            "replay", "--trace", trace, "--target", gateway.base_url, "--key", key,
            "--model", "llama-test", "--stream" if stream else "--no-stream", "--json",
        )  # fmt: skip
        assert result.returncode == 0, result
        documents.append(json.loads(result.stdout))
    for document in documents:
        assert document["requests"] == 120 and document["errors"] == 0, document
        assert document["by_status"] == {"200": 120}
        assert document["tokens_in"] == sum(i for _, i, _ in rows)
        assert document["tokens_out"] == sum(o for _, _, o in rows)
    gateway.assert_at_rest()
    settled = [gateway.tenant(name)["tokens"] for name in ("acme", "other")]
    used = [gateway.used("tokens_per_day", name) for name in ("acme", "other")]
    prompt, generated = engine_tokens(simulated)
    assert sum(tokens["input"] for tokens in settled) == prompt
    assert sum(tokens["output"] for tokens in settled) == generated
    assert sum(used) == prompt + generated
    assert prompt == sum(document["tokens_in"] for document in documents)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_replay_that_is_told_to_end_reports_what_there_is(
    penstock, engine, tmp_path, number
):
    gate = engine.gate()
    engine.script(reply(prompt=20, tokens=5), reply(prompt=30, tokens=6), reply(gate=gate))
    trace = tmp_path / "trace.csv"
    times = (0, 0, 0, 3_600_000)
    trace.write_text("t_ms,in,out\n" + "".join(f"{t},20,5\n" for t in times))
    process = subprocess.Popen(
        [penstock, "replay", "--trace", trace, "--target", engine.url, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: len(engine.calls) == 3, "three are at the engine", within=30)
        for line in process.stderr:
            if "done 2" in line:
                break
        process.send_signal(number)
        out, _ = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    document = json.loads(out)
    assert document["by_status"] == {"200": 2}
    assert (document["tokens_in"], document["tokens_out"]) == (50, 11)
    # The one that was cut counts as one that failed, and the one that never began not at all.
    assert document["errors"] == 1 and document["requests"] == 3
