# SPDX-License-Identifier: Apache-2.0
"""The official OpenAI SDK, as its users would use it."""

import threading
import time

import openai
import pytest
from core_waits import Stopwatch
from fake_engine import MODEL, Pressure, chunk_of, reply, usage_of
from gateway_process import KEY, settings
from misbehaviour import die_mid_stream, fails_with, silent

MESSAGES = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def client():
    """Makes SDK clients; without retries unless asked for."""
    clients: list[openai.OpenAI] = []

    def make(gateway, key: str = KEY, retries: int = 0, **options) -> openai.OpenAI:
        clients.append(
            openai.OpenAI(
                base_url=f"{gateway.base_url}/v1",
                api_key=key,
                max_retries=retries,
                timeout=20,
                **options,
            )
        )
        return clients[-1]

    yield make
    for made in clients:
        made.close()


@pytest.fixture
def gateway(start, engine):
    return start(settings(engine))


# Answers.


def test_chat(gateway, client, engine):
    engine.default = reply(tokens=3, usage=usage_of(9, 3))
    answer = client(gateway).chat.completions.create(model="alias", messages=MESSAGES)
    assert answer.choices[0].message.content == "word word word "
    assert answer.usage.total_tokens == 12
    assert answer._request_id == engine.calls[0].field("x-request-id")


def test_a_chat_stream(gateway, client, engine):
    engine.default = reply(tokens=4, usage=usage_of(9, 4))
    stream = client(gateway).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    # Code that does not expect a chunk without choices must not break.
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "word " * 4
    assert engine.calls[0].json["stream_options"] == {"include_usage": True}


def test_a_chat_stream_with_usage(gateway, client, engine):
    engine.default = reply(tokens=4, usage=usage_of(9, 4))
    stream = client(gateway).chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert last.choices == [] and last.usage.total_tokens == 13
    assert all(chunk.usage is None for chunk in chunks)


def test_the_streaming_helper(gateway, client):
    with client(gateway).chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "content.delta" in kinds
    assert final.choices[0].message.content == "word " * 4


@pytest.mark.parametrize("stream", [True, False])
def test_completions(gateway, client, stream):
    answer = client(gateway).completions.create(model=MODEL, prompt="hi", stream=stream)
    if stream:
        assert "".join(chunk.choices[0].text for chunk in answer) == "word " * 4
    else:
        assert answer.choices[0].text == "word " * 4


def test_embeddings(gateway, client, engine):
    answer = client(gateway).embeddings.create(model=MODEL, input=["a", "b"])
    assert answer.data[0].embedding == [0.25, -0.5, 1.0]
    # The SDK asks for base64 by itself; what it asks reaches the engine.
    assert engine.calls[0].json["encoding_format"] == "base64"


def test_models(gateway, client):
    made = client(gateway)
    assert [model.id for model in made.models.list()] == [MODEL]
    assert made.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        made.models.retrieve("nonesuch")


def test_limits_can_be_read_from_the_raw_answer(start, engine, client):
    gateway = start(settings(engine, limits={"requests_per_minute": 100}))
    raw = client(gateway).chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
    assert raw.headers["x-ratelimit-limit-requests"] == "100"
    assert int(raw.headers["x-ratelimit-remaining-requests"]) in (98, 99)
    assert raw.parse().choices


def test_many_chats_on_the_sdks_kept_connections(gateway, client):
    made = client(gateway)
    for number in range(20):
        answer = made.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=number % 2 == 0
        )
        if number % 2 == 0:
            assert len(list(answer)) == 5


# Errors.


def check(error: openai.APIStatusError, code: str, kind: str, param: str | None = None) -> None:
    assert (error.code, error.type, error.param) == (code, kind, param)
    assert error.request_id and error.request_id == error.response.headers["x-request-id"]
    assert error.message


def test_a_wrong_key_raises_authentication_error(gateway, client):
    with pytest.raises(openai.AuthenticationError) as caught:
        client(gateway, key="sk-wrong").chat.completions.create(model=MODEL, messages=MESSAGES)
    check(caught.value, "invalid_api_key", "invalid_request_error")


def test_an_unknown_model_raises_not_found_error(gateway, client):
    with pytest.raises(openai.NotFoundError) as caught:
        client(gateway).chat.completions.create(model="nonesuch", messages=MESSAGES)
    check(caught.value, "model_not_found", "invalid_request_error", "model")


def test_what_is_not_allowed_raises_permission_denied_error(gateway, client):
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client(gateway).chat.completions.create(model="not-for-acme", messages=MESSAGES)
    check(caught.value, "model_not_allowed", "permission_error", "model")
    headers = {"X-Traffic-Class": "not-for-acme"}
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client(gateway, default_headers=headers).chat.completions.create(
            model=MODEL, messages=MESSAGES
        )
    check(caught.value, "class_not_allowed", "permission_error")


def test_a_wrong_request_raises_bad_request_error(gateway, client):
    made = client(gateway)
    with pytest.raises(openai.BadRequestError) as caught:
        made.chat.completions.create(model=MODEL, messages=[])
    check(caught.value, "invalid_request", "invalid_request_error", "messages")
    with pytest.raises(openai.BadRequestError) as caught:
        made.completions.create(model=MODEL, prompt="word " * 12_000)
    check(caught.value, "context_length_exceeded", "invalid_request_error", "prompt")


def test_a_used_up_budget_raises_rate_limit_error(start, engine, client):
    gateway = start(settings(engine, limits={"requests_per_minute": 1}))
    made = client(gateway)
    made.chat.completions.create(model=MODEL, messages=MESSAGES)
    with pytest.raises(openai.RateLimitError) as caught:
        made.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    check(caught.value, "requests_per_minute_exceeded", "requests")
    assert "Please try again in " in caught.value.message


@pytest.mark.parametrize("stream", [True, False])
def test_pressure_and_absent_engines_raise_internal_server_error(start, engine, client, stream):
    gateway = start(settings(engine))
    engine.pressure = Pressure(usage=0.99, blocks=1000)
    gateway.wait_scraped(engine)
    made = client(gateway)
    with pytest.raises(openai.InternalServerError) as caught:
        made.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream)
    assert caught.value.status_code == 503
    check(caught.value, "kv_cache_pressure", "service_unavailable_error")
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    with pytest.raises(openai.InternalServerError) as caught:
        made.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream)
    check(caught.value, "no_healthy_endpoint", "service_unavailable_error")


def test_an_engine_that_is_too_slow_raises_internal_server_error(start, engine, client):
    gateway = start(settings(engine, interactive={"timeouts": {"first_token": "200ms"}}))
    engine.default = silent()
    with pytest.raises(openai.InternalServerError) as caught:
        # The class's default of retries is kept: this refusal says not to.
        client(gateway, retries=2).chat.completions.create(model=MODEL, messages=MESSAGES)
    assert caught.value.status_code == 504
    check(caught.value, "deadline_exceeded", "timeout_error")
    assert len(engine.calls) == 1


def test_an_engines_own_error_is_seen_as_it_is(gateway, client, engine):
    document = {"error": {"message": "bad sampling", "type": "BadRequestError", "code": 400}}
    engine.default = fails_with(400, document)
    with pytest.raises(openai.BadRequestError) as caught:
        client(gateway).chat.completions.create(model=MODEL, messages=MESSAGES)
    assert "bad sampling" in caught.value.message
    assert caught.value.request_id


# Retries.


def test_the_sdk_comes_back_when_told_and_is_admitted(start, engine, client):
    gateway = start(settings(engine, limits={"requests_per_minute": 60}))
    made = client(gateway, retries=2)
    for _ in range(60):
        gateway.chat()
    started = time.monotonic()
    for _ in range(3):
        made.chat.completions.create(model=MODEL, messages=MESSAGES)
    # Each of them had to wait for its turn of a second, less what the sixty took.
    assert time.monotonic() - started > 0.3
    throttled = gateway.tenant()["throttled"]["requests_per_minute_exceeded"]
    assert 1 <= throttled <= 4


def test_the_sdk_rides_out_an_engine_that_restarts(start, engine, client):
    gateway = start(settings(engine))
    gateway.wait_healthy(engine)
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)
    threading.Timer(0.4, engine.start).start()
    answer = client(gateway, retries=5).chat.completions.create(model=MODEL, messages=MESSAGES)
    assert answer.choices[0].message.content


def test_the_sdk_does_not_come_back_for_what_takes_until_tomorrow(start, engine, client):
    gateway = start(settings(engine, limits={"tokens_per_day": 300}))
    engine.default = reply(usage=usage_of(100, 190))
    made = client(gateway, retries=2)
    made.chat.completions.create(model=MODEL, messages=MESSAGES)
    started = Stopwatch()
    with pytest.raises(openai.RateLimitError) as caught:
        made.chat.completions.create(model=MODEL, messages=MESSAGES)
    check(caught.value, "tokens_per_day_exceeded", "insufficient_quota")
    assert started.seconds < 1
    assert gateway.tenant()["throttled"] == {"tokens_per_day_exceeded": 1}


# Streams that go wrong.


def test_a_stream_whose_engine_dies_raises(gateway, client, engine):
    engine.default = die_mid_stream(after=3, delay=0.1)
    stream = client(gateway, retries=2).chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True
    )
    seen = 0
    with pytest.raises(openai.APIConnectionError):
        for chunk in stream:
            seen += 1
    assert seen == 3
    assert len(engine.calls) == 1


def test_a_stream_cut_for_its_time_ends_with_length(start, engine, client):
    timeouts = {"timeouts": {"total": "500ms"}}
    gateway = start(settings(engine, interactive=timeouts))
    engine.default = reply(tokens=1000, gap=0.02)
    stream = client(gateway).chat.completions.create(
        model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = list(stream)
    assert chunks[-1].choices[0].finish_reason == "length"
    assert last.usage.completion_tokens == len(chunks) - 1


def test_an_error_in_a_stream_raises_with_its_message(gateway, client, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        call.event(chunk_of(call, "x"))
        call.event({"error": {"message": "out of memory", "type": "server_error", "code": "x"}})
        call.event("[DONE]")
        call.end()

    engine.default = behave
    stream = client(gateway).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError, match="out of memory"):
        list(stream)


def test_blocks_without_data_do_not_break_the_sdk(gateway, client, engine):
    async def behave(call):
        call.head(kind="text/event-stream")
        call.piece(b": alive\n\nretry: 500\n\nid: 1\n\nevent: ping\n\ndata:\n\n")
        call.event(chunk_of(call, "x"))
        call.piece(b": alive\r\n\r\n")
        call.event("[DONE]")
        call.end()

    engine.default = behave
    stream = client(gateway).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    assert len(list(stream)) == 1


def test_a_stream_that_is_closed_early_frees_the_engine(gateway, client, engine):
    gate = engine.gate()
    engine.default = reply(gate=gate)
    stream = client(gateway).chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
    next(iter(stream))
    stream.close()
    from waiting import eventually

    eventually(lambda: engine.calls[0].gone_at, "the engine is told")


def test_the_asynchronous_client(gateway, engine):
    import asyncio

    async def main() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.base_url}/v1", api_key=KEY, max_retries=0
        ) as made:

            async def one() -> str:
                stream = await made.chat.completions.create(
                    model=MODEL, messages=MESSAGES, stream=True
                )
                return "".join([c.choices[0].delta.content or "" async for c in stream])

            return await asyncio.gather(*[one() for _ in range(20)])

    assert asyncio.run(main()) == ["word " * 4] * 20
