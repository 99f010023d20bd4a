# SPDX-License-Identifier: Apache-2.0
"""curl, in the ways that people use it."""

import json
import shutil
import subprocess

import pytest
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, chat_body, settings
from misbehaviour import die_mid_stream


@pytest.fixture
def curl():
    """Runs curl; gives its exit code, the status and what it received."""
    binary = shutil.which("curl")
    assert binary, "curl is not installed: make deps"

    def run(*arguments: str, stdin: bytes = b"") -> tuple[int, int, bytes, str]:
        result = subprocess.run(
            [binary, "--silent", "--show-error", "--max-time", "20", "--dump-header", "/dev/stderr"]
            + ["--write-out", "\n%{http_code}", *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            timeout=30,
        )
        body, _, status = result.stdout.rpartition(b"\n")
        return result.returncode, int(status), body, result.stderr.decode()

    return run


@pytest.fixture
def gateway(start, engine, tmp_path):
    configuration = settings(engine)
    configuration["models"][0]["context_length"] = 2_000_000
    engine.pressure.blocks = 1_000_000
    configuration["listeners"] += [
        {"address": f"unix:{tmp_path}/gateway.sock"},
        {"address": "[::1]:0"},
    ]
    return start(configuration)


JSON = ["-H", "Content-Type: application/json"]
AUTHORIZED = ["-H", f"Authorization: Bearer {KEY}", *JSON]
BODY = json.dumps(chat_body())


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0", "-0"])
@pytest.mark.parametrize("stream", [True, False])
def test_every_version_gets_the_whole_answer(gateway, curl, version, stream):
    url = f"{gateway.base_url}/v1/chat/completions"
    body = json.dumps(chat_body(stream=stream))
    code, status, received, _ = curl(version, url, *AUTHORIZED, "-d", body)
    assert (code, status) == (0, 200)
    if stream:
        assert received.count(b"data: ") == 6 and received.endswith(b"data: [DONE]\n\n")
    else:
        assert json.loads(received)["usage"]["completion_tokens"] == 4


def test_a_large_body_waits_to_be_invited(gateway, curl, engine):
    url = f"{gateway.base_url}/v1/chat/completions"
    body = json.dumps(chat_body("x y " * 262_144)).encode()
    assert len(body) > 1 << 20
    expect = ["-H", "Expect: 100-continue", "--data-binary", "@-"]
    code, status, _, told = curl(url, *AUTHORIZED, *expect, stdin=body)
    assert (code, status) == (0, 200)
    assert told.startswith("HTTP/1.1 100 Continue")
    assert engine.calls[0].body == body


def test_a_large_body_is_refused_without_being_sent(gateway, curl, engine):
    url = f"{gateway.base_url}/v1/chat/completions"
    body = b" " * (17 << 20)
    expect = ["-H", "Expect: 100-continue", "--data-binary", "@-"]
    code, status, received, told = curl(url, *AUTHORIZED, *expect, stdin=body)
    assert status == 413
    assert json.loads(received)["error"]["code"] == "request_too_large"
    assert "100 Continue" not in told
    assert not engine.calls


def test_a_large_body_that_is_refused_while_it_comes_still_gets_the_answer(gateway, curl, engine):
    url = f"{gateway.base_url}/v1/chat/completions"
    body = b" " * (3 << 20)
    wrong = ["-H", "Authorization: Bearer sk-wrong", *JSON, "-H", "Expect:"]
    code, status, received, _ = curl(url, *wrong, "--data-binary", "@-", stdin=body)
    assert status == 401
    assert json.loads(received)["error"]["code"] == "invalid_api_key"
    assert not engine.calls


def test_a_chunked_upload(gateway, curl, engine):
    url = f"{gateway.base_url}/v1/chat/completions"
    chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", "@-"]
    code, status, _, _ = curl(url, *AUTHORIZED, *chunked, stdin=BODY.encode())
    assert (code, status) == (0, 200)
    assert engine.calls[0].body == BODY.encode()


def test_a_unix_socket(gateway, curl, tmp_path):
    socket = ["--unix-socket", f"{tmp_path}/gateway.sock"]
    code, status, received, _ = curl(*socket, "http://any/v1/models", *AUTHORIZED)
    assert (code, status) == (0, 200)
    assert json.loads(received)["data"][0]["id"] == MODEL


def test_ipv6(gateway, curl):
    url = f"http://{gateway.listeners[2]}/v1/chat/completions"
    code, status, _, _ = curl("-g", "-6", url, *AUTHORIZED, "-d", BODY)
    assert (code, status) == (0, 200)


def test_several_requests_on_one_connection(gateway, curl):
    urls = [f"{gateway.base_url}/v1/models"] * 3
    code, status, _, told = curl("--verbose", *urls, *AUTHORIZED)
    assert (code, status) == (0, 200)
    assert told.count("< HTTP/1.1 200 OK") == 3
    assert told.count("Re-using existing connection") == 2, told


def test_head(gateway, curl):
    code, status, received, told = curl("-I", f"{gateway.base_url}/v1/models", *AUTHORIZED)
    assert (code, status) == (0, 200)
    assert "content-length:" in told.lower()


def test_a_stream_that_breaks_off_makes_curl_fail(gateway, curl, engine):
    engine.default = die_mid_stream(after=3, delay=0.1)
    url = f"{gateway.base_url}/v1/chat/completions"
    body = json.dumps(chat_body(stream=True))
    for version, wanted in (("--http1.1", {18, 56}), ("--http1.0", {18, 56})):
        code, status, received, _ = curl(version, "-N", url, *AUTHORIZED, "-d", body)
        assert status == 200 and received.count(b"data: ") == 3
        assert code in wanted, "curl must see that the answer is not complete"


def test_a_refusal_says_when_to_return_and_keeps_its_word(start, engine, curl):
    gateway = start(settings(engine, limits={"tokens_per_minute": 6_000}))
    engine.script(reply(usage=usage_of(1_000, 4_900)))
    url = f"{gateway.base_url}/v1/chat/completions"
    body = json.dumps(chat_body(max_tokens=300, ignore_eos=True))
    assert curl(url, *AUTHORIZED, "-d", body)[1] == 200
    code, status, received, told = curl(url, *AUTHORIZED, "-d", body)
    assert status == 429
    assert "retry-after-ms:" in told.lower() and "Retry-After:" in told
    # curl waits as long as Retry-After says, by itself.
    retry = ["--retry", "1", "--fail-with-body"]
    code, status, _, _ = curl(url, *AUTHORIZED, *retry, "-d", body)
    assert (code, status) == (0, 200)
