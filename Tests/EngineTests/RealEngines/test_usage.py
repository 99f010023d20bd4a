# SPDX-License-Identifier: Apache-2.0
"""What a request is charged is what its engine counted, to the token."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import admitted, refused
from engines import MODEL, Count
from rig import CHAT, COMPLETIONS, POOR_KEY, chat, completion, exactly

BODIES = {
    CHAT: chat(**exactly(40)),
    COMPLETIONS: completion(**exactly(40)),
}
ASKED = {"stream_options": {"include_usage": True}}


def usage_of(document: dict) -> Count:
    usage = document["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Count(usage["prompt_tokens"], usage["completion_tokens"])


def to_engine(body: dict) -> dict:
    """The same request as the engine knows it."""
    return body | {"model": MODEL}


def shapes(events: list[str]) -> set[tuple[str, ...]]:
    """The members that chunks of a stream have, and how many choices.

    Some stand in an engine's last chunk, whichever that is: the usage's, where that is asked for.
    """
    moving = {"usage", "timings", "system_fingerprint"}
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    return {(*sorted(chunk.keys() - moving), str(len(chunk["choices"]))) for chunk in chunks}


@pytest.mark.parametrize("path", BODIES)
def test_an_answer_has_the_engines_own_usage_and_is_charged_by_it(gateway, engine, path):
    _, own = engine.post(path, to_engine(BODIES[path]))
    before = engine.count()
    answer = admitted(gateway.ask(engine, path, BODIES[path]))
    assert usage_of(answer.json) == usage_of(own)
    assert usage_of(answer.json).output == 40
    assert answer.json["model"] == MODEL
    assert gateway.settled() == usage_of(own) == engine.count() - before


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_is_charged_by_usage_that_its_client_does_not_see(gateway, engine, path):
    own = engine.events(path, to_engine(BODIES[path]))
    before = engine.count()
    answer = admitted(gateway.ask(engine, path, BODIES[path] | {"stream": True}))
    assert shapes(answer.events) == shapes(own)
    assert not any("usage" in chunk for chunk in answer.chunks)
    assert answer.events[-1] == own[-1] == "[DONE]"
    assert gateway.settled() == engine.count() - before
    assert gateway.settled().output == 40


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_keeps_the_usage_that_its_client_asked_for(gateway, engine, path):
    own = engine.events(path, to_engine(BODIES[path]) | ASKED)
    before = engine.count()
    answer = admitted(gateway.ask(engine, path, BODIES[path] | ASKED | {"stream": True}))
    assert shapes(answer.events) == shapes(own)
    [usage] = [usage_of(chunk) for chunk in answer.chunks if chunk.get("usage")]
    assert gateway.settled() == usage == engine.count() - before


def test_a_stream_keeps_the_running_usage_that_its_client_asked_for(gateway, vllm):
    running = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    answer = admitted(gateway.ask(vllm, CHAT, BODIES[CHAT] | running | {"stream": True}))
    counts = [usage_of(chunk).output for chunk in answer.chunks]
    assert counts == sorted(counts) and counts[-1] == 40 and len(set(counts)) > 10
    assert gateway.settled() == usage_of(answer.chunks[-1])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_two_choices_are_charged_both(gateway, engine, path, stream):
    body = BODIES[path] | {"n": 2} | ({"stream": True} | ASKED if stream else {})
    before = engine.count()
    answer = admitted(gateway.ask(engine, path, body))
    settled = gateway.settled()
    counted = engine.count() - before
    assert settled.output == counted.output == 80
    if engine.kind == "vllm":
        assert usage_of(answer.chunks[-1] if stream else answer.json) == settled
        # Its metrics have the prompt once for each choice, its usage once.
        assert counted.input == 2 * settled.input
    else:
        assert counted.input == settled.input


@pytest.mark.parametrize("stream", [False, True])
def test_each_prompt_of_a_list_is_charged(gateway, engine, stream):
    prompts = ["def read(file):", "class Reader:", "import"]
    body = completion(**exactly(20)) | {"prompt": prompts, "stream": stream}
    before = engine.count()
    answer = admitted(gateway.ask(engine, COMPLETIONS, body))
    settled, counted = gateway.settled(), engine.count() - before
    assert settled.output == counted.output == 60
    if engine.kind == "llamacpp" and not stream:
        # Its answer in one piece tells of the first prompt only; the others count as long as that.
        assert settled.input == 3 * usage_of(answer.json).input
    else:
        assert settled.input == counted.input


def test_many_requests_at_once_are_charged_to_the_token(gateway, engine):
    def request(number: int) -> None:
        path = (CHAT, COMPLETIONS)[number % 2]
        words = "the quick brown fox " * (1 + 3 * number)
        body = chat(words) if path == CHAT else completion(words)
        length = {} if number % 3 == 0 else {"ignore_eos": True}
        stream = {"stream": True} | (ASKED if number % 8 == 2 else {})
        body |= {"max_tokens": 5 + 7 * number} | length | (stream if number % 4 > 1 else {})
        answer = gateway.ask(engine, path, body)
        assert answer.status == 200, answer

    before = engine.count()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(request, range(24)))
    settled = gateway.settled()
    assert settled == engine.count() - before
    assert settled.input > 24 and settled.output > 24


def test_a_clamped_answer_has_as_many_tokens_as_its_tenant_may_have(gateway, engine):
    answer = gateway.ask(engine, CHAT, chat(**exactly(500)), POOR_KEY)
    assert answer.fields["x-penstock-max-tokens"] == "20"
    assert usage_of(answer.json).output == 20
    assert gateway.settled("poor") == usage_of(answer.json)


def test_a_request_over_its_budget_never_reaches_the_engine(gateway, engine):
    words = "one two three four " * 10
    assert gateway.ask(engine, CHAT, chat(words, **exactly(20)), POOR_KEY).status == 200
    before = engine.count()
    refused(
        gateway.ask(engine, CHAT, chat(words, **exactly(20)), POOR_KEY),
        429,
        "tokens_per_minute_exceeded",
    )
    assert engine.count() == before
