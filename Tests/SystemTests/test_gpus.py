# SPDX-License-Identifier: Apache-2.0
"""Engines that share a GPU, and with it a budget of tokens in flight."""

from concurrent.futures import ThreadPoolExecutor

from checks import admitted, refused
from fake_engine import MODEL, reply
from gateway_process import settings
from waiting import eventually

BATCH = {"X-Traffic-Class": "batch"}
# About 2,400 tokens of prompt.
BIG = {"text": "word " * 3_000, "max_tokens": 20}


def shared(quick, slow, most: int) -> dict:
    """Each class has a pool of one engine; both engines are on one GPU."""
    configuration = settings(quick, interactive={"queue": {"max_wait": "20s"}})
    configuration["pools"].append(
        {"name": "slow", "engine": "vllm", "endpoints": [slow.url], "models": [MODEL]}
    )
    configuration["classes"][1] |= {"pool": "slow", "queue": {"max_wait": "20s"}}
    configuration["gpus"] = [
        {"name": "gpu0", "endpoints": [quick.url, slow.url], "max_tokens_in_flight": most}
    ]
    return configuration


def gpu(gateway) -> dict:
    [found] = gateway.admin("/admin/endpoints").json["gpus"]
    return found


def test_what_one_pool_holds_the_other_waits_for(start, new_engine):
    quick, slow = new_engine(), new_engine()
    gateway = start(shared(quick, slow, 4_000))
    gateway.wait_scraped(quick, slow)
    gate = slow.gate()
    slow.script(reply(gate=gate))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.chat, **BIG, fields=BATCH, stream=True)
        eventually(lambda: len(slow.calls) == 1)
        found = gpu(gateway)
        assert 2_000 < found["tokens_in_flight"] <= 4_000 == found["max_tokens_in_flight"]
        assert found["gpu"] == "gpu0"
        assert found["endpoints"] == [quick.authority, slow.authority]
        second = pool.submit(gateway.chat, **BIG)
        eventually(lambda: gateway.queue()["requests"] == 1, "the other pool's request waits")
        assert not quick.calls
        gate.open()
        admitted(first.result())
        admitted(second.result(), "queued")
    gateway.assert_at_rest()
    assert gpu(gateway)["tokens_in_flight"] == 0


def test_what_the_gpu_could_never_hold_gets_400(start, new_engine):
    quick, slow = new_engine(), new_engine()
    gateway = start(shared(quick, slow, 1_000))
    error = refused(gateway.chat(**BIG), 400, "request_exceeds_limit", "messages")
    assert "1000" in error["message"]
    admitted(gateway.chat(max_tokens=10))


def test_a_reload_may_take_the_budget_away(start, new_engine):
    quick, slow = new_engine(), new_engine()
    configuration = shared(quick, slow, 1_000)
    gateway = start(configuration)
    refused(gateway.chat(**BIG), 400, "request_exceeds_limit", "messages")
    del configuration["gpus"]
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    admitted(gateway.chat(**BIG))
    assert gateway.admin("/admin/endpoints").json["gpus"] == []
