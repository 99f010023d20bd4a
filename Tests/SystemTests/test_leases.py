# SPDX-License-Identifier: Apache-2.0
"""Leases of tokens: hot tenants are decided without a round trip, and their limits hold."""

import collections
import time

import pytest
from checks import refused
from fake_engine import reply, usage_of
from test_overrides import change
from test_redis import on, statuses, wait_store
from waiting import eventually

USED = 12


def leased(redis, engine, **limits: object) -> dict:
    engine.default = reply(usage=usage_of(USED - 4, 4))
    configuration = on(redis, engine, **limits)
    configuration["store"]["redis"]["lease"] = {"enabled": True, "window": "500ms"}
    return configuration


def metric(gateway, name: str) -> int:
    for line in gateway.admin("/metrics").body.decode().splitlines():
        if line.startswith(f"{name} "):
            return int(line.split()[1])
    raise AssertionError("no such metric")


def ahead(gateway) -> int:
    """Requests that were admitted out of leases."""
    return metric(gateway, "penstock_budget_leased_total")


def up(start, configuration: dict, count: int) -> list:
    gateways = [start(configuration) for _ in range(count)]
    for gateway in gateways:
        wait_store(gateway)
    return gateways


def warm(gateways: list, count: int = 300) -> int:
    """So many requests at once; how many were admitted, which is all.

    On a busy machine Redis is late for some: then once more, until most are.
    """
    admitted = 0

    def most_are_admitted() -> bool:
        nonlocal admitted
        found = collections.Counter(statuses(gateways, count, max_tokens=4))
        admitted += found[200]
        assert set(found) <= {200, 503} and found[200] > count / 2, found
        return True

    eventually(most_are_admitted)
    return admitted


def settled(gateway, expected: float, limit: str = "tokens_per_day") -> None:
    def reached() -> bool:
        used = gateway.used(limit)
        assert used == expected, f"{used} of {limit} are used"
        return True

    eventually(reached, f"{expected} of {limit} are used")


def test_a_hot_tenant_is_decided_without_round_trips_and_charged_to_the_token(
    redis, start, engine
):
    redis.start()
    gateways = up(start, leased(redis, engine, tokens_per_day=10_000_000), 2)
    count = 0

    def most_are_ahead() -> bool:
        nonlocal count
        before = sum(map(ahead, gateways))
        more = warm(gateways)
        count += more
        return sum(map(ahead, gateways)) - before > more / 2

    # A lease is over before it is used where clients wait too long for a core.
    eventually(most_are_ahead)
    # What was estimated, and what nobody took of the leases, has returned.
    settled(gateways[0], count * USED)
    eventually(lambda: redis.command("KEYS", "*acme}:open:*") == "", "nothing is open")


def test_two_gateways_with_leases_admit_no_more_than_the_limit(redis, start, engine):
    redis.start()
    # On a machine that is too busy Redis may be late: that would be another budget.
    configuration = leased(redis, engine, requests_per_day=400, on_failure="closed")
    gateways = up(start, configuration, 2)
    found = statuses(gateways, 1_200, max_tokens=4)
    assert sum(ahead(gateway) for gateway in gateways) > 0
    assert found.count(200) <= 400
    assert set(found) <= {200, 429, 503}

    # What was on its way back then is there: to the last one.
    def exhausted() -> bool:
        found.extend(statuses(gateways, 40, max_tokens=4))
        return found.count(200) == 400

    eventually(exhausted, "all of the limit is used", 20.0)
    found += statuses(gateways, 40, max_tokens=4)
    assert found.count(200) == 400 == len(engine.calls)


def test_with_local_only_what_replicas_decided_comes_on_top(redis, start, engine):
    redis.start()
    configuration = leased(redis, engine, requests_per_day=400)
    gateways = up(start, configuration, 2)
    found = statuses(gateways, 300, max_tokens=4)
    redis.freeze()
    found += statuses(gateways, 40, max_tokens=4)
    redis.thaw()
    for gateway in gateways:
        wait_store(gateway)
    found += statuses(gateways, 800, max_tokens=4)
    alone = sum(metric(gateway, "penstock_budget_without_store_total") for gateway in gateways)
    assert sum(ahead(gateway) for gateway in gateways) > 0 and alone > 0
    assert set(found) <= {200, 429, 503}
    # The last of a lease may be on its way back.
    assert 350 <= found.count(200) <= 400 + alone
    assert found.count(200) == len(engine.calls)


def test_a_sliding_limit_exceeds_itself_by_no_more_than_drains_in_a_lease(
    redis, start, engine
):
    redis.start()
    # On a machine that is busy Redis may be late: then nobody is let in.
    closed = leased(redis, engine, requests_per_minute=600, on_failure="closed")
    gateways = up(start, closed, 2)
    started = time.monotonic()
    found = statuses(gateways, 1_500, max_tokens=4)

    def most_is_used() -> bool:
        if found.count(200) < 540:
            found.extend(statuses(gateways, 100, max_tokens=4))
        return found.count(200) >= 540

    eventually(most_is_used, "nearly all of the limit is used")
    took = time.monotonic() - started
    assert sum(ahead(gateway) for gateway in gateways) > 0
    # Half a second of sixty, which is less than a lease of each gateway.
    assert found.count(200) <= 600 * (1 + (took + 0.5) / 60) + 1
    assert set(found) <= {200, 429, 503}


def test_a_killed_gateways_lease_returns_when_it_expires(redis, start, engine):
    redis.start()
    dying, other = up(start, leased(redis, engine, tokens_per_day=10_000_000), 2)
    count = warm([dying])
    assert ahead(dying) > 0
    dying.kill()
    # What had ended and was not reported is lost with the gateway: a lease at most.
    eventually(
        lambda: other.used("tokens_per_day") <= count * USED, "the rest is back", 12.0
    )
    assert other.chat(max_tokens=4).status == 200


def test_a_gateway_that_is_told_to_end_gives_its_leases_back(redis, start, engine):
    redis.start()
    ending, other = up(start, leased(redis, engine, tokens_per_day=10_000_000), 2)
    count = warm([ending])
    assert ending.stop() == 0
    assert other.used("tokens_per_day") == count * USED


def test_an_override_holds_for_leases_within_two_seconds(redis, start, engine):
    redis.start()
    gateways = up(start, leased(redis, engine, requests_per_day=100_000), 2)
    count = warm(gateways)
    answer = change(gateways[0], {"limits": {"requests_per_day": count}})
    assert answer.status == 200
    eventually(
        lambda: all(gateway.chat(max_tokens=4).status == 429 for gateway in gateways),
        "both refuse",
        within=2,
    )
    for gateway in gateways:
        refused(gateway.chat(max_tokens=4), 429, "requests_per_day_exceeded")


@pytest.mark.parametrize("on_failure", ["local", "open", "closed"])
def test_an_outage_ends_leases_and_what_they_admitted_is_charged_once(
    redis, start, engine, on_failure
):
    redis.start()
    configuration = leased(redis, engine, tokens_per_day=10_000_000, on_failure=on_failure)
    [gateway] = up(start, configuration, 1)
    count = warm([gateway])
    redis.freeze()
    found: list[int] = []

    # A worker that has a lease and nothing to ask notices when that is over.
    def none_is_leased() -> bool:
        before = ahead(gateway)
        fresh = statuses([gateway], 40, max_tokens=4)
        found.extend(fresh)
        wanted = {503} if on_failure == "closed" else {200}
        return set(fresh) == wanted and ahead(gateway) == before

    eventually(none_is_leased, "leases are over")
    redis.thaw()
    wait_store(gateway)
    settled(gateway, (count + found.count(200)) * USED)


def test_places_are_decided_in_redis_and_never_leased(redis, start, engine):
    redis.start()
    configuration = leased(redis, engine, concurrent_requests=1_000, tokens_per_day=10_000_000)
    [gateway] = up(start, configuration, 1)
    warm([gateway])
    assert ahead(gateway) == 0


def test_without_the_key_nothing_is_leased(redis, start, engine):
    redis.start()
    [gateway] = up(start, on(redis, engine, tokens_per_day=10_000_000), 1)
    warm([gateway])
    assert ahead(gateway) == 0
