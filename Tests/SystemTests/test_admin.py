# SPDX-License-Identifier: Apache-2.0
"""The operators' endpoint."""

import json
import pathlib
import re
import time

import pytest
from checks import admitted, refused
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, OTHER_KEY, TOKEN, chat_body, settings
from http_client import Connection
from misbehaviour import die_before_head
from prometheus_client.parser import text_string_to_metric_families
from waiting import eventually

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGES = [
    "/admin/tenants",
    "/admin/throttles",
    "/admin/pools",
    "/admin/endpoints",
    "/admin/queues",
    "/admin/ledger",
    "/admin/config",
]


@pytest.fixture
def gateway(start, engine):
    gateway = start(
        settings(engine, limits={"requests_per_minute": 5, "tokens_per_day": 1_000_000})
    )
    gateway.wait_scraped(engine)
    return gateway


def test_health_is_plain_and_readiness_needs_an_engine(gateway, engine):
    assert gateway.admin("/healthz").status == 200
    assert gateway.admin("/healthz", "HEAD").status == 200
    assert gateway.admin("/readyz").body == b"ready\n"
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    assert gateway.admin("/healthz").status == 200
    answer = gateway.admin("/readyz")
    assert answer.status == 503 and b"pool main" in answer.body
    engine.start()
    eventually(lambda: gateway.admin("/readyz").status == 200)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_json_that_nobody_keeps(gateway, page):
    answer = gateway.admin(page)
    assert answer.status == 200
    assert answer.fields["content-type"] == "application/json"
    assert answer.fields["cache-control"] == "no-store"
    assert isinstance(answer.json, dict)
    with Connection(gateway.admin_address) as connection:
        head = connection.exchange("HEAD", page)
        assert int(head.fields["content-length"]) > 0
        assert connection.exchange("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/admin/config", 200),
        ("GET", "/nonesuch", 404),
        ("POST", "/admin/tenants", 405),
        ("POST", "/admin/reload", 200),
        ("DELETE", "/admin/tenants/nonesuch", 404),
    ],
)
def test_a_browser_runs_frames_and_keeps_nothing_of_an_answer(gateway, method, path, status):
    answer = gateway.admin(path, method)
    assert answer.status == status
    assert guarded(answer)


def test_refusals_at_the_door_are_guarded_as_answers_are(start, engine):
    gateway = start(settings(engine, admin={"address": "127.0.0.1:0", "token": TOKEN}))
    answer = gateway.admin("/admin/tenants")
    assert answer.status == 401 and answer.fields["www-authenticate"] == "Bearer"
    assert guarded(answer)
    assert gateway.stop() == 0


def guarded(answer):
    policy = {part.strip() for part in answer.fields["content-security-policy"].split(";")}
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= policy
    assert "form-action 'none'" in policy
    assert answer.fields["x-frame-options"] == "DENY"
    assert answer.fields["x-content-type-options"] == "nosniff"
    assert answer.fields["referrer-policy"] == "no-referrer"
    assert answer.fields["cross-origin-resource-policy"] == "same-origin"
    assert answer.fields["cache-control"] == "no-store"
    return True


def test_what_is_not_there_or_not_allowed_is_said_so(gateway):
    for path in ("/nonesuch", "/admin", "/admin/tenants/nonesuch", "/admin/tenants/"):
        answer = gateway.admin(path)
        assert answer.status == 404 and answer.json["error"], path
    answer = gateway.admin("/admin/endpoints/10.0.0.1:1/drain", "POST")
    assert answer.status == 404
    for method, path in (("POST", "/admin/tenants"), ("GET", "/admin/reload"), ("PUT", "/")):
        answer = gateway.admin(path, method)
        assert answer.status == 405, path
        assert answer.fields["allow"]


def test_a_request_is_seen_by_everyone_who_counts(gateway, engine):
    engine.script(die_before_head(), reply(tokens=5, usage=usage_of(40, 5, cached=30)))
    refused(gateway.chat(), 502, "upstream_failed")
    admitted(gateway.chat())
    refused(gateway.chat(model="nonesuch"), 404, "model_not_found", "model")
    gateway.assert_at_rest()
    tenant = gateway.tenant()
    assert tenant["id"] == "acme" and tenant["classes"] == ["interactive", "batch"]
    assert tenant["tokens"] == {"input": 40, "output": 5}
    requests = tenant["requests"]
    assert (requests["completed"], requests["engine_failed"]) == (1, 1)
    names = {limit["name"]: limit for limit in tenant["limits"]}
    assert set(names) == {"requests_per_minute", "tokens_per_day"}
    assert names["tokens_per_day"]["used"] == 45
    assert names["tokens_per_day"]["remaining"] == 1_000_000 - 45
    everyone = gateway.admin("/admin/tenants").json["tenants"]
    assert [tenant["id"] for tenant in everyone] == ["acme", "beta"]
    assert everyone[1]["tokens"] == {"input": 0, "output": 0}


def test_refusals_are_remembered_newest_first_and_can_be_filtered(gateway, engine):
    began = time.time()
    for number in range(8):
        gateway.chat(fields={"X-Request-Id": f"n-{number}"})
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    middle = time.time()
    gateway.chat(OTHER_KEY, fields={"X-Request-Id": "other"})

    def throttles(query: str) -> list[dict]:
        return gateway.admin(f"/admin/throttles{query}").json["throttles"]

    everything = throttles("")
    assert everything[0]["request_id"] == "other"
    ids = [record["request_id"] for record in everything[1:]]
    assert ids == sorted(ids, reverse=True) and 2 <= len(ids) <= 3
    record = everything[-1]
    assert record["tenant"] == "acme" and record["class"] == "interactive"
    assert record["model"] == MODEL and record["reason"] == "requests_per_minute_exceeded"
    assert (record["status"], record["limit"], record["requested"]) == (429, 5, 1)
    assert 4 <= record["used"] <= 5 and record["retry_after_ms"] >= 1
    assert record["estimate"]["input"] > 0
    assert began <= record["time_s"] <= middle
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", record["time"])
    assert len(throttles("?limit=1")) == 1
    assert {r["tenant"] for r in throttles("?tenant=acme")} == {"acme"}
    assert [r["request_id"] for r in throttles("?reason=no_healthy_endpoint")] == ["other"]
    assert [r["request_id"] for r in throttles(f"?since={middle}")] == ["other"]
    assert throttles("?tenant=acme&reason=no_healthy_endpoint") == []
    assert throttles("?tenant=nonesuch") == []
    for odd in ("?limit=-1", "?limit=x", "?since=x", "?%zz&&=&limit=2", "?" + "a=b&" * 200):
        assert gateway.admin(f"/admin/throttles{odd}").status == 200


def test_pools_and_endpoints_show_the_engines(gateway, engine):
    engine.pressure.usage = 0.25
    engine.pressure.running = 3
    engine.pressure.waiting = 2
    gateway.wait_scraped(engine)
    [pool] = gateway.admin("/admin/pools").json["pools"]
    assert pool["name"] == "main" and pool["engine"] == "vllm"
    assert pool["models"] == [MODEL, "not-for-acme"]
    [endpoint] = gateway.endpoints()
    assert [e["endpoint"] for e in pool["endpoints"]] == [engine.authority]
    assert endpoint["pool"] == "main" and endpoint["healthy"] and endpoint["available"]
    assert (endpoint["running"], endpoint["waiting"]) == (3, 2)
    assert endpoint["kv"]["capacity_tokens"] == 160_000
    assert endpoint["kv"]["scraped_tokens"] == pytest.approx(40_000, abs=40)
    assert 0 <= endpoint["scrape_age_s"] < 1


def test_an_endpoint_drained_by_the_operator_ends_its_streams_and_takes_no_new_ones(
    start, new_engine
):
    one, two = new_engine(), new_engine()
    gateway = start(settings(one, two))
    gateway.wait_scraped(one, two)
    gate = one.gate()
    one.default = reply(gate=gate)
    two.default = reply()
    with gateway.connect() as connection:
        # Whichever engine is chosen first, bring the stream to the one that holds it.
        gateway.admin(f"/admin/endpoints/{two.authority}/drain", "POST")
        connection.request("POST", "/v1/chat/completions", chat_body(stream=True), key=KEY)
        head = connection.head()
        drained = gateway.admin(f"/admin/endpoints/{one.authority}/drain", "POST")
        assert drained.json == {"endpoint": one.authority, "draining": True}
        gateway.admin(f"/admin/endpoints/{two.authority}/undrain", "POST")
        for _ in range(4):
            admitted(gateway.chat())
        assert (len(one.calls), len(two.calls)) == (1, 4)
        gate.open()
        assert b"".join(connection.pieces(head)).endswith(b"data: [DONE]\n\n")
    gateway.admin(f"/admin/endpoints/{one.authority}/undrain", "POST")
    gateway.admin(f"/admin/endpoints/{two.authority}/drain", "POST")
    admitted(gateway.chat())
    assert len(one.calls) == 2


# Metrics.


def documented() -> dict[str, tuple[str, list[str]]]:
    """The names in deploy/metrics.txt with their types and labels."""
    found = {}
    for line in (REPOSITORY / "deploy" / "metrics.txt").read_text().splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            found[words[0]] = (words[1], [label.split("=")[0] for label in words[2:]])
    return found


# What vLLM does not tell has no series.
UNTOLD = {
    "decode_queue_len", "kv_cache_bytes_used", "kv_cache_bytes_capacity",
    # No listener here speaks TLS.
    "penstock_tls_certificate_seconds_left",
    # No key here has an end.
    "penstock_api_key_seconds_left",
    # Nobody's tokens are believed here.
    "penstock_jwks_keys", "penstock_jwks_age_seconds", "penstock_jwks_reads_total",
}


def scrape(gateway) -> dict:
    """The families of /metrics by their full name, as Prometheus' own parser reads them."""
    answer = gateway.admin("/metrics")
    assert answer.status == 200
    assert answer.fields["content-type"].startswith("text/plain; version=0.0.4")
    families = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name not in families, f"{name} stands twice"
        assert family.documentation, f"{name} has no help"
        assert family.type != "unknown", f"{name} has no type"
        families[name] = family
    return families


def test_metrics_are_those_that_the_deployment_reads(start, engine, tmp_path):
    configuration = settings(engine, limits={"requests_per_minute": 2})
    configuration["models"][0]["price"] = {"input_per_million": 1, "output_per_million": 2}
    configuration["ledger"] = {"file": {"path": str(tmp_path / "usage")}}
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    # Tokens that come at once have no time between them.
    engine.default = reply(gap=0.01)
    for _ in range(4):
        gateway.chat(stream=True)
    gateway.assert_at_rest()
    families = scrape(gateway)
    problems = []
    for name, (kind, labels) in documented().items():
        family = families.get(name)
        if family is None:
            problems.append(f"{name} is not there")
            continue
        if family.type != kind:
            problems.append(f"{name} is a {family.type}")
        if not family.samples and name not in UNTOLD:
            problems.append(f"{name} has no samples")
        for sample in family.samples:
            present = set(sample.labels) - {"le"}
            if present != set(labels):
                problems.append(f"{sample.name} has labels {present}, not {labels}")
    assert not problems, "\n".join(problems)


def test_every_metric_of_the_gateway_is_documented(gateway):
    known = documented()
    extra = [name for name in scrape(gateway) if name not in known]
    assert not extra, f"not in deploy/metrics.txt: {extra}"


def test_metrics_count_what_happened(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 3}))
    gateway.wait_scraped(engine)
    engine.default = reply(tokens=6, prompt=20, usage=usage_of(20, 6, cached=8), gap=0.01)
    for _ in range(5):
        gateway.chat(stream=True)
    gateway.assert_at_rest()
    families = scrape(gateway)

    def value(name: str, suffix: str = "", **labels: str) -> float:
        found = [
            sample.value
            for sample in families[name].samples
            if sample.name == name + suffix and labels.items() <= sample.labels.items()
        ]
        assert found, f"no sample of {name}{suffix} with {labels}"
        return sum(found)

    tenant = {"tenant": "acme", "class": "interactive", "model": MODEL}
    assert value("penstock_requests_total", outcome="completed", **tenant) == 3
    assert value("penstock_requests_total", outcome="refused", **tenant) == 2
    reason = "requests_per_minute_exceeded"
    assert value("penstock_throttled_total", tenant="acme", reason=reason) == 2
    assert value("penstock_tokens_total", kind="input") == 60
    assert value("penstock_tokens_total", kind="cached_input") == 24
    assert value("penstock_tokens_total", kind="output") == 18
    for name in (
        "penstock_time_to_first_token_seconds",
        "penstock_time_per_output_token_seconds",
        "penstock_queue_wait_seconds",
        "penstock_estimate_error_ratio",
    ):
        assert value(name, "_count") == 3, name
    assert 0.005 < value("penstock_time_per_output_token_seconds", "_sum") / 3 < 0.1
    assert value("penstock_gateway_overhead_seconds", "_count") >= 3
    assert value("penstock_budget_store_up") == 1
    assert value("active_sequences", endpoint=engine.authority, pool="main") == 0
    for family in families.values():
        if family.type == "histogram":
            check_histogram(family)


def check_histogram(family) -> None:
    """Buckets rise, end in +Inf, and agree with the count."""
    series: dict[tuple, list] = {}
    counts = {}
    for sample in family.samples:
        labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
        if sample.name.endswith("_bucket"):
            series.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_count"):
            counts[labels] = sample.value
    for labels, buckets in series.items():
        assert buckets == sorted(buckets)
        assert buckets[-1] == (float("inf"), counts[labels])
        values = [count for _, count in buckets]
        assert values == sorted(values)


# Who may ask.


def test_a_token_is_needed_off_loopback(start, engine, run, tmp_path):
    configuration = settings(engine)
    configuration["admin"] = {"address": "0.0.0.0:0"}
    import yaml

    file = tmp_path / "open.yaml"
    file.write_text(yaml.safe_dump(configuration))
    result = run("serve", "--config", file)
    assert result.returncode == 1
    assert "token" in result.stderr and f"{file}:" in result.stderr

    configuration["admin"]["token"] = TOKEN
    gateway = start(configuration)
    gateway.admin_address = ("127.0.0.1", gateway.admin_address[1])
    assert gateway.admin("/healthz").status == 200
    assert gateway.admin("/readyz").status in (200, 503)
    for path in ["/", "/metrics", *PAGES]:
        answer = gateway.admin(path)
        assert answer.status == 401, path
        assert answer.fields["www-authenticate"] == "Bearer"
        assert gateway.admin(path, key="wrong").status == 401
        assert gateway.admin(path, key=KEY).status == 401
        assert gateway.admin(path, key=TOKEN).status == 200
    assert gateway.admin("/admin/reload", "POST").status == 401
    path = f"/admin/endpoints/{engine.authority}/drain"
    assert gateway.admin(path, "POST", "wrong").status == 401
    # What is checked at the end of a test asks without a token.
    assert gateway.stop() == 0


def test_a_token_on_loopback_is_asked_for_but_by_metrics(start, engine):
    configuration = settings(engine)
    configuration["admin"]["token"] = TOKEN
    gateway = start(configuration)
    assert gateway.admin("/metrics").status == 200
    assert gateway.admin("/healthz").status == 200
    assert gateway.admin("/admin/tenants").status == 401
    assert gateway.admin("/admin/tenants", key=TOKEN).status == 200
    assert gateway.stop() == 0


def test_no_page_shows_a_key_or_a_secret(start, engine):
    configuration = settings(engine)
    configuration["admin"]["token"] = TOKEN
    configuration["pools"][0]["key"] = "sk-engine-secret"
    gateway = start(configuration)
    admitted(gateway.chat())
    hashes = [key for tenant in configuration["tenants"] for key in tenant["keys"]]
    for path in ["/", "/metrics", *PAGES]:
        text = gateway.admin(path, key=TOKEN).body.decode()
        for secret in [TOKEN, KEY, OTHER_KEY, "sk-engine-secret"]:
            assert secret not in text, path
        for known in hashes:
            assert known.removeprefix("sha256:") not in text, path
    shown = gateway.admin("/admin/config", key=TOKEN).json
    assert shown["pools"][0]["name"] == "main"
    assert gateway.stop() == 0


def test_the_clients_door_shows_nothing_of_the_operators(gateway):
    for path in ["/healthz", "/metrics", *PAGES]:
        assert gateway.get(path).status == 404, path


# The configuration in force.


def test_the_configuration_in_force_has_its_defaults(gateway):
    shown = gateway.admin("/admin/config").json
    assert shown["upstream"]["unhealthy_after"] == 2
    assert shown["http"]["max_body"] in ("16MiB", 16 << 20)
    assert json.dumps(shown)


def test_a_reload_by_request_tells_its_outcome(gateway):
    configuration = gateway.configuration
    configuration["tenants"][0]["limits"] = {"requests_per_minute": 77}
    gateway.write(configuration)
    answer = gateway.admin("/admin/reload", "POST")
    assert answer.status == 200 and answer.json["outcome"] == "loaded"
    assert gateway.tenant()["limits"][0]["limit"] == 77
    assert gateway.admin("/admin/config").json["tenants"][0]["limits"]["requests_per_minute"] == 77

    configuration["tenants"][0]["limits"] = {"requests_per_minut": 5, "tokens_per_day": "x"}
    gateway.write(configuration)
    answer = gateway.admin("/admin/reload", "POST")
    assert answer.status == 400 and answer.json["outcome"] == "rejected"
    assert len(answer.json["mistakes"]) == 2
    assert "requests_per_minute" in answer.json["mistakes"][0]
    assert gateway.tenant()["limits"][0]["limit"] == 77
    page = gateway.admin("/metrics").body.decode()
    assert 'penstock_config_reloads_total{outcome="succeeded"} 1' in page
    assert 'penstock_config_reloads_total{outcome="failed"} 1' in page
    gateway.wait_log("reload refused")


def test_what_needs_a_restart_is_refused_by_a_reload(gateway):
    configuration = gateway.configuration
    configuration["workers"] = 1
    configuration["listeners"].append({"address": "127.0.0.1:0"})
    gateway.write(configuration)
    answer = gateway.admin("/admin/reload", "POST")
    assert answer.status == 400
    text = " ".join(answer.json["mistakes"])
    assert "workers" in text and "listeners" in text and "restart" in text
