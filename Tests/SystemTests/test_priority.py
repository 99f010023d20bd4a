# SPDX-License-Identifier: Apache-2.0
"""The order that engines are told: each class's, in the engine's own direction."""

import pytest
from checks import admitted
from fake_engine import MODEL
from gateway_process import settings

COMPLETIONS = "/v1/completions"


def ordered(engine, kind: str = "vllm", field: bool = True) -> dict:
    configuration = settings(engine, interactive={"priority": 4})
    configuration["classes"][1]["priority"] = -4
    configuration["pools"][0] |= {"engine": kind, "priority_field": field}
    return configuration


@pytest.mark.parametrize(
    "kind, quick, slow", [("vllm", -4, 4), ("sglang", 4, -4), ("trtllm", 0.7, 0.3)]
)
def test_each_engine_gets_the_classs_place_in_its_own_direction(
    start, engine, kind, quick, slow
):
    gateway = start(ordered(engine, kind))
    gateway.wait_healthy(engine)
    admitted(gateway.chat(stream=True))
    admitted(gateway.chat(fields={"X-Traffic-Class": "batch"}, priority=-99))
    body = {"model": MODEL, "prompt": "x", "priority": 99}
    admitted(gateway.post(COMPLETIONS, body))
    got = [call.json["priority"] for call in engine.calls]
    assert got == [quick, slow, quick]
    # Said once: a second one would be the one that counts.
    assert all(call.body.count(b'"priority"') == 1 for call in engine.calls)


def test_without_it_engines_hear_nothing_of_priority_whatever_clients_say(start, engine):
    gateway = start(ordered(engine, field=False))
    admitted(gateway.chat(priority=-99))
    admitted(gateway.chat())
    assert all("priority" not in call.json for call in engine.calls)
