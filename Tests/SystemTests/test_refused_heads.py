# SPDX-License-Identifier: Apache-2.0
"""Requests that are refused for what stands in their head."""

import pytest
from checks import admitted, refused
from fake_engine import MODEL
from gateway_process import KEY, OTHER_KEY, chat_body, settings
from http_client import request_bytes

CHAT = "/v1/chat/completions"


@pytest.fixture
def gateway(start, engine):
    return start(settings(engine))


def test_a_request_without_a_key_gets_401(gateway, engine):
    refused(gateway.chat(key=None), 401, "invalid_api_key")
    assert not engine.calls


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
def test_a_wrong_key_gets_401_on_every_path(gateway, engine, path):
    refused(gateway.post(path, chat_body(), key="sk-wrong"), 401, "invalid_api_key")
    refused(gateway.get("/v1/models", key="sk-wrong"), 401, "invalid_api_key")
    assert not engine.calls


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "api-key"])
def test_the_key_may_stand_in_any_of_three_fields_and_never_reaches_the_engine(
    gateway, engine, name
):
    value = f"Bearer {KEY}" if name == "Authorization" else KEY
    admitted(gateway.chat(key=None, fields={name: value}))
    [call] = engine.calls
    assert KEY not in str(call.fields)


def test_two_different_keys_get_401_even_if_both_are_good(gateway, engine):
    refused(gateway.chat(KEY, fields={"x-api-key": OTHER_KEY}), 401, "invalid_api_key")
    refused(gateway.chat(KEY, fields={"api-key": "sk-wrong"}), 401, "invalid_api_key")
    assert not engine.calls


def test_the_same_key_in_two_fields_is_one_key(gateway):
    admitted(gateway.chat(KEY, fields={"x-api-key": KEY, "api-key": KEY}))


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "Bearer ", KEY, f"Bearer {KEY} x"])
def test_what_is_no_bearer_key_gets_401(gateway, value):
    refused(gateway.chat(key=None, fields={"Authorization": value}), 401, "invalid_api_key")


def test_an_unknown_class_gets_400(gateway, engine):
    answer = gateway.chat(fields={"X-Traffic-Class": "nonesuch"})
    assert answer.status == 400
    assert answer.error["code"] == "invalid_request"
    assert "X-Traffic-Class" in answer.error["message"]
    assert not engine.calls


def test_a_class_that_is_not_the_tenants_gets_403(gateway, engine):
    answer = gateway.chat(fields={"X-Traffic-Class": "not-for-acme"})
    refused(answer, 403, "class_not_allowed")
    admitted(gateway.chat(OTHER_KEY, fields={"X-Traffic-Class": "not-for-acme"}))
    assert len(engine.calls) == 1


def test_a_class_that_is_the_tenants_serves(gateway, engine):
    admitted(gateway.chat(fields={"X-Traffic-Class": "batch"}))
    [call] = engine.calls
    assert call.field("x-traffic-class") is None


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/chat", "/v1/chat/completions/", "/v1//models", "/v1/../v1/models",
     "/metrics"],
)
def test_an_unknown_path_gets_404(gateway, engine, path):
    refused(gateway.get(path), 404, "not_found")
    refused(gateway.post(path, chat_body()), 404, "not_found")
    assert not engine.calls


def test_a_wrong_method_gets_405_and_what_would_be_right(gateway):
    answer = gateway.get(CHAT)
    refused(answer, 405, "method_not_allowed")
    assert answer.fields["allow"] == "POST"
    with gateway.connect() as connection:
        answer = connection.exchange("DELETE", "/v1/models", key=KEY)
    refused(answer, 405, "method_not_allowed")
    assert answer.fields["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("HEAD", "/v1/models", 200), ("HEAD", CHAT, 405), ("HEAD", "/nonesuch", 404)],
)
def test_head_gets_the_fields_of_the_answer_and_no_body(gateway, method, path, status):
    with gateway.connect() as connection:
        answer = connection.exchange(method, path, key=KEY)
        assert answer.status == status
        assert int(answer.fields["content-length"]) > 0
        # The connection is still in step: nothing of a body stands in the way.
        assert connection.exchange("GET", "/v1/models", key=KEY).status == 200


def test_head_with_a_wrong_key_gets_401_without_a_body(gateway):
    with gateway.connect() as connection:
        answer = connection.exchange("HEAD", "/v1/models", key="sk-wrong")
        assert answer.status == 401 and answer.fields["www-authenticate"] == "Bearer"
        assert connection.exchange("GET", "/v1/models", key=KEY).status == 200


def test_the_models_are_those_of_the_tenant(gateway):
    answer = gateway.get("/v1/models")
    assert answer.status == 200
    assert [model["id"] for model in answer.json["data"]] == [MODEL]
    assert gateway.get(f"/v1/models/{MODEL}").json["id"] == MODEL
    refused(gateway.get("/v1/models/not-for-acme"), 404, "model_not_found", "model")
    refused(gateway.get("/v1/models/nonesuch"), 404, "model_not_found", "model")


def test_a_request_id_is_kept_forwarded_and_returned(gateway, engine):
    answer = gateway.chat(fields={"X-Request-Id": "mine-42"})
    assert answer.fields["x-request-id"] == "mine-42"
    [call] = engine.calls
    assert call.field("x-request-id") == "mine-42"


@pytest.mark.parametrize("value", ["", "x" * 129, "two words"])
def test_a_request_id_that_will_not_do_is_replaced(gateway, engine, value):
    answer = gateway.chat(fields={"X-Request-Id": value})
    made = answer.fields["x-request-id"]
    assert made != value and 8 <= len(made) <= 128
    [call] = engine.calls
    assert call.field("x-request-id") == made


def test_an_early_refusal_of_a_request_with_a_body_leaves_the_connection_in_step_or_closes_it(
    gateway,
):
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body("x" * 200_000), key="sk-wrong")
        answer = connection.answer()
        refused(answer, 401, "invalid_api_key")
        if answer.fields.get("connection") == "close":
            assert connection.is_closed()
        else:
            admitted(connection.exchange("POST", CHAT, chat_body(), key=KEY))


# Limits on size.


def test_too_large_a_head_gets_431_and_the_connection_closes(gateway, engine):
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(), {"X-Padding": "x" * 40_000}, KEY)
        refused(connection.answer(), 431, "header_too_large")
        assert connection.is_closed()
    assert not engine.calls


def test_too_many_fields_get_431(gateway):
    fields = {f"X-Field-{number}": "x" for number in range(140)}
    with gateway.connect() as connection:
        connection.request("POST", CHAT, chat_body(), fields, KEY)
        refused(connection.answer(), 431, "header_too_large")
        assert connection.is_closed()


def test_too_long_a_target_gets_414(gateway):
    with gateway.connect() as connection:
        connection.request("GET", "/v1/models?" + "x" * 9_000, key=KEY)
        answer = connection.answer("GET")
        assert answer.status == 414
        assert answer.error["code"] == "bad_request"
        assert connection.is_closed()


def test_a_head_of_the_largest_size_is_taken(gateway):
    admitted(gateway.chat(fields={"X-Padding": "x" * 31_000}))


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /v1/chat/completions",
        "POST  /v1/chat/completions HTTP/1.1",
        "POST /v1/chat/completions HTTP/1.1 ",
        "POST /v1/chat/completions HTTP/9.1",
        "PO ST /v1/chat/completions HTTP/1.1",
    ],
)
def test_a_malformed_request_line_gets_400_or_505_and_the_connection_closes(gateway, request_line):
    with gateway.connect() as connection:
        connection.send(f"{request_line}\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        answer = connection.answer()
        assert answer.status in (400, 505)
        assert answer.error["code"] == "bad_request"
        assert connection.is_closed()


@pytest.mark.parametrize(
    "fields",
    [
        "Host: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n",
        "Host: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: x\r\nContent-Length: +2\r\n",
        "Host: x\r\nX-A : b\r\nContent-Length: 2\r\n",
        "Host: x\r\nX-A: b\r\n folded\r\nContent-Length: 2\r\n",
        "Host: x\nContent-Length: 2\r\n",
        "Host: x\r\nHost: y\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\n",
        "Host: x\r\nX-A: b\x00c\r\nContent-Length: 2\r\n",
        "Host: x\r\nX-A: caf\u00e9\r\nContent-Length: 2\r\n",
    ],
)
def test_ambiguous_or_malformed_fields_are_refused_and_the_connection_closes(
    gateway, engine, fields
):
    with gateway.connect() as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\n{fields}\r\n"
        connection.send(head.encode() + b"{}")
        answer = connection.answer()
        assert answer.status in (400, 501)
        assert answer.error["code"] == "bad_request"
        assert "x-request-id" in answer.fields
        assert connection.is_closed()
    assert not engine.calls


def test_a_refused_head_does_not_let_what_follows_run(gateway, engine):
    smuggled = request_bytes("x", "POST", CHAT, chat_body(), key=KEY)
    with gateway.connect() as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n"
        connection.send(head.encode() + smuggled)
        assert connection.answer().status == 400
        assert connection.is_closed()
    assert not engine.calls
