# SPDX-License-Identifier: Apache-2.0
"""TLS with clients: versions, names, tickets, certificates of clients, reload."""

import contextlib
import shutil
import signal
import ssl
import subprocess
import threading

import openai
import pytest
from certificates import Authority
from checks import refused
from fake_engine import reply
from gateway_process import KEY, MODEL, OTHER_KEY, settings
from http_client import BrokenAnswer
from tls_gateway import authority, chat, secure, version
from waiting import eventually


@pytest.mark.parametrize("number", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_requests_and_streams_in_both_versions(secure, authority, engine, number):
    gateway = secure()
    context = version(authority.trusting(), number)
    with gateway.connect(security=context) as connection:
        for _ in range(3):
            answer = chat(connection)
            assert answer.status == 200, answer
            streamed = chat(connection, stream=True)
            assert streamed.events[-1] == "[DONE]"
        name = connection.socket.cipher()[0]
        assert "GCM" in name or "CHACHA20" in name
    long = "x" * 3_000_000
    engine.default = reply(text=long, tokens=1)
    with gateway.connect(security=context) as connection:
        answer = chat(connection, messages=[{"role": "user", "content": "y " * 2_000}])
        assert answer.json["choices"][0]["message"]["content"] == long


def test_openai_and_curl(secure, authority):
    gateway = secure()
    url = gateway.base_url.replace("http://", "https://")
    client = openai.OpenAI(
        api_key=KEY,
        base_url=f"{url}/v1",
        http_client=openai.DefaultHttpxClient(verify=authority.trusting()),
        max_retries=0,
    )
    with client:
        made = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}]
        )
        assert made.choices[0].message.content
        stream = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert [chunk for chunk in stream][-1]
    words = ["curl", "-sS", "--http1.1", "--cacert", authority.certificate]
    words += ["-H", f"Authorization: Bearer {KEY}", f"{url}/v1/models"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)
    assert MODEL in done.stdout


def test_old_versions_are_not_spoken(secure, authority):
    gateway = secure(tls={"min_version": "1.3"})
    with pytest.raises(ssl.SSLError):
        gateway.connect(security=version(authority.trusting(), ssl.TLSVersion.TLSv1_2))
    old = authority.trusting()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        gateway.connect(security=old)
    with gateway.connect(security=authority.trusting()) as connection:
        assert chat(connection).status == 200


def shown(gateway, context: ssl.SSLContext, name: str) -> list[str]:
    context.check_hostname = False
    with gateway.connect(security=context, server_name=name) as connection:
        certificate = connection.socket.getpeercert()
        return [value for _, value in certificate["subjectAltName"]]


def test_clients_get_the_certificate_of_the_name_that_they_ask_for(secure, authority):
    more = [
        authority.pair("exact", "DNS:one.example"),
        authority.pair("wild", "DNS:*.wild.example,DNS:wild.example"),
        authority.pair("inner", "DNS:inner.wild.example"),
    ]
    gateway = secure(tls={"more": more})
    context = authority.trusting()
    assert shown(gateway, context, "one.example") == ["one.example"]
    assert shown(gateway, context, "ONE.Example") == ["one.example"]
    assert shown(gateway, context, "a.wild.example")[0] == "*.wild.example"
    assert shown(gateway, context, "wild.example")[0] == "*.wild.example"
    assert shown(gateway, context, "inner.wild.example") == ["inner.wild.example"]
    for name in ("a.b.wild.example", "unknown.example", "127.0.0.1"):
        assert shown(gateway, context, name)[0] == "localhost"


@pytest.mark.parametrize("number", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_at_any_worker(secure, authority, number):
    gateway = secure(workers=2)
    context = version(authority.trusting(), number)
    session = None
    resumed = 0
    for _ in range(12):
        with gateway.connect(security=context, session=session) as connection:
            assert chat(connection).status == 200
            resumed += connection.socket.session_reused
            session = connection.socket.session
    assert resumed == 11


def test_http2_where_the_client_chooses_it(secure, authority):
    gateway = secure()
    url = gateway.base_url.replace("http://", "https://")
    for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
        words = ["curl", "-sS", option, "--cacert", authority.certificate, "-o", "/dev/null"]
        words += ["-w", "%{http_version} %{http_code}", "-H", f"Authorization: Bearer {KEY}"]
        done = subprocess.run(
            [*words, f"{url}/v1/models"], capture_output=True, text=True, timeout=20, check=True
        )
        assert done.stdout == f"{version} 200", done


def test_what_nobody_speaks_is_refused(secure, authority):
    gateway = secure()
    context = authority.trusting()
    context.set_alpn_protocols(["acme-tls/1"])
    with pytest.raises(ssl.SSLError):
        gateway.connect(security=context)


# Certificates of clients.


def with_certificates(configuration_tenants: list, names: dict[str, list[str]]) -> list:
    return [
        tenant | {"certificates": names.get(tenant["id"], [])} for tenant in configuration_tenants
    ]


@pytest.fixture
def mutual(start, engine, authority):
    def make(tls: dict | None = None, names: dict | None = None):
        pair = authority.pair("server", "DNS:localhost")
        configuration = settings(engine)
        tls = {"client_ca": str(authority.certificate)} | (tls or {})
        configuration["listeners"] = [{"address": "127.0.0.1:0", "tls": pair | tls}]
        names = names or {"acme": ["client.acme.example"], "beta": ["spiffe://beta/app"]}
        configuration["tenants"] = with_certificates(configuration["tenants"], names)
        gateway = start(configuration)
        gateway.wait_healthy(engine)
        return gateway

    return make


def tenant_of(gateway, context, key: str | None = None) -> str | None:
    """Whose the request was, by the counters."""

    def counts() -> dict[str, float]:
        found = {}
        for line in gateway.admin("/metrics").body.decode().splitlines():
            if line.startswith("penstock_requests_total{"):
                tenant = line.split('tenant="')[1].split('"')[0]
                found[tenant] = found.get(tenant, 0) + float(line.rsplit(" ", 1)[1])
        return found

    before = counts()
    with gateway.connect(security=context) as connection:
        answer = chat(connection, key)
    if answer.status != 200:
        refused(answer, 401, "invalid_api_key")
        return None

    def changed():
        after = counts()
        return next((t for t in after if after[t] != before.get(t, 0)), None)

    return eventually(changed, "the request is counted")


@pytest.mark.parametrize("number", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificates_of_clients_are_whose_requests_are(mutual, authority, number):
    gateway = mutual()
    acme = version(
        authority.trusting(**authority.pair("acme", "DNS:client.acme.example")), number
    )
    beta = version(authority.trusting(**authority.pair("beta", "URI:spiffe://beta/app")), number)
    assert tenant_of(gateway, acme) == "acme"
    assert tenant_of(gateway, beta) == "beta"
    assert tenant_of(gateway, acme, KEY) == "acme"
    # The certificate says one thing and the key another: neither is silently used.
    assert tenant_of(gateway, acme, OTHER_KEY) is None
    # Certified, and nobody's.
    stranger = version(authority.trusting(**authority.pair("x", "DNS:x.example")), number)
    assert tenant_of(gateway, stranger) is None
    assert tenant_of(gateway, stranger, OTHER_KEY) == "beta"


def test_a_common_name_counts_where_there_are_no_others(mutual, authority):
    gateway = mutual(names={"acme": ["old-client"], "beta": ["both"]})
    assert tenant_of(gateway, authority.trusting(**authority.pair("old-client", None))) == "acme"
    pair = authority.pair("old-client", "DNS:another.example")
    assert tenant_of(gateway, authority.trusting(**pair)) is None


def test_names_of_two_tenants_are_nobodys(mutual, authority):
    gateway = mutual()
    pair = authority.pair("two", "DNS:client.acme.example,URI:spiffe://beta/app")
    assert tenant_of(gateway, authority.trusting(**pair)) is None


def test_without_a_certificate_there_is_no_connection(mutual, authority, tmp_path):
    gateway = mutual()
    strangers = Authority(tmp_path, "strangers")
    context = authority.trusting(**strangers.pair("acme", "DNS:client.acme.example"))
    for bad in (authority.trusting(), context):
        with pytest.raises((ssl.SSLError, BrokenAnswer, ConnectionError)):
            with gateway.connect(security=bad) as connection:
                chat(connection)


def test_a_certificate_may_be_optional(mutual, authority):
    gateway = mutual(tls={"client_certificate": "optional"})
    acme = authority.trusting(**authority.pair("acme", "DNS:client.acme.example"))
    assert tenant_of(gateway, acme) == "acme"
    assert tenant_of(gateway, authority.trusting(), OTHER_KEY) == "beta"
    assert tenant_of(gateway, authority.trusting()) is None


def test_a_resumed_session_remembers_whose_it_is(mutual, authority):
    gateway = mutual()
    context = authority.trusting(**authority.pair("acme", "DNS:client.acme.example"))
    session = None
    for _ in range(4):
        with gateway.connect(security=context, session=session) as connection:
            assert chat(connection, None).status == 200
            assert connection.socket.session_reused == (session is not None)
            session = connection.socket.session


# Reload.


def serial(gateway, context: ssl.SSLContext) -> str:
    with gateway.connect(security=context) as connection:
        return connection.socket.getpeercert()["serialNumber"]


@contextlib.contextmanager
def load(gateway, authority):
    """Requests over new and kept connections, none of which may fail."""
    stop = threading.Event()
    failures: list[Exception] = []
    done = [0]

    def run(kept: bool) -> None:
        context = authority.trusting()
        connection = gateway.connect(security=context)
        try:
            while not stop.is_set():
                assert chat(connection).status == 200
                done[0] += 1
                if not kept:
                    connection.close()
                    connection = gateway.connect(security=context)
        except Exception as error:  # noqa: BLE001
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(kept,)) for kept in (True, False, False)]
    for thread in threads:
        thread.start()
    yield done
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not failures, failures


def test_certificates_change_under_load(secure, authority):
    gateway = secure()
    context = authority.trusting()
    with load(gateway, authority) as done:
        for _ in range(5):
            before, count = serial(gateway, context), done[0]
            # Written over the old ones, as a renewal does it; without any signal.
            authority.pair("server", "DNS:localhost,IP:127.0.0.1")
            eventually(lambda: serial(gateway, context) != before, "the new one is shown", 15)
            eventually(lambda: done[0] > count + 20, "requests go on")
    assert "certificates: read again" in gateway.wait_log("certificates: read again")


def test_a_reload_reads_them_at_once(secure, authority):
    gateway = secure()
    context = authority.trusting()
    before = serial(gateway, context)
    authority.pair("server", "DNS:localhost,IP:127.0.0.1")
    assert gateway.admin("/admin/reload", "POST").json["outcome"] == "loaded"
    assert serial(gateway, context) != before
    before = serial(gateway, context)
    authority.pair("server", "DNS:localhost,IP:127.0.0.1")
    gateway.signal(signal.SIGHUP)
    eventually(lambda: serial(gateway, context) != before, "the new one is shown")


def test_bad_files_keep_the_old_certificate_and_say_why(secure, authority):
    gateway = secure()
    context = authority.trusting()
    before = serial(gateway, context)
    good, good_key = authority.folder / "server.pem", authority.folder / "server.key"
    _, other_key = authority.issue("other", "DNS:other.example")
    kept = good_key.read_bytes()
    shutil.copy(other_key, good_key)
    gateway.wait_log("is not the key of the certificate")
    answer = gateway.admin("/admin/reload", "POST")
    assert answer.status == 400 and "listeners[0].tls.key" in answer.json["mistakes"][0]
    assert serial(gateway, context) == before
    good_key.write_bytes(kept)
    good.write_text("nothing")
    gateway.wait_log("has no certificate in PEM")
    assert serial(gateway, context) == before
    good.unlink()
    gateway.wait_log("cannot read")
    assert serial(gateway, context) == before
    metrics = gateway.admin("/metrics").body.decode()
    assert 'penstock_tls_reloads_total{outcome="failed"}' in metrics


def test_check_and_serve_name_the_file_and_the_key(run, engine, authority, tmp_path, penstock):
    import yaml

    pair = authority.pair("server", "DNS:localhost")
    _, foreign = authority.issue("other", "DNS:other.example")
    old = authority.pair("old", "DNS:old.example", days=-1)
    for tls, text in (
        ({"certificate": "missing.pem"}, "listeners[0].tls.certificate: cannot read"),
        ({"key": str(foreign)}, "listeners[0].tls.key: "),
        ({"key": pair["certificate"]}, "has no private key in PEM"),
        ({"client_ca": pair["key"]}, "listeners[0].tls.client_ca: "),
    ):
        configuration = settings(engine)
        configuration["listeners"] = [{"address": "127.0.0.1:0", "tls": pair | tls}]
        file = tmp_path / "bad.yaml"
        file.write_text(yaml.safe_dump(configuration, sort_keys=False))
        for command in ("check", "serve"):
            done = run(command, "--config", file)
            assert done.returncode == 1, done
            assert text in done.stderr, done
            line = int(done.stderr.split(":")[1])
            key = list(tls)[0]
            assert f"{key}:" in file.read_text().splitlines()[line - 1], done.stderr
    configuration["listeners"][0]["tls"] = old
    file.write_text(yaml.safe_dump(configuration, sort_keys=False))
    done = run("check", "--config", file)
    assert done.returncode == 0 and "is over" in done.stderr, done
