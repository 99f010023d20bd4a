# SPDX-License-Identifier: Apache-2.0
"""Keys that are not good for ever, and how one takes another's place."""

import datetime
import signal
import threading

import yaml
from checks import admitted, refused
from fake_engine import reply
from gateway_process import KEY, OTHER_KEY, chat_body, hashed, settings
from waiting import eventually

FRESH = "sk-test-acme-fresh"


def at(**offset: float) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**offset)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def with_keys(engine, *keys: dict | str) -> dict:
    configuration = settings(engine)
    configuration["tenants"][0]["keys"] = list(keys)
    return configuration


def sample(gateway, name: str) -> dict[str, float]:
    lines = gateway.admin("/metrics").body.decode().splitlines()
    found = (line.rsplit(" ", 1) for line in lines if line.startswith(name + "{"))
    return {labels.removeprefix(name): float(value) for labels, value in found}


def test_a_key_is_good_between_its_times(start, engine):
    gateway = start(
        with_keys(
            engine,
            {"hash": hashed("sk-old"), "id": "old", "expires": at(days=-1)},
            {"hash": hashed("sk-early"), "id": "early", "not_before": at(days=1)},
            {"hash": hashed(KEY), "not_before": at(days=-1), "expires": at(days=30)},
        )
    )
    gateway.wait_healthy(engine)
    admitted(gateway.chat(KEY))
    for key, code in (("sk-old", "api_key_expired"), ("sk-early", "api_key_not_yet_valid")):
        error = refused(gateway.chat(key), 401, code)
        assert key not in error["message"]
        refused(gateway.get("/v1/models", key=key), 401, code)
    refused(gateway.chat("sk-wrong"), 401, "invalid_api_key")
    # Nobody can tell by an expired key of one tenant and a good one of another whose is what.
    refused(gateway.chat("sk-old", fields={"x-api-key": OTHER_KEY}), 401, "invalid_api_key")

    keys = {key["id"]: key for key in gateway.tenant()["keys"]}
    assert keys["old"]["state"] == "expired" and keys["early"]["state"] == "not_yet_valid"
    assert keys[hashed(KEY)[7:23]]["state"] == "valid"
    assert hashed(KEY)[7:] not in gateway.admin("/admin/tenants").body.decode()
    states = sample(gateway, "penstock_api_keys")
    assert states == {'{state="valid"}': 2, '{state="not_yet_valid"}': 1, '{state="expired"}': 1}
    left = sample(gateway, "penstock_api_key_seconds_left")
    assert -86_500 < left['{tenant="acme",key="old"}'] <= -86_400
    assert 29 * 86_400 < left[f'{{tenant="acme",key="{hashed(KEY)[7:23]}"}}'] <= 30 * 86_400
    assert len(left) == 2


def test_a_key_ends_while_the_gateway_runs(start, engine):
    gateway = start(
        with_keys(
            engine,
            {"hash": hashed(KEY), "id": "short", "expires": at(seconds=3)},
            {"hash": hashed(FRESH), "id": "next", "not_before": at(seconds=3)},
        )
    )
    gateway.wait_healthy(engine)
    admitted(gateway.chat(KEY))
    refused(gateway.chat(FRESH), 401, "api_key_not_yet_valid")
    with gateway.connect() as connection:
        # The same connection, which proves nothing: each request shows its key.
        admitted(connection.exchange("POST", "/v1/chat/completions", chat_body(), key=KEY))
        eventually(lambda: gateway.chat(KEY).status == 401, "the key ends")
        answer = connection.exchange("POST", "/v1/chat/completions", chat_body(), key=KEY)
        refused(answer, 401, "api_key_expired")
        admitted(connection.exchange("POST", "/v1/chat/completions", chat_body(), key=FRESH))
    assert "in less than a day" in gateway.wait_log("key short of tenant acme expires")
    gateway.wait_log("key short of tenant acme expired at")


def test_keys_take_each_others_places_and_nothing_is_dropped(start, engine):
    """Old, both, new: by two reloads, under streams and a client of each key."""
    engine.default = reply(text="x", tokens=1)
    gateway = start(with_keys(engine, {"hash": hashed(KEY), "id": "old"}))
    gateway.wait_healthy(engine)
    wrong: list = []
    done = threading.Event()
    current = [KEY]

    def client() -> None:
        with gateway.connect() as connection:
            while not done.is_set():
                key = current[0]
                answer = connection.exchange("POST", "/v1/chat/completions", chat_body(), key=key)
                if answer.status != 200:
                    wrong.append((key, answer))

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()

    def reload(generation: int, *keys: dict) -> None:
        gateway.write(with_keys(engine, *keys))
        gateway.signal(signal.SIGHUP)
        gateway.wait_log(f"configuration {generation} is in force")

    def answered(key: str, status: int) -> None:
        eventually(lambda: gateway.chat(key).status == status, f"{key} gets {status}")

    both = [{"hash": hashed(KEY), "id": "old"}, {"hash": hashed(FRESH), "id": "new"}]
    reload(2, *both)
    answered(FRESH, 200)
    current[0] = FRESH
    before = gateway.tenant()["requests"]["completed"]
    eventually(
        lambda: gateway.tenant()["requests"]["completed"] > before + 20, "the clients have changed"
    )
    reload(3, both[1])
    answered(KEY, 401)
    admitted(gateway.chat(FRESH))
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]


def test_what_will_soon_be_over_is_told_once(start, engine, run, tmp_path):
    configuration = with_keys(
        engine,
        {"hash": hashed("sk-1"), "id": "soon", "expires": at(days=5, hours=1)},
        {"hash": hashed("sk-2"), "id": "followed", "expires": at(days=1, hours=1)},
        {"hash": hashed("sk-3"), "id": "later", "expires": at(days=15)},
        {"hash": hashed("sk-4"), "id": "over", "expires": at(days=-1)},
    )
    configuration["tenants"][1]["keys"] = [
        {"hash": hashed(OTHER_KEY), "id": "only", "expires": at(days=2, hours=1)}
    ]
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump(configuration))
    checked = run("check", "--config", "keys.yaml")
    assert checked.returncode == 0, checked
    assert checked.stdout == "keys.yaml: ok\n"
    lines = checked.stderr.splitlines()
    assert len(lines) == 4, lines
    assert lines[0].startswith("warning: key soon of tenant acme expires in 5 days, at 20")
    assert lines[1].startswith("warning: key followed of tenant acme expires in 1 day, at 20")
    assert lines[2].startswith("warning: key over of tenant acme expired at 20")
    assert lines[3].endswith(", and no other one follows it")
    assert all("follows" not in line for line in lines[:3])

    gateway = start(configuration)
    gateway.wait_log("key only of tenant beta expires in 2 days")
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("configuration 2 is in force")
    # The next look at the keys is behind a whole interval of the chores.
    looks = sample(gateway, "penstock_api_keys")
    assert looks['{state="valid"}'] == 4
    for name in ("soon", "followed", "over", "only"):
        # Beside what the check of the start says.
        assert sum(line.startswith(f"key {name} of tenant") for line in gateway.logs) == 1
    assert not any("key later" in line for line in gateway.logs)
