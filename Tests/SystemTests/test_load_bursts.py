# SPDX-License-Identifier: Apache-2.0
"""Fixture A of `penstock simulate` in real time: the KV caches of four engines in bursts."""

import subprocess

import pytest
from core_waits import Stopwatch
from gateway_process import KEY, settings
from simulated_engines import IS_SOAK, Replay, SimulatedEngines, write_trace
from waiting import eventually

# The whole fixture has bursts at 40, 120 and 200 s; the short one the first, 30 s sooner, and both
# clients and engines are faster than real.
START_MS, SPAN_MS, SPEED = (0, 10**9, 1) if IS_SOAK else (30_000, 15_000, 3)
BOUND = 2_048
# Where new requests wait is 0.85; a sequence's last block is counted whole.
HIGHEST_PEAK = 0.87


@pytest.fixture
def engines(penstock):
    engines = SimulatedEngines(penstock, 4, profile="fixture-a", speed=SPEED)
    yield engines
    engines.stop()


def trace_rows(penstock) -> list[tuple[float, int, int]]:
    words = [penstock, "simulate", "--fixture", "A", "--print-trace", "--seed", "1"]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    head, *lines = text.splitlines()
    assert head == "t_ms,in,out"
    rows = [line.split(",") for line in lines]
    shifted = [(float(t) - START_MS, int(i), int(o)) for t, i, o in rows]
    return [row for row in shifted if 0 <= row[0] < SPAN_MS]


def configuration(engines, redis=None) -> dict:
    """One pool and one class; nothing but the KV caches makes anybody wait."""
    interactive = {
        "kv": {"throttle_at": 0.85, "reject_at": 0.90},
        "queue": {"max_wait": "300s", "max_requests": 10_000, "max_tokens": 10**8},
        "timeouts": {"first_token": "300s", "between_tokens": "60s", "total": "900s"},
        "clamp": {"under_pressure": False},
    }
    made = settings(
        interactive=interactive, limits={"tokens_per_day": 10**9, "concurrent_requests": 10**4}
    )
    made["models"][0]["context_length"] = 32_768
    made["upstream"]["scrape_interval"] = "1s"
    made["pools"][0]["endpoints"] = [f"http://{address}" for address in engines.addresses]
    if redis:
        server = {"addresses": [redis.start().address], "timeout": "100ms"}
        made["store"] = {"kind": "redis", "redis": server}
    return made


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [1, 2], ids=["one_gateway", "two_gateways"])
def test_bursts_preempt_nothing(start, penstock, engines, request, tmp_path, count):
    rows = trace_rows(penstock)
    watch = Stopwatch()
    redis = request.getfixturevalue("redis") if count > 1 else None
    made = configuration(engines, redis)
    gateways = [start(made) for _ in range(count)]
    for gateway in gateways:
        eventually(
            lambda g=gateway: all(e["scrape_age_s"] is not None for e in g.endpoints()),
            "the engines were scraped",
        )
        if count > 1:
            eventually(
                lambda g=gateway: g.endpoints()[0]["sharing"]["peers"] == count - 1,
                "the gateways see each other",
            )
    replays = []
    try:
        for number, gateway in enumerate(gateways):
            trace = write_trace(tmp_path / f"trace-{number}.csv", rows[number::count])
            options = ("--key", KEY, "--max-tokens", BOUND, "--seed", number, "--speed", SPEED)
            replays.append(Replay(penstock, trace, gateway.base_url, *options))
        documents = [replay.report(within=800) for replay in replays]
    finally:
        for replay in replays:
            replay.kill()

    preemptions = sum(engines.samples("vllm:num_preemptions_total"))
    peaks = engines.samples("penstock:kv_cache_usage_peak_perc")
    print(f"\n{count} gateways: {preemptions:.0f} preemptions, KV peaks {peaks}")
    print(*documents, sep="\n")
    for document in documents:
        assert document["errors"] == 0, document
        assert document["by_status"] == {"200": document["requests"]}, document
    assert sum(document["requests"] for document in documents) == len(rows)
    # Every answer had the length of the trace, not the bound.
    assert sum(document["tokens_out"] for document in documents) == sum(row[2] for row in rows)
    assert preemptions == 0
    # Gateways that wait for a core hear of each other late: then no more than all are refused at.
    is_starved = watch.waited > watch.passed
    assert max(peaks) <= (0.90 if is_starved else HIGHEST_PEAK)
    # The engines were full: something was there to be held back from. Clients that wait for a core
    # do not come in bursts.
    if max(peaks) <= 0.7 and is_starved:
        pytest.skip(f"the machine is too busy: {watch.waited:.0f} s of waits for a core")
    assert max(peaks) > 0.7
