# SPDX-License-Identifier: Apache-2.0
"""TLS with engines."""

import pytest
from certificates import Authority
from checks import refused
from fake_engine import reply
from gateway_process import settings
from tls_gateway import authority


@pytest.fixture
def secure_engine(authority, new_engine):
    def make(names: str = "IP:127.0.0.1", clients: bool = False, ours: Authority | None = None):
        engine = new_engine()
        engine.stop()
        pair = (ours or authority).pair("engine", names)
        engine.security = authority.serving(clients, **pair)
        engine.start()
        return engine

    return make


def on(engine, tls: dict | None) -> dict:
    configuration = settings(engine)
    if tls is not None:
        configuration["pools"][0]["tls"] = tls
    return configuration


def test_engines_behind_tls(start, secure_engine, authority):
    engine = secure_engine()
    gateway = start(on(engine, {"ca": str(authority.certificate)}))
    gateway.wait_healthy(engine)
    for _ in range(5):
        assert gateway.chat().status == 200
    assert gateway.chat(stream=True).events[-1] == "[DONE]"
    long = "z" * 2_000_000
    engine.default = reply(text=long, tokens=1)
    answer = gateway.chat(text="y " * 3_000)
    assert answer.json["choices"][0]["message"]["content"] == long


def test_an_engine_of_another_name(start, secure_engine, authority):
    engine = secure_engine("DNS:engine.internal")
    wrong = start(on(engine, {"ca": str(authority.certificate)}))
    right = start(
        on(engine, {"ca": str(authority.certificate), "server_name": "engine.internal"})
    )
    right.wait_healthy(engine)
    assert right.chat().status == 200
    wrong.wait_healthy(engine, healthy=False)
    refused(wrong.chat(), 503, "no_healthy_endpoint")
    assert not any(call.field("host") is None for call in engine.calls)


def test_an_engine_that_nobody_vouches_for(start, secure_engine, authority, tmp_path):
    engine = secure_engine(ours=Authority(tmp_path, "strangers"))
    for tls in ({"ca": str(authority.certificate)}, None):
        gateway = start(on(engine, tls))
        gateway.wait_healthy(engine, healthy=False)
        refused(gateway.chat(), 503, "no_healthy_endpoint")
    assert not engine.calls


def test_an_engine_that_wants_our_certificate(start, secure_engine, authority):
    engine = secure_engine(clients=True)
    ca = {"ca": str(authority.certificate)}
    gateway = start(on(engine, ca | authority.pair("gateway", "DNS:gateway.example")))
    gateway.wait_healthy(engine)
    assert gateway.chat().status == 200
    without = start(on(engine, ca))
    without.wait_healthy(engine, healthy=False)
