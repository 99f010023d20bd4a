# SPDX-License-Identifier: Apache-2.0
"""Under which labels requests are counted."""

from collections import Counter

from fake_engine import MODEL
from gateway_process import chat_body, hashed, settings
from prometheus_client.parser import text_string_to_metric_families

CHAT = "/v1/chat/completions"


def series(gateway, name: str) -> list[tuple[dict, float]]:
    """The labels and value of every sample of one family."""
    page = gateway.admin("/metrics").body.decode()
    family = name.removesuffix("_total")
    return [
        (sample.labels, sample.value)
        for found in text_string_to_metric_families(page)
        if found.name == family
        for sample in found.samples
    ]


def test_tenants_past_the_cap_share_one_series_of_each_kind(start, engine):
    configuration = settings(engine)
    configuration["models"][0]["price"] = {"input_per_million": 1, "output_per_million": 2}
    configuration["tenants"] = [
        {
            "id": f"tenant-{number}",
            "keys": [hashed(f"sk-{number}")],
            "classes": ["interactive"],
            "models": [MODEL],
            "limits": {"requests_per_minute": 2},
        }
        for number in range(1_003)
    ]
    gateway = start(configuration)
    for number in (999, 1_000, 1_001, 1_002):
        for _ in range(3):
            gateway.post(CHAT, chat_body(), f"sk-{number}")
    gateway.assert_at_rest()
    for name in (
        "penstock_requests_total",
        "penstock_throttled_total",
        "penstock_tokens_total",
        "penstock_cost_total",
    ):
        kinds = Counter(tuple(sorted(labels.items())) for labels, _ in series(gateway, name))
        assert kinds and set(kinds.values()) == {1}, (name, kinds)
    requests = {
        (labels["tenant"], labels["outcome"]): value
        for labels, value in series(gateway, "penstock_requests_total")
    }
    assert requests == {
        ("tenant-999", "completed"): 2,
        ("tenant-999", "refused"): 1,
        ("other", "completed"): 6,
        ("other", "refused"): 3,
    }
