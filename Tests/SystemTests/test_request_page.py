# SPDX-License-Identifier: Apache-2.0
"""The page of a request's trace: whom it answers, what it finds, and how much it remembers."""

import json

from checks import admitted
from gateway_process import KEY, OTHER_KEY, TOKEN, settings
from http_client import Connection
from test_request_traces import named, trace
from waiting import eventually


def test_names_of_every_kind_are_found_and_escaped(start, engine):
    gateway = start(settings(engine))
    names = ['a"b\\c</script>', "x" * 128, "a/b/../c?d=e&f#g", "100%", "%41", "+-_.~!*'();:@,$[]"]
    for name in names:
        admitted(gateway.chat(fields=named(name)))
        assert trace(gateway, name)["request_id"] == name
    assert gateway.admin("/admin/requests/a/b").status == 404
    admitted(gateway.chat(fields=named("a/b")))
    assert gateway.admin("/admin/requests/a/b").json["request_id"] == "a/b"


def test_of_one_name_the_newest_counts_and_each_tenants_can_be_asked_for(start, engine):
    gateway = start(settings(engine))
    admitted(gateway.chat(fields=named("same"), max_tokens=5))
    admitted(gateway.chat(fields=named("same"), max_tokens=6))
    assert trace(gateway, "same")["estimate"]["output_bound"] == 6
    admitted(gateway.chat(OTHER_KEY, fields=named("same"), max_tokens=7))
    assert trace(gateway, "same")["tenant"] == "beta"
    assert trace(gateway, "same", "?tenant=acme")["estimate"]["output_bound"] == 6
    assert gateway.admin("/admin/requests/same?tenant=nonesuch").status == 404


def test_what_is_asked_wrongly_is_answered_so(start, engine):
    gateway = start(settings(engine))
    admitted(gateway.chat(fields=named("one")))
    for path in (
        "/admin/requests",
        "/admin/requests/",
        "/admin/requests/two",
        "/admin/requests/one/",
        "/admin/requests/one%20",
        "/admin/requests/one%00",
        "/admin/requests/%ff%fe",
        "/admin/requests/%",
        "/admin/requests/%zz",
        "/admin/requests/" + "x" * 129,
        "/admin/requests/" + "x" * 7_000,
        "/admin/requests/" + "%41" * 2_000,
        "/admin/requests?id=one",
        "/admin/request/one",
        "/Admin/requests/one",
    ):
        answer = gateway.admin(path)
        assert answer.status == 404 and answer.json["error"], path
    assert gateway.admin("/admin/requests/" + "x" * 100_000).status in (414, 431)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = gateway.admin("/admin/requests/one", method)
        assert answer.status == 405 and answer.fields["allow"] == "GET, HEAD"
    with Connection(gateway.admin_address) as connection:
        head = connection.exchange("HEAD", "/admin/requests/one")
        assert head.status == 200 and head.body == b""
    assert trace(gateway, "%6fne".replace("%6f", "o"))["request_id"] == "one"
    assert gateway.admin("/admin/requests/%6fn%65").json["request_id"] == "one"


def test_traces_need_the_token_and_show_no_secret(start, engine):
    configuration = settings(engine)
    configuration["admin"]["token"] = TOKEN
    configuration["pools"][0]["key"] = "engine-key"
    gateway = start(configuration)
    admitted(gateway.chat(fields=named("one"), text="the prompt itself"))
    for key in (None, "wrong", KEY):
        assert gateway.admin("/admin/requests/one", key=key).status == 401
        assert gateway.admin("/admin/requests/two", key=key).status == 401
    answer = gateway.admin("/admin/requests/one", key=TOKEN)
    assert answer.status == 200
    for secret in (KEY, "engine-key", TOKEN, "prompt itself"):
        assert secret.encode() not in answer.body
    # What is checked at the end of a test asks without a token.
    assert gateway.stop() == 0


def test_the_history_is_bounded_and_a_reload_changes_it(start, engine):
    configuration = settings(engine)
    configuration["admin"]["request_history"] = 10
    gateway = start(configuration)

    def known(count: int) -> list[int]:
        pages = [gateway.admin(f"/admin/requests/n-{number}") for number in range(count)]
        return [number for number, page in enumerate(pages) if page.status == 200]

    for number in range(25):
        admitted(gateway.chat(fields=named(f"n-{number}")))
    assert known(25) == list(range(15, 25))
    configuration["admin"]["request_history"] = 4
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    assert known(25) == list(range(21, 25))
    assert all(trace(gateway, f"n-{n}")["endpoints"] for n in range(21, 25))
    configuration["admin"]["request_history"] = 0
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    eventually(lambda: gateway.chat(fields=named("off")).status == 200)
    assert known(25) == [] and gateway.admin("/admin/requests/off").status == 404
    configuration["admin"]["request_history"] = 50
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    for number in range(30):
        admitted(gateway.chat(fields=named(f"n-{number}")))
    assert known(30) == list(range(30))
    assert json.loads(gateway.admin("/admin/config").body)["admin"]["request_history"] == 50
