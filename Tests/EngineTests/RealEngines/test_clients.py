# SPDX-License-Identifier: Apache-2.0
"""The clients that people have: curl and the official SDK."""

import json
import subprocess

import openai
import pytest
from conftest import need, running
from engines import MODEL, Count, LlamaCpp
from gateway_process import KEY
from rig import CHAT, EMBEDDINGS, chat, exactly, settings

TEXT = [{"role": "user", "content": "import the module that reads a file"}]


@pytest.fixture
def client(gateway, engine):
    return openai.OpenAI(
        base_url=f"{gateway.base_url}/v1",
        api_key=KEY,
        max_retries=0,
        default_headers={"X-Traffic-Class": engine.name},
    )


def curl(gateway, engine, body: dict) -> str:
    return subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--fail-with-body", "--no-buffer"),
            *("-H", f"Authorization: Bearer {KEY}", "-H", f"X-Traffic-Class: {engine.name}"),
            *("-d", json.dumps(body), f"{gateway.base_url}{CHAT}"),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_curl_gets_an_answer(gateway, engine):
    answer = json.loads(curl(gateway, engine, chat(**exactly(10))))
    assert answer["usage"]["completion_tokens"] == 10
    assert answer["model"] == MODEL


def test_curl_gets_a_stream(gateway, engine):
    text = curl(gateway, engine, chat(**exactly(10), stream=True))
    events = [line for line in text.splitlines() if line]
    assert all(line.startswith("data: ") for line in events)
    assert events[-1] == "data: [DONE]"
    assert gateway.settled().output == 10


def test_the_sdk_gets_a_chat(client, gateway):
    answer = client.chat.completions.create(
        model="default", messages=TEXT, max_tokens=30, extra_body={"ignore_eos": True}
    )
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content
    assert gateway.settled() == Count(answer.usage.prompt_tokens, answer.usage.completion_tokens)


@pytest.mark.parametrize("asked", [False, True])
def test_the_sdk_gets_a_stream(client, gateway, asked):
    options = {"stream_options": {"include_usage": True}} if asked else {}
    stream = client.chat.completions.create(
        model="default",
        messages=TEXT,
        max_tokens=30,
        stream=True,
        extra_body={"ignore_eos": True},
        **options,
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(usages) == asked
    settled = gateway.settled()
    assert settled.output == 30
    if asked:
        assert settled == Count(usages[0].prompt_tokens, usages[0].completion_tokens)


def test_the_sdk_gets_a_completion_with_two_choices(client, gateway):
    answer = client.completions.create(
        model="default",
        prompt="def read(file):",
        max_tokens=15,
        n=2,
        extra_body={"ignore_eos": True},
    )
    assert [choice.finish_reason for choice in answer.choices] == ["length", "length"]
    assert gateway.settled().output == 30


def test_the_sdk_is_told_what_an_engine_finds_wrong(client, engine):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="default", messages=TEXT, max_tokens=5, top_p="all")
    assert caught.value.status_code == 400


def test_the_sdk_gets_embeddings(start):
    """llama-server has embeddings or answers, never both: it is one of its own."""
    need("llamacpp")
    server = LlamaCpp("embeddings", more=("--embeddings", "--pooling", "mean"))
    with running(server):
        gateway = start(settings(server))
        client = openai.OpenAI(base_url=f"{gateway.base_url}/v1", api_key=KEY, max_retries=0)
        before = server.count()
        answer = client.embeddings.create(
            model="default", input=["import os", "def read(file):"], encoding_format="float"
        )
        assert [len(item.embedding) for item in answer.data] == [512, 512]
        assert gateway.settled() == Count(answer.usage.prompt_tokens, 0)
        assert gateway.settled() == server.count() - before


def test_an_engine_without_embeddings_says_so(gateway, engine):
    answer = gateway.ask(engine, EMBEDDINGS, {"model": "default", "input": "import os"})
    assert answer.status == {"vllm": 404, "llamacpp": 501}[engine.kind], answer
    assert gateway.settled() == Count(0, 0)
