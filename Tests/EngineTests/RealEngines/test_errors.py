# SPDX-License-Identifier: Apache-2.0
"""What an engine refuses is answered as the engine put it, and costs nothing."""

import json

import pytest
from engines import MODEL, Count
from rig import CHAT, COMPLETIONS, chat, completion, exactly

# Longer than an engine's context here, shorter than what the gateway believes it to be.
LONG = "word " * 9000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(temperature="hot")),
        (CHAT, chat(top_p=[1])),
        (CHAT, chat(LONG)),
        (COMPLETIONS, completion(LONG)),
    ],
    ids=["text for a number", "list for a number", "long chat", "long prompt"],
)
def test_what_an_engine_finds_wrong_is_its_own_400(gateway, engine, path, body, stream):
    body = body | exactly(5) | {"stream": stream}
    status, own = engine.post(path, body | {"model": MODEL})
    assert status == 400
    answer = gateway.ask(engine, path, body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"] == own["error"]
    assert gateway.settled() == Count(0, 0)


def test_engines_that_refuse_stay_in_rotation(gateway, engine):
    for _ in range(5):
        assert gateway.ask(engine, CHAT, chat(temperature="hot")).status == 400
    assert gateway.endpoint(engine)["available"]
    assert gateway.ask(engine, CHAT, chat(**exactly(5))).status == 200
