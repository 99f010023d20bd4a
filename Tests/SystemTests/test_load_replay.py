# SPDX-License-Identifier: Apache-2.0
"""Recorded traffic through two pools: intended refusals only, and every token accounted for."""

import os
import pathlib

import pytest
from gateway_process import KEY
from simulated_engines import BATCH_KEY, IS_SOAK, Replay, SimulatedEngines, two_pools
from waiting import eventually

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# The first seven minutes; where it is from stands beside it. TRACE names a longer one.
EXTRACT = REPOSITORY / "Tests/SimulationTests/Fixtures/azure2023_conv.csv"
SPEED = 10
# Ten minutes of the trace, or a bit more than one.
SECONDS = 60 if IS_SOAK else 8


@pytest.fixture
def engines(penstock):
    """As fast as the trace is replayed, with room for some fourteen usual prompts each."""
    engines = SimulatedEngines(penstock, 4, speed=SPEED, kv_tokens=20_000)
    yield engines
    engines.stop()


@pytest.fixture(params=["memory", "redis"])
def store(request) -> dict:
    if request.param == "memory":
        return {"kind": "memory"}
    server = request.getfixturevalue("redis").start()
    # A busy machine may make it miss a deadline: that is a refusal then, not another account.
    redis = {"addresses": [server.address], "timeout": "100ms", "on_failure": "closed"}
    return {"kind": "redis", "redis": redis}


def test_recorded_traffic_settles_to_the_engines_counters_to_the_token(
    start, penstock, engines, store
):
    trace = pathlib.Path(os.environ.get("TRACE") or EXTRACT)
    configuration = two_pools(engines.addresses, store=store)
    for kind, patience in zip(configuration["classes"], ("1s", "5s"), strict=True):
        kind["queue"]["max_wait"] = patience
        kind["timeouts"] = {"first_token": "60s", "between_tokens": "60s", "total": "300s"}
    # Less than the trace asks for: some of it is refused.
    configuration["tenants"][0]["limits"]["tokens_per_minute"] = 20_000 * SECONDS
    gateway = start(configuration)
    options = ["--speed", SPEED, "--duration", SECONDS]
    replays = [
        Replay(penstock, trace, gateway.base_url, "--key", key, *options)
        for key in (KEY, BATCH_KEY)
    ]
    try:
        documents = [replay.report(within=SECONDS + 240) for replay in replays]
    finally:
        for replay in replays:
            replay.kill()
    gateway.assert_at_rest()

    for document in documents:
        status = document["by_status"]
        assert document["errors"] == 0, document
        assert set(status) <= {"200", "429", "503"}, document
        refused = status.get("429", 0) + status.get("503", 0)
        # Each of them with a time to return.
        assert document["retry_after"]["refused"] == refused, document
        assert status["200"] + refused == document["requests"]
        assert status["200"] > document["requests"] / 10, document
    # By the budget, and on a busy machine for want of memory already.
    assert documents[0]["retry_after"]["refused"] > 0, documents[0]
    assert documents[0]["requests"] == documents[1]["requests"] > 20 * SECONDS

    prompt, generated = engines.tokens
    for name, document in zip(("acme", "beta"), documents, strict=True):
        tokens = gateway.tenant(name)["tokens"]
        assert (tokens["input"], tokens["output"]) == (
            document["tokens_in"],
            document["tokens_out"],
        )
        eventually(
            lambda name=name, tokens=tokens: gateway.used("tokens_per_day", name)
            == tokens["input"] + tokens["output"],
            f"the store has settled all of {name}'s {tokens}",
        )
    assert sum(document["tokens_in"] for document in documents) == prompt
    assert sum(document["tokens_out"] for document in documents) == generated
    print(f"\n{store['kind']}: {prompt} + {generated} tokens", *documents, sep="\n")
