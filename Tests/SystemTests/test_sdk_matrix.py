# SPDX-License-Identifier: Apache-2.0
"""The current SDKs and the oldest ones: every dialect, streamed or not, and what can happen.

The caller must get the class of exception, the code and the request's id that its SDK promises,
and what is not to be asked again is asked once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from checks import TYPES, anthropic_type
from fake_engine import MODEL, Pressure, reply, usage_of
from gateway_process import KEY, settings
from misbehaviour import die_before_head, die_mid_stream, sends, silent
from sdk_process import SDK, Seen

CHAT = {"messages": [{"role": "user", "content": "Say hello."}]}
MEMBERS = {
    "chat": CHAT,
    "completions": {"prompt": "Say hello."},
    "embeddings": {"input": "Say hello."},
    "messages": CHAT | {"max_tokens": 100},
    "responses": {"input": "Say hello."},
}
KINDS = ("chat", "completions", "messages", "responses")
CELLS = [(kind, stream) for kind in KINDS for stream in (False, True)] + [("embeddings", False)]
QUICK = {"timeouts": {"first_token": "150ms"}}


def cells_of(sdk, stream: bool | None = None) -> list[tuple[str, bool]]:  # noqa: ANN001
    """What this SDK can ask, or only what is streamed, or is not."""
    known = [cell for cell in CELLS if cell[0] != "responses" or not sdk.is_oldest]
    return [cell for cell in known if stream is None or cell[1] == stream]


@pytest.fixture(scope="module", params=["current", "oldest"])
def sdk(request, sdk_of) -> SDK:
    return sdk_of(request.param)


def ask(sdk, gateway, cell: tuple[str, bool], retries: int = 0, **changes) -> Seen:  # noqa: ANN001
    kind, stream = cell
    key, fields = changes.pop("key", KEY), changes.pop("fields", {})
    members = {"model": MODEL} | MEMBERS[kind] | ({"stream": True} if stream else {}) | changes
    return sdk.ask(
        kind=kind,
        base_url=gateway.base_url,
        key=key,
        retries=retries,
        fields=fields,
        members=members,
    )


def raised(sdk, cell: tuple[str, bool], name: str, status: int = 0) -> str:  # noqa: ANN001
    """The class of exception that stands for openai's `name`."""
    if cell[0] != "messages":
        return f"openai.{name}Error"
    if not sdk.is_oldest:
        name = {503: "ServiceUnavailable", 504: "GatewayTimeout"}.get(status, name)
    return f"anthropic.{name}Error"


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


PROMPT = {
    "chat": "messages",
    "completions": "prompt",
    "embeddings": "input",
    "responses": "input",
}
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
    for cell in cells_of(sdk):
        # A retry that was announced for later would only take its time.
        retries = 0 if refusal.is_retried else 2
        seen = ask(sdk, gateway, cell, retries, **refusal.changes)
        print(name, cell, seen)
        assert seen.raised[0] == raised(sdk, cell, refusal.raised, refusal.status), cell
        assert f"{seen.raised[0].split('.')[0]}.APIStatusError" in seen.raised
        assert (seen.status, seen.code) == (refusal.status, refusal.code), cell
        check_words(sdk, cell, seen, refusal)
        assert seen.attempts == 1, cell


def check_words(sdk, cell, seen: Seen, refusal: Refusal) -> None:  # noqa: ANN001
    """What the error says in its dialect, and the request's id where the SDK looks for it."""
    is_anthropic = cell[0] == "messages"
    known = anthropic_type(refusal.code) if is_anthropic else TYPES[refusal.code]
    assert seen.type == known, cell
    param = refusal.param.get(cell[0]) if isinstance(refusal.param, dict) else refusal.param
    assert seen.param == (None if is_anthropic else param), cell
    name = seen.fields["request-id" if is_anthropic else "x-request-id"]
    assert name == seen.fields["x-request-id"]
    assert seen.request_id == (None if sdk.is_oldest else name)


ENDS = {"chat": "stop", "completions": "stop", "messages": "end_turn", "responses": "completed"}


def test_answers(start, engine, sdk):
    gateway = start(settings(engine))
    for cell in cells_of(sdk):
        seen = ask(sdk, gateway, cell)
        assert not seen.raised, (cell, seen)
        if cell[0] != "embeddings":
            assert (seen.text, seen.finish) == ("word " * 4, ENDS[cell[0]]), cell
        if cell[0] in ("messages", "responses"):
            assert (seen.usage["input_tokens"], seen.usage["output_tokens"]) == (7, 4)
        else:
            assert (seen.usage is None) == cell[1], "a stream's usage was not asked for"
        oldest = "0.25.0" if cell[0] == "messages" else "1.0.0"
        assert (seen.version == oldest) == sdk.is_oldest


CUTS = {
    "chat": "length",
    "completions": "length",
    "messages": "max_tokens",
    "responses": "max_output_tokens",
}


def test_cuts(start, engine, sdk):
    gateway = start(settings(engine, interactive={"timeouts": {"total": "500ms"}}))
    engine.default = reply(tokens=1_000, gap=0.02)
    cells = [cell for cell in cells_of(sdk) if cell[0] != "embeddings"]
    for cell in cells:
        seen = ask(sdk, gateway, cell, retries=2)
        print(cell, seen)
        if cell[1]:
            assert not seen.raised, (cell, seen)
            assert seen.finish == CUTS[cell[0]] and seen.text.startswith("word word ")
        else:
            assert seen.raised[0] == raised(sdk, cell, "InternalServer", 504)
            assert (seen.status, seen.code) == (504, "deadline_exceeded")
    assert len(engine.calls) == len(cells)


def test_signs_of_life_are_not_seen(start, engine, sdk):
    """Comments, and pings in messages, before the first token."""
    gateway = start(settings(engine, interactive={"timeouts": {"keepalive": "60ms"}}))
    engine.default = reply(first=0.3)
    for cell in cells_of(sdk, stream=True):
        seen = ask(sdk, gateway, cell)
        assert not seen.raised, (cell, seen)
        assert (seen.text, seen.finish) == ("word " * 4, ENDS[cell[0]]), cell


def test_refusals_behind_signs_of_life_raise(start, engine, sdk):
    """The client has its status, so that they are told in the stream."""
    timeouts = {"keepalive": "60ms", "first_token": "250ms"}
    gateway = start(
        settings(
            engine, interactive={"timeouts": timeouts}, upstream={"unhealthy_after": 100}
        )
    )
    engine.default = silent()
    cells = cells_of(sdk, stream=True)
    for cell in cells:
        seen = ask(sdk, gateway, cell, retries=2)
        print(cell, seen)
        is_anthropic = cell[0] == "messages"
        assert seen.raised[0] == ("anthropic.APIStatusError" if is_anthropic else "openai.APIError")
        assert (seen.code, seen.type) == ("deadline_exceeded", "timeout_error"), cell
    assert len(engine.calls) == len(cells)


def broken(sdk, cell: tuple[str, bool]) -> str:  # noqa: ANN001
    """What a stream raises that breaks off."""
    if sdk.is_oldest:
        return "httpx.RemoteProtocolError"
    # Anthropic's lets its transport's error through.
    return "httpx2.RemoteProtocolError" if cell[0] == "messages" else "openai.APIConnectionError"


@pytest.mark.parametrize("reset", [False, True])
def test_deaths_in_a_stream(start, engine, sdk, reset):
    gateway = start(settings(engine, upstream={"unhealthy_after": 100}))
    engine.default = die_mid_stream(after=3, reset=reset, delay=0.1)
    cells = cells_of(sdk, stream=True)
    for cell in cells:
        seen = ask(sdk, gateway, cell, retries=2)
        print(cell, seen)
        assert seen.raised[0] == broken(sdk, cell), (cell, seen)
        assert (seen.text, seen.finish) == ("word " * 3, None)
    assert len(engine.calls) == len(cells)


def test_deaths_in_an_answer(start, engine, sdk):
    gateway = start(settings(engine, upstream={"unhealthy_after": 100}))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    engine.default = sends(head + b'{"id": "x", ', close=True)
    cells = cells_of(sdk, stream=False)
    for cell in cells:
        seen = ask(sdk, gateway, cell, retries=2)
        # What was made of it is paid for: no SDK asks for it again.
        assert seen.raised[0] == raised(sdk, cell, "InternalServer"), (cell, seen)
        assert (seen.status, seen.code) == (502, "upstream_failed"), cell
    assert len(engine.calls) == len(cells)
