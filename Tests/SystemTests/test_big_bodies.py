# SPDX-License-Identifier: Apache-2.0
"""Bodies that other threads read: the same answers as to small ones, and others go on meanwhile."""

import json
import socket

import pytest
from checks import admitted, refused
from fake_engine import MODEL
from gateway_process import KEY, chat_body, settings
from http_client import Connection
from test_request_traces import named, trace
from test_truncation import asked, said

PATH = "/v1/chat/completions"
# What is read by the worker, everywhere below but where it says so.
SMALL = {"counting": {"read_inline": "1KiB"}}
TEXT = "tokens onto engines, é 水 \n " * 100


def configured(engine, **sections: object) -> dict:
    return settings(engine, **({"workers": 1} | SMALL | sections))


def test_it_asks_for_what_a_small_one_asks_for(start, engine):
    one = start(configured(engine))
    other = start(configured(engine, counting={"read_inline": "1MiB"}))
    bodies = [
        chat_body(TEXT, max_tokens=7),
        chat_body(TEXT, max_completion_tokens=9, stream=True),
        chat_body(TEXT, model="alias", max_tokens=5, n=2),
        chat_body(TEXT, model="\\u0061lias", max_tokens=5),
    ]
    for number, body in enumerate(bodies):
        text = json.dumps(body).replace("\\\\u0061", "\\u0061").encode()
        seen = []
        for gateway in (one, other):
            admitted(gateway.post(PATH, text, fields=named(f"same-{number}")))
            estimate = trace(gateway, f"same-{number}")["estimate"]
            seen.append((estimate["input_by_text"], engine.calls[-1].json))
        assert seen[0] == seen[1]
    for gateway in (one, other):
        gateway.assert_at_rest()


@pytest.mark.parametrize(
    ("change", "status", "code", "param"),
    [
        (lambda text: text[:-1], 400, "invalid_request", None),
        (lambda text: text.replace(MODEL, "unheard-of"), 404, "model_not_found", "model"),
        (lambda text: text.replace(MODEL, "not-for-acme"), 403, "model_not_allowed", "model"),
        (lambda text: text.replace('"max_tokens": 7', '"max_tokens": 0'), 400, "invalid_request",
         "max_tokens"),
    ],
)
def test_it_is_refused_as_a_small_one_is(start, engine, change, status, code, param):
    gateway = start(configured(engine))
    text = change(json.dumps(chat_body(TEXT, max_tokens=7)))
    with Connection(gateway.address) as connection:
        # Twice: what is sent behind the first one is served on the same connection.
        for _ in range(2):
            connection.request("POST", PATH, text.encode(), key=KEY)
        for _ in range(2):
            refused(connection.answer(), status, code, param)
    assert not engine.calls
    gateway.assert_at_rest()


def test_what_is_sent_behind_it_waits_its_turn(start, engine):
    gateway = start(configured(engine))
    with Connection(gateway.address) as connection:
        for text in (TEXT, "small", TEXT * 3):
            connection.request("POST", PATH, chat_body(text, max_tokens=7), key=KEY)
        for _ in range(3):
            admitted(connection.answer())
    texts = [call.json["messages"][0]["content"] for call in engine.calls]
    assert texts == [TEXT, "small", TEXT * 3]


def test_too_long_a_prompt_is_made_to_fit(start, engine):
    limits = {"max_prompt_tokens": 600, "overlong_prompt": "truncate_oldest_messages"}
    gateway = start(configured(engine, limits=limits))
    body = asked(said("user", 900), said("user", 100))
    admitted(gateway.post(PATH, body), "truncated")
    assert engine.calls[-1].json["messages"] == body["messages"][1:]


def test_where_too_much_waits_the_worker_reads_it(start, engine):
    waiting = {"read_inline": "0KiB", "max_waiting": "1MiB"}
    gateway = start(configured(engine, counting=waiting))
    text = json.dumps(chat_body("p" * 700_000, max_tokens=5)).encode()
    connections = [Connection(gateway.address) for _ in range(8)]
    for connection in connections:
        connection.request("POST", PATH, text, key=KEY)
    for connection in connections:
        # Longer than the model's context.
        refused(connection.answer(), 400, "context_length_exceeded", "messages")
        connection.close()


def test_a_client_that_leaves_meanwhile_is_forgotten(start, engine):
    gateway = start(configured(engine))
    for _ in range(20):
        connection = Connection(gateway.address)
        connection.request("POST", PATH, chat_body("p" * 300_000, max_tokens=5), key=KEY)
        connection.socket.shutdown(socket.SHUT_RDWR)
        connection.close()
    admitted(gateway.chat(max_tokens=5))
    gateway.assert_at_rest()
