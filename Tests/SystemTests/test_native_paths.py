# SPDX-License-Identifier: Apache-2.0
"""Engines' own paths: what goes to the engine, what is charged, how refusals are spelled."""

import json

import pytest
from checks import admitted
from fake_engine import MODEL
from gateway_process import settings
from misbehaviour import silent

GENERATE, STREAM, COMPLETION = "/generate", "/generate_stream", "/completion"
TRITON = "/v2/models/alias/generate"
LIMITS = {"tokens_per_day": 1_000_000, "max_completion_tokens": 50}


def sglang(count: int, text: str = "x") -> dict:
    meta = {"prompt_tokens": 7, "cached_tokens": 3, "completion_tokens": count}
    return {"text": text * count, "meta_info": meta | {"finish_reason": None}}


def tgi(place: int, last: bool) -> dict:
    details = {"finish_reason": "length", "generated_tokens": place, "input_length": 7}
    token = {"id": 1, "text": "x", "logprob": 0, "special": False}
    text = "x" * place if last else None
    done = details if last else None
    return {"index": place, "token": token, "generated_text": text, "details": done}


def llama(place: int, last: bool) -> dict:
    counts = {"tokens_predicted": place, "tokens_evaluated": 7, "timings": {"cache_n": 3}}
    return {"index": 0, "content": "" if last else "x", "stop": last} | counts


# Path and body, the events of the answer, what they cost: prompt, cached, output.
STREAMS = {
    "sglang": (
        GENERATE,
        {"text": "hi", "stream": True},
        [sglang(1), sglang(2), sglang(4), "[DONE]"],
        (7, 3, 4),
    ),
    "tgi": (
        STREAM,
        {"inputs": "hi"},
        [tgi(1, False), tgi(2, False), tgi(3, True)],
        (7, 0, 3),
    ),
    "llama.cpp": (
        COMPLETION,
        {"prompt": "hi", "stream": True},
        [llama(1, False), llama(2, False), llama(2, True)],
        (7, 3, 2),
    ),
    "triton": (
        TRITON + "_stream",
        {"text_input": "hi"},
        [{"model_name": "m", "text_output": "x"}] * 3,
        (None, 0, 3),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_pass_as_they_are_and_are_charged(start, engine, name):
    path, body, events, (prompt, cached, output) = STREAMS[name]
    gateway = start(settings(engine, limits=LIMITS))

    async def behave(call):
        call.head(kind="text/event-stream")
        for event in events:
            call.event(event)
        call.end()

    engine.script(behave)
    answer = admitted(gateway.post(path, body), "clamped")
    assert answer.events == [e if isinstance(e, str) else json.dumps(e) for e in events]
    sent = engine.calls[0]
    assert sent.path == path.replace("alias", MODEL)
    bound = {
        GENERATE: {"sampling_params": {"max_new_tokens": 50}},
        STREAM: {"parameters": {"max_new_tokens": 50}},
        COMPLETION: {"n_predict": 50},
    }.get(path, {"max_tokens": 50})
    assert sent.json == body | bound
    gateway.assert_at_rest()
    trace = gateway.admin(f"/admin/requests/{answer.fields['x-request-id']}").json
    settled = trace["settlement"]
    assert (settled["cached_input"], settled["output"]) == (cached, output)
    assert settled["input"] == prompt if prompt else settled["input"] > 0
    assert settled["source"] == ("engine" if prompt else "counted")
    assert gateway.tenant()["tokens"]["output"] == output


WHOLES = {
    "sglang": (GENERATE, {"text": "hi"}, sglang(4)),
    "tgi": (GENERATE, {"inputs": "hi"}, tgi(4, True) | {"generated_text": "xxxx"}),
    "llama.cpp": (COMPLETION, {"prompt": "hi"}, llama(4, True)),
}


@pytest.mark.parametrize("name", WHOLES)
def test_answers_are_charged_by_what_they_say(start, engine, name):
    path, body, document = WHOLES[name]
    gateway = start(settings(engine, limits=LIMITS))

    async def behave(call):
        call.whole(200, document)

    engine.script(behave)
    assert admitted(gateway.post(path, body), "clamped").json == document
    tokens = gateway.tenant()["tokens"]
    assert (tokens["input"], tokens["output"]) == (7, 4)


@pytest.mark.parametrize("path", [GENERATE, STREAM, COMPLETION, TRITON])
def test_refusals_are_spelled_as_the_engine_does(start, engine, path):
    gateway = start(settings(engine, limits={"tokens_per_minute": 20, "max_completion_tokens": 5}))
    members = {GENERATE: "text", STREAM: "inputs", COMPLETION: "prompt", TRITON: "text_input"}
    answers = [
        gateway.post(path, {}),
        gateway.post(path, {members[path]: "word " * 500}),
        gateway.post(path, {members[path]: "x"}, key="sk-wrong"),
        gateway.get(path),
    ]
    assert [answer.status for answer in answers] == [400, 400, 401, 405]
    for answer in answers:
        told = answer.json["error"]
        if path in (STREAM, TRITON):
            assert isinstance(told, str) and told
            assert ("error_type" in answer.json) == (path == STREAM)
        else:
            assert set(told) == {"message", "type", "param", "code"}
    assert not engine.calls
    assert gateway.post("/v2/models/nonesuch/generate", {"text_input": "x"}).status == 404
    assert gateway.post("/v2/models/not-for-acme/generate", {"text_input": "x"}).status == 403


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_over_its_time_ends_in_its_own_form(start, engine, name):
    path, body, events, _ = STREAMS[name]
    gateway = start(settings(engine, interactive={"timeouts": {"total": "300ms"}}))

    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(events[0])
        await silent()(call)

    engine.script(behave)
    answer = admitted(gateway.post(path, body))
    last = answer.chunks[-1]
    if name == "sglang":
        assert last["meta_info"]["finish_reason"]["type"] == "length"
        assert answer.events[-1] == "[DONE]"
    elif name == "tgi":
        assert last["details"] == {"finish_reason": "length", "generated_tokens": 1} | {
            "input_length": last["details"]["input_length"]
        }
    elif name == "llama.cpp":
        assert (last["stop"], last["stop_type"]) == (True, "limit")
    else:
        assert last["text_output"] == ""
    assert len(answer.chunks) == 2
    assert engine.calls[0].gone
    gateway.assert_at_rest()
