# SPDX-License-Identifier: Apache-2.0
"""Requests over their class's caps: served in another class, or refused for good."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import admitted, refused
from fake_engine import Pressure, reply
from gateway_process import settings
from waiting import eventually

BIG = {"text": "word " * 1_000, "max_tokens": 20}


def capped(*engines, over: str = "batch", **limits: object) -> dict:
    """The class interactive takes prompts of 500 tokens, and 600 with what is expected."""
    configuration = settings(
        *engines,
        limits=limits | {"over_interactive": over},
        interactive={"caps": {"max_prompt_tokens": 500, "max_estimated_tokens": 600}},
    )
    configuration["classes"][1] |= {"queue": {"max_wait": "20s"}}
    return configuration


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_over_the_caps_is_served_in_the_next_class(start, engine, stream):
    gateway = start(capped(engine))
    answer = admitted(gateway.chat(**BIG, stream=stream), "deferred")
    assert answer.fields["x-traffic-class"] == "batch"
    if stream:
        assert answer.fields["content-type"].startswith("text/event-stream")
        assert answer.events[-1] == "[DONE]"
    small = admitted(gateway.chat(max_tokens=20, stream=stream))
    assert "x-traffic-class" not in small.fields
    # What is expected counts as well, all choices.
    admitted(gateway.chat(max_tokens=300, n=4, ignore_eos=True), "deferred")
    gateway.assert_at_rest()
    page = gateway.admin("/metrics").body.decode()
    lines = [line for line in page.splitlines() if line.startswith("penstock_requests_total{")]
    assert sum('class="batch"' in line for line in lines) == 1, lines
    assert sum('class="interactive"' in line for line in lines) == 1, lines


def test_what_is_over_the_caps_gets_400_where_the_tenant_is_configured_so(start, engine):
    gateway = start(capped(engine, over="reject"))
    error = refused(gateway.chat(**BIG), 400, "request_exceeds_limit", "messages")
    assert "500" in error["message"]
    assert not engine.calls
    admitted(gateway.chat(max_tokens=20))
    gateway.assert_at_rest()
    # Asked for in the class that takes it, it is served there.
    admitted(gateway.chat(**BIG, fields={"X-Traffic-Class": "batch"}))
    # The other tenant has no such class behind it, and no such wish.
    refused(gateway.chat(**BIG, key="sk-test-other"), 400, "request_exceeds_limit", "messages")


def test_what_was_deferred_waits_in_its_class_and_says_so(start, engine):
    engine.pressure = Pressure(usage=0.87, blocks=1000, block_size=16)
    gateway = start(capped(engine))
    gateway.wait_scraped(engine)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gateway.chat, **BIG)
        eventually(lambda: gateway.queue("batch")["requests"] == 1, "it waits")
        assert gateway.queue()["requests"] == 0
        engine.pressure.usage = 0.1
        admitted(waiting.result(), "deferred")


def test_the_other_classs_times_hold_for_it(start, engine):
    configuration = capped(engine)
    configuration["classes"][0]["timeouts"] = {"first_token": "300ms", "total": "400ms"}
    gateway = start(configuration)
    engine.default = reply(first=1.0)
    started = time.monotonic()
    admitted(gateway.chat(**BIG, stream=True), "deferred")
    assert time.monotonic() - started > 0.9
    refused(gateway.chat(max_tokens=5, stream=True), 504, "deadline_exceeded")


def test_budgets_count_it_once(start, engine):
    gateway = start(capped(engine, tokens_per_day=100_000))
    admitted(gateway.chat(**BIG), "deferred")
    gateway.assert_at_rest()
    assert gateway.used("tokens_per_day") == 11
