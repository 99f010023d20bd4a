# SPDX-License-Identifier: Apache-2.0
"""Requests that are refused for what stands in their body."""

import contextlib
import json
import threading
import time

import pytest
from checks import admitted, refused
from core_waits import Stopwatch
from fake_engine import MODEL
from gateway_process import KEY, OTHER_KEY, chat_body, settings
from http_client import request_bytes

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture
def gateway(start, engine):
    return start(settings(engine, http={"max_body": "1MiB"}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"model": "llama-test", "messages": [}',
        b'{"model": "llama-test"} x',
        b"not json",
        b'{"model": "llama-test", "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "llama-test", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "llama-test",}',
        b"{'model': 1}",
        b'{"model": "llama-test", "temperature": 01}',
        b'{"model": "llama-test", "temperature": NaN}',
    ],
)
def test_malformed_json_gets_400(gateway, engine, body):
    refused(gateway.post(CHAT, body), 400, "invalid_request")
    assert not engine.calls


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"1"])
def test_a_body_that_is_no_object_gets_400(gateway, body):
    refused(gateway.post(CHAT, body), 400, "invalid_request")


@pytest.mark.parametrize(
    ("path", "members", "param"),
    [
        (CHAT, {"model": 1}, "model"),
        (CHAT, {"model": None}, "model"),
        (CHAT, {"model": ["llama-test"]}, "model"),
        (CHAT, {"messages": "hi"}, "messages"),
        (CHAT, {"messages": {}}, "messages"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": ["hi"]}, "messages"),
        (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages"),
        (CHAT, {"stream": "yes"}, "stream"),
        (CHAT, {"stream": 1}, "stream"),
        (CHAT, {"stream_options": True, "stream": True}, "stream_options"),
        (CHAT, {"n": "two"}, "n"),
        (CHAT, {"n": 0}, "n"),
        (CHAT, {"n": -1}, "n"),
        (CHAT, {"n": 1.5}, "n"),
        (CHAT, {"n": 10**30}, "n"),
        (CHAT, {"max_tokens": "10"}, "max_tokens"),
        (CHAT, {"max_tokens": 0}, "max_tokens"),
        (CHAT, {"max_tokens": -5}, "max_tokens"),
        (CHAT, {"max_tokens": 1.5}, "max_tokens"),
        (CHAT, {"max_tokens": 10**40}, "max_tokens"),
        (CHAT, {"max_completion_tokens": "10"}, "max_completion_tokens"),
        (CHAT, {"max_completion_tokens": True}, "max_completion_tokens"),
        (COMPLETIONS, {"prompt": 5}, "prompt"),
        (COMPLETIONS, {"prompt": {"a": 1}}, "prompt"),
        (COMPLETIONS, {"prompt": "hi", "best_of": "x"}, "best_of"),
        (EMBEDDINGS, {"input": {"a": 1}}, "input"),
        (EMBEDDINGS, {"input": []}, "input"),
    ],
)
def test_a_member_of_a_wrong_type_gets_400_and_is_named(gateway, engine, path, members, param):
    body = {"model": MODEL}
    if path == CHAT:
        body["messages"] = MESSAGES
    error = refused(gateway.post(path, body | members), 400, "invalid_request", param)
    assert param in error["message"]
    assert not engine.calls


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (CHAT, {"messages": MESSAGES}, "model"),
        (CHAT, {"model": MODEL}, "messages"),
        (COMPLETIONS, {"model": MODEL}, "prompt"),
        (EMBEDDINGS, {"model": MODEL}, "input"),
    ],
)
def test_a_missing_member_gets_400_and_is_named(gateway, path, body, param):
    refused(gateway.post(path, body), 400, "invalid_request", param)


@pytest.mark.parametrize("name", ["model", "messages"])
def test_a_member_that_stands_twice_gets_400(gateway, engine, name):
    body = chat_body()
    text = json.dumps(body)[:-1] + f', "{name}": {json.dumps(body[name])}}}'
    refused(gateway.post(CHAT, text.encode()), 400, "invalid_request", name)
    assert not engine.calls


@pytest.mark.parametrize(
    ("name", "first", "last"), [("stream", True, False), ("max_tokens", 9, 5), ("n", 1, 2)]
)
def test_a_simple_member_that_stands_twice_is_made_one_and_the_last_counts(
    gateway, engine, name, first, last
):
    text = json.dumps(chat_body(**{name: first}))[:-1] + f', "{name}": {json.dumps(last)}}}'
    admitted(gateway.post(CHAT, text.encode()))
    [call] = engine.calls
    pairs = json.loads(call.body, object_pairs_hook=list)
    assert [value for key, value in pairs if key == name] == [last]


def test_a_member_that_stands_twice_under_an_escaped_name_gets_400(gateway, engine):
    text = json.dumps(chat_body())[:-1] + ', "mod\\u0065l": "other"}'
    refused(gateway.post(CHAT, text.encode()), 400, "invalid_request", "model")
    assert not engine.calls


def test_an_unknown_model_gets_404(gateway, engine):
    error = refused(gateway.chat(model="nonesuch"), 404, "model_not_found", "model")
    assert "model" in error["message"]
    assert not engine.calls


def test_a_model_that_is_not_the_tenants_gets_403(gateway, engine):
    refused(gateway.chat(model="not-for-acme"), 403, "model_not_allowed", "model")
    assert not engine.calls
    admitted(gateway.chat(OTHER_KEY, model="not-for-acme"))


def test_an_alias_becomes_the_models_name(gateway, engine):
    admitted(gateway.chat(model="alias"))
    admitted(gateway.post(CHAT, b'{"model": "al\\u0069as", "messages": [{"role":"user"}]}'))
    assert [call.json["model"] for call in engine.calls] == [MODEL, MODEL]


def test_what_the_gateway_does_not_know_reaches_the_engine_byte_for_byte(gateway, engine):
    body = (
        b'{ "model":"llama-test","messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],'
        b'"seed":12345678901234567890123,"temperature":1.10,"odd":{"a":[1e400,-0.0]},'
        b'"stream":false}'
    )
    admitted(gateway.post(CHAT, body))
    [call] = engine.calls
    assert call.body == body


def test_a_prompt_over_the_models_context_gets_400(gateway, engine):
    text = "word " * 12_000
    error = refused(gateway.chat(text=text), 400, "context_length_exceeded", "messages")
    assert "8192" in error["message"]
    body = {"model": MODEL, "prompt": text}
    refused(gateway.post(COMPLETIONS, body), 400, "context_length_exceeded", "prompt")
    body = {"model": MODEL, "input": text}
    refused(gateway.post(EMBEDDINGS, body), 400, "context_length_exceeded", "input")
    assert not engine.calls


def test_a_prompt_over_the_tenants_cap_gets_400(start, engine):
    gateway = start(settings(engine, limits={"max_prompt_tokens": 100}))
    error = refused(
        gateway.chat(text="word " * 300), 400, "context_length_exceeded", "messages"
    )
    assert "100" in error["message"]
    assert not engine.calls
    admitted(gateway.chat())


def test_an_output_bound_over_the_tenants_cap_is_lowered_and_the_client_told(start, engine):
    gateway = start(settings(engine, limits={"max_completion_tokens": 50}))
    answer = gateway.chat(max_tokens=500)
    admitted(answer, "clamped")
    assert answer.fields["x-penstock-max-tokens"] == "50"
    answer = gateway.chat()
    admitted(answer, "clamped")
    both = gateway.chat(max_tokens=1, max_completion_tokens=10_000)
    admitted(both, "clamped")
    answer = gateway.chat(max_completion_tokens=20)
    admitted(answer)
    assert "x-penstock-max-tokens" not in answer.fields
    first, second, third, fourth = [call.json for call in engine.calls]
    assert first["max_tokens"] == 50
    assert 50 in (second.get("max_tokens"), second.get("max_completion_tokens"))
    assert max(third.get("max_tokens", 0), third.get("max_completion_tokens", 0)) <= 50
    assert fourth["max_completion_tokens"] == 20


def test_a_minimum_over_the_lowered_bound_is_lowered_with_it(start, engine):
    gateway = start(settings(engine, limits={"max_completion_tokens": 50}))
    admitted(gateway.chat(max_tokens=500, min_tokens=400), "clamped")
    [call] = engine.calls
    assert call.json["max_tokens"] == 50 and call.json["min_tokens"] <= 50


def test_nesting_over_the_limit_gets_400(gateway, engine):
    deep = b'{"model": "llama-test", "x": ' + b"[" * 70 + b"]" * 70 + b"}"
    error = refused(gateway.post(CHAT, deep), 400, "invalid_request")
    assert "64" in error["message"]
    bottomless = b'{"x": ' + b"[" * 500_000
    refused(gateway.post(CHAT, bottomless), 400, "invalid_request")
    assert not engine.calls


def test_nesting_within_the_limit_is_taken(gateway):
    deep = json.dumps(chat_body())[:-1] + ', "x": ' + "[" * 60 + "]" * 60 + "}"
    admitted(gateway.post(CHAT, deep.encode()))


# Size.


def test_a_body_announced_as_too_large_gets_413_before_it_is_sent(gateway, engine):
    with gateway.connect() as connection:
        head = request_bytes(
            "x", "POST", CHAT, None, {"Content-Length": str(2 << 20)}, key=KEY
        )
        connection.send(head)
        error = refused(connection.answer(), 413, "request_too_large")
        assert str(1 << 20) in error["message"]
        assert connection.is_closed()
    assert not engine.calls


def test_an_announcement_of_any_size_is_only_a_number(gateway):
    for length in ("99999999999999999999999", str(2**63), str(2**64 + 5)):
        with gateway.connect() as connection:
            connection.send(
                request_bytes("x", "POST", CHAT, None, {"Content-Length": length}, key=KEY)
            )
            assert connection.answer().status in (400, 413)
            assert connection.is_closed()


def test_a_chunked_body_that_grows_too_large_gets_413(gateway, engine):
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Transfer-Encoding": "chunked"}, KEY)
        block = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
        for _ in range(16):
            connection.send(block)
        # One byte more than the limit; what follows would only run into the closed connection.
        connection.send(b"1\r\n \r\n")
        refused(connection.answer(), 413, "request_too_large")
        assert connection.is_closed()
    assert not engine.calls


def test_a_body_of_the_largest_size_is_taken(gateway, engine):
    body = json.dumps(chat_body()).encode()
    body += b" " * ((1 << 20) - len(body))
    admitted(gateway.post(CHAT, body))
    assert engine.calls[0].body == body


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"2\n{}\r\n0\r\n\r\n",
        b"2\r\n{}XX0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"2 \r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"2;" + b"x" * 6000 + b"\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_malformed_chunks_get_400_and_the_connection_closes(gateway, engine, chunks):
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Transfer-Encoding": "chunked"}, KEY)
        connection.send(chunks)
        refused(connection.answer(), 400, "bad_request")
        assert connection.is_closed()
    assert not engine.calls


@pytest.mark.parametrize(
    ("chunks", "status", "code"),
    [
        (b"fffffffffffffffff\r\n", 413, "request_too_large"),
        (b"7fffffffffffffff0\r\n", 413, "request_too_large"),
        (b"2\r\n{}\r\n0\r\nX-A: " + b"x" * 9_000 + b"\r\n\r\n", 431, "header_too_large"),
        (b"2\r\n{}\r\n0\r\n" + b"X-A: x\r\n" * 200 + b"\r\n", 431, "header_too_large"),
    ],
)
def test_a_chunked_body_over_a_limit_is_told_which(gateway, engine, chunks, status, code):
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Transfer-Encoding": "chunked"}, KEY)
        connection.send(chunks)
        refused(connection.answer(), status, code)
        assert connection.is_closed()
    assert not engine.calls


def test_a_body_that_does_not_come_in_time_is_cut_off(start, engine):
    gateway = start(settings(engine, http={"body_timeout": "300ms"}))
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Content-Length": "100"}, KEY)
        connection.send(b"{")
        refused(connection.answer(), 408, "bad_request")
        assert connection.is_closed()
    assert not engine.calls


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_trickles_below_the_floor_is_cut_off(start, engine, framing):
    http = {"body_timeout": "500ms", "body_floor": "1KiB", "idle_timeout": "60s"}
    gateway = start(settings(engine, http=http))
    fields = (
        {"Content-Length": "100000"} if framing == "length" else {"Transfer-Encoding": "chunked"}
    )
    piece = b" " * 10 if framing == "length" else b"a\r\n" + b" " * 10 + b"\r\n"
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, fields, KEY)
        began = Stopwatch()
        # No pause in it is long, and bytes keep coming: the whole is too slow.
        sender = threading.Thread(target=trickle, args=(connection, piece, 0.05, 400))
        sender.start()
        refused(connection.answer(), 408, "bad_request")
        passed, took = began.passed, began.seconds
        sender.join()
    assert 0.4 < passed and took < 5, (passed, took)
    assert not engine.calls
    gateway.assert_at_rest()


def test_a_slow_body_above_the_floor_is_waited_for(start, engine):
    gateway = start(settings(engine, http={"body_timeout": "500ms", "body_floor": "256B"}))
    body = json.dumps(chat_body()).encode()
    body += b" " * (4_000 - len(body))
    with gateway.connect() as connection:
        connection.request("POST", CHAT, None, {"Content-Length": str(len(body))}, KEY)
        began = time.monotonic()
        for start_of in range(0, len(body), 500):
            connection.send(body[start_of : start_of + 500])
            time.sleep(0.25)
        # Four times the floor's pace, and four times the time that nothing would have had.
        admitted(connection.answer())
        assert time.monotonic() - began > 1.9
    assert engine.calls[0].body == body


def trickle(connection, piece: bytes, pause: float, count: int) -> None:
    """Sends pieces with pauses between them, until the gateway has had enough."""
    with contextlib.suppress(OSError):
        for _ in range(count):
            connection.send(piece)
            time.sleep(pause)


def test_a_head_that_does_not_come_in_time_is_cut_off(start, engine):
    gateway = start(settings(engine, http={"head_timeout": "300ms"}))
    with gateway.connect() as connection:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost:")
        assert connection.answer().status in (400, 408)
        assert connection.is_closed()
