# SPDX-License-Identifier: Apache-2.0
"""What the log says of faults holds no secret, neither the operator's nor a client's."""

import pytest
from checks import admitted, refused
from fake_engine import reply
from gateway_process import KEY, OTHER_KEY, TOKEN, settings
from http_client import Connection
from misbehaviour import die_before_head, fails_with
from waiting import eventually

WRONG_KEY = "sk-wrong-0123456789abcdef"
ENGINE_KEY = "sk-engine-0123456789abcdef"
STORE_PASSWORD = "store-password-0123456789abcdef"
SECRETS = [KEY, OTHER_KEY, TOKEN, WRONG_KEY, ENGINE_KEY, STORE_PASSWORD]


@pytest.fixture
def configuration(engine):
    """Every secret that a configuration can hold, and a store that is not there."""
    configuration = settings(
        engine,
        store={
            "kind": "redis",
            "redis": {
                # Port 1 takes nobody: an ordinary process may not listen there.
                "addresses": ["127.0.0.1:1"],
                "password": STORE_PASSWORD,
                "on_failure": "open",
            },
        },
    )
    configuration["admin"]["token"] = TOKEN
    configuration["pools"][0]["key"] = ENGINE_KEY
    return configuration


def assert_log_is_clean(gateway, said):
    """To the end, which is in the log as well."""
    gateway.wait_log(said)
    assert gateway.stop() == 0
    log = "\n".join(gateway.logs)
    for secret in SECRETS:
        assert secret not in log
    for hashed in [key for tenant in gateway.configuration["tenants"] for key in tenant["keys"]]:
        assert hashed.removeprefix("sha256:") not in log


def test_faults_of_clients_engines_and_stores_are_logged_without_secrets(
    start, engine, configuration
):
    gateway = start(configuration)
    engine.script(reply(tokens=2), fails_with(500, {"error": "engine"}))
    admitted(gateway.chat())
    assert gateway.chat().status >= 500
    # As many as it may be tried again.
    engine.script(*[die_before_head() for _ in range(8)])
    assert gateway.chat().status >= 500
    refused(gateway.chat(key=WRONG_KEY), 401, "invalid_api_key")
    assert gateway.post("/v1/chat/completions", b'{"model": ').status == 400
    assert gateway.admin("/admin/tenants", key=WRONG_KEY).status == 401
    with Connection(gateway.address) as connection:
        connection.send(f"GET / HTTP/1.1\r\nAuthorization : Bearer {WRONG_KEY}\r\n\r\n".encode())
        assert connection.answer().status == 400
    engine.stop()
    gateway.wait_log("probe ")
    eventually(lambda: gateway.chat().status == 503)
    assert_log_is_clean(gateway, "store")


def test_a_rejected_reload_names_the_place_and_not_the_value(start, configuration):
    gateway = start(configuration)
    wrong = configuration | {"tenants": [{"id": "acme", "keys": [KEY]}]}
    gateway.write(wrong)
    answer = gateway.admin("/admin/reload", "POST", key=TOKEN)
    assert answer.status == 400
    for secret in SECRETS:
        assert secret not in answer.body.decode()
    assert_log_is_clean(gateway, "tenants")
