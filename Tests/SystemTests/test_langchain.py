# SPDX-License-Identifier: Apache-2.0
"""LangChain's chat classes: `make test-langchain`, which installs them."""

from collections.abc import Iterator

import langchain_process
import pytest
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, settings
from misbehaviour import die_mid_stream
from sdk_process import ENVIRONMENT, SDK, Seen

FOLDER = ENVIRONMENT / "langchain"
KINDS = ("openai", "responses", "anthropic")
STREAMS = ("stream", "async stream")

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="make test-langchain installs it")


@pytest.fixture(scope="module")
def ask() -> Iterator:
    made = SDK(FOLDER, langchain_process.__file__)

    def ask(gateway, kind: str, way: str, **changes) -> Seen:  # noqa: ANN001
        request = {"key": KEY, "model": MODEL, "retries": 0, "text": "Say hello."} | changes
        return made.ask(kind=kind, way=way, base_url=gateway.base_url, **request)

    yield ask
    made.close()


@pytest.mark.parametrize("kind", KINDS)
def test_answers(start, engine, ask, kind):
    gateway = start(settings(engine))
    engine.default = reply(tokens=5, usage=usage_of(20, 5))
    ends = {"openai": "stop", "responses": "completed", "anthropic": "end_turn"}
    for way in ("whole", *STREAMS):
        seen = ask(gateway, kind, way)
        assert not seen.raised, (way, seen)
        assert (seen.text, seen.finish) == ("word " * 5, ends[kind]), way
        # Of another server than OpenAI's own it does not ask for a stream's usage.
        if (kind, way) not in [("openai", stream) for stream in STREAMS]:
            assert seen.usage == {"input_tokens": 20, "output_tokens": 5}, way
    paths = {"openai": "chat/completions", "responses": "responses", "anthropic": "messages"}
    assert {call.path for call in engine.calls} == {f"/v1/{paths[kind]}"}


def test_a_prompt_is_counted_by_the_gateway(start, engine, ask):
    gateway = start(settings(engine))
    seen = ask(gateway, "anthropic", "count", text="One two three. " * 20)
    assert not seen.raised and 50 < seen.usage["input_tokens"] < 150, seen
    assert not engine.calls


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_raise_the_sdks_errors(start, engine, ask, kind):
    gateway = start(settings(engine, limits={"requests_per_second": 1}))
    package = "anthropic" if kind == "anthropic" else "openai"
    for way in ("whole", *STREAMS):
        wrong = ask(gateway, kind, way, key="sk-wrong")
        assert f"{package}.AuthenticationError" in wrong.raised, (way, wrong)
        unknown = ask(gateway, kind, way, model="nonesuch")
        assert f"{package}.NotFoundError" in unknown.raised, (way, unknown)
        assert (unknown.status, unknown.code) == (404, "model_not_found"), way
    first, again = (ask(gateway, kind, "whole", retries=2) for _ in range(2))
    assert not first.raised and not again.raised, (first, again)
    assert (first.attempts, again.attempts) == (1, 2), "it waits as it is told"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_that_is_cut_ends_and_one_that_breaks_raises(start, engine, ask, kind):
    gateway = start(settings(engine, interactive={"timeouts": {"total": "500ms"}}))
    engine.default = reply(tokens=1_000, gap=0.02)
    ends = {"openai": "length", "responses": "max_output_tokens", "anthropic": "max_tokens"}
    for way in STREAMS:
        seen = ask(gateway, kind, way)
        assert not seen.raised, (way, seen)
        assert seen.finish == ends[kind] and seen.text.startswith("word word "), way
    engine.default = die_mid_stream(after=3, delay=0.1)
    before = len(engine.calls)
    for way in STREAMS:
        seen = ask(gateway, kind, way, retries=2)
        assert seen.raised and "word " * 3 in seen.text, (way, seen)
    assert len(engine.calls) == before + len(STREAMS), "nothing is asked again"
