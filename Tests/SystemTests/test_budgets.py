# SPDX-License-Identifier: Apache-2.0
"""A tenant's limits: what they refuse, what they tell, and that they keep their word."""

import datetime
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import admitted, limits, refused, wait_of
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, OTHER_KEY, chat_body, settings
from misbehaviour import silent
from waiting import eventually

CHAT = "/v1/chat/completions"


def forced(tokens: int, text: str = "hi", **members: object) -> dict:
    """A request whose output is reserved in full."""
    return {"text": text, "max_tokens": tokens, "ignore_eos": True} | members


def wait_out(answer) -> None:
    """Waits exactly as long as the refusal says, from its arrival on."""
    time.sleep(max(0.0, answer.received_at + wait_of(answer) - time.monotonic()))


def test_requests_per_minute(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 60}))
    for number in range(60):
        answer = admitted(gateway.chat())
        limit, remaining, _ = limits(answer)["requests"]
        assert limit == 60
        # The budget refills by one a second meanwhile.
        assert 59 - number <= remaining <= 60 - number + 3
    refusals = []
    while len(refusals) < 2:
        answer = gateway.chat()
        if answer.status == 429:
            refusals.append(answer)
    error = refused(refusals[0], 429, "requests_per_minute_exceeded")
    assert "Limit 60" in error["message"] and "acme" in error["message"]
    assert 0 < wait_of(refusals[0]) <= 1.6
    assert limits(refusals[0])["requests"][1] == 0
    wait_out(refusals[0])
    admitted(gateway.chat())
    assert len(engine.calls) == gateway.tenant()["requests"]["completed"]
    assert gateway.tenant()["throttled"] == {"requests_per_minute_exceeded": len(refusals)}


def test_refusals_of_the_same_moment_tell_different_waits(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 10}))
    for _ in range(10):
        admitted(gateway.chat())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway.chat(), range(8)))
    waits = [wait_of(answer) for answer in answers]
    for answer in answers:
        refused(answer, 429, "requests_per_minute_exceeded")
    assert len(set(waits)) >= 7, waits


def test_tokens_per_minute_settles_to_the_usage_and_keeps_its_promise(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_minute": 6000}))
    engine.script(reply(prompt=10, usage=usage_of(10, 5940)))
    admitted(gateway.chat(**forced(2000)))
    used = gateway.used("tokens_per_minute")
    assert 5400 < used <= 5950, used
    answer = gateway.chat(**forced(300))
    error = refused(answer, 429, "tokens_per_minute_exceeded")
    assert "Limit 6000" in error["message"] and "Requested 3" in error["message"]
    wait = wait_of(answer)
    # 100 tokens come back each second.
    assert 1.0 < wait < 4.0
    assert limits(answer)["tokens"][0] == 6000
    # t of the limit that refused is when this request fits, in whole seconds.
    assert f"t={answer.fields['retry-after']}" in answer.fields["ratelimit"]
    wait_out(answer)
    admitted(gateway.chat(**forced(300)))


def test_the_remaining_budget_falls_with_a_reservation_and_rises_on_settlement(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_minute": 100_000}))
    engine.script(reply(usage=usage_of(5, 5)))
    reserved = limits(admitted(gateway.chat(**forced(4000, stream=True))))["tokens"][1]
    assert reserved <= 96_500
    eventually(lambda: gateway.used("tokens_per_minute") < 100, "the reservation is settled")
    after = limits(admitted(gateway.chat(**forced(10))))["tokens"][1]
    assert after > 99_000


@pytest.mark.parametrize(
    ("limit", "usage"),
    [
        ("input_tokens_per_minute", usage_of(59_990, 1)),
        ("output_tokens_per_minute", usage_of(1, 59_990)),
    ],
)
def test_input_and_output_have_limits_of_their_own(start, engine, limit, usage):
    gateway = start(settings(engine, limits={limit: 60_000}))
    engine.script(reply(usage=usage))
    admitted(gateway.chat(**forced(8)))
    answer = gateway.chat(text="word " * 3000, max_tokens=3000, ignore_eos=True)
    refused(answer, 429, f"{limit}_exceeded")
    wait_out(answer)
    admitted(gateway.chat(text="word " * 3000, max_tokens=3000, ignore_eos=True))


def test_a_cached_prompt_still_counts_whole(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_day": 10_000}))
    engine.script(reply(usage=usage_of(900, 100, cached=800)))
    admitted(gateway.chat())
    assert gateway.used("tokens_per_day") == 1000
    assert gateway.tenant()["tokens"] == {"input": 900, "output": 100}


def test_concurrent_requests(start, engine):
    gateway = start(settings(engine, limits={"concurrent_requests": 2}))
    gate = engine.gate()
    engine.default = reply(gate=gate)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(gateway.chat, stream=True) for _ in range(2)]
        eventually(lambda: gateway.used("concurrent_requests") == 2, "both are counted")
        answer = gateway.chat()
        error = refused(answer, 429, "concurrent_requests_exceeded")
        assert "Limit 2" in error["message"]
        assert 'qu="concurrent-requests"' in answer.fields["ratelimit-policy"]
        # The other tenant is not concerned.
        gate.open()
        for future in held:
            admitted(future.result())
    eventually(lambda: gateway.used("concurrent_requests") == 0, "both are given back")
    admitted(gateway.chat())


def test_a_client_that_leaves_gives_its_place_back(start, engine):
    gateway = start(settings(engine, limits={"concurrent_requests": 1}))
    engine.script(silent())
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(), key=KEY)
        eventually(lambda: engine.calls, "the engine is asked")
        assert gateway.used("concurrent_requests") == 1
    eventually(lambda: gateway.used("concurrent_requests") == 0)
    admitted(gateway.chat())


def test_a_place_is_free_by_the_time_its_client_knows(start, engine):
    gateway = start(settings(engine, limits={"concurrent_requests": 1}, workers=4))
    # Each on a new connection, and so on any of the threads.
    for number in range(150):
        admitted(gateway.chat(stream=number % 2 == 0))


def test_tokens_per_day_is_over_until_midnight(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_day": 5000}))
    engine.script(reply(usage=usage_of(100, 4880)))
    admitted(gateway.chat())
    answer = gateway.chat(**forced(1000))
    error = refused(answer, 429, "tokens_per_day_exceeded")
    assert "Limit 5000, Used 4980" in error["message"]
    now = datetime.datetime.now(datetime.timezone.utc)
    midnight = (now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert abs(wait_of(answer) - (midnight - now).total_seconds()) < 5
    assert ";w=86400" in answer.fields["ratelimit-policy"]


def test_cost_per_month_is_over_until_the_first(start, engine):
    configuration = settings(engine, limits={"cost_per_month": 0.01})
    configuration["models"][0]["price"] = {
        "input_per_million": 1.0,
        "cached_input_per_million": 0.5,
        "output_per_million": 4.0,
    }
    gateway = start(configuration)
    engine.script(reply(usage=usage_of(3000, 1500, cached=2000)))
    admitted(gateway.chat())
    # 1000 fresh, 2000 cached, 1500 produced.
    assert gateway.tenant()["cost"] == pytest.approx(0.001 + 0.001 + 0.006)
    answer = gateway.chat(**forced(2000))
    refused(answer, 429, "cost_per_month_exceeded")
    now = datetime.datetime.now(datetime.timezone.utc)
    first = (now.replace(day=1) + datetime.timedelta(days=32)).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
    assert abs(wait_of(answer) - (first - now).total_seconds()) < 5
    admitted(gateway.chat(**forced(200)))


def test_a_wait_of_more_than_a_minute_is_told_whole_and_not_to_be_retried(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_minute": 6000}))
    # The engine produced far more than was reserved: the debt is three minutes of budget.
    engine.script(reply(usage=usage_of(10, 18_000)))
    admitted(gateway.chat(**forced(100)))
    answer = gateway.chat(**forced(100))
    refused(answer, 429, "tokens_per_minute_exceeded")
    assert wait_of(answer) > 60
    assert answer.fields["x-should-retry"] == "false"


@pytest.mark.parametrize(
    ("limit", "amount"),
    [
        ("tokens_per_minute", 1000),
        ("output_tokens_per_minute", 1000),
        ("tokens_per_day", 1000),
    ],
)
def test_what_a_limit_can_never_hold_gets_400_and_no_wait(start, engine, limit, amount):
    gateway = start(settings(engine, limits={limit: amount}))
    error = refused(gateway.chat(**forced(1500)), 400, "request_exceeds_limit", "messages")
    assert "Limit 1000" in error["message"] and "Requested 15" in error["message"]
    assert gateway.used(limit) == 0
    admitted(gateway.chat(**forced(100)))


def test_several_choices_are_reserved_together(start, engine):
    gateway = start(settings(engine, limits={"tokens_per_minute": 1000}))
    refused(gateway.chat(**forced(300, n=4)), 400, "request_exceeds_limit", "messages")
    admitted(gateway.chat(**forced(300, n=3)))


def test_what_is_refused_costs_nothing(start, engine):
    gateway = start(
        settings(engine, limits={"tokens_per_minute": 1000, "requests_per_minute": 100})
    )
    for _ in range(3):
        refused(gateway.chat(**forced(2000)), 400, "request_exceeds_limit", "messages")
        refused(gateway.chat(model="nonesuch"), 404, "model_not_found", "model")
    assert gateway.used("requests_per_minute") == 0
    assert gateway.used("tokens_per_minute") == 0


def test_a_request_that_two_limits_refuse_waits_for_both(start, engine):
    gateway = start(
        settings(engine, limits={"tokens_per_minute": 6000, "requests_per_minute": 60})
    )
    engine.script(reply(usage=usage_of(10, 5985)))
    for _ in range(60):
        gateway.chat(**forced(1))
    answer = gateway.chat(**forced(400))
    refused(answer, 429, "tokens_per_minute_exceeded")
    assert wait_of(answer) > 2
    wait_out(answer)
    admitted(gateway.chat(**forced(400)))


def test_one_tenants_use_is_not_anothers(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 1}))
    admitted(gateway.chat())
    refused(gateway.chat(), 429, "requests_per_minute_exceeded")
    answer = admitted(gateway.chat(OTHER_KEY))
    assert "x-ratelimit-limit-requests" not in answer.fields
    assert "ratelimit" not in answer.fields


def test_parallel_requests_never_get_more_than_the_limit(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 20}, workers=4))
    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: gateway.chat(), range(80)))
    refilled = (time.monotonic() - started) / 3
    granted = sum(answer.status == 200 for answer in answers)
    assert 20 <= granted <= 20 + refilled + 1
    assert len(engine.calls) == granted
    for answer in answers:
        if answer.status != 200:
            refused(answer, 429, "requests_per_minute_exceeded")


def test_requests_without_a_key_share_the_anonymous_budget(start, engine):
    configuration = settings(engine)
    configuration["tenants"].append(
        {
            "id": "anonymous",
            "classes": ["interactive"],
            "models": [MODEL],
            "limits": {"requests_per_minute": 1},
        }
    )
    gateway = start(configuration)
    admitted(gateway.chat(key=None))
    refused(gateway.chat(key=None), 429, "requests_per_minute_exceeded")
    refused(gateway.chat(key="sk-wrong"), 401, "invalid_api_key")
    admitted(gateway.chat())


def test_budgets_survive_a_restart_in_the_snapshot(start, engine, tmp_path):
    configuration = settings(engine, limits={"tokens_per_day": 5000})
    configuration["store"] = {
        "kind": "memory",
        "memory": {"snapshot": str(tmp_path / "budgets"), "snapshot_interval": "100ms"},
    }
    gateway = start(configuration)
    engine.script(reply(usage=usage_of(100, 4400)))
    admitted(gateway.chat())
    assert gateway.stop() == 0
    again = start(configuration)
    assert again.used("tokens_per_day") == 4500
    refused(again.chat(**forced(1000)), 429, "tokens_per_day_exceeded")


def test_budgets_survive_a_crash_up_to_the_last_snapshot(start, engine, tmp_path):
    configuration = settings(engine, limits={"tokens_per_day": 5000})
    snapshot = tmp_path / "budgets"
    configuration["store"] = {
        "kind": "memory",
        "memory": {"snapshot": str(snapshot), "snapshot_interval": "100ms"},
    }
    gateway = start(configuration)
    engine.script(reply(usage=usage_of(100, 4400)))
    admitted(gateway.chat())
    settled = time.time_ns()
    eventually(
        lambda: snapshot.exists() and snapshot.stat().st_mtime_ns > settled + 100_000_000,
        "a snapshot after the settlement",
    )
    gateway.kill()
    assert start(configuration).used("tokens_per_day") == 4500


def test_a_damaged_snapshot_is_told_and_does_not_stop_the_start(start, engine, tmp_path):
    snapshot = tmp_path / "budgets"
    snapshot.write_bytes(b"\x00damaged" * 100)
    configuration = settings(engine, limits={"tokens_per_day": 5000})
    configuration["store"] = {"kind": "memory", "memory": {"snapshot": str(snapshot)}}
    gateway = start(configuration)
    assert str(snapshot) in gateway.wait_log("snapshot")
    admitted(gateway.chat())


def hierarchy(engine) -> dict:
    """Two tenants of one team of one organisation."""
    configuration = settings(engine, limits={"tokens_per_minute": 100_000})
    configuration["organisations"] = [
        {
            "id": "corp",
            "limits": {"requests_per_hour": 5, "cost_per_day": 1},
            "teams": [{"id": "research", "limits": {"requests_per_day": 3}}],
        }
    ]
    for model in configuration["models"]:
        model["price"] = {"input_per_million": 1, "output_per_million": 4}
    for tenant in configuration["tenants"][:2]:
        tenant["organisation"] = "corp"
    configuration["tenants"][0]["team"] = "research"
    each = {"requests_per_minute": 60, "burst": {"requests": 2}}
    configuration["tenants"][0]["key_limits"] = [each]
    return configuration


def test_a_request_is_checked_against_its_organisation_its_team_and_its_key(start, engine):
    gateway = start(hierarchy(engine))
    for _ in range(2):
        admitted(gateway.chat())
    answer = gateway.chat()
    error = refused(answer, 429, "requests_per_minute_exceeded")
    assert "requests per minute of this key: Limit 2, Used 1.9" in error["message"]
    assert '"key-requests-per-minute";r=0' in answer.fields["ratelimit"]
    wait_out(answer)
    admitted(gateway.chat())
    answer = gateway.chat()
    error = refused(answer, 429, "requests_per_day_exceeded")
    assert "requests per day of the team: Limit 3, Used 3, Requested 1" in error["message"]
    assert answer.fields["x-should-retry"] == "false"
    assert error["type"] == "insufficient_quota"
    for _ in range(2):
        admitted(gateway.chat(key=OTHER_KEY))
    answer = gateway.chat(key=OTHER_KEY)
    error = refused(answer, 429, "requests_per_hour_exceeded")
    assert "requests per hour of the organisation: Limit 5, Used 4.9" in error["message"]
    # 720 s for one of five in an hour.
    assert 600 < wait_of(answer) <= 721
    standing = {
        (limit["scope"], limit["name"]): limit["used"] for limit in gateway.tenant()["limits"]
    }
    assert standing["team", "requests_per_day"] == 3
    assert 4.9 < standing["organisation", "requests_per_hour"] <= 5
    cost = sum(gateway.tenant(name)["cost"] for name in ("acme", "beta"))
    assert standing["organisation", "cost_per_day"] == pytest.approx(cost, abs=1e-9)
