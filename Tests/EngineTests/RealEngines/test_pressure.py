# SPDX-License-Identifier: Apache-2.0
"""More streams than a KV cache holds: they wait in the gateway, not in the engine."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import refused, wait_of
from conftest import need, running
from engines import MODEL, VLLM, Engine, LlamaCpp
from http_client import Answer
from rig import COMPLETIONS, Front, completion, exactly, settings

STREAMS = 16
# About a hundred tokens of prompt, 400 of answer; the cache has room for 1536.
TOKENS = 400
BODY = completion("def read(file, size): return 0\n" * 11, **exactly(TOKENS))


@pytest.fixture(scope="module")
def small() -> Iterator[Engine]:
    need("vllm")
    with running(VLLM("small", length=640, blocks=13)) as engine:
        yield engine


@pytest.fixture(scope="module")
def most(small) -> float:
    """How many sequences the engine may push out of its cache: a third of what it does alone.

    Alone it is 23 to 28; with the gateway five or six, and two where nobody waits: the first few
    are let in together, before they have grown.
    """
    with ThreadPoolExecutor(STREAMS) as pool:
        body = BODY | {"model": MODEL}
        list(pool.map(lambda _: small.events(COMPLETIONS, body), range(STREAMS)))
    preempted = small.preemptions()
    assert preempted > 8, "too little pressure to show anything"
    return preempted / 3


def all_at_once(gateway: Front, engine: Engine, streams: int = STREAMS) -> list[Answer]:
    with ThreadPoolExecutor(streams) as pool:
        body = BODY | {"stream": True, "stream_options": {"include_usage": True}}
        asked = [pool.submit(gateway.ask, engine, COMPLETIONS, body) for _ in range(streams)]
        return [answer.result() for answer in asked]


def is_whole(answer: Answer) -> bool:
    usage = answer.chunks[-1]["usage"]
    return answer.events[-1] == "[DONE]" and usage["completion_tokens"] == TOKENS


def test_streams_that_may_wait_all_come_to_their_end(start, small, most):
    gateway = start(settings(small, classes={"queue": {"max_wait": "5m"}}))
    gateway.wait_scraped_once(small)
    tokens, preemptions = small.count(), small.preemptions()
    answers = all_at_once(gateway, small)
    decisions = Counter(answer.fields["x-penstock-decision"] for answer in answers)
    assert [answer.status for answer in answers] == [200] * STREAMS, decisions
    assert all(is_whole(answer) for answer in answers)
    assert decisions["queued"] > 0, decisions
    assert small.preemptions() - preemptions <= most
    assert gateway.settled() == small.count() - tokens


def test_streams_that_may_not_wait_are_refused_until_there_is_room(start, small, most):
    gateway = start(settings(small, classes={"queue": {"max_wait": "10ms"}}))
    gateway.wait_scraped_once(small)
    tokens, preemptions = small.count(), small.preemptions()
    answers = all_at_once(gateway, small)
    turned_away = [answer for answer in answers if answer.status != 200]
    assert 0 < len(turned_away) < STREAMS
    assert all(is_whole(answer) for answer in answers if answer.status == 200)
    for answer in turned_away:
        refused(answer, 503, answer.fields["x-penstock-decision"])
        assert answer.error["code"] in ("kv_cache_pressure", "queue_wait_too_long")
    assert small.preemptions() - preemptions <= most
    assert gateway.settled() == small.count() - tokens
    assert gateway.settled().output == TOKENS * (STREAMS - len(turned_away))


def test_a_refused_stream_is_admitted_when_it_comes_back_as_told(start, small):
    gateway = start(settings(small, classes={"queue": {"max_wait": "10ms"}}))
    gateway.wait_scraped_once(small)
    with ThreadPoolExecutor(STREAMS) as pool:
        body = BODY | {"stream": True}
        busy = [pool.submit(gateway.ask, small, COMPLETIONS, body) for _ in range(STREAMS)]
        [*_, last] = [answer.result() for answer in busy if answer.result().status == 503]
        time.sleep(max(0.0, last.received_at + wait_of(last) - time.monotonic()))
        assert gateway.ask(small, COMPLETIONS, body).status == 200


def test_slots_that_share_a_cache_never_fill_it(start):
    """A full one breaks all its streams at once. What it holds, the pool has to say."""
    need("llamacpp")
    streams = 8
    server = LlamaCpp("shared", length=256, more=("--kv-unified",))
    with running(server):
        body = BODY | {"model": MODEL}
        with ThreadPoolExecutor(4) as pool:
            own = list(pool.map(lambda _: server.events(COMPLETIONS, body), range(4)))
        assert any("error" in events[-1] for events in own), "too little pressure"
        configuration = settings(server, classes={"queue": {"max_wait": "5m"}})
        configuration["pools"][0]["capacity"] = {"kv_tokens": server.capacity}
        gateway = start(configuration)
        gateway.wait_scraped_once(server)
        before = server.count()
        answers = all_at_once(gateway, server, streams)
        decisions = Counter(answer.fields["x-penstock-decision"] for answer in answers)
        assert [answer.status for answer in answers] == [200] * streams, decisions
        assert all(is_whole(answer) for answer in answers)
        assert decisions["queued"] > 0, decisions
        assert gateway.settled() == server.count() - before
