# SPDX-License-Identifier: Apache-2.0
"""Several gateways before one engine: what it can hold they give out together, through Redis."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from checks import admitted
from core_waits import Stopwatch
from fake_engine import Pressure, reply
from gateway_process import settings
from waiting import eventually

LIMITS = {"concurrent_requests": 200}


def shared(redis, engine, sharing: dict | None = None, **queue: object) -> dict:
    """16,000 tokens fit the engine, 13,600 are given out, whatever bounds the requests have; the
    engine itself shows nothing."""
    engine.pressure = Pressure(usage=0.0, blocks=1000, block_size=16)
    kind = {
        "kv": {"throttle_at": 0.85, "bounded_at": 0.85, "reject_at": 0.90},
        "queue": {"max_requests": 100, "max_wait": "10m"} | queue,
        "clamp": {"under_pressure": False},
    }
    configuration = settings(engine, limits=LIMITS, interactive=kind)
    configuration["store"] = {
        "kind": "redis",
        "redis": {"addresses": [redis.address], "timeout": "100ms", "reservation_lease": "5s"},
        "sharing": sharing or {},
    }
    return configuration


def peers(gateway) -> int | None:
    return gateway.endpoints()[0]["sharing"]["peers"]


def wait_peers(gateways: list, count: int, within: float = 10.0) -> None:
    for gateway in gateways:
        eventually(lambda g=gateway: peers(g) == count, f"{count} peers are seen", within)


@pytest.fixture
def pool():
    with ThreadPoolExecutor(64) as pool:
        yield pool


def send(pool, gateway, count: int = 1, **members: object) -> list[Future]:
    """Requests of some 1,010 tokens each, all of which count: 13 of them are let in."""
    asks = {"max_tokens": 1000, "ignore_eos": True, "stream": True} | members
    return [pool.submit(gateway.chat, **asks) for _ in range(count)]


def started(start, redis, engine, count: int, **options: object) -> list:
    gateways = [start(shared(redis, engine, **options)) for _ in range(count)]
    for gateway in gateways:
        gateway.wait_scraped(engine)
    wait_peers(gateways, count - 1)
    return gateways


def settled(engine, count: int) -> bool:
    """So many requests are at the engine, and no more come."""
    if len(engine.calls) != count:
        return False
    time.sleep(0.4)
    return len(engine.calls) == count


def test_two_gateways_let_in_together_what_one_would(redis, start, engine, pool):
    redis.start()
    gate = engine.gate()
    engine.default = reply(gate=gate)
    gateways = started(start, redis, engine, 2)
    futures = [future for gateway in gateways for future in send(pool, gateway, 20)]
    eventually(lambda: settled(engine, 13), "thirteen are let in")
    assert sum(gateway.queue()["requests"] for gateway in gateways) == 27
    views = [gateway.endpoints()[0] for gateway in gateways]
    assert max(view["sharing"]["peer_tokens"] for view in views) > 0
    assert all(view["kv"]["others_tokens"] == 0 for view in views)
    gate.open()
    for future in futures:
        assert future.result(60).status == 200
    for gateway in gateways:
        gateway.assert_at_rest()


def test_alone_a_gateway_claims_nothing(redis, start, engine, pool):
    redis.start()
    gate = engine.gate()
    engine.default = reply(gate=gate)
    [gateway] = started(start, redis, engine, 1)
    futures = send(pool, gateway, 20)
    eventually(lambda: settled(engine, 13), "thirteen are let in")
    sharing = gateway.endpoints()[0]["sharing"]
    assert (sharing["peers"], sharing["granted_tokens"]) == (0, 0)
    gate.open()
    for future in futures:
        assert future.result(60).status == 200


def test_the_room_of_a_gateway_that_was_killed_is_free_again(redis, start, engine, pool):
    redis.start()
    gate = engine.gate()
    engine.default = reply(gate=gate)
    gateways = started(start, redis, engine, 2)
    lost = send(pool, gateways[0], 13)
    eventually(lambda: settled(engine, 13), "the first has it all")
    waiting = send(pool, gateways[1], 5)
    eventually(lambda: gateways[1].queue()["requests"] == 5, "the second waits")

    def knows() -> bool:
        return gateways[1].endpoints()[0]["sharing"]["peer_tokens"] > 0

    eventually(knows, "the second has heard what the first holds")
    gateways[0].kill()
    killed = Stopwatch()
    eventually(lambda: len(engine.calls) == 18, "they are let in", 10)
    took = killed.seconds
    assert took < 3.5, f"{took:.2f} s"
    gate.open()
    for future in waiting:
        assert future.result(60).status == 200
    for future in lost:
        assert future.exception(60) is not None or future.result().status != 200
    wait_peers(gateways[1:], 0)


def test_without_redis_each_has_its_part_and_together_again_after(redis, start, engine, pool):
    redis.start()
    gate = engine.gate()
    engine.default = reply(gate=gate)
    gateways = started(start, redis, engine, 2)
    redis.stop()
    eventually(
        lambda: all(g.endpoints()[0]["sharing"]["store"] == "lost" for g in gateways),
        "the store is missed",
    )
    futures = send(pool, gateways[0], 20)
    # Half of 13,600 tokens.
    eventually(lambda: settled(engine, 6), "six are let in")
    redis.start()
    eventually(
        lambda: all(g.endpoints()[0]["sharing"]["store"] == "there" for g in gateways),
        "the store is there again",
    )
    eventually(lambda: settled(engine, 13), "what is free is given out", 10)
    gate.open()
    for future in futures:
        assert future.result(60).status == 200
    for gateway in gateways:
        gateway.assert_at_rest()


def test_what_others_write_into_the_store_is_survived(redis, start, engine):
    redis.start()
    gateways = started(start, redis, engine, 2)
    for key in ("{penstock:sharing}:reports",):
        for value in ("", "x", "99999999999999999 1 T", "1 2 3"):
            redis.command("HSET", key, "00000000000000aa", value)
        redis.command("DEL", key)
        redis.command("SET", key, "no hash")
    admitted(gateways[0].chat())
    wait_peers(gateways, 1)


def test_it_can_be_switched_off(redis, start, engine):
    redis.start()
    gateways = [start(shared(redis, engine, {"enabled": False})) for _ in range(2)]
    for gateway in gateways:
        gateway.wait_scraped(engine)
        admitted(gateway.chat())
        assert gateway.endpoints()[0]["sharing"] is None
    assert redis.command("EXISTS", "{penstock:sharing}:reports") == "0"
