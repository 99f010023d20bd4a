# SPDX-License-Identifier: Apache-2.0
"""Anthropic's messages and OpenAI's responses as their SDKs' users read them.

Helpers that put streams together, errors inside of streams, retries, and the count of a prompt.
"""

import json

import pytest
from checks import anthropic_type
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, settings
from misbehaviour import die_mid_stream
from sdk_process import SDK, Seen

MESSAGES = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 100}
MEMBERS = {
    "messages": MESSAGES,
    "responses": {"input": "Say hello."},
    "count_tokens": {"messages": MESSAGES["messages"]},
}
KINDS = [("current", "messages"), ("current", "responses"), ("oldest", "messages")]


@pytest.fixture(params=KINDS, ids=["-".join(kind) for kind in KINDS])
def ask(request, sdk_of):
    """Calls `kind` of an SDK."""
    age, kind = request.param
    return Asker(sdk_of(age), kind)


class Asker:
    def __init__(self, sdk: SDK, kind: str):
        self.sdk = sdk
        self.kind = kind
        self.is_anthropic = kind != "responses"

    def __call__(self, gateway, **changes) -> Seen:  # noqa: ANN001
        options = {name: changes.pop(name) for name in ("key", "retries") if name in changes}
        request = {"key": KEY, "retries": 0, "fields": {}} | options
        members = {"model": MODEL} | MEMBERS[self.kind] | changes
        return self.sdk.ask(
            kind=self.kind, base_url=gateway.base_url, members=members, **request
        )


def test_helpers_put_the_answer_together(start, engine, ask):
    gateway = start(settings(engine))
    engine.default = reply(tokens=5, usage=usage_of(20, 5, cached=8))
    seen = ask(gateway, helper=True)
    assert not seen.raised, seen
    assert seen.text == "word " * 5
    assert seen.finish == ("end_turn" if ask.is_anthropic else "completed")
    assert seen.usage["output_tokens"] == 5
    if ask.is_anthropic:
        assert seen.usage["input_tokens"] == 12
        assert seen.usage["cache_read_input_tokens"] == 8
    else:
        assert seen.usage["input_tokens"] == 20
        assert seen.usage["input_tokens_details"]["cached_tokens"] == 8


def test_a_stream_cut_for_its_time_is_put_together_too(start, engine, ask):
    gateway = start(settings(engine, interactive={"timeouts": {"total": "500ms"}}))
    engine.default = reply(tokens=1_000, gap=0.02)
    if ask.is_anthropic:
        seen = ask(gateway, helper=True)
        assert not seen.raised, seen
        assert seen.finish == "max_tokens" and seen.text.startswith("word word ")
    else:
        # Its helper knows complete responses alone, whoever sends them.
        seen = ask(gateway, stream=True)
        assert seen.finish == "max_output_tokens" and seen.text.startswith("word word ")
        assert seen.usage["total_tokens"] == seen.usage["input_tokens"] + seen.text.count("word")
    assert seen.usage["output_tokens"] == seen.text.count("word")
    gateway.assert_at_rest()
    assert gateway.tenant()["tokens"]["output"] == seen.usage["output_tokens"]


def test_a_stream_cut_before_its_first_piece_is_a_whole_answer(start, engine, ask):
    """The engine has begun, but nothing of its text has come."""
    gateway = start(settings(engine, interactive={"timeouts": {"total": "500ms"}}))

    async def behave(call):
        call.head(kind="text/event-stream")
        call.piece(b'event: ping\ndata: {"type": "ping"}\n\n')
        await call.gone.wait()

    engine.default = behave
    seen = ask(gateway, **({"helper": True} if ask.is_anthropic else {"stream": True}))
    assert not seen.raised, seen
    assert seen.text == ""
    assert seen.finish == ("max_tokens" if ask.is_anthropic else "max_output_tokens")


def test_helpers_raise_when_the_engine_dies(start, engine, ask):
    gateway = start(settings(engine))
    engine.default = die_mid_stream(after=3, delay=0.1)
    seen = ask(gateway, helper=True, retries=2)
    assert seen.raised[0].endswith(("RemoteProtocolError", "APIConnectionError")), seen
    assert len(engine.calls) == 1


def test_errors_in_a_stream_raise_with_their_words(start, engine, ask):
    gateway = start(settings(engine, limits={"tokens_per_day": 10**6}))
    error = {"type": "overloaded_error", "message": "out of memory", "code": "busy"}

    async def behave(call):
        call.head(kind="text/event-stream")
        data = json.dumps({"type": "error", "error": error})
        call.piece(f"event: error\ndata: {data}\n\n".encode())
        call.end()

    engine.default = behave
    seen = ask(gateway, stream=True, retries=2)
    assert seen.raised[0] == ("anthropic.APIStatusError" if ask.is_anthropic else "openai.APIError")
    assert "out of memory" in seen.message
    assert seen.type == "overloaded_error" or ask.sdk.is_oldest
    [call] = engine.calls
    if ask.is_anthropic and not ask.sdk.is_oldest:
        assert seen.request_id == call.field("x-request-id")
    gateway.assert_at_rest()


def test_a_response_that_failed_is_seen_as_an_event(start, engine, sdk_of):
    gateway = start(settings(engine))

    async def behave(call):
        call.head(kind="text/event-stream")
        response = {"id": "resp_1", "object": "response", "status": "failed", "output": []}
        response |= {"error": {"code": "server_error", "message": "x"}, "usage": None}
        response |= {"incomplete_details": None}
        event = {"type": "response.failed", "sequence_number": 0, "response": response}
        call.piece(f"event: response.failed\ndata: {json.dumps(event)}\n\n".encode())
        call.end()

    engine.default = behave
    seen = Asker(sdk_of("current"), "responses")(gateway, stream=True)
    assert not seen.raised and seen.finish == "failed", seen


def test_the_sdk_comes_back_when_told_and_is_admitted(start, engine, ask):
    gateway = start(settings(engine, limits={"requests_per_second": 1}))
    seen = [ask(gateway, retries=2) for _ in range(2)]
    assert [s.raised for s in seen] == [[], []], seen
    assert [s.attempts for s in seen] == [1, 2]
    assert seen[1].text == "word " * 4
    assert gateway.tenant()["throttled"] == {"requests_per_second_exceeded": 1}


# The count of a prompt.


def test_a_prompt_is_counted(start, engine, sdk_of):
    gateway = start(settings(engine, limits={"requests_per_minute": 1, "tokens_per_minute": 500}))
    ask = Asker(sdk_of("current"), "count_tokens")
    counts = [ask(gateway, system="Be brief. " * n).usage["input_tokens"] for n in (1, 9)]
    assert 0 < counts[0] < counts[1] < 100, counts
    tools = [{"name": "look", "description": "Looks. " * 9, "input_schema": {"type": "object"}}]
    assert ask(gateway, tools=tools).usage["input_tokens"] > counts[0]
    # Neither limit knows of it, and no engine.
    for limit in ("requests_per_minute", "tokens_per_minute"):
        assert gateway.used(limit) == 0
    assert not engine.calls


@pytest.mark.parametrize(
    ("changes", "raised", "status", "code"),
    [
        ({"key": "sk-wrong"}, "Authentication", 401, "invalid_api_key"),
        ({"model": "nonesuch"}, "NotFound", 404, "model_not_found"),
        ({"model": "not-for-acme"}, "PermissionDenied", 403, "model_not_allowed"),
        ({"messages": []}, "BadRequest", 400, "invalid_request"),
    ],
)
def test_a_count_that_is_refused(start, engine, sdk_of, changes, raised, status, code):
    gateway = start(settings(engine))
    seen = Asker(sdk_of("current"), "count_tokens")(gateway, **changes)
    assert seen.raised[0] == f"anthropic.{raised}Error"
    assert (seen.status, seen.code, seen.type) == (status, code, anthropic_type(code))
    assert seen.request_id == seen.fields["request-id"]
