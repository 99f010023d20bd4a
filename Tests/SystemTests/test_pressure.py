# SPDX-License-Identifier: Apache-2.0
"""The engines' KV caches: requests wait, are refused, and are let in again."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from checks import admitted, refused, wait_of
from core_waits import Stopwatch
from fake_engine import Pressure, reply
from gateway_process import KEY, chat_body, settings
from waiting import eventually

CHAT = "/v1/chat/completions"
LIMITS = {"concurrent_requests": 100, "tokens_per_day": 1_000_000}


def under_pressure(engine, usage: float = 0.0, **queue: object) -> dict:
    """A configuration in which 16,000 tokens fit an engine, and requests wait from 85 % on."""
    engine.pressure = Pressure(usage=usage, blocks=1000, block_size=16)
    kind = {
        "kv": {"throttle_at": 0.85, "reject_at": 0.90},
        "queue": {"max_requests": 10, "max_wait": "20s"} | queue,
        "clamp": {"under_pressure": False},
    }
    return settings(engine, limits=LIMITS, interactive=kind)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def wait_queued(gateway, count: int) -> None:
    eventually(lambda: gateway.queue()["requests"] == count, f"{count} requests wait")


def waiting_in(gateway) -> dict[str, float]:
    """The requests that wait in the gateway by what they wait for, as the metrics show them."""
    found = {}
    for line in gateway.admin("/metrics").body.decode().splitlines():
        name, _, rest = line.partition("{")
        if name in ("prefill_queue_len", "decode_queue_len") and 'endpoint=""' in rest:
            assert 'pool="main"' in rest
            found[name.removesuffix("_queue_len")] = float(rest.rpartition(" ")[2])
    return found


def test_below_the_threshold_requests_are_admitted(start, engine):
    gateway = start(under_pressure(engine, usage=0.5))
    gateway.wait_scraped(engine)
    admitted(gateway.chat())
    kv = gateway.endpoint(engine)["kv"]
    assert kv["capacity_tokens"] == 16_000
    assert kv["scraped_tokens"] == pytest.approx(8_000, abs=20)
    assert kv["projected_share"] == pytest.approx(0.5, abs=0.01)


def test_between_the_thresholds_requests_wait_and_are_let_in_when_it_falls(start, engine, pool):
    gateway = start(under_pressure(engine, usage=0.87))
    gateway.wait_scraped(engine)
    waiting = [pool.submit(gateway.chat, stream=number % 2 == 0) for number in range(4)]
    wait_queued(gateway, 4)
    queue = gateway.queue()
    assert queue["tokens"] > 0 and queue["oldest_s"] > 0
    assert queue["waits_for"] == "decode"
    prefill, decode = queue["phases"]
    assert (prefill["phase"], prefill["requests"], prefill["oldest_s"]) == ("prefill", 0, None)
    assert (decode["phase"], decode["requests"]) == ("decode", 4)
    assert decode["tokens"] == queue["tokens"] and decode["oldest_s"] == queue["oldest_s"]
    # The engine's own load is others': when that will end nobody knows.
    assert queue["next_wait_s"] is None and queue["predicted_wait_s"] is None
    [share] = queue["tenants"]
    assert (share["tenant"], share["requests"], share["share"]) == ("acme", 4, 1)
    assert (share["weight"], share["served_ahead"]) == (1, 0)
    assert share["tokens"] == queue["tokens"] and queue["tenants_left_out"] == 0
    assert waiting_in(gateway) == {"prefill": 0, "decode": 4}
    assert not engine.calls
    engine.pressure.usage = 0.2
    for future in waiting:
        admitted(future.result(), "queued")
    assert len(engine.calls) == 4
    queue = gateway.queue()
    assert (queue["requests"], queue["waits_for"], queue["predicted_wait_s"]) == (0, None, 0)
    assert queue["tenants"] == [] and waiting_in(gateway) == {"prefill": 0, "decode": 0}


def test_requests_that_wait_for_their_prompts_turn_are_told_from_the_others(start, engine, pool):
    configuration = under_pressure(engine)
    configuration["classes"][0]["targets"] = {"first_token": "60s", "between_tokens": "30ms"}
    configuration["pools"][0]["capacity"] = {"prefill_tokens_per_second": 100}
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    gate = engine.gate()
    engine.default = reply(gate=gate, first=1.0)
    prompt = {"text": "word " * 300, "max_tokens": 10, "stream": True}
    first = pool.submit(gateway.chat, **prompt)
    eventually(lambda: len(engine.calls) == 1)
    second = pool.submit(gateway.chat, KEY, {"X-Request-Id": "second"}, **prompt)
    wait_queued(gateway, 1)
    queue = gateway.queue()
    assert queue["waits_for"] == "prefill" and queue["phases"][0]["requests"] == 1
    assert 0 < queue["next_wait_s"] < 20 and 0 < queue["predicted_wait_s"] < 20
    assert waiting_in(gateway) == {"prefill": 1, "decode": 0}
    found = gateway.admin("/admin/requests/second").json
    assert found["queue"]["waits_for"] == "prefill"
    [endpoint] = found["endpoints"]
    assert endpoint["fits"] and not endpoint["takes_prompt"] and endpoint["prompt_wait_s"] > 0
    gate.open()
    admitted(first.result())
    admitted(second.result(), "queued")


def test_above_the_upper_threshold_requests_are_refused_until_it_falls(start, engine):
    gateway = start(under_pressure(engine, usage=0.95))
    gateway.wait_scraped(engine)
    answers = [gateway.chat() for _ in range(4)]
    for answer in answers:
        error = refused(answer, 503, "kv_cache_pressure")
        assert "memory" in error["message"]
    waits = [wait_of(answer) for answer in answers]
    assert len(set(waits)) == 4, "those refused together do not return together"
    assert not engine.calls
    [record] = gateway.admin("/admin/throttles?limit=1").json["throttles"]
    assert record["reason"] == "kv_cache_pressure" and record["limit"] == 0.85
    assert record["used"] == pytest.approx(0.95, abs=0.01)
    engine.pressure.usage = 0.1
    gateway.wait_scraped(engine)
    admitted(gateway.chat())


def test_the_gateways_own_tokens_count_before_the_next_scrape(start, engine, pool):
    gateway = start(under_pressure(engine))
    gateway.wait_scraped(engine)
    gate = engine.gate()
    engine.default = reply(gate=gate)
    big = {"text": "word " * 6_300, "max_tokens": 100, "stream": True}
    first = [pool.submit(gateway.chat, **big) for _ in range(2)]
    eventually(lambda: len(engine.calls) == 2)
    # Two prompts of about 6,300 tokens leave no room for a third below 13,600.
    third = pool.submit(gateway.chat, **big)
    wait_queued(gateway, 1)
    kv = gateway.endpoint(engine)["kv"]
    assert kv["projected_tokens"] > 12_000
    assert gateway.endpoint(engine)["own_sequences"] == 2
    gate.open()
    for future in first:
        admitted(future.result())
    admitted(third.result(), "queued")


def test_the_least_loaded_engine_gets_the_request(start, new_engine):
    full, free = new_engine(), new_engine()
    full.pressure = Pressure(usage=0.8, blocks=1000)
    free.pressure = Pressure(usage=0.1, blocks=1000)
    gateway = start(settings(full, free))
    gateway.wait_scraped(full, free)
    for _ in range(5):
        admitted(gateway.chat())
    assert (len(full.calls), len(free.calls)) == (0, 5)


def test_a_full_queue_refuses(start, engine, pool):
    gateway = start(under_pressure(engine, usage=0.87, max_requests=3))
    gateway.wait_scraped(engine)
    waiting = [pool.submit(gateway.chat) for _ in range(3)]
    wait_queued(gateway, 3)
    refused(gateway.chat(), 503, "queue_full")
    engine.pressure.usage = 0.0
    for future in waiting:
        admitted(future.result(), "queued")


def test_a_queue_is_full_by_tokens_too(start, engine, pool):
    gateway = start(under_pressure(engine, usage=0.87, max_tokens=1000))
    gateway.wait_scraped(engine)
    body = {"text": "word " * 300, "max_tokens": 10}
    waiting = [pool.submit(gateway.chat, **body) for _ in range(2)]
    wait_queued(gateway, 2)
    refused(gateway.chat(**(body | {"text": "word " * 900})), 503, "queue_full")
    engine.pressure.usage = 0.0
    for future in waiting:
        admitted(future.result(), "queued")


def test_who_waits_too_long_is_refused_with_a_wait(start, engine):
    gateway = start(under_pressure(engine, usage=0.87, max_wait="300ms"))
    gateway.wait_scraped(engine)
    started = Stopwatch()
    answer = gateway.chat()
    assert 0.25 < started.passed and started.seconds < 2.0
    refused(answer, 503, "queue_wait_too_long")
    gateway.assert_at_rest()
    assert gateway.used("tokens_per_day") == 0
    assert not engine.calls


def test_who_has_a_deadline_of_its_own_is_told_when_it_is_over(start, engine):
    gateway = start(under_pressure(engine, usage=0.87))
    gateway.wait_scraped(engine)
    started = Stopwatch()
    answer = gateway.chat(fields={"X-Penstock-Deadline-Ms": "300"})
    assert started.seconds < 2.0
    refused(answer, 504, "deadline_exceeded")
    gateway.assert_at_rest()


def test_a_client_that_leaves_the_queue_frees_its_place(start, engine, pool):
    gateway = start(under_pressure(engine, usage=0.87, max_requests=1))
    gateway.wait_scraped(engine)
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(), key=KEY)
        wait_queued(gateway, 1)
        assert gateway.used("concurrent_requests") == 1
    wait_queued(gateway, 0)
    gateway.assert_at_rest()
    follower = pool.submit(gateway.chat)
    wait_queued(gateway, 1)
    engine.pressure.usage = 0.0
    admitted(follower.result(), "queued")
    assert len(engine.calls) == 1


def test_a_request_that_no_engine_could_ever_hold_is_refused_for_good(start, engine):
    configuration = under_pressure(engine)
    engine.pressure.blocks = 100
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    answer = gateway.chat(text="word " * 3_000, max_tokens=10)
    refused(answer, 400, "request_exceeds_limit", "messages")
    admitted(gateway.chat(max_tokens=10))


def test_requests_that_wait_are_let_in_when_an_engine_returns(start, engine, pool):
    gateway = start(under_pressure(engine, usage=0.87))
    gateway.wait_scraped(engine)
    waiting = pool.submit(gateway.chat)
    wait_queued(gateway, 1)
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    engine.pressure.usage = 0.0
    engine.start()
    admitted(waiting.result(), "queued")


def test_an_operators_drain_lets_nobody_in_until_it_is_lifted(start, engine, pool):
    gateway = start(under_pressure(engine))
    gateway.wait_scraped(engine)
    assert gateway.admin(f"/admin/endpoints/{engine.authority}/drain", "POST").status == 200
    refused(gateway.chat(), 503, "no_healthy_endpoint")
    assert gateway.endpoint(engine)["draining"]
    assert gateway.admin(f"/admin/endpoints/{engine.authority}/undrain", "POST").status == 200
    admitted(gateway.chat())


# Readings that stay away.


def held_stream(gateway, engine, pool, **members: object) -> tuple[Future, object]:
    gate = engine.gate()
    engine.script(reply(gate=gate))
    future = pool.submit(gateway.chat, stream=True, **members)
    eventually(lambda: gateway.endpoint(engine)["own_sequences"] == 1, "a stream runs")
    return future, gate


def test_a_reading_speaks_of_the_time_at_which_it_was_asked_for(start, engine, pool):
    configuration = under_pressure(engine)
    configuration["upstream"]["scrape_interval"] = "1500ms"
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    stream, gate = held_stream(gateway, engine, pool, text="word " * 3_200, max_tokens=50)
    eventually(lambda: gateway.endpoint(engine)["prefilling_tokens"] == 0, "it has begun")
    own = gateway.endpoint(engine)["kv"]["projected_tokens"]
    assert own > 2_000
    engine.pressure.usage = own / 16_000
    gateway.wait_scraped(engine)
    assert gateway.endpoint(engine)["kv"]["others_tokens"] < 200
    # The stream ends, and as much of others' begins, all between two scrapes.
    gate.open()
    admitted(stream.result())
    gateway.assert_at_rest()
    pages = engine.pages
    eventually(lambda: engine.pages == pages + 1, "the engine is scraped once more")
    eventually(lambda: gateway.endpoint(engine)["scrape_age_s"] < 0.5, "the reading is there")
    kv = gateway.endpoint(engine)["kv"]
    assert engine.pages == pages + 1
    assert kv["others_tokens"] == pytest.approx(own, abs=200)


@pytest.mark.parametrize("metrics", ["gone", "silent"])
def test_an_engine_whose_metrics_are_gone_is_neither_full_nor_empty(
    start, engine, pool, metrics
):
    configuration = under_pressure(engine, usage=0.5)
    configuration["upstream"] |= {"scrape_timeout": "200ms", "unhealthy_after": 100}
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    stream, gate = held_stream(gateway, engine, pool, text="word " * 3_200, max_tokens=50)
    gateway.wait_scraped(engine)
    known = gateway.endpoint(engine)["kv"]
    engine.metrics = metrics
    # Long enough that readings count as late, by several intervals.
    eventually(lambda: gateway.endpoint(engine)["scrape_age_s"] > 1.0, "the reading ages")
    late = gateway.endpoint(engine)["kv"]
    assert late["capacity_tokens"] == 16_000
    assert late["projected_tokens"] >= known["others_tokens"]
    # It is trusted a little less with every second, and no more than that.
    assert known["projected_share"] <= late["projected_share"] < known["projected_share"] + 0.1
    admitted(gateway.chat(max_tokens=10))
    # What the gateway itself sends still counts, so that it cannot be overrun.
    engine.default = reply(gate=gate)
    others = [
        pool.submit(gateway.chat, stream=True, text="word " * 3_200, max_tokens=50)
        for _ in range(3)
    ]
    eventually(lambda: gateway.queue()["requests"] >= 1, "one has to wait")
    gate.open()
    for future in [stream, *others]:
        assert future.result().status == 200


def test_an_engine_that_never_told_its_capacity_is_used(start, engine):
    engine.metrics = "gone"
    gateway = start(settings(engine))
    admitted(gateway.chat())


def test_the_configured_capacity_serves_where_metrics_do_not_tell(start, engine, pool):
    engine.metrics = "gone"
    configuration = under_pressure(engine)
    configuration["pools"][0]["capacity"] = {"kv_tokens": 8_000}
    gateway = start(configuration)
    stream, gate = held_stream(gateway, engine, pool, text="word " * 7_000, max_tokens=50)
    waiting = pool.submit(gateway.chat, text="word " * 4_000, max_tokens=50)
    wait_queued(gateway, 1)
    gate.open()
    admitted(stream.result())
    admitted(waiting.result(), "queued")


def test_waiting_as_long_as_a_refusal_says_is_then_admitted(start, engine, pool):
    configuration = under_pressure(engine, max_wait="50ms")
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    # Streams of known length that fill the engine: 100 tokens at 10 ms each.
    engine.default = reply(tokens=100, gap=0.01)
    big = {"text": "word " * 6_300, "max_tokens": 100, "stream": True}
    streams = [pool.submit(gateway.chat, **big) for _ in range(2)]
    eventually(lambda: gateway.endpoint(engine)["own_sequences"] == 2)
    time.sleep(0.3)
    answer = gateway.chat(**big)
    assert answer.status == 503
    assert answer.error["code"] in ("kv_cache_pressure", "queue_wait_too_long")
    time.sleep(max(0.0, answer.received_at + wait_of(answer) - time.monotonic()))
    again = gateway.chat(**big)
    assert again.status == 200, again
    for stream in streams:
        admitted(stream.result())
