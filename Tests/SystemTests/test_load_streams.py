# SPDX-License-Identifier: Apache-2.0
"""Many streams at once: none fails, and nothing of them stays."""

import pytest
from gateway_process import KEY
from simulated_engines import IS_SOAK, Replay, SimulatedEngines, two_pools, write_trace
from waiting import eventually

STREAMS, TOKENS = (2_000, 80) if IS_SOAK else (300, 30)
SLACK_BYTES = 8 << 20


@pytest.fixture
def engines(penstock):
    """Slow ones: with full batches a stream's event comes about every 0.75 s."""
    engines = SimulatedEngines(
        penstock, 4, speed=0.16 if IS_SOAK else 0.4, kv_tokens=1_000_000, max_seqs=4_096
    )
    yield engines
    engines.stop()


@pytest.mark.timeout(900)
def test_many_streams_at_once_fail_in_nothing_and_leave_nothing(
    start, penstock, engines, tmp_path
):
    configuration = two_pools(engines.addresses, upstream={"idle_timeout": "1s"})
    # All four engines serve the one class.
    main, batch = configuration["pools"]
    main["endpoints"] += batch["endpoints"]
    configuration["pools"] = [main]
    for kind in configuration["classes"]:
        kind["pool"] = "main"
        kind["timeouts"] = {"first_token": "60s", "between_tokens": "60s", "total": "600s"}
    gateway = start(configuration)
    at_rest = gateway.descriptors

    def run(name: str, tokens: int) -> float:
        """All streams open within a second, each of so many tokens."""
        rows = [(number // 2, 10, tokens) for number in range(STREAMS)]
        trace = write_trace(tmp_path / name, rows)
        replay = Replay(penstock, trace, gateway.base_url, "--key", KEY)
        try:
            eventually(
                lambda: sum(e["own_sequences"] for e in gateway.endpoints()) == STREAMS,
                "all streams are open at once",
                within=60,
            )
            document = replay.report(within=300)
        finally:
            replay.kill()
        assert document["errors"] == 0, document
        assert document["by_status"] == {"200": STREAMS}
        assert document["tokens_out"] == STREAMS * tokens
        gateway.assert_at_rest()
        # At any moment each engine may be under way to be probed and scraped.
        gateway.assert_descriptors_return(at_rest + 2 * len(engines.addresses), within=30)
        return document["span_s"]

    run("warm.csv", max(TOKENS // 3, 30))
    warm = gateway.resident_bytes
    span = run("trace.csv", TOKENS)
    eventually(
        lambda: gateway.resident_bytes <= warm + SLACK_BYTES,
        f"memory returns to {warm}, is {gateway.resident_bytes}",
    )
    prompt, generated = engines.tokens
    tokens = gateway.tenant()["tokens"]
    assert (tokens["input"], tokens["output"]) == (prompt, generated)
    after = gateway.resident_bytes
    print(f"\n{STREAMS} streams, {span:.0f} s: {warm >> 10} KiB warm, {after >> 10} KiB after")
