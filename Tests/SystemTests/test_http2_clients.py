# SPDX-License-Identifier: Apache-2.0
"""Programs and libraries that speak HTTP/2."""

import json
import re
import shutil
import subprocess
import textwrap

import httpx
import openai
import pytest
from fake_engine import MODEL, reply
from gateway_process import KEY, chat_body, settings

CHAT = "/v1/chat/completions"
BODY = json.dumps(chat_body())
STREAMED = json.dumps(chat_body(stream=True))


@pytest.fixture
def gateway(start, engine):
    configuration = settings(engine)
    configuration["listeners"][0]["protocols"] = ["http1", "http2"]
    return start(configuration)


def tool(name: str) -> str:
    binary = shutil.which(name)
    assert binary, f"{name} is not installed: make deps"
    return binary


def run(*command: object, stdin: str = "") -> subprocess.CompletedProcess:
    return subprocess.run(
        [*map(str, command)], input=stdin, capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize("body", [BODY, STREAMED], ids=["whole", "streamed"])
def test_curl(gateway, body):
    result = run(
        *[tool("curl"), "--http2-prior-knowledge", "--silent", "--show-error", "--max-time", 20],
        *["-H", f"Authorization: Bearer {KEY}", "-w", "\n%{http_version} %{http_code}"],
        *["-d", body, f"{gateway.base_url}{CHAT}"],
    )
    answer, _, told = result.stdout.rpartition("\n")
    assert told == "2 200" and "word" in answer
    if body == STREAMED:
        assert answer.endswith("data: [DONE]\n\n")


def test_nghttp(gateway, tmp_path):
    body = tmp_path / "body.json"
    body.write_text(STREAMED)
    result = run(
        *[tool("nghttp"), "-v", "-d", body, "-H", f"authorization: Bearer {KEY}"],
        f"{gateway.base_url}{CHAT}",
    )
    assert ":status: 200" in result.stdout and "data: [DONE]" in result.stdout
    assert "END_STREAM" in result.stdout and "PROTOCOL_ERROR" not in result.stdout


def test_h2load(gateway, engine, tmp_path):
    engine.pressure.blocks = 1_000_000
    body = tmp_path / "body.json"
    body.write_text(BODY)
    result = run(
        *[tool("h2load"), "-n", 500, "-c", 5, "-m", 20, "-d", body],
        *["-H", f"authorization: Bearer {KEY}", f"{gateway.base_url}{CHAT}"],
    )
    assert re.search(r"500 total, 500 started, 500 done, 500 succeeded", result.stdout), result
    assert "status codes: 500 2xx" in result.stdout


def test_httpx(gateway, engine):
    engine.default = reply(6)
    fields = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(http1=False, http2=True, base_url=gateway.base_url, headers=fields) as client:
        for _ in range(20):
            answer = client.post(CHAT, content=BODY)
            assert answer.http_version == "HTTP/2" and answer.status_code == 200
        with client.stream("POST", CHAT, content=STREAMED) as stream:
            lines = [line for line in stream.iter_lines() if line]
        assert lines[-1] == "data: [DONE]" and len(lines) > 6
        large = chat_body(text="word " * 200_000)
        assert client.post(CHAT, json=large).status_code == 400


def test_the_openai_sdk(gateway, engine):
    engine.default = reply(5)
    with (
        httpx.Client(http1=False, http2=True) as transport,
        openai.OpenAI(
            base_url=f"{gateway.base_url}/v1", api_key=KEY, http_client=transport, max_retries=0
        ) as client,
    ):
        messages = [{"role": "user", "content": "Say hello."}]
        whole = client.chat.completions.create(model=MODEL, messages=messages)
        assert whole.choices[0].message.content
        stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
        assert sum(bool(chunk.choices) for chunk in stream) >= 5
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nonesuch", messages=messages)
        assert [model.id for model in client.models.list()] == [MODEL]


SCRIPT = """
    const http2 = require('node:http2');
    const [url, key, body, count] = process.argv.slice(1);
    const session = http2.connect(url);
    let left = Number(count), failed = 0;
    for (let n = 0; n < Number(count); n++) {
      const request = session.request({
        ':method': 'POST', ':path': '/v1/chat/completions', authorization: `Bearer ${key}` });
      let status = 0, text = '';
      request.on('response', head => { status = head[':status']; });
      request.setEncoding('utf8');
      request.on('data', piece => { text += piece; });
      request.on('error', () => { failed++; });
      request.on('close', () => {
        if (status !== 200 || !text.endsWith('data: [DONE]\\n\\n')) failed++;
        if (--left === 0) { console.log(`failed ${failed}`); session.close(); }
      });
      request.end(body);
    }
"""


def test_node(gateway, engine):
    binary = shutil.which("node")
    if not binary:
        pytest.skip("node is not at hand")
    engine.default = reply(4)
    result = run(
        binary, "-e", textwrap.dedent(SCRIPT), gateway.base_url, KEY, STREAMED, 50
    )
    assert result.stdout == "failed 0\n", result
