# SPDX-License-Identifier: Apache-2.0
"""An engine that is killed at any byte of its streams, a thousand times.

No stream of these may look complete to its client, each has to be settled with what was generated,
and nothing may stay reserved. Streams that live, some among them, keep the engine in rotation and
must end well.
"""

import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from checks import refused
from fake_engine import MODEL, Call, chunk_of, usage_of
from gateway_process import KEY, chat_body, settings
from http_client import BrokenAnswer, Connection

# For each of two dialects; one stream in so many lives.
STREAMS = 576
LIVES = 8
DEATHS = STREAMS - STREAMS // LIVES
CLIENTS = 24
PROMPT = 7
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
LIMITS = {"tokens_per_day": 100_000_000, "concurrent_requests": 100}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def stream_of(call: Call, tokens: int) -> list[bytes]:
    """A whole answer in its parts: the head, the tokens, what ends it, and the framing's end."""
    events = [chunk_of(call, "word ") for _ in range(tokens)]
    events.append(chunk_of(call, None, "stop"))
    events.append({**chunk_of(call, None), "choices": [], "usage": usage_of(PROMPT, tokens)})
    texts = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
    texts.append(b"data: [DONE]\n\n")
    return [HEAD, *[b"%x\r\n%s\r\n" % (len(text), text) for text in texts], b"0\r\n\r\n"]


class Mortal:
    """Answers each request up to a byte that chance chooses, and dies."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.asked = self.resets = 0

    async def __call__(self, call: Call) -> None:
        parts = stream_of(call, self.random.randint(1, 12))
        self.asked += 1
        if self.asked % LIVES == 0:
            call.raw(b"".join(parts))
            # A connection that was kept and ends in order is replaced unseen.
            return call.close()
        # Each part as often as any other: most of the bytes are those of tokens.
        part = self.random.randrange(len(parts) - 1)
        # Behind the terminator's last byte an answer is whole, whatever its framing lacks.
        is_last = part == len(parts) - 2
        cut = self.random.randrange(len(parts[part]) - (2 if is_last else 0))
        call.raw(b"".join(parts[:part]) + parts[part][:cut])
        if self.random.random() < 0.3:
            self.resets += 1
            call.reset()
        else:
            call.close()
        return None


@dataclass
class Seen:
    """What a client saw of one request."""

    how: str
    tokens: int = 0


def ask(connection: Connection, path: str) -> Seen:
    """One request: whole, refused, or broken off without a sign of an end."""
    body = chat_body() if path == CHAT else {"model": MODEL, "prompt": "hi"}
    connection.request("POST", path, body | {"stream": True}, key=KEY)
    head = connection.head()
    if head.status != 200:
        head.body = b"".join(connection.pieces(head))
        refused(head, 502, "upstream_failed")
        assert head.fields["x-should-retry"] == "false"
        return Seen("refused")
    received = b""
    try:
        for piece in connection.pieces(head):
            received += piece
    except BrokenAnswer:
        assert b"[DONE]" not in received and b'"length"' not in received
        return Seen("broken", received.count(b'"word "'))
    assert received.endswith(b"data: [DONE]\n\n"), received
    return Seen("whole", received.count(b'"word "'))


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
def test_no_stream_ends_well_and_all_are_settled(start, engine, path):
    upstream = {"scrape_interval": "30s", "unhealthy_after": 100}
    gateway = start(settings(engine, limits=LIMITS, upstream=upstream))
    gateway.wait_scraped_once(engine)
    before = gateway.descriptors
    engine.default = mortal = Mortal(seed=7)
    left = threading.BoundedSemaphore(STREAMS)

    def client(_: int) -> list[Seen]:
        seen = []
        while left.acquire(blocking=False):
            with gateway.connect() as connection:
                seen.append(ask(connection, path))
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        seen = [one for many in pool.map(client, range(CLIENTS)) for one in many]
    counts = Counter(one.how for one in seen)
    print(counts, mortal.resets, gateway.tenant())
    # Behind a whole answer the engine closes. With the next request unread in its kernel that is a
    # reset: whether it was read nobody can tell, and it is not sent again.
    missed = len(seen) - len(engine.calls)
    assert len(seen) == STREAMS and 0 <= missed <= STREAMS // LIVES
    whole = len(engine.calls) // LIVES
    assert counts["whole"] == whole
    assert counts["refused"] > DEATHS // 50 and mortal.resets > DEATHS // 10
    gateway.assert_at_rest()
    tenant = gateway.tenant()
    ends = {how: count for how, count in tenant["requests"].items() if count}
    assert ends == {"engine_failed": STREAMS - whole, "completed": whole}
    assert tenant["tokens"]["output"] == sum(one.tokens for one in seen)
    assert gateway.used("tokens_per_day") == sum(
        tenant["tokens"][part] for part in ("input", "output")
    )
    gateway.assert_descriptors_return(before + 4)
