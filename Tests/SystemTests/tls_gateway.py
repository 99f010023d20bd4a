# SPDX-License-Identifier: Apache-2.0
"""A gateway whose listener speaks TLS, and what its clients need."""

import ssl

import pytest
from certificates import Authority
from gateway_process import KEY, MODEL, settings
from http_client import Connection


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def secure(start, engine, authority):
    """Starts a gateway whose first listener speaks TLS."""

    def make(tls: dict | None = None, **sections: object):
        pair = authority.pair("server", "DNS:localhost,IP:127.0.0.1")
        configuration = settings(engine, **sections)
        configuration["listeners"] = [{"address": "127.0.0.1:0", "tls": pair | (tls or {})}]
        gateway = start(configuration)
        gateway.wait_healthy(engine)
        return gateway

    return make


def chat(connection: Connection, key: str | None = KEY, **members: object):
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]} | members
    return connection.exchange("POST", "/v1/chat/completions", body, key=key)


def version(context: ssl.SSLContext, number: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = number
    return context
