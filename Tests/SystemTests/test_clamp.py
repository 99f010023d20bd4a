# SPDX-License-Identifier: Apache-2.0
"""Lower output bounds: what engines get, and what clients are told."""

import json

import pytest
from checks import admitted, refused
from fake_engine import MODEL, Pressure, reply
from gateway_process import chat_body, settings
from waiting import eventually

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
# Of 16,000 tokens 13,920 are others'; bounds are lowered up to 14,400.
ROOM = 480


def between(engine, limits: dict | None = None, **members: object) -> dict:
    engine.pressure = Pressure(usage=0.87, blocks=1000, block_size=16)
    return settings(engine, limits=limits or {}, interactive=members)


def lowered(answer) -> int:
    """The bound that the client was told of."""
    admitted(answer, "clamped")
    bound = int(answer.fields["x-penstock-max-tokens"])
    assert 64 <= bound < ROOM, bound
    return bound


@pytest.mark.parametrize("stream", [False, True])
def test_between_the_thresholds_a_request_gets_the_bound_that_fits(start, engine, stream):
    gateway = start(between(engine))
    gateway.wait_scraped(engine)
    bound = lowered(gateway.chat(max_tokens=4000, stream=stream))
    [call] = engine.calls
    assert call.json["max_tokens"] == bound
    gateway.assert_at_rest()
    # One that asks for less than fits is not touched.
    answer = admitted(gateway.chat(max_tokens=50, stream=stream))
    assert "x-penstock-max-tokens" not in answer.fields
    assert engine.calls[-1].json["max_tokens"] == 50


SPELLINGS = [
    ('"max_tokens":4000', '"max_tokens":N'),
    ('"max_completion_tokens" : 4000', '"max_completion_tokens" : N'),
    ('"n_predict":4000,"x":1.50', '"n_predict":N,"x":1.50'),
    ('"max_tokens":4000,"max_completion_tokens":9', '"max_tokens":N,"max_completion_tokens":N'),
    ('"max_t\\u006fkens":4e3', '"max_t\\u006fkens":N'),
    ('"max_tokens":1,"max_tokens":4000', '"max_tokens":N'),
    ('"max_tokens":4000,"min_tokens":3000', '"max_tokens":N,"min_tokens":N'),
    ('"max_tokens":4000,"min_tokens":3', '"max_tokens":N,"min_tokens":3'),
    (
        '"max_tokens":4000,"max_output_tokens":5000,"max_new_tokens":5000,"num_predict":-1',
        '"max_tokens":N,"max_output_tokens":N,"max_new_tokens":N,"num_predict":N',
    ),
    (
        '"max_tokens":4000,"min_new_tokens":3000,"max_new_tokens":7,"x":[ 1.0 ]',
        '"max_tokens":N,"min_new_tokens":N,"max_new_tokens":7,"x":[ 1.0 ]',
    ),
    ('"max_tokens":4000,"ignore_eos":true', '"max_tokens":N,"ignore_eos":true'),
    ('"user" : "u"', '"user" : "u"'),
]


@pytest.mark.parametrize("given, wanted", SPELLINGS)
def test_the_engine_gets_it_under_every_name_and_nothing_else_changed(
    start, engine, given, wanted
):
    gateway = start(between(engine))
    gateway.wait_scraped(engine)
    front = f'"model":"{MODEL}" ,"messages":[{{"role":"user","content":"\\u00e9 \\/ hi"}}],'
    answer = gateway.post(CHAT, ("{" + front + given + " }").encode())
    bound = lowered(answer)
    added = ""
    if '"max_tokens"' not in wanted and "max_t\\u" not in wanted:
        added = "" if "max_completion_tokens" in wanted else '"max_tokens":N,'
    expected = ("{" + added + front + wanted + " }").replace("N", str(bound))
    assert engine.calls[-1].body.decode() == expected


def test_completions_get_it_and_keep_their_own_usual_bound(start, engine):
    gateway = start(between(engine))
    gateway.wait_scraped(engine)
    body = {"model": MODEL, "prompt": "x"}
    bound = lowered(gateway.post(COMPLETIONS, body | {"max_tokens": 4000}))
    assert engine.calls[-1].json["max_tokens"] == bound
    # Without one engines stop after 16 tokens: nothing to lower, and nothing to raise.
    answer = admitted(gateway.post(COMPLETIONS, body))
    assert "max_tokens" not in engine.calls[-1].json
    assert "x-penstock-max-tokens" not in answer.fields


def test_choices_share_what_fits(start, engine):
    gateway = start(between(engine))
    gateway.wait_scraped(engine)
    bound = lowered(gateway.chat(max_tokens=4000, n=3))
    assert bound <= ROOM // 3
    assert engine.calls[-1].json["n"] == 3


def test_below_the_floors_and_in_other_classes_requests_wait(start, engine):
    kind = {"queue": {"max_wait": "300ms"}}
    configuration = between(engine, {"min_completion_tokens": 500}, **kind)
    configuration["classes"][1]["queue"] = {"max_wait": "300ms"}
    gateway = start(configuration)
    gateway.wait_scraped(engine)
    refused(gateway.chat(max_tokens=4000), 503, "queue_wait_too_long")
    batch = gateway.chat(max_tokens=4000, fields={"X-Traffic-Class": "batch"})
    refused(batch, 503, "queue_wait_too_long")
    assert not engine.calls
    assert admitted(gateway.chat(max_tokens=100))


def test_a_class_may_have_it_switched_off_by_a_reload(start, engine):
    gateway = start(between(engine))
    gateway.wait_scraped(engine)
    lowered(gateway.chat(max_tokens=4000))
    gateway.write(
        between(engine, clamp={"under_pressure": False}, queue={"max_wait": "300ms"})
    )
    assert gateway.admin("/admin/reload", "POST").status == 200
    refused(gateway.chat(max_tokens=4000), 503, "queue_wait_too_long")


def test_while_prompts_wait_for_a_first_token_bounds_are_lowered(start, engine):
    clamp = {"prefill_queue": 1000, "prefill_max_tokens": 100}
    gateway = start(settings(engine, interactive={"clamp": clamp}))
    gateway.wait_scraped(engine)
    engine.script(reply(first=2.0))
    with gateway.connect() as connection:
        body = chat_body("word " * 2_000, max_tokens=300, stream=True)
        connection.request("POST", CHAT, body, key="sk-test-acme")
        eventually(lambda: len(engine.calls) == 1, "a prompt is there")
        assert engine.calls[0].json["max_tokens"] == 300
        answer = admitted(gateway.chat(max_tokens=300), "clamped")
        assert answer.fields["x-penstock-max-tokens"] == "100"
        assert engine.calls[-1].json["max_tokens"] == 100
        admitted(connection.answer())
    gateway.assert_at_rest()
    admitted(gateway.chat(max_tokens=300))


def test_what_was_lowered_is_what_is_settled(start, engine):
    gateway = start(between(engine, {"tokens_per_day": 100_000}))
    gateway.wait_scraped(engine)
    bound = lowered(gateway.chat(max_tokens=4000))
    gateway.assert_at_rest()
    assert gateway.used("tokens_per_day") < ROOM + bound
    assert json.loads(engine.calls[0].body)["max_tokens"] == bound
