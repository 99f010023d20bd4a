# SPDX-License-Identifier: Apache-2.0
"""A replay through the gateway against simulated engines."""

import json
import signal
import subprocess

import pytest
from fake_engine import reply
from gateway_process import KEY
from simulated_engines import BATCH_KEY, MODEL, SimulatedEngines, two_pools, write_trace
from waiting import eventually


@pytest.fixture
def simulated(penstock):
    """Four simulated engines in one process."""
    engines = SimulatedEngines(penstock, 4, speed=20)
    yield engines
    engines.stop()


@pytest.mark.parametrize("stream", [True, False])
def test_a_replay_settles_to_the_engines_counters_to_the_token(
    start, run, simulated, tmp_path, stream
):
    gateway = start(two_pools(simulated.addresses))
    rows = [(25 * n, 20 + (n * 37) % 700, 1 + (n * 13) % 90) for n in range(120)]
    trace = write_trace(tmp_path / "trace.csv", rows)
    documents = []
    for key in (KEY, BATCH_KEY):
        result = run(
            "replay", "--trace", trace, "--target", gateway.base_url, "--key", key,
            "--model", MODEL, "--stream" if stream else "--no-stream", "--json",
        )  # fmt: skip
        assert result.returncode == 0, result
        documents.append(json.loads(result.stdout))
    for document in documents:
        assert document["requests"] == 120 and document["errors"] == 0, document
        assert document["by_status"] == {"200": 120}
        assert document["tokens_in"] == sum(i for _, i, _ in rows)
        assert document["tokens_out"] == sum(o for _, _, o in rows)
    gateway.assert_at_rest()
    settled = [gateway.tenant(name)["tokens"] for name in ("acme", "beta")]
    used = [gateway.used("tokens_per_day", name) for name in ("acme", "beta")]
    prompt, generated = simulated.tokens
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
    times = (0, 0, 0, 3_600_000)
    trace = write_trace(tmp_path / "trace.csv", [(time, 20, 5) for time in times])
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
