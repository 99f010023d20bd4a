# SPDX-License-Identifier: Apache-2.0
"""Limits that operators set while the gateway runs."""

import signal
import time

import pytest
from checks import admitted, refused
from gateway_process import KEY, settings
from http_client import Connection
from test_budgets import hierarchy
from test_redis import on, wait_store
from waiting import eventually

PATH = "/admin/tenants/acme"


def change(gateway, body: bytes | dict | None, method: str = "PATCH", path: str = PATH, key=None):
    with Connection(gateway.admin_address) as connection:
        return connection.exchange(method, path, body, key=key)


def set_limits(gateway, **members: object) -> dict:
    expires = {"expires_in": members.pop("expires_in")} if "expires_in" in members else {}
    answer = change(gateway, {"limits": members} | expires)
    assert answer.status == 200, answer
    return answer.json


def limit_of(gateway, name: str = "requests_per_minute") -> float | None:
    found = [limit for limit in gateway.tenant()["limits"] if limit["name"] == name]
    return found[0]["limit"] if found else None


def test_an_override_holds_at_once_and_until_it_is_revoked(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 100}))
    assert gateway.tenant()["override"] is None
    answer = set_limits(gateway, requests_per_minute=2, tokens_per_hour=50_000)
    assert answer["tenant"] == "acme"
    assert answer["override"]["limits"] == {"requests_per_minute": 2, "tokens_per_hour": 50_000}
    assert answer["override"]["expires"] is None
    assert gateway.tenant()["override"] == answer["override"]
    assert (limit_of(gateway), limit_of(gateway, "tokens_per_hour")) == (2, 50_000)
    gateway.wait_log("limits of acme overridden: tokens_per_hour=50000 requests_per_minute=2")
    # A worker hears of it within a turn of its loop.
    eventually(lambda: gateway.chat().status == 429)
    error = refused(gateway.chat(), 429, "requests_per_minute_exceeded")
    assert "Limit 2" in error["message"]
    assert change(gateway, None, "DELETE").json == {"tenant": "acme", "override": None}
    assert (limit_of(gateway), limit_of(gateway, "tokens_per_hour")) == (100, None)
    eventually(lambda: gateway.chat().status == 200)
    gateway.wait_log("limits of acme are as configured again")


def test_a_null_revokes_too(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 100}))
    set_limits(gateway, requests_per_minute=5)
    assert change(gateway, {"limits": None}).json["override"] is None
    assert limit_of(gateway) == 100


def test_an_override_ends_when_it_was_told_to(start, engine):
    gateway = start(settings(engine, limits={"requests_per_minute": 100}))
    override = set_limits(gateway, requests_per_minute=5, expires_in="2s")["override"]
    assert 1 < override["expires_in_s"] <= 2 and override["expires"].endswith("Z")
    assert limit_of(gateway) == 5
    began = time.monotonic()
    eventually(lambda: limit_of(gateway) == 100, "the limit is as configured", within=6)
    assert time.monotonic() - began > 1


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ({"limits": {"tokens_per_minut": 5}}, "did you mean 'tokens_per_minute'?"),
        ({"limits": {"tokens_per_minute": 0}}, "limits.tokens_per_minute: expected a whole number"),
        ({"limits": {"tokens_per_minute": "x"}}, "found 'x'"),
        ({"limits": {"tokens_per_minute": "${HOME}"}}, "HOME is not set"),
        ({"limits": {"cost_per_day": 5}}, "limits.cost_per_day: the model"),
        ({"limits": {}, "expires_in": "soon"}, "expires_in: expected a duration"),
        ({"limit": {}}, "limit: unknown key; did you mean 'limits'?"),
        (b"{", "body:"),
        (b'{"limits": {"tokens_per_day": 1}' + b" " * 20_000 + b"}", "larger than 16384 bytes"),
    ],
)
def test_mistakes_are_named_and_change_nothing(start, engine, body, mistake):
    gateway = start(settings(engine, limits={"requests_per_minute": 100}))
    answer = change(gateway, body)
    assert answer.status == 400, answer
    assert any(mistake in line for line in answer.json["mistakes"]), answer.json
    assert gateway.tenant()["override"] is None


def test_who_may_and_whose(start, engine):
    token = "operators-only"
    configuration = settings(engine, limits={"requests_per_minute": 100})
    configuration["admin"]["token"] = token
    gateway = start(configuration)
    body = {"limits": {"requests_per_minute": 1}}
    assert change(gateway, body).status == 401
    assert change(gateway, body, key=KEY).status == 401
    assert change(gateway, body, path="/admin/tenants/nobody", key=token).status == 404
    answer = change(gateway, body, "PUT", key=token)
    assert (answer.status, answer.fields["allow"]) == (405, "GET, HEAD, PATCH, DELETE")
    assert change(gateway, body, key=token).status == 200
    assert gateway.stop() == 0


def test_overrides_outlive_reloads_and_restarts(start, engine, tmp_path):
    configuration = settings(engine, limits={"requests_per_minute": 100})
    snapshot = str(tmp_path / "budgets")
    configuration["store"] = {"kind": "memory", "memory": {"snapshot": snapshot}}
    gateway = start(configuration)
    set_limits(gateway, requests_per_minute=7)
    configuration["tenants"][0]["limits"] = {"requests_per_minute": 50, "tokens_per_day": 10**6}
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    assert (limit_of(gateway), limit_of(gateway, "tokens_per_day")) == (7, 10**6)
    assert gateway.stop() == 0
    gateway = start(configuration)
    eventually(lambda: limit_of(gateway) == 7, "the override is back", within=3)
    change(gateway, None, "DELETE")
    assert limit_of(gateway) == 50


def test_the_override_of_a_tenant_that_left_can_be_revoked(start, engine):
    configuration = settings(engine, limits={"requests_per_minute": 100})
    gateway = start(configuration)
    beta = "/admin/tenants/beta"
    assert change(gateway, {"limits": {"requests_per_minute": 5}}, path=beta).status == 200
    left = configuration["tenants"].pop()
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    assert change(gateway, {"limits": {"requests_per_minute": 6}}, path=beta).status == 404
    assert change(gateway, None, "DELETE", path=beta).status == 200
    assert change(gateway, None, "DELETE", path=beta).status == 404
    configuration["tenants"].append(left)
    gateway.write(configuration)
    assert gateway.admin("/admin/reload", "POST").status == 200
    assert gateway.tenant("beta")["override"] is None


def test_all_gateways_see_it_within_two_seconds(redis, start, engine):
    redis.start()
    configuration = on(redis, engine, requests_per_minute=100)
    gateways = [start(configuration), start(configuration)]
    for gateway in gateways:
        wait_store(gateway)
    for amount in (3, 4):
        set_limits(gateways[0], requests_per_minute=amount)
        assert limit_of(gateways[0]) == amount
        eventually(lambda a=amount: limit_of(gateways[1]) == a, "the other sees it", within=2)
    gateways[1].kill()
    gateways[1] = start(configuration)
    eventually(lambda: limit_of(gateways[1]) == 4, "a new one sees it", within=4)
    for _ in range(4):
        admitted(gateways[1].chat())
    refused(gateways[0].chat(), 429, "requests_per_minute_exceeded")
    assert change(gateways[1], None, "DELETE").status == 200
    eventually(lambda: limit_of(gateways[0]) == 100, "it is revoked", within=2)
    # Without the store nothing is changed, and what holds goes on.
    set_limits(gateways[0], requests_per_minute=5)
    eventually(lambda: limit_of(gateways[1]) == 5, within=2)
    redis.stop()
    wait_store(gateways[1], up=False)
    assert change(gateways[1], {"limits": {"requests_per_minute": 9}}).status == 503
    assert limit_of(gateways[1]) == 5
    gateways[0].signal(signal.SIGHUP)
    gateways[0].wait_log("is in force")
    assert limit_of(gateways[0]) == 5


# Organisations and teams.

CORP = "/admin/organisations/corp"
RESEARCH = f"{CORP}/teams/research"


def groups(gateway) -> tuple[dict, dict]:
    """The organisation and its team, as operators see them."""
    [corp] = gateway.admin("/admin/organisations").json["organisations"]
    assert gateway.admin(CORP).json == corp
    [research] = corp["teams"]
    assert gateway.admin(RESEARCH).json == research
    return corp, research


def test_the_limits_of_organisations_and_teams_are_overridden_alike(start, engine):
    gateway = start(hierarchy(engine))
    corp, research = groups(gateway)
    assert corp["override"] is None and research["override"] is None
    answer = change(gateway, {"limits": {"requests_per_day": 1}}, path=RESEARCH).json
    assert answer["group"] == "organisation/corp/team/research"
    assert answer["override"]["limits"] == {"requests_per_day": 1}
    eventually(lambda: gateway.chat().status == 429)
    error = refused(gateway.chat(), 429, "requests_per_day_exceeded")
    assert "requests per day of the team: Limit 1" in error["message"]
    assert groups(gateway)[1]["limits"] == [{"name": "requests_per_day", "limit": 1}]
    assert change(gateway, None, "DELETE", path=RESEARCH).json["override"] is None
    assert groups(gateway)[1]["limits"] == [{"name": "requests_per_day", "limit": 3}]
    answer = change(gateway, {"limits": {"requests_per_minute": 2}}, path=CORP)
    assert answer.status == 200, answer
    # A limit that the configuration does not have, beside those that it has.
    names = [limit["name"] for limit in groups(gateway)[0]["limits"]]
    assert set(names) == {"requests_per_minute", "requests_per_hour", "cost_per_day"}
    eventually(lambda: gateway.chat().status == 429)


def test_what_a_group_cannot_have_is_told(start, engine):
    gateway = start(hierarchy(engine))
    answer = change(gateway, {"limits": {"max_prompt_tokens": 5}}, path=CORP)
    assert answer.status == 400
    assert answer.json["mistakes"] == ["limits.max_prompt_tokens: a tenant has it, and no group"]
    for path, what in (
        ("/admin/organisations/none", "there is no such organisation"),
        (f"{CORP}/teams/none", "there is no such team"),
    ):
        for method in ("PATCH", "DELETE"):
            answer = change(gateway, {"limits": {"requests_per_day": 1}}, method, path=path)
            assert (answer.status, answer.json["error"]) == (404, what)
    assert gateway.admin(f"{CORP}/teams").status == 404
    assert gateway.admin("/admin/organisations/").status == 404


def test_two_gateways_have_a_groups_override_within_two_seconds(redis, start, engine):
    redis.start()
    configuration = hierarchy(engine)
    configuration["store"] = on(redis, engine)["store"]
    gateways = [start(configuration), start(configuration)]
    for gateway in gateways:
        wait_store(gateway)
    assert change(gateways[0], {"limits": {"requests_per_day": 7}}, path=RESEARCH).status == 200
    eventually(
        lambda: groups(gateways[1])[1]["limits"] == [{"name": "requests_per_day", "limit": 7}],
        "the other one has it",
        within=2.5,
    )
