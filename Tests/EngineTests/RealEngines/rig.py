# SPDX-License-Identifier: Apache-2.0
"""The gateway in front of real engines: its configuration, and what tests ask through it."""

import json
from collections.abc import Iterator

from engines import MODEL, Count, Engine
from gateway_process import KEY, Gateway, hashed
from http_client import Answer, Connection

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"

POOR_KEY = "sk-test-poor"


def settings(*engines: Engine, **sections: object) -> dict:
    """A configuration with one pool and one class for each of `engines`, of its name.

    The tenant acme has all it wants; the tenant poor has 100 tokens a minute, and 20 for an answer.
    `sections` replace top-level keys; `classes` are merged into each class.
    """
    each_class: dict = sections.pop("classes", {})  # type: ignore[assignment]
    names = [engine.name for engine in engines]
    plenty = {"tokens_per_day": 100_000_000, "concurrent_requests": 100}
    configuration = {
        "workers": 2,
        "listeners": [{"address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "upstream": {"scrape_interval": "250ms", "scrape_timeout": "5s"},
        # Longer than the engines' own, so that they get to say no themselves.
        "models": [{"name": MODEL, "aliases": ["default"], "context_length": 16_384}],
        "pools": [
            {
                "name": engine.name,
                "engine": engine.kind,
                "endpoints": [engine.url],
                "models": [MODEL],
            }
            for engine in engines
        ],
        "classes": [{"name": name, "pool": name} | each_class for name in names],
        "tenants": [
            {
                "id": "acme",
                "keys": [hashed(KEY)],
                "classes": names,
                "models": [MODEL],
                "limits": plenty,
            },
            {
                "id": "poor",
                "keys": [hashed(POOR_KEY)],
                "classes": names,
                "models": [MODEL],
                "limits": {"tokens_per_minute": 100, "max_completion_tokens": 20},
            },
        ],
    }
    return configuration | sections


def chat(text: str = "import the module that reads a file", **members: object) -> dict:
    """A chat of one message. The model is named by its alias, which no engine knows."""
    return {"model": "default", "messages": [{"role": "user", "content": text}]} | members


def completion(text: str = "def read(file):", **members: object) -> dict:
    return {"model": "default", "prompt": text} | members


def exactly(tokens: int) -> dict:
    """Members of a body by which the answer has this many tokens; noise would end anywhere."""
    return {"max_tokens": tokens, "ignore_eos": True}


class Front(Gateway):
    """A gateway that is asked for one of several engines."""

    def ask(self, engine: Engine, path: str, body: dict, key: str = KEY) -> Answer:
        return self.post(path, body, key, {"X-Traffic-Class": engine.name})

    def settled(self, tenant: str = "acme") -> Count:
        """What the tenant's requests have cost, once none of them is open."""
        self.assert_at_rest()
        tokens = self.tenant(tenant)["tokens"]
        return Count(tokens["input"], tokens["output"])


class Stream:
    """A stream through the gateway that is read event by event."""

    def __init__(self, gateway: Gateway, engine: Engine, path: str, body: dict):
        self.connection: Connection = gateway.connect(timeout=60.0)
        self.connection.request(
            "POST", path, body | {"stream": True}, {"X-Traffic-Class": engine.name}, KEY
        )
        self.received = 0
        # What the engine itself says went wrong, after its 200.
        self.error: dict | None = None
        # Why it ended, as the engine says.
        self.finish: str | None = None
        self._rest = b""

    def start(self) -> Answer:
        """Waits for the head of the answer."""
        self.answer = self.connection.head()
        self._events = self._read()
        return self.answer

    def _read(self) -> Iterator[str]:
        for piece in self.connection.pieces(self.answer):
            *blocks, self._rest = (self._rest + piece).split(b"\n\n")
            yield from (block.decode().removeprefix("data: ") for block in blocks)

    def read(self, tokens: int | None = None) -> None:
        """Reads until so many events with text have come in all, or to the end."""
        for event in self._events:
            self.received += has_text(event)
            if event.startswith('{"error"'):
                self.error = json.loads(event)["error"]
            self.finish = finish_of(event) or self.finish
            if tokens is not None and self.received >= tokens:
                return

    def leave(self) -> None:
        self.connection.close()


def finish_of(event: str) -> str | None:
    """The reason for which a stream's event ends it."""
    choices = [] if event == "[DONE]" else json.loads(event).get("choices", [])
    return choices[0]["finish_reason"] if choices else None


def has_text(event: str) -> bool:
    """Whether a stream's event brings something to read."""
    if event == "[DONE]":
        return False
    choices = json.loads(event).get("choices", [])
    return any(c.get("text") or c.get("delta", {}).get("content") for c in choices)
