# SPDX-License-Identifier: Apache-2.0
"""Prompts that are too long: refused, or made to fit as the tenant is configured."""

import pytest
from checks import admitted, refused
from fake_engine import MODEL
from gateway_process import settings

CHAT = "/v1/chat/completions"
SYSTEM = {"role": "system", "content": "be brief"}


def configured(engine, what: str, **limits: object) -> dict:
    limits = {"max_prompt_tokens": 600, "overlong_prompt": what} | limits
    return settings(engine, limits=limits)


def said(role: str, words: int) -> dict:
    return {"role": role, "content": "word " * words + "é 水 \U0001F600 \"x\"\n"}


def asked(*messages: dict) -> dict:
    return {"model": MODEL, "messages": [*messages], "max_tokens": 5, "user": "somebody"}


def test_the_oldest_messages_are_left_out_and_the_answer_says_so(start, engine):
    gateway = start(configured(engine, "truncate_oldest_messages"))
    call = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "word " * 50}
    last = said("user", 100)
    body = asked(
        SYSTEM, said("user", 300), call, result, said("user", 200), said("assistant", 100), last
    )
    admitted(gateway.post(CHAT, body), "truncated")
    got = engine.calls[-1].json
    assert got["messages"] == [SYSTEM, body["messages"][4], body["messages"][5], last]
    assert {name: got[name] for name in body if name != "messages"} == {
        name: body[name] for name in body if name != "messages"
    }
    # What fits is left alone.
    admitted(gateway.post(CHAT, asked(SYSTEM, last)))
    assert engine.calls[-1].json["messages"] == [SYSTEM, last]
    gateway.assert_at_rest()


def test_where_the_last_message_alone_is_too_long_it_is_refused(start, engine):
    gateway = start(configured(engine, "truncate_oldest_messages"))
    body = asked(SYSTEM, said("user", 100), said("user", 900))
    refused(gateway.post(CHAT, body), 400, "context_length_exceeded", "messages")
    assert not engine.calls
    gateway.assert_at_rest()


@pytest.mark.parametrize("stream", [False, True])
def test_the_middle_of_the_longest_text_is_cut_out(start, engine, stream):
    gateway = start(configured(engine, "truncate_middle"))
    long = "first " + "é\U0001F600 word \\ \"quoted\" " * 400 + " last"
    body = asked(SYSTEM, {"role": "user", "content": long}, said("user", 20))
    admitted(gateway.post(CHAT, body | {"stream": stream}), "truncated")
    first, cut, last = engine.calls[-1].json["messages"]
    assert first == SYSTEM and last == said("user", 20)
    text = cut["content"]
    assert text.startswith("first ") and text.endswith(" last")
    assert 300 < len(text) < len(long) / 2
    gateway.assert_at_rest()


def test_a_prompt_of_completions_is_cut_too(start, engine):
    gateway = start(configured(engine, "truncate_middle"))
    long = "first " + "word " * 2_000 + "last"
    body = {"model": MODEL, "prompt": long, "max_tokens": 5}
    admitted(gateway.post("/v1/completions", body), "truncated")
    prompt = engine.calls[-1].json["prompt"]
    assert prompt.startswith("first ") and prompt.endswith("last")
    assert 400 < prompt.count("word") <= 600
    gateway.assert_at_rest()


def test_otherwise_it_is_refused(start, engine):
    gateway = start(configured(engine, "reject"))
    refused(
        gateway.post(CHAT, asked(said("user", 700), said("user", 5))), 400,
        "context_length_exceeded", "messages",
    )
    assert not engine.calls
    gateway.assert_at_rest()
