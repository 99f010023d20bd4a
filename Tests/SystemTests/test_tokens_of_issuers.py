# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens in place of keys: made by PyJWT, read by the gateway."""

import base64
import hashlib
import hmac
import http.server
import json
import signal
import threading
import time

import jwt
import pytest
import yaml
from certificates import Authority
from checks import admitted, refused
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from gateway_process import KEY, chat_body, settings
from issuer_keys import ISSUER, MAKERS, Key, key_set, spelled
from waiting import eventually


def believing(engine, jwks: object, **changes: object) -> dict:
    issuer = {
        "issuer": ISSUER,
        "jwks": str(jwks),
        "audiences": ["penstock"],
        "algorithms": list(MAKERS),
        "tenant_claim": "tenant",
    }
    configuration = settings(engine)
    configuration["identity"] = {"jwt": {"issuers": [issuer | changes]}}
    return configuration


def counts(gateway, name: str = "penstock_jwt_total") -> dict[str, float]:
    lines = gateway.admin("/metrics").body.decode().splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith(name + "{"))
    return {labels.removeprefix(name): float(value) for labels, value in found}


def outcome(gateway, name: str) -> float:
    return counts(gateway)[f'{{outcome="{name}"}}']


@pytest.fixture
def keys() -> dict[str, Key]:
    return {name: Key(name, name.lower()) for name in MAKERS}


@pytest.fixture
def file(tmp_path, keys):
    path = tmp_path / "keys.json"
    path.write_text(key_set(*keys.values()))
    return path


@pytest.fixture
def gateway(start, engine, file):
    gateway = start(believing(engine, file))
    gateway.wait_healthy(engine)
    return gateway


# What a token is good for.


@pytest.mark.parametrize("algorithm", list(MAKERS))
def test_tokens_of_each_algorithm_are_believed(gateway, keys, algorithm, engine):
    token = keys[algorithm].token()
    for _ in range(5):
        admitted(gateway.chat(token))
    assert gateway.tenant("acme")["requests"]["completed"] == 5
    # One for each worker at most: after that a token is remembered.
    assert 1 <= outcome(gateway, "verified") <= 2
    assert outcome(gateway, "verified") + outcome(gateway, "remembered") == 5
    for call in engine.calls:
        assert not any(token in value for _, value in call.fields)
    # Without a name the keys of its algorithm are tried.
    nameless = Key(algorithm, None, keys[algorithm].private)
    admitted(gateway.chat(nameless.token()))
    admitted(gateway.chat(KEY))


def test_a_claim_names_the_tenant(gateway, keys):
    token = keys["ES256"].token(tenant="beta")
    admitted(gateway.chat(token, model="not-for-acme"))
    refused(gateway.chat(keys["ES256"].token(), model="not-for-acme"), 403, "model_not_allowed",
            "model")
    for tenant in ("nobody", "", None, 7, ["acme"], "Acme"):
        refused(gateway.chat(keys["ES256"].token(tenant=tenant)), 401, "invalid_token")
    assert outcome(gateway, "tenant") == 6


def test_an_issuer_names_only_whom_it_may(start, engine, file, keys):
    tenants = [{"tenant": "acme", "value": "org|7"}, "beta"]
    gateway = start(believing(engine, file, tenants=tenants, tenant_claim="/org/id"))
    gateway.wait_healthy(engine)
    admitted(gateway.chat(keys["EdDSA"].token(org={"id": "org|7"})))
    admitted(gateway.chat(keys["EdDSA"].token(org={"id": "beta"}), model="not-for-acme"))
    for value in ("acme", "org|8"):
        refused(gateway.chat(keys["EdDSA"].token(org={"id": value})), 401, "invalid_token")


def test_a_claim_names_the_classes(start, engine, file, keys):
    gateway = start(believing(engine, file, class_claim="classes"))
    gateway.wait_healthy(engine)

    def chat(classes, wanted=None):
        fields = {"X-Traffic-Class": wanted} if wanted else {}
        fields |= {"X-Request-Id": "of-a-token"}
        return gateway.chat(keys["ES256"].token(classes=classes), fields=fields)

    def served() -> str:
        return gateway.admin("/admin/requests/of-a-token").json["class"]

    for classes, wanted, name in [
        (None, None, "interactive"), (None, "batch", "batch"), ("batch", None, "batch"),
        (["batch", "interactive"], None, "batch"), (["unheard-of", "batch"], None, "batch"),
        (["batch", "interactive"], "interactive", "interactive"),
    ]:
        admitted(chat(classes, wanted))
        assert served() == name
    for classes, wanted in [
        ("batch", "interactive"), ([], None), ("not-for-acme", None), ("unheard-of", None),
        (7, None),
    ]:
        refused(chat(classes, wanted), 403, "class_not_allowed")


def test_a_token_ends_though_it_is_remembered(start, engine, file, keys):
    gateway = start(believing(engine, file, leeway="0s"))
    gateway.wait_healthy(engine)
    end = int(time.time()) + 3
    token = keys["ES256"].token(exp=end)
    admitted(gateway.chat(token))
    eventually(lambda: gateway.chat(token).status == 401, "the token ends")
    assert time.time() >= end
    error = refused(gateway.chat(token), 401, "token_expired")
    assert "expired" in error["message"]
    answer = gateway.chat(token)
    assert answer.fields["www-authenticate"] == 'Bearer error="invalid_token"'


def test_what_a_token_says_of_time_and_place_counts(gateway, keys):
    now = time.time()
    key = keys["ES256"]
    for changes in ({"exp": now - 20}, {"nbf": now + 20}, {"aud": ["x", "penstock"]}):
        admitted(gateway.chat(key.token(**changes)))
    for changes, code, name in [
        ({"exp": now - 40}, "token_expired", "expired"),
        ({"exp": None}, "token_expired", "expired"),
        ({"nbf": now + 60}, "invalid_token", "not_yet_valid"),
        ({"aud": "others"}, "invalid_token", "audience"),
        ({"aud": None}, "invalid_token", "audience"),
        ({"iss": "https://issuer.example"}, "invalid_token", "issuer"),
        ({"iss": None}, "invalid_token", "issuer"),
    ]:
        before = outcome(gateway, name)
        refused(gateway.chat(key.token(**changes)), 401, code)
        assert outcome(gateway, name) == before + 1, (changes, name)


def test_a_token_and_something_else_have_to_agree(gateway, keys):
    token = keys["ES256"].token()
    # Two proofs of who it is: neither is silently used.
    refused(gateway.chat(token, fields={"x-api-key": KEY}), 401, "invalid_api_key")
    refused(gateway.chat(None, fields={"x-api-key": token}), 401, "invalid_api_key")
    both = {"Authorization": f"Bearer {token}", "api-key": "sk-wrong"}
    refused(gateway.chat(None, fields=both), 401, "invalid_api_key")


def test_without_issuers_a_token_is_a_key_that_nobody_has(start, engine, keys):
    gateway = start(settings(engine))
    gateway.wait_healthy(engine)
    refused(gateway.chat(keys["ES256"].token()), 401, "invalid_api_key")


# Attacks.


def forged(keys: dict[str, Key]) -> dict[str, tuple[str, str]]:
    """Tokens that must not be believed, and what is wrong with them."""
    good = keys["ES256"].token()
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))

    def plain(header: dict, proof: bytes) -> str:
        return f"{spelled(header)}.{body}.{spelled(proof)}"

    def mac(secret: bytes, name: str) -> str:
        text = f"{spelled({'alg': 'HS256', 'kid': name})}.{body}"
        proof = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        return f"{text}.{spelled(proof)}"

    # RSA's public key as a secret that everybody knows.
    rsa_key = keys["RS256"].private.public_key()
    secrets = [
        rsa_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        rsa_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        b"",
    ]
    thief = Key("ES256", "es256")
    raw = base64.urlsafe_b64decode(signature + "==")
    number = [int.from_bytes(raw[:32]), int.from_bytes(raw[32:])]
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    der = encode_dss_signature(*number)
    twice = '{"iss": "https://issuer.example/", "aud": "penstock", "exp": 9999999999, '
    twice += '"tenant": "beta", "tenant": "acme"}'
    signed_twice = jwt.api_jws.encode(
        twice.encode(), keys["ES256"].private, "ES256", headers={"kid": "es256"}
    )
    return {
        "none": (plain({"alg": "none"}, b""), "algorithm"),
        "none with a name": (plain({"alg": "none", "kid": "es256"}, b""), "algorithm"),
        "None": (plain({"alg": "nOnE", "kid": "es256"}, b""), "algorithm"),
        **{
            f"HS256 under a public key {place}": (mac(secret, "rs256"), "algorithm")
            for place, secret in enumerate(secrets)
        },
        "RS256 in the name of ES256": (
            keys["RS256"].token(header={"kid": "es256"}), "algorithm",
        ),
        "of a thief": (thief.token(), "signature"),
        "with its own key": (thief.token(header={"jwk": thief.public}), "signature"),
        "with a place of its key": (
            thief.token(header={"jku": "https://thief.example/", "x5u": "https://thief.example"}),
            "signature",
        ),
        "a name that is a path": (keys["ES256"].token(header={"kid": "../../dev/null"}),
                                  "unknown_key"),
        "critical": (keys["ES256"].token(header={"crit": ["x"], "x": 1}), "malformed"),
        "other claims": (f"{head}.{spelled(claims | {'tenant': 'beta'})}.{signature}", "signature"),
        "cut": (good[:-1], "malformed"),
        "cut by three bytes": (f"{head}.{body}.{spelled(raw[:-3])}", "signature"),
        "no signature": (f"{head}.{body}.", "signature"),
        "padded": (good + "=", "malformed"),
        "twice padded": (f"{head}==.{body}.{signature}", "malformed"),
        "standard base64": (good.replace("-", "+").replace("_", "/") + "+", "malformed"),
        "DER": (f"{head}.{body}.{spelled(der)}", "signature"),
        "zeros": (f"{head}.{body}.{spelled(bytes(64))}", "signature"),
        "duplicate claims": (signed_twice, "malformed"),
        "no JSON": (f"{spelled(b'{')}.{body}.{signature}", "malformed"),
    }


NAMES = list(forged({name: Key(name, name.lower()) for name in MAKERS}))


@pytest.mark.parametrize("name", NAMES)
def test_forged_tokens_are_refused(gateway, keys, name):
    token, why = forged(keys)[name]
    refused(gateway.chat(token), 401, "invalid_token")
    assert outcome(gateway, why) == 1, counts(gateway)
    assert outcome(gateway, "verified") == 0
    admitted(gateway.chat(keys["ES256"].token()))
    assert not any(token in line for line in gateway.logs)


def test_long_tokens_are_not_read(start, engine, file, keys):
    configuration = believing(engine, file)
    configuration["identity"]["jwt"]["max_token"] = "2KiB"
    gateway = start(configuration)
    gateway.wait_healthy(engine)
    bare = len(keys["EdDSA"].token(more=""))
    fits = keys["EdDSA"].token(more="x" * ((2048 - bare) * 3 // 4))
    assert 2040 <= len(fits) <= 2048
    admitted(gateway.chat(fits))
    refused(gateway.chat(keys["EdDSA"].token(more="x" * 1600)), 401, "invalid_token")
    refused(gateway.chat(keys["EdDSA"].token(more="x" * 20_000)), 401, "invalid_token")
    assert outcome(gateway, "too_long") == 2


def test_more_tokens_than_are_remembered(start, engine, file, keys):
    configuration = believing(engine, file)
    configuration["identity"]["jwt"]["max_cached"] = 16
    gateway = start(configuration)
    gateway.wait_healthy(engine)
    tokens = [keys["EdDSA"].token(jti=str(number)) for number in range(60)]
    with gateway.connect() as connection:
        for _ in range(2):
            for token in tokens:
                answer = connection.exchange("GET", "/v1/models", key=token)
                assert answer.status == 200
    assert outcome(gateway, "verified") + outcome(gateway, "remembered") == 120
    assert outcome(gateway, "verified") >= 60 + 60 - 16


# Keys in a file.


def test_a_file_that_changes_is_read_again(gateway, file, keys):
    old = keys["ES256"].token()
    admitted(gateway.chat(old))
    fresh = Key("ES256", "fresh")
    refused(gateway.chat(fresh.token()), 401, "invalid_token")
    file.write_text(key_set(fresh))
    eventually(lambda: gateway.chat(fresh.token()).status == 200, "the new key is known")
    # What was remembered under a key that has gone is believed no more.
    refused(gateway.chat(old), 401, "invalid_token")
    for broken in ("{", '{"keys": []}', key_set(keys["ES256"])[:-9]):
        marks = sum("the old keys stay" in line for line in gateway.logs)
        file.write_text(broken)
        eventually(
            lambda: counts(gateway, "penstock_jwks_reads_total")[
                f'{{issuer="{ISSUER}",outcome="failed"}}'
            ] > marks, "the broken file was looked at",
        )
        admitted(gateway.chat(fresh.token()))
    gateway.wait_log("the old keys stay")
    # A reload that was asked for is refused with the reason.
    outcome_ = gateway.admin("/admin/reload", "POST")
    assert outcome_.status == 400 and "identity.jwt.issuers[0].jwks" in outcome_.body.decode()


def test_a_reload_changes_whose_tokens_are_believed(gateway, engine, file, keys):
    token = keys["ES256"].token()
    admitted(gateway.chat(token))
    gateway.write(believing(engine, file, audiences=["another"]))
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("configuration 2 is in force")
    eventually(lambda: gateway.chat(token).status == 401, "the audience is another")
    gateway.write(settings(engine))
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("configuration 3 is in force")
    eventually(
        lambda: gateway.chat(token).error["code"] == "invalid_api_key", "no token is read")
    admitted(gateway.chat(KEY))


def test_check_names_the_key_of_a_file_that_is_none(run, engine, tmp_path):
    for text, words in [
        (None, "no such file"), ("{}", "has no key set"), (key_set(), "has no key set"),
        (json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}), "has no key set"),
    ]:
        if text is not None:
            (tmp_path / "jwks.json").write_text(text)
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(believing(engine, "jwks.json")))
        checked = run("check", "--config", "c.yaml")
        assert checked.returncode == 1, checked
        [line] = checked.stderr.splitlines()
        assert "identity.jwt.issuers[0].jwks" in line and words in line.lower(), line
        assert "c2VjcmV0" not in line
    (tmp_path / "jwks.json").write_text(key_set(Key("EdDSA")))
    assert run("check", "--config", "c.yaml").returncode == 0


# Keys at a URL.


class KeyServer:
    """An issuer's HTTPS server; every attribute may be changed while it runs."""

    def __init__(self, authority: Authority):
        self.body = b""
        self.status = 200
        self.asked = 0
        self.silent = threading.Event()
        self.silent.set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked += 1
                owner.silent.wait(10)
                self.send_response(owner.status)
                if owner.status == 302:
                    self.send_header("Location", "https://elsewhere.example/keys")
                self.send_header("Content-Length", str(len(owner.body)))
                self.end_headers()
                self.wfile.write(owner.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        pair = authority.pair("issuer", "DNS:localhost,IP:127.0.0.1")
        context = authority.serving(**pair)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.server.server_address[1]}/.well-known/jwks.json?v=1"

    def close(self) -> None:
        self.silent.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "issuers")


@pytest.fixture
def issuer(authority):
    server = KeyServer(authority)
    yield server
    server.close()


def fetched(gateway, outcome: str) -> float:
    return counts(gateway, "penstock_jwks_reads_total").get(
        f'{{issuer="{ISSUER}",outcome="{outcome}"}}', 0.0
    )


def test_keys_are_fetched_and_a_new_one_is_asked_for(start, engine, issuer, authority, keys):
    issuer.body = key_set(keys["ES256"]).encode()
    gateway = start(believing(engine, issuer.url, ca=str(authority.certificate)))
    gateway.wait_healthy(engine)
    eventually(lambda: fetched(gateway, "succeeded") == 1, "the keys were fetched")
    admitted(gateway.chat(keys["ES256"].token()))
    assert gateway.admin("/readyz").status == 200
    asked = issuer.asked
    # A name that is not known has it fetched again, and not more often than every 10 s.
    fresh = Key("RS256", "fresh")
    issuer.body = key_set(keys["ES256"], fresh).encode()
    begun = time.monotonic()
    eventually(
        lambda: gateway.chat(fresh.token()).status == 200, "the new key is fetched", within=20)
    assert issuer.asked == asked + 1
    for number in range(200):
        refused(gateway.chat(Key("EdDSA", f"none-{number}", keys["EdDSA"].private).token()), 401,
                "invalid_token")
    spent = time.monotonic() - begun
    assert issuer.asked <= asked + 2 + spent / 10, spent
    # While it does not answer well, the keys stay.
    failures = 0
    for change in ("status", "redirect", "text", "long"):
        issuer.status = {"status": 500, "redirect": 302}.get(change, 200)
        issuer.body = {"text": b"<html>", "long": b" " * (600 << 10)}.get(change, issuer.body)
        eventually(
            lambda: gateway.chat(Key("EdDSA", "none", keys["EdDSA"].private).token()).status == 401
            and fetched(gateway, "failed") > failures,
            f"a fetch failed: {change}", within=25)
        failures = fetched(gateway, "failed")
        admitted(gateway.chat(fresh.token()))
        admitted(gateway.chat(keys["ES256"].token()))
    gateway.wait_log("the old keys stay: answered 500")


def test_a_server_that_is_silent_or_a_stranger(start, engine, issuer, authority, keys, tmp_path):
    issuer.body = key_set(keys["ES256"]).encode()
    issuer.silent.clear()
    trusting = {"ca": str(authority.certificate), "timeout": "300ms"}
    gateway = start(believing(engine, issuer.url, **trusting))
    gateway.wait_healthy(engine)
    gateway.wait_log("there are no keys: no answer within 300ms")
    refused(gateway.chat(keys["ES256"].token()), 401, "invalid_token")
    admitted(gateway.chat(KEY))
    issuer.silent.set()
    eventually(
        lambda: gateway.chat(keys["ES256"].token()).status == 200, "it is asked again", within=20)
    # Whom nobody vouches for is not believed.
    stranger = start(
        believing(engine, issuer.url, ca=str(Authority(tmp_path, "other").certificate)))
    stranger.wait_healthy(engine)
    stranger.wait_log("there are no keys")
    refused(stranger.chat(keys["ES256"].token()), 401, "invalid_token")


def test_streams_and_both_protocols_take_tokens(gateway, keys):
    with gateway.connect() as connection:
        body = chat_body(stream=True)
        answer = connection.exchange(
            "POST", "/v1/chat/completions", body, key=keys["RS256"].token())
        assert answer.events[-1] == "[DONE]"
        # The next one on the same connection shows its own.
        refused(connection.exchange("GET", "/v1/models", key="eyJ.a.b"), 401, "invalid_token")
