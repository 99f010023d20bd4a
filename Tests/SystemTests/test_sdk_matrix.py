# SPDX-License-Identifier: Apache-2.0
"""The current OpenAI SDK and the oldest one: every dialect, streamed or not, and what can happen.

The caller must get the class of exception, the code and the request's id that its SDK promises,
and what is not to be asked again is asked once.
"""

import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from checks import TYPES
from fake_engine import MODEL, Pressure, reply, usage_of
from gateway_process import KEY, settings
from misbehaviour import die_before_head, die_mid_stream, sends, silent
from sdk_process import SDK, Seen

# What the Makefile installs beside the environment: Tests/python/oldest.txt.
OLDEST = pathlib.Path(__file__).resolve().parents[2] / ".venv/oldest"
MEMBERS = {
    "chat": {"messages": [{"role": "user", "content": "Say hello."}]},
    "completions": {"prompt": "Say hello."},
    "embeddings": {"input": "Say hello."},
}
CELLS = [(kind, stream) for kind in ("chat", "completions") for stream in (False, True)]
CELLS += [("embeddings", False)]
STREAMS = [cell for cell in CELLS if cell[1]]
QUICK = {"timeouts": {"first_token": "150ms"}}


@pytest.fixture(scope="module", params=["current", "oldest"])
def sdk(request) -> Iterator[SDK]:
    if request.param == "oldest":
        assert (OLDEST / "openai").is_dir(), f"no SDK under {OLDEST}: make .venv/.made"
    made = SDK(OLDEST if request.param == "oldest" else None)
    made.is_oldest = request.param == "oldest"
    yield made
    made.close()


def ask(sdk, gateway, cell: tuple[str, bool], retries: int = 0, **changes) -> Seen:  # noqa: ANN001
    kind, stream = cell
    key, fields = changes.pop("key", KEY), changes.pop("fields", {})
    members = {"model": MODEL} | MEMBERS[kind] | ({"stream": True} if stream else {}) | changes
    return sdk.ask(
        kind=kind,
        base_url=f"{gateway.base_url}/v1",
        key=key,
        retries=retries,
        fields=fields,
        members=members,
    )


@dataclass
class Refusal:
    """One reason to refuse: how it comes about, and what the caller gets."""

    raised: str
    status: int
    code: str
    param: dict[str, str] | str | None = None
    # Asked again by the SDK.
    is_retried: bool = False
    changes: dict = field(default_factory=dict)
    limits: dict | None = None
    interactive: dict = field(default_factory=dict)
    prepare: Callable | None = None


def fill(gateway, engine) -> None:  # noqa: ANN001
    engine.pressure = Pressure(usage=0.99, blocks=1_000)
    gateway.wait_scraped(engine)


def stop(gateway, engine) -> None:  # noqa: ANN001
    engine.stop()
    gateway.wait_healthy(engine, healthy=False)


def use_up(gateway, engine) -> None:  # noqa: ANN001
    assert gateway.chat().status == 200


def use_up_the_day(gateway, engine) -> None:  # noqa: ANN001
    engine.default = reply(usage=usage_of(100, 199))
    use_up(gateway, engine)


def hush(gateway, engine) -> None:  # noqa: ANN001
    engine.default = silent()


def kill(gateway, engine) -> None:  # noqa: ANN001
    engine.default = die_before_head()


PROMPT = {"chat": "messages", "completions": "prompt", "embeddings": "input"}
REFUSALS = {
    "wrong key": Refusal("Authentication", 401, "invalid_api_key", changes={"key": "sk-wrong"}),
    "unknown model": Refusal(
        "NotFound", 404, "model_not_found", "model", changes={"model": "nonesuch"}
    ),
    "model of others": Refusal(
        "PermissionDenied", 403, "model_not_allowed", "model", changes={"model": "not-for-acme"}
    ),
    "class of others": Refusal(
        "PermissionDenied",
        403,
        "class_not_allowed",
        changes={"fields": {"X-Traffic-Class": "not-for-acme"}},
    ),
    "unknown class": Refusal(
        "BadRequest", 400, "invalid_request", changes={"fields": {"X-Traffic-Class": "none"}}
    ),
    "larger than the limit": Refusal(
        "BadRequest", 400, "request_exceeds_limit", PROMPT, limits={"tokens_per_minute": 1}
    ),
    "requests per minute": Refusal(
        "RateLimit",
        429,
        "requests_per_minute_exceeded",
        is_retried=True,
        limits={"requests_per_minute": 1},
        prepare=use_up,
    ),
    "tokens per day": Refusal(
        "RateLimit",
        429,
        "tokens_per_day_exceeded",
        limits={"tokens_per_day": 300},
        prepare=use_up_the_day,
    ),
    "pressure": Refusal(
        "InternalServer", 503, "kv_cache_pressure", is_retried=True, prepare=fill
    ),
    "no engine": Refusal(
        "InternalServer", 503, "no_healthy_endpoint", is_retried=True, prepare=stop
    ),
    "death before a byte": Refusal("InternalServer", 502, "upstream_failed", prepare=kill),
    "silence": Refusal(
        "InternalServer", 504, "deadline_exceeded", interactive=QUICK, prepare=hush
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(start, engine, sdk, name):
    refusal = REFUSALS[name]
    upstream = {"unhealthy_after": 100} if name in ("death before a byte", "silence") else {}
    gateway = start(
        settings(
            engine, limits=refusal.limits, interactive=refusal.interactive, upstream=upstream
        )
    )
    gateway.wait_scraped_once(engine)
    if refusal.prepare:
        refusal.prepare(gateway, engine)
    for cell in CELLS:
        # A retry that was announced for later would only take its time.
        retries = 0 if refusal.is_retried else 2
        seen = ask(sdk, gateway, cell, retries, **refusal.changes)
        print(name, cell, seen)
        assert seen.raised[0] == f"openai.{refusal.raised}Error", (cell, seen)
        assert "openai.APIStatusError" in seen.raised
        assert (seen.status, seen.code) == (refusal.status, refusal.code), cell
        assert seen.type == TYPES[refusal.code]
        param = refusal.param
        assert seen.param == (param[cell[0]] if isinstance(param, dict) else param), cell
        assert seen.request_id_field
        assert seen.request_id == (None if sdk.is_oldest else seen.request_id_field)
        assert seen.attempts == 1, cell


def test_answers(start, engine, sdk):
    gateway = start(settings(engine))
    for cell in CELLS:
        seen = ask(sdk, gateway, cell)
        assert not seen.raised, (cell, seen)
        if cell[0] != "embeddings":
            assert (seen.text, seen.finish) == ("word " * 4, "stop"), cell
        assert (seen.usage is None) == cell[1], "a stream's usage was not asked for"
    assert seen.version == ("1.0.0" if sdk.is_oldest else seen.version)


def test_cuts(start, engine, sdk):
    gateway = start(settings(engine, interactive={"timeouts": {"total": "500ms"}}))
    engine.default = reply(tokens=1_000, gap=0.02)
    for cell in CELLS[:-1]:
        seen = ask(sdk, gateway, cell, retries=2)
        print(cell, seen)
        if cell[1]:
            assert not seen.raised, (cell, seen)
            assert seen.finish == "length" and seen.text.startswith("word word ")
        else:
            assert seen.raised[0] == "openai.InternalServerError"
            assert (seen.status, seen.code) == (504, "deadline_exceeded")
    assert len(engine.calls) == 4


@pytest.mark.parametrize("reset", [False, True])
def test_deaths_in_a_stream(start, engine, sdk, reset):
    gateway = start(settings(engine, upstream={"unhealthy_after": 100}))
    engine.default = die_mid_stream(after=3, reset=reset, delay=0.1)
    broken = "httpx.RemoteProtocolError" if sdk.is_oldest else "openai.APIConnectionError"
    for cell in STREAMS:
        seen = ask(sdk, gateway, cell, retries=2)
        print(cell, seen)
        assert seen.raised[0] == broken, (cell, seen)
        assert (seen.text, seen.finish) == ("word " * 3, None)
    assert len(engine.calls) == len(STREAMS)


def test_deaths_in_an_answer(start, engine, sdk):
    gateway = start(settings(engine, upstream={"unhealthy_after": 100}))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    engine.default = sends(head + b'{"id": "x", ', close=True)
    for cell in CELLS:
        if not cell[1]:
            seen = ask(sdk, gateway, cell)
            assert seen.raised[0] == "openai.APIConnectionError", (cell, seen)
    assert len(engine.calls) == 3
