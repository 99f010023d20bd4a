# SPDX-License-Identifier: Apache-2.0
"""Budgets in Redis: shared exactly while it is there, bounded while it is not."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import admitted, limits, refused, wait_of
from fake_engine import Pressure, reply, usage_of
from gateway_process import KEY, chat_body, settings
from waiting import eventually

CHAT = "/v1/chat/completions"


def on(redis, engine, on_failure: str = "local", **limits: object) -> dict:
    configuration = settings(engine, limits=limits)
    configuration["store"] = {
        "kind": "redis",
        "redis": {
            "addresses": [redis.address],
            "on_failure": on_failure,
            "timeout": "100ms",
            "reservation_lease": "5s",
        },
    }
    return configuration


def store_is_up(gateway) -> bool:
    lines = gateway.admin("/metrics").body.decode().splitlines()
    return "penstock_budget_store_up 1" in lines


def wait_store(gateway, up: bool = True, within: float = 10.0) -> None:
    """Until every worker's connection is up, or none is."""
    eventually(lambda: store_is_up(gateway) == up, f"the store is up: {up}", within)


def statuses(gateways: list, count: int, **members: object) -> list[int]:
    """What `count` requests at once get, spread over the gateways."""
    barrier = threading.Barrier(min(count, 24))

    def one(number: int) -> int:
        if number < barrier.parties:
            barrier.wait(10)
        return gateways[number % len(gateways)].chat(**members).status

    with ThreadPoolExecutor(barrier.parties) as pool:
        return list(pool.map(one, range(count)))


# While it is there.


def test_two_gateways_share_one_budget_of_requests_exactly(redis, start, engine):
    redis.start()
    # On a machine that is busy Redis may be late: then nobody is let in.
    configuration = on(redis, engine, "closed", requests_per_minute=12)
    gateways = [start(configuration), start(configuration)]
    for gateway in gateways:
        wait_store(gateway)
    started = time.monotonic()
    found = statuses(gateways, 60)

    def all_is_used() -> bool:
        if found.count(200) < 12:
            found.extend(statuses(gateways, 2))
        return found.count(200) >= 12

    eventually(all_is_used)
    # A fifth of a request comes back each second meanwhile.
    refilled = int((time.monotonic() - started) * 0.2)
    assert found.count(200) <= 12 + refilled
    assert {200, 429} <= set(found) <= {200, 429, 503}
    assert len(engine.calls) == found.count(200)


def test_two_gateways_share_places_exactly(redis, start, engine):
    redis.start()
    gate = engine.gate()
    engine.default = reply(gate=gate)
    configuration = on(redis, engine, "closed", concurrent_requests=7)
    gateways = [start(configuration), start(configuration)]
    for gateway in gateways:
        wait_store(gateway)
    refusals = []

    def one(number: int):
        answer = gateways[number % 2].chat(stream=True)
        # Redis was late, on a machine that is busy.
        while answer.status == 503:
            answer = gateways[number % 2].chat(stream=True)
        if answer.status != 200:
            refusals.append(refused(answer, 429, "concurrent_requests_exceeded"))
        return answer.status

    with ThreadPoolExecutor(24) as pool:
        futures = [pool.submit(one, number) for number in range(24)]
        eventually(lambda: len(refusals) == 17, "all others are refused")
        assert len(engine.calls) == 7
        gate.open()
        found = [future.result() for future in futures]
    assert (found.count(200), found.count(429)) == (7, 17)
    # Every place comes back, on both.
    engine.default = reply()
    for gateway in gateways:
        gateway.assert_at_rest()
    eventually(lambda: statuses(gateways, 6) == [200] * 6, "there is room on both")


def test_two_gateways_share_one_budget_of_tokens_exactly(redis, start, engine):
    redis.start()
    configuration = on(redis, engine, tokens_per_day=5_000)
    gateways = [start(configuration), start(configuration)]
    for gateway in gateways:
        wait_store(gateway)
    engine.default = reply(usage=usage_of(300, 200))
    # Each settles to 500, whatever it reserved.
    granted = 0
    while True:
        answer = gateways[granted % 2].chat(max_tokens=100, ignore_eos=True)
        if answer.status != 200:
            break
        granted += 1
        # The settlement is on its way to Redis when the client has its answer.
        used = 500 * granted
        eventually(lambda used=used: gateways[0].used("tokens_per_day") == used, f"{used} used")
    assert granted == 10
    error = refused(answer, 429, "tokens_per_day_exceeded")
    assert "Limit 5000, Used 5000" in error["message"]
    for gateway in gateways:
        assert gateway.used("tokens_per_day") == 5_000
        refused(gateway.chat(max_tokens=10), 429, "tokens_per_day_exceeded")


def test_a_refusal_from_redis_keeps_its_word(redis, start, engine):
    redis.start()
    configuration = on(redis, engine, tokens_per_minute=6_000)
    one, two = start(configuration), start(configuration)
    wait_store(one), wait_store(two)
    engine.script(reply(usage=usage_of(100, 5_850)))
    admitted(one.chat())
    body = {"max_tokens": 200, "ignore_eos": True}
    eventually(lambda: two.used("tokens_per_minute") > 5_800, "the use is known to both")
    answer = two.chat(**body)
    refused(answer, 429, "tokens_per_minute_exceeded")
    assert limits(answer)["tokens"][0] == 6_000
    time.sleep(max(0.0, answer.received_at + wait_of(answer) - time.monotonic()))
    admitted(two.chat(**body))


@pytest.mark.parametrize("holder", ["store", "replica"])
def test_a_request_refused_at_once_for_memory_gives_its_reservation_back(
    redis, start, engine, holder
):
    if holder == "store":
        redis.start()
    engine.pressure = Pressure(usage=0.95, blocks=1000, block_size=16)
    gateway = start(on(redis, engine, concurrent_requests=5, tokens_per_day=1_000_000))
    if holder == "store":
        wait_store(gateway)
    gateway.wait_scraped(engine)
    for _ in range(8):
        refused(gateway.chat(), 503, "kv_cache_pressure")
    eventually(
        lambda: (gateway.used("concurrent_requests"), gateway.used("tokens_per_day")) == (0, 0),
        f"all is given back: {gateway.tenant()['limits']}",
    )


def test_what_can_never_fit_is_said_by_redis_too(redis, start, engine):
    redis.start()
    gateway = start(on(redis, engine, tokens_per_minute=1_000))
    wait_store(gateway)
    answer = gateway.chat(max_tokens=3_000, ignore_eos=True)
    refused(answer, 400, "request_exceeds_limit", "messages")


def test_places_of_a_gateway_that_died_come_back(redis, start, engine):
    redis.start()
    engine.default = reply(gate=engine.gate())
    configuration = on(redis, engine, concurrent_requests=2)
    dying, living = start(configuration), start(configuration)
    wait_store(dying), wait_store(living)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(dying.chat, stream=True) for _ in range(2)]
        eventually(lambda: len(engine.calls) == 2)
        refused(living.chat(), 429, "concurrent_requests_exceeded")
        dying.kill()
        for future in held:
            with pytest.raises(Exception):
                future.result()
    engine.default = reply()
    # Their lease is five seconds.
    eventually(lambda: living.chat().status == 200, "the places come back", within=8)


def test_reservations_of_a_gateway_that_died_come_back(redis, start, engine):
    redis.start()
    engine.default = reply(gate=engine.gate())
    configuration = on(redis, engine, tokens_per_day=10_000, requests_per_hour=100)
    dying, living = start(configuration), start(configuration)
    wait_store(dying), wait_store(living)
    forced = {"max_tokens": 4000, "ignore_eos": True}
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(dying.chat, stream=True, **forced) for _ in range(2)]
        eventually(lambda: len(engine.calls) == 2)
        refused(living.chat(**forced), 429, "tokens_per_day_exceeded")
        # Longer than a lease of five seconds: who lives renews.
        time.sleep(6)
        assert living.used("tokens_per_day") > 8000
        dying.kill()
        for future in held:
            with pytest.raises(Exception):
                future.result()
    engine.default = reply(prompt=10, usage=usage_of(10, 5))
    eventually(lambda: living.used("tokens_per_day") == 0, "the tokens come back", within=8)
    # Of a sliding window no refund exceeds the lowest level since the charge: what the one that
    # lapses last does not get back drains.
    assert living.used("requests_per_hour") < 1
    admitted(living.chat(**forced))
    eventually(lambda: living.used("tokens_per_day") == 15)


def test_budgets_outlive_the_gateway(redis, start, engine):
    redis.start()
    configuration = on(redis, engine, tokens_per_day=5_000)
    gateway = start(configuration)
    wait_store(gateway)
    engine.default = reply(usage=usage_of(1_000, 1_500))
    admitted(gateway.chat())
    assert gateway.stop() == 0
    again = start(configuration)
    wait_store(again)
    # Operators' pages have a connection of their own, which may come later.
    eventually(lambda: again.used("tokens_per_day") == 2_500, "the use is there")


def test_installations_with_other_prefixes_do_not_share(redis, start, engine):
    redis.start()
    one = on(redis, engine, requests_per_minute=1)
    two = on(redis, engine, requests_per_minute=1)
    two["store"]["redis"]["key_prefix"] = "second:"
    for configuration in (one, two):
        gateway = start(configuration)
        wait_store(gateway)
        admitted(gateway.chat())
        refused(gateway.chat(), 429, "requests_per_minute_exceeded")


# While it is not.


def test_absent_at_start_and_closed(redis, start, engine):
    gateway = start(on(redis, engine, "closed", requests_per_minute=5))
    answer = gateway.chat()
    refused(answer, 503, "budget_store_unavailable")
    assert wait_of(answer) <= 2
    assert gateway.admin("/readyz").status == 503
    assert b"budget store" in gateway.admin("/readyz").body
    assert not engine.calls
    gateway.wait_log("budget store")
    redis.start()
    wait_store(gateway, within=2.5)
    assert gateway.admin("/readyz").status == 200
    assert statuses([gateway], 10).count(200) == 5


def test_absent_at_start_and_open(redis, start, engine):
    gateway = start(on(redis, engine, "open", requests_per_minute=5))
    assert gateway.admin("/readyz").status in (200, 503)
    eventually(lambda: gateway.admin("/readyz").status == 200)
    assert statuses([gateway], 12) == [200] * 12
    redis.start()
    wait_store(gateway, within=2.5)
    # From here on it counts, and what went before is a debt.
    eventually(lambda: gateway.used("requests_per_minute") > 11, "it is charged")
    answer = gateway.chat()
    refused(answer, 429, "requests_per_minute_exceeded")
    assert wait_of(answer) > 60


def test_absent_at_start_and_local(redis, start, engine):
    gateway = start(on(redis, engine, "local", requests_per_minute=5))
    found = statuses([gateway], 12)
    assert found.count(200) == 5 and set(found) == {200, 429}
    assert gateway.admin("/readyz").status == 200
    redis.start()
    wait_store(gateway, within=2.5)
    assert statuses([gateway], 12).count(200) <= 5


def under_load(gateway, break_it, mend_it) -> tuple[list, list]:
    """Keeps requests coming while the store breaks and comes back.

    Gives what was answered, as (time, status, seconds, code), and the moments of both.
    """
    over = threading.Event()
    answers: list[tuple[float, int, float, str]] = []

    def load() -> None:
        with gateway.connect() as connection:
            while not over.is_set():
                began = time.monotonic()
                answer = connection.exchange("POST", CHAT, chat_body(max_tokens=5), key=KEY)
                code = "" if answer.status == 200 else answer.error["code"]
                if answer.status in (429, 503):
                    wait_of(answer)
                answers.append((began, answer.status, time.monotonic() - began, code))
                time.sleep(0.01)

    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(load) for _ in range(3)]
        try:
            time.sleep(0.3)
            broken = time.monotonic()
            break_it()
            time.sleep(1.0)
            mended = time.monotonic()
            mend_it()
            # Enforcement is back within two seconds, and what it takes to notice.
            wait_store(gateway, within=2.5)
            back = time.monotonic()
            time.sleep(0.3)
        finally:
            over.set()
        for future in futures:
            future.result()
    return answers, [broken, mended, back]


@pytest.mark.parametrize("fault", ["killed", "frozen"])
@pytest.mark.parametrize("on_failure", ["local", "open", "closed"])
def test_lost_during_load(redis, start, engine, on_failure, fault):
    redis.start()
    gateway = start(on(redis, engine, on_failure, tokens_per_minute=10**9, concurrent_requests=50))
    wait_store(gateway)
    ways = {
        "killed": (redis.stop, redis.start),
        "frozen": (redis.freeze, redis.thaw),
    }
    answers, (broken, mended, back) = under_load(gateway, *ways[fault])
    # Nothing else than what the setting says, and every decision in bounded time.
    codes = {code for _, status, _, code in answers if status != 200}
    assert codes <= ({"budget_store_unavailable"} if on_failure == "closed" else set()), codes
    delays = sorted(seconds for _, _, seconds, _ in answers)
    assert delays[len(delays) * 95 // 100] < 0.5, delays[-10:]
    away = [status for at, status, _, _ in answers if broken + 0.3 < at < mended]
    if on_failure == "closed":
        assert 503 in away
    else:
        assert away and set(away) == {200}
    assert {status for at, status, _, _ in answers if at > back + 0.1} == {200}
    gateway.assert_at_rest()
    admitted(gateway.chat())


def test_what_was_used_meanwhile_is_settled_when_it_returns(redis, start, engine):
    redis.start()
    gateway = start(on(redis, engine, "local", tokens_per_day=100_000))
    wait_store(gateway)
    gate = engine.gate()
    engine.script(reply(gate=gate, usage=usage_of(400, 600)))
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(gateway.chat, stream=True)
        eventually(lambda: engine.calls)
        redis.freeze()
        engine.default = reply(usage=usage_of(1, 1))
        # A worker notices that it is away when it asks.
        eventually(lambda: gateway.chat().status == 200 and not store_is_up(gateway))
        gate.open()
        admitted(stream.result())
        redis.thaw()
    wait_store(gateway, within=3)
    # The stream was reserved in Redis, and is settled there though it ended meanwhile.
    eventually(lambda: 1_000 <= gateway.used("tokens_per_day") <= 1_100, "it is settled")


@pytest.mark.parametrize("on_failure", ["local", "open"])
@pytest.mark.parametrize("fault", ["frozen", "killed"])
def test_what_was_used_without_redis_is_charged_when_it_returns(
    redis, start, engine, on_failure, fault
):
    redis.start()
    gateway = start(on(redis, engine, on_failure, tokens_per_day=100_000))
    wait_store(gateway)
    engine.default = reply(usage=usage_of(60, 40))
    served = 0

    def serve(count: int) -> None:
        nonlocal served
        found = statuses([gateway], count)
        assert set(found) == {200}
        served += count

    serve(10)
    for _ in range(2):
        eventually(lambda: gateway.used("tokens_per_day") == 100 * served, "all is charged")
        if fault == "frozen":
            redis.freeze()
        else:
            # It forgets what it had.
            redis.stop()
            served = 0
        while store_is_up(gateway):
            serve(4)
        serve(20)
        if fault == "frozen":
            redis.thaw()
        else:
            redis.start()
        wait_store(gateway, within=3)
        serve(5)
    eventually(lambda: gateway.used("tokens_per_day") == 100 * served, "to the token")


def test_each_of_several_gateways_grants_its_part_alone(redis, start, engine):
    redis.start()
    configuration = on(redis, engine, "local", requests_per_day=20, concurrent_requests=64)
    gateways = [start(configuration), start(configuration)]
    for gateway in gateways:
        wait_store(gateway)
    eventually(
        lambda: all(
            gateway.endpoint(engine)["sharing"]["peers"] == 1 for gateway in gateways
        ),
        "they know each other",
    )
    redis.stop()
    for gateway in gateways:
        eventually(lambda gateway=gateway: not store_is_up(gateway), "it is away")
    found = [statuses([gateway], 24).count(200) for gateway in gateways]
    # What was asked while they noticed is among them.
    assert found == [10, 10], found


def test_a_wrong_password_is_told_and_counts_as_absent(redis, start, engine):
    redis.start()
    assert redis.command("CONFIG", "SET", "requirepass", "right") == "OK"
    configuration = on(redis, engine, "closed", requests_per_minute=5)
    configuration["store"]["redis"]["password"] = "wrong"
    gateway = start(configuration)
    refused(gateway.chat(), 503, "budget_store_unavailable")
    line = gateway.wait_log("budget store")
    assert "wrong" not in line
    configuration["store"]["redis"]["password"] = "right"
    second = start(configuration)
    wait_store(second)
    admitted(second.chat())


def test_a_drain_settles_before_it_ends(redis, start, engine):
    redis.start()
    configuration = on(redis, engine, tokens_per_day=100_000)
    gateway = start(configuration)
    wait_store(gateway)
    gate = engine.gate()
    engine.script(reply(gate=gate, usage=usage_of(400, 600)))
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(gateway.chat, stream=True)
        eventually(lambda: engine.calls)
        import signal

        gateway.signal(signal.SIGTERM)
        gateway.wait_log("drain")
        gate.open()
        admitted(stream.result())
    assert gateway.wait(5) == 0
    other = start(configuration)
    wait_store(other)
    assert other.used("tokens_per_day") == 1_000
