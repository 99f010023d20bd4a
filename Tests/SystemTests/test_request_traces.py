# SPDX-License-Identifier: Apache-2.0
"""Why a request was decided about as it was: `GET /admin/requests/{id}`."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from checks import admitted, refused
from fake_engine import MODEL, Pressure, reply, usage_of
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer
from misbehaviour import die_before_head, die_mid_stream, silent
from test_redis import wait_store
from waiting import eventually

CHAT = "/v1/chat/completions"
LIMITS = {"requests_per_minute": 600, "tokens_per_day": 1_000_000, "concurrent_requests": 50}
MEMBERS = {
    "request_id",
    "tenant",
    "class",
    "model",
    "outcome",
    "reason",
    "estimate",
    "limits",
    "queue",
    "endpoints",
    "retry_after_ms",
    "settlement",
}


@pytest.fixture(params=["memory", "redis"])
def launch(request, start):
    """Starts a gateway whose budgets are in one of the stores."""

    def launch(configuration: dict):
        if request.param == "redis":
            redis = request.getfixturevalue("redis")
            redis.start()
            configuration["store"] = {"kind": "redis", "redis": {"addresses": [redis.address]}}
        gateway = start(configuration)
        if request.param == "redis":
            wait_store(gateway)
        return gateway

    return launch


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool


def trace(gateway, name: str, query: str = "") -> dict:
    answer = gateway.admin(f"/admin/requests/{quote(name, safe='')}{query}")
    assert answer.status == 200, answer
    assert answer.fields["content-type"] == "application/json"
    assert set(answer.json) >= MEMBERS
    return answer.json


def closed(gateway, name: str) -> dict:
    """The trace of a request once it is over."""
    return eventually(
        lambda: (found := trace(gateway, name))["outcome"] != "open" and found,
        f"{name} is over",
    )


def named(name: str, **more: str) -> dict[str, str]:
    return {"X-Request-Id": name} | more


def limit_of(found: dict, name: str) -> dict:
    return next(limit for limit in found["limits"] if limit["name"] == name)


def test_an_admitted_request(launch, engine):
    engine.default = reply(usage=usage_of(40, 5, cached=30))
    gateway = launch(settings(engine, limits=LIMITS))
    gateway.wait_scraped(engine)
    before = time.time()
    admitted(gateway.chat(fields=named("first"), max_tokens=50))
    admitted(gateway.chat(fields=named("second"), max_tokens=50))
    found = trace(gateway, "second")
    assert (found["request_id"], found["tenant"]) == ("second", "acme")
    assert (found["class"], found["model"]) == ("interactive", MODEL)
    assert (found["outcome"], found["reason"], found["decision"]) == ("completed", None, "admitted")
    assert (found["stage"], found["status"]) == ("forwarded", 200)
    estimate = found["estimate"]
    assert 0 < estimate["input"] < 50
    assert estimate["output_expected"] == 50 and estimate["output_bound"] == 50
    assert [limit["name"] for limit in found["limits"]] == [
        "tokens_per_day",
        "requests_per_minute",
        "concurrent_requests",
    ]
    day = limit_of(found, "tokens_per_day")
    # The first one was settled with what the engine reported.
    assert (day["limit"], day["used"], day["fits"]) == (1_000_000, 45, True)
    assert day["requested"] == estimate["input"] + 50
    minute = limit_of(found, "requests_per_minute")
    # What the first one took has come back within a tenth of a second.
    assert minute["requested"] == 1 and 0 <= minute["used"] <= 1
    assert limit_of(found, "concurrent_requests")["used"] == 0
    assert found["budget_from"] == "store"
    assert found["queue"]["waited"] is False and found["queue"]["waited_s"] == 0
    [endpoint] = found["endpoints"]
    assert endpoint["endpoint"] == engine.authority
    assert endpoint["chosen"] is True and endpoint["fits"] is True
    assert 0 < endpoint["projected_kv"] < 0.01
    assert endpoint["score"] == endpoint["projected_kv"]
    assert found["chosen_by"] == "least_share"
    assert found["retry_after_ms"] is None
    assert found["settlement"] == {
        "input": 40,
        "cached_input": 30,
        "output": 5,
        "source": "engine",
        "cost": 0,
    }
    assert before <= found["time_s"] <= time.time()
    times = found["times"]
    assert 0 <= times["read_s"] <= times["budgeted_s"] <= times["forwarded_s"]
    assert times["forwarded_s"] <= times["ended_s"]


def test_the_scores_of_all_endpoints(start, new_engine):
    full, free = new_engine(), new_engine()
    full.pressure = Pressure(usage=0.8, blocks=1000)
    free.pressure = Pressure(usage=0.1, blocks=1000)
    gateway = start(settings(full, free))
    gateway.wait_scraped(full, free)
    admitted(gateway.chat(fields=named("one")))
    found = {each["endpoint"]: each for each in trace(gateway, "one")["endpoints"]}
    assert found[free.authority]["chosen"] and not found[full.authority]["chosen"]
    assert found[free.authority]["projected_kv"] == pytest.approx(0.11, abs=0.02)
    assert found[full.authority]["projected_kv"] == pytest.approx(0.81, abs=0.02)
    assert found[free.authority]["score"] < found[full.authority]["score"]


def test_a_stream_without_usage_is_settled_by_counting(launch, engine):
    engine.default = reply(tokens=6, usage=None)
    gateway = launch(settings(engine, limits=LIMITS))
    admitted(gateway.chat(fields=named("one"), stream=True))
    settlement = closed(gateway, "one")["settlement"]
    assert settlement["source"] == "counted" and settlement["output"] == 6
    assert settlement["input"] == trace(gateway, "one")["estimate"]["input"]
    assert trace(gateway, "one")["times"]["first_token_s"] > 0


def test_a_request_that_is_open_that_waits_and_that_was_let_in(launch, engine, pool):
    engine.pressure = Pressure(usage=0.87, blocks=1000)
    kind = {
        "kv": {"throttle_at": 0.85, "reject_at": 0.90},
        "clamp": {"under_pressure": False},
        "queue": {"max_requests": 10, "max_wait": "20s"},
    }
    gateway = launch(settings(engine, limits=LIMITS, interactive=kind))
    gateway.wait_scraped(engine)
    gate = engine.gate()
    engine.default = reply(gate=gate)
    first = pool.submit(gateway.chat, fields=named("first"), stream=True)
    eventually(lambda: gateway.queue()["requests"] == 1)
    second = pool.submit(gateway.chat, fields=named("second"))
    eventually(lambda: gateway.queue()["requests"] == 2)
    found = trace(gateway, "second")
    assert (found["outcome"], found["stage"], found["decision"]) == ("open", "queued", "queued")
    assert found["settlement"] is None and found["status"] is None
    queue = found["queue"]
    assert queue["waited"] is True and 0 < queue["waited_s"] < 20
    assert queue["max_wait_s"] == 20 and queue["waits_for"] == "decode"
    assert queue["waiters_ahead"] == 1 and queue["tokens_ahead"] > 0
    [endpoint] = found["endpoints"]
    assert endpoint["fits"] is False and endpoint["chosen"] is False
    assert endpoint["projected_kv"] > 0.87 and endpoint["score"] is None
    assert found["throttle_at"] == 0.85
    engine.pressure.usage = 0.2
    eventually(lambda: trace(gateway, "second")["stage"] == "forwarded")
    found = trace(gateway, "second")
    assert (found["outcome"], found["decision"]) == ("open", "queued")
    assert found["endpoints"][0]["chosen"] is True
    assert limit_of(found, "concurrent_requests")["used"] == 1
    gate.open()
    for future in (first, second):
        admitted(future.result(), "queued")
    assert closed(gateway, "second")["outcome"] == "completed"
    assert 0 < trace(gateway, "second")["queue"]["waited_s"] < 20


def test_a_clamped_request(start, engine):
    gateway = start(settings(engine, limits={"max_completion_tokens": 20}))
    admitted(gateway.chat(fields=named("one"), max_tokens=500), "clamped")
    found = closed(gateway, "one")
    assert found["decision"] == "clamped" and found["outcome"] == "completed"
    assert found["estimate"]["output_bound"] == 20
    assert found["estimate"]["output_bound_asked"] == 500


def test_a_request_with_a_lower_bound_under_pressure(start, engine):
    engine.pressure = Pressure(usage=0.87, blocks=1000)
    kind = {
        "kv": {"throttle_at": 0.85, "reject_at": 0.90},
        "clamp": {"under_pressure": True},
    }
    gateway = start(settings(engine, interactive=kind))
    gateway.wait_scraped(engine)
    answer = admitted(gateway.chat(fields=named("one"), max_tokens=5_000), "clamped")
    found = closed(gateway, "one")
    assert (found["decision"], found["chosen_by"]) == ("clamped", "lower_bound")
    assert found["estimate"]["output_bound"] == int(answer.fields["x-penstock-max-tokens"])
    [endpoint] = found["endpoints"]
    assert endpoint["fits"] is True and 0.85 < endpoint["projected_kv"] <= 0.90


def test_requests_over_their_classs_caps(start, engine):
    kind = {"caps": {"max_prompt_tokens": 20}}
    configuration = settings(engine, limits={"over_interactive": "batch"}, interactive=kind)
    gateway = start(configuration)
    admitted(gateway.chat(fields=named("long"), text="word " * 100), "deferred")
    found = closed(gateway, "long")
    assert (found["class"], found["class_asked"]) == ("batch", "interactive")
    assert found["decision"] == "deferred" and found["outcome"] == "completed"
    configuration["tenants"][0]["limits"] = {}
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    answer = gateway.chat(fields=named("no"), text="word " * 100)
    refused(answer, 400, "request_exceeds_limit", "messages")
    found = trace(gateway, "no")
    assert (found["reason"], found["stage"]) == ("request_exceeds_limit", "refused")
    assert found["compared"]["limit"] == 20
    assert found["compared"]["requested"] == found["estimate"]["input"] > 20
    assert found["estimate"]["output_bound"] > 0


@pytest.mark.parametrize(
    ("limits", "reason", "used", "requested"),
    [
        ({"requests_per_minute": 2}, "requests_per_minute", 2, 1),
        ({"tokens_per_day": 60, "requests_per_minute": 600}, "tokens_per_day", 22, None),
    ],
)
def test_a_request_that_a_budget_refuses(launch, engine, limits, reason, used, requested):
    gateway = launch(settings(engine, limits=limits))
    engine.default = reply(prompt=7, tokens=4)
    for number in range(2):
        admitted(gateway.chat(fields=named(f"n-{number}"), max_tokens=4))
    answer = gateway.chat(fields=named("no"), max_tokens=30)
    refused(answer, 429, f"{reason}_exceeded")
    found = trace(gateway, "no")
    assert found["outcome"] == "refused" and found["reason"] == f"{reason}_exceeded"
    assert found["retry_after_ms"] == int(answer.fields["retry-after-ms"])
    compared = limit_of(found, reason)
    assert compared["fits"] is False
    assert compared["used"] == pytest.approx(used, abs=0.2)
    assert compared["used"] + compared["requested"] > compared["limit"]
    assert requested is None or compared["requested"] == requested
    others = [limit for limit in found["limits"] if limit["name"] != reason]
    assert all(limit["fits"] for limit in others)
    assert found["compared"]["limit"] == compared["limit"]
    assert found["endpoints"] == [] and found["queue"] is None
    settlement = found["settlement"]
    assert (settlement["source"], settlement["input"], settlement["output"]) == ("none", 0, 0)
    [record] = gateway.admin("/admin/throttles").json["throttles"]
    assert record["request_id"] == "no", "from a throttle one finds its trace"


def test_a_request_that_can_never_fit_its_budget(launch, engine):
    gateway = launch(settings(engine, limits={"tokens_per_day": 20, "requests_per_minute": 5}))
    refused(
        gateway.chat(fields=named("no"), max_tokens=100), 400, "request_exceeds_limit", "messages"
    )
    found = trace(gateway, "no")
    assert found["reason"] == "request_exceeds_limit" and found["status"] == 400
    day = limit_of(found, "tokens_per_day")
    assert day["fits"] is False and day["limit"] == 20 and day["requested"] > 100
    assert found["retry_after_ms"] is None


def test_requests_that_the_engines_have_no_room_for(start, engine):
    engine.pressure = Pressure(usage=0.95, blocks=1000)
    kind = {"kv": {"throttle_at": 0.85, "reject_at": 0.90}}
    gateway = start(settings(engine, interactive=kind))
    gateway.wait_scraped(engine)
    refused(gateway.chat(fields=named("full")), 503, "kv_cache_pressure")
    found = trace(gateway, "full")
    assert (found["outcome"], found["reason"]) == ("refused", "kv_cache_pressure")
    assert found["compared"]["limit"] == 0.85
    [endpoint] = found["endpoints"]
    assert endpoint["fits"] is False and endpoint["projected_kv"] > 0.95
    assert found["retry_after"]["told_s"] * 1000 <= found["retry_after_ms"]
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    refused(gateway.chat(fields=named("down")), 503, "no_healthy_endpoint")
    found = trace(gateway, "down")
    assert found["reason"] == "no_healthy_endpoint"
    assert found["endpoints"][0]["available"] is False


def test_requests_that_find_the_queue_full_or_wait_in_vain(start, engine, pool):
    engine.pressure = Pressure(usage=0.87, blocks=1000)
    kind = {
        "kv": {"throttle_at": 0.85, "reject_at": 0.90},
        "clamp": {"under_pressure": False},
        "queue": {"max_requests": 1, "max_wait": "1s"},
    }
    gateway = start(settings(engine, interactive=kind))
    gateway.wait_scraped(engine)
    waiting = pool.submit(gateway.chat, fields=named("wait"))
    eventually(lambda: gateway.queue()["requests"] == 1)
    refused(gateway.chat(fields=named("full")), 503, "queue_full")
    found = trace(gateway, "full")
    assert found["reason"] == "queue_full" and found["compared"]["limit"] == 1
    assert found["queue"]["waiters_ahead"] == 1 and found["endpoints"][0]["fits"] is False
    refused(waiting.result(), 503, "queue_wait_too_long")
    found = trace(gateway, "wait")
    assert (found["outcome"], found["reason"]) == ("refused", "queue_wait_too_long")
    assert found["queue"]["waited"] and found["queue"]["waited_s"] == pytest.approx(1, abs=0.3)
    assert found["retry_after_ms"] >= 1 and found["retry_after"]["told_s"] > 0


def test_a_prompt_that_is_too_long(start, engine):
    gateway = start(settings(engine, limits={"max_prompt_tokens": 30}))
    answer = gateway.chat(fields=named("long"), text="word " * 100)
    refused(answer, 400, "context_length_exceeded", "messages")
    found = trace(gateway, "long")
    assert found["compared"]["limit"] == 30
    assert found["compared"]["requested"] == found["estimate"]["input"] > 30
    assert found["endpoints"] == [] and found["settlement"]["source"] == "none"


@pytest.mark.parametrize("on_failure", ["local", "open", "closed"])
def test_requests_while_the_store_is_away(redis, start, engine, on_failure):
    redis.start()
    configuration = settings(engine, limits=LIMITS)
    configuration["store"] = {
        "kind": "redis",
        "redis": {"addresses": [redis.address], "on_failure": on_failure},
    }
    gateway = start(configuration)
    wait_store(gateway)
    redis.close()
    wait_store(gateway, up=False)
    answer = gateway.chat(fields=named("one"))
    found = closed(gateway, "one")
    assert len(found["limits"]) == 3
    if on_failure == "closed":
        refused(answer, 503, "budget_store_unavailable")
        assert found["reason"] == "budget_store_unavailable" and found["budget_from"] is None
    else:
        admitted(answer)
        assert found["budget_from"] == {"local": "replica", "open": "nobody"}[on_failure]
    for limit in found["limits"]:
        assert limit["requested"] > 0
        assert (limit["used"] is not None) == (on_failure == "local"), limit
        assert limit["fits"] is (True if on_failure == "local" else None)


def test_requests_refused_before_anything_was_decided(start, engine):
    gateway = start(settings(engine))
    refused(gateway.chat(fields=named("m"), model="nonesuch"), 404, "model_not_found", "model")
    found = trace(gateway, "m")
    assert (found["reason"], found["model"], found["estimate"]) == ("model_not_found", None, None)
    assert found["stage"] is None and found["endpoints"] == []
    gateway.post(CHAT, b"{", fields=named("json"))
    assert trace(gateway, "json")["reason"] == "invalid_request"
    fields = named("class") | {"X-Traffic-Class": "not-for-acme"}
    refused(gateway.chat(fields=fields), 403, "class_not_allowed")
    found = trace(gateway, "class")
    assert (found["reason"], found["class"], found["tenant"]) == ("class_not_allowed", None, "acme")
    # A stranger must not be able to cover up a tenant's request.
    admitted(gateway.chat(fields=named("mine")))
    gateway.chat("sk-wrong", fields=named("mine"))
    assert trace(gateway, "mine")["outcome"] == "completed"
    gateway.chat("sk-wrong", fields=named("strange"))
    assert gateway.admin("/admin/requests/strange").status == 404


def test_a_client_that_leaves_while_it_waits_and_in_its_stream(launch, engine, pool):
    kind = {"clamp": {"under_pressure": False}}
    gateway = launch(settings(engine, limits=LIMITS, interactive=kind))
    gateway.wait_scraped(engine)
    engine.default = reply(tokens=50, gap=0.05)
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(stream=True), named("stream"), KEY)
        eventually(lambda: engine.calls)
        eventually(lambda: trace(gateway, "stream")["stage"] == "forwarded")
        time.sleep(0.2)
    found = closed(gateway, "stream")
    assert (found["outcome"], found["reason"]) == ("client_left", None)
    assert found["settlement"]["source"] == "counted" and found["settlement"]["output"] >= 1
    engine.pressure.usage = 0.87
    gateway.wait_scraped(engine)
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(), named("wait"), KEY)
        eventually(lambda: gateway.queue()["requests"] == 1)
    found = closed(gateway, "wait")
    assert (found["outcome"], found["stage"]) == ("client_left", "queued")
    assert found["settlement"]["source"] == "none"
    engine.pressure.usage = 0.0
    gateway.assert_at_rest()


def test_engines_that_fail(launch, engine):
    configuration = settings(
        engine,
        limits=LIMITS,
        interactive={"timeouts": {"first_token": "300ms", "between_tokens": "300ms"}},
    )
    gateway = launch(configuration)
    engine.script(die_before_head(), die_mid_stream(after=3))
    refused(gateway.chat(fields=named("head")), 502, "upstream_failed")
    found = trace(gateway, "head")
    assert (found["outcome"], found["reason"]) == ("engine_failed", "upstream_failed")
    assert found["endpoints"][0]["chosen"] is True
    with contextlib.suppress(BrokenAnswer):
        gateway.chat(fields=named("middle"), stream=True)
    found = closed(gateway, "middle")
    assert (found["outcome"], found["reason"]) == ("engine_failed", None)
    assert found["settlement"]["source"] == "counted" and found["settlement"]["output"] == 3
    eventually(lambda: gateway.endpoint(engine)["available"])
    engine.script(silent())
    refused(gateway.chat(fields=named("silent")), 504, "deadline_exceeded")
    found = closed(gateway, "silent")
    assert (found["outcome"], found["reason"]) == ("timed_out", "deadline_exceeded")
