# SPDX-License-Identifier: Apache-2.0
"""What operators change is written down: who, when, what, and what came of it."""

import datetime
import json
import pathlib
import signal
import stat

import yaml
from gateway_process import KEY, TOKEN, hashed, settings
from http_client import Connection
from waiting import eventually


def audited(engine, path: object | None, token: str | None = TOKEN, **admin: object) -> dict:
    configuration = settings(engine)
    configuration["admin"] |= admin
    if token:
        configuration["admin"]["token"] = token
    if path:
        configuration["admin"]["audit_log"] = str(path)
    return configuration


def entries(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def ask(gateway, method: str, path: str, body=b"", key: str | None = TOKEN):
    with Connection(gateway.admin_address) as connection:
        return connection.exchange(method, path, body, key=key)


def test_changes_are_written_down(start, engine, tmp_path):
    path = tmp_path / "audit.jsonl"
    gateway = start(audited(engine, path))
    gateway.wait_healthy = None  # The token is needed for it.
    limits = {"limits": {"requests_per_minute": 5}}
    assert ask(gateway, "PATCH", "/admin/tenants/acme", limits).status == 200
    # On the disk before the answer.
    [entry] = entries(path)
    moment = datetime.datetime.fromisoformat(entry["time"])
    assert abs((datetime.datetime.now(datetime.timezone.utc) - moment).total_seconds()) < 10
    assert entry | {"time": ""} == {
        "time": "", "by": "token", "address": "127.0.0.1", "action": "PATCH",
        "target": "/admin/tenants/acme", "outcome": "done", "status": 200,
        "before": {"override": None},
        "after": {
            "override": {
                "limits": {"requests_per_minute": 5}, "expires": None, "expires_in_s": None,
            }
        },
    }
    assert ask(gateway, "DELETE", "/admin/tenants/acme").status == 200
    entry = entries(path)[-1]
    assert entry["action"] == "DELETE" and entry["after"] == {"override": None}
    assert entry["before"]["override"]["limits"] == {"requests_per_minute": 5}

    name = engine.authority
    for work, state in (("drain", True), ("drain", True), ("undrain", False)):
        before = entries(path)[-1].get("after", {}).get("draining", False)
        assert ask(gateway, "POST", f"/admin/endpoints/{name}/{work}").status == 200
        entry = entries(path)[-1]
        assert entry["target"] == f"/admin/endpoints/{name}/{work}"
        assert entry["before"] == {"draining": before}
        assert entry["after"] == {"draining": state}

    assert ask(gateway, "POST", "/admin/reload").status == 200
    entry = entries(path)[-1]
    assert entry["outcome"] == "done"
    assert entry["after"]["generation"] > entry["before"]["generation"]
    # What only asks is not in it.
    count = len(entries(path))
    for page in ("/admin/tenants", "/admin/config", "/metrics", "/readyz"):
        assert ask(gateway, "GET", page).status in (200, 503)
    assert len(entries(path)) == count
    assert f"penstock_audit_lines_total {count}" in ask(gateway, "GET", "/metrics").body.decode()
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0
    assert gateway.stop() == 0


def test_what_was_refused_or_denied_is_written_down(start, engine, tmp_path):
    path = tmp_path / "audit.jsonl"
    gateway = start(audited(engine, path))
    wrong = "sk-wrong-operator"
    for method, target, body, key, outcome, status in [
        ("PATCH", "/admin/tenants/acme", {"limits": {"nonsense": 1}}, TOKEN, "refused", 400),
        ("PATCH", "/admin/tenants/nobody", {"limits": {}}, TOKEN, "refused", 404),
        ("POST", "/admin/endpoints/elsewhere:1/drain", b"", TOKEN, "refused", 404),
        ("PATCH", "/admin/tenants/acme", {"limits": {"x": wrong}}, wrong, "denied", 401),
        ("POST", "/admin/reload?token=" + wrong, b"", None, "denied", 401),
    ]:
        assert ask(gateway, method, target, body, key).status == status
        entry = entries(path)[-1]
        assert (entry["outcome"], entry["status"]) == (outcome, status), entry
        assert entry["target"] == target.split("?")[0]
        assert entry["by"] == ("unknown" if status == 401 else "token")
        assert ("before" in entry) == ("after" in entry) == (status != 401)
        assert entry.get("before") == entry.get("after")
    gateway.write("listeners: [")
    assert ask(gateway, "POST", "/admin/reload").status == 400
    assert entries(path)[-1]["outcome"] == "refused"
    gateway.signal(signal.SIGHUP)
    eventually(lambda: entries(path)[-1]["by"] == "signal", "the signal is written down")
    assert entries(path)[-1]["outcome"] == "refused" and entries(path)[-1]["address"] is None
    gateway.write(audited(engine, path))
    gateway.signal(signal.SIGHUP)
    eventually(lambda: entries(path)[-1]["outcome"] == "done", "and that it was good")
    text = path.read_text()
    for secret in (TOKEN, wrong, KEY, hashed(KEY)):
        assert secret not in text and secret not in "".join(gateway.logs)
    assert gateway.stop() == 0


def test_who_has_no_token_does_not_fill_the_disk(start, engine, tmp_path):
    path = tmp_path / "audit.jsonl"
    gateway = start(audited(engine, path))
    with Connection(gateway.admin_address) as connection:
        for number in range(300):
            target = f"/admin/tenants/{number}-" + "x" * 2_000
            answer = connection.exchange("DELETE", target, key="sk-wrong")
            assert answer.status == 401
    found = entries(path)
    seconds = {entry["time"][:19] for entry in found}
    assert len(found) <= 8 * len(seconds) and len(found) < 300
    assert all(len(line) < 700 for line in path.read_text().splitlines())
    assert gateway.stop() == 0


def test_without_a_file_the_log_has_it(start, engine):
    gateway = start(audited(engine, None, token=None))
    assert ask(gateway, "POST", "/admin/reload", key=None).status == 200
    line = gateway.wait_log("audit: {")
    entry = json.loads(line[line.index("{"):])
    assert entry["by"] == "open" and entry["outcome"] == "done"


def test_a_full_file_is_renamed(start, engine, tmp_path):
    path = tmp_path / "audit.jsonl"
    path.write_text('{"earlier": true}\n' * 60_000 + '{"torn')
    assert path.stat().st_size > 1 << 20
    gateway = start(audited(engine, path, token=None, audit_log_size="1MiB"))
    assert ask(gateway, "POST", "/admin/reload", key=None).status == 200
    [entry] = entries(path)
    assert entry["target"] == "/admin/reload"
    older = path.with_suffix(".jsonl.1")
    assert older.read_text().endswith('{"torn\n')


def test_one_gateway_writes_to_a_file_and_it_has_to_be_writable(start, engine, tmp_path, run):
    path = tmp_path / "audit.jsonl"
    start(audited(engine, path, token=None))
    for place, words in ((path, "another gateway writes to it"), ("/nonesuch/a", "no such file")):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(audited(engine, place)))
        result = run("serve", "--config", "c.yaml")
        assert result.returncode == 3, result
        assert words in result.stderr.lower() and "audit log" in result.stderr
