# SPDX-License-Identifier: Apache-2.0
"""Under which labels requests are counted."""

from collections import Counter

from checks import admitted, refused
from fake_engine import MODEL
from gateway_process import KEY, chat_body, hashed, settings
from http_client import BrokenAnswer
from prometheus_client.parser import text_string_to_metric_families

CHAT = "/v1/chat/completions"
FOREIGN = "not-for-acme"


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


def by_model(gateway) -> dict[tuple[str, str], float]:
    found: Counter = Counter()
    for labels, value in series(gateway, "penstock_requests_total"):
        found[labels["model"], labels["outcome"]] += value
    return dict(found)


def test_a_refusal_before_the_model_is_known_counts_under_none(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 100}))
    refused(gateway.post(CHAT, b"{"), 400, "invalid_request")
    refused(gateway.chat(model="nonesuch"), 404, "model_not_found", "model")
    refused(gateway.get("/v1/models/nonesuch"), 404, "model_not_found", "model")
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Transfer-Encoding": "chunked"}, KEY)
        connection.send(b"zz\r\n")
        refused(connection.answer(), 400, "bad_request")
    gateway.assert_at_rest()
    assert by_model(gateway) == {("", "refused"): 4}
    assert {labels["model"] for labels, _ in series(gateway, "penstock_tokens_total")} == set()
    assert gateway.tenant()["requests"]["refused"] == 4
    # Whatever is known of the model is told.
    refused(gateway.chat(model=FOREIGN), 403, "model_not_allowed", "model")
    admitted(gateway.chat(model="alias"))
    gateway.assert_at_rest()
    assert by_model(gateway) == {
        ("", "refused"): 4,
        (FOREIGN, "refused"): 1,
        (MODEL, "completed"): 1,
    }
    assert {labels["model"] for labels, _ in series(gateway, "penstock_tokens_total")} == {
        FOREIGN,
        MODEL,
    }


def test_a_throttling_before_the_model_is_known_names_none(start, engine):
    gateway = start(
        settings(engine, workers=1, http={"max_body": "1MiB", "max_buffered_bodies": "1MiB"})
    )
    with gateway.connect() as first, gateway.connect() as second:
        for connection in (first, second):
            connection.request("POST", CHAT, None, {"Content-Length": "1000000"}, KEY)
            connection.send(b" " * 700_000)
        answers = []
        for connection in (first, second):
            connection.socket.settimeout(1)
            try:
                answers.append(connection.answer())
            except (TimeoutError, BrokenAnswer):
                continue
        [answer] = answers
        refused(answer, 503, "gateway_overloaded")
        [record] = gateway.admin("/admin/throttles").json["throttles"]
        assert record["class"] == "interactive" and record["model"] is None
        assert by_model(gateway) == {("", "refused"): 1}


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
