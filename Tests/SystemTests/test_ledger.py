# SPDX-License-Identifier: Apache-2.0
"""The ledger: every settlement is written down, through kills, full disks and new files."""

import json
import os
import signal
import threading
import time

import pytest
from checks import admitted, refused
from fake_engine import MODEL, reply, usage_of
from gateway_process import KEY, OTHER_KEY, chat_body, hashed, settings
from http_client import BrokenAnswer
from waiting import eventually

PRICE = {
    "input_per_million": 0.1,
    "cached_input_per_million": 0.05,
    "output_per_million": 0.4,
    "currency": "EUR",
}
ORDER = [
    "time",
    "gateway",
    "number",
    "request_id",
    "tenant",
    "key",
    "class",
    "model",
    "outcome",
    "source",
    "input",
    "cached_input",
    "output",
    "reasoning",
    "cost",
    "currency",
    "crc",
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "usage.ndjson"


def ledger_settings(engine, path, **ledger):
    configuration = settings(engine)
    configuration["models"][0]["price"] = PRICE
    file = {"path": str(path)} | ledger.pop("file", {})
    return configuration | {"ledger": {"file": file} | ledger}


def entries(path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path, count: int) -> list[dict]:
    eventually(lambda: len(entries(path)) >= count, f"{count} entries are in {path}")
    found = entries(path)
    assert len(found) == count, found
    return found


def usage(run, path, *arguments) -> list[dict]:
    done = run("usage", "--file", path, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_settlement_is_an_entry_with_all_that_it_took(start, engine, path):
    gateway = start(ledger_settings(engine, path))
    engine.default = reply(usage=usage_of(123, 45, cached=100))
    admitted(gateway.chat(fields={"X-Request-Id": 'a"b'}))
    [entry] = written(path, 1)
    assert list(entry) == ORDER
    # 23 fresh, 100 cached and 45 generated tokens, exactly.
    expected = {
        "number": 1,
        "request_id": 'a"b',
        "tenant": "acme",
        "key": hashed(KEY).removeprefix("sha256:")[:12],
        "class": "interactive",
        "model": MODEL,
        "outcome": "completed",
        "source": "engine",
        "input": 123,
        "cached_input": 100,
        "output": 45,
        "reasoning": 0,
        "cost": 0.0000253,
        "currency": "EUR",
    }
    assert {name: entry[name] for name in expected} == expected
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_what_no_engine_was_given_is_no_entry(start, engine, path):
    gateway = start(ledger_settings(engine, path) | {"admin": {"address": "127.0.0.1:0"}})
    refused(gateway.chat(key="sk-unknown"), 401, "invalid_api_key")
    engine.stop()
    refused(gateway.chat(), 503, "no_healthy_endpoint")
    engine.start()
    gateway.wait_healthy(engine)
    admitted(gateway.chat(fields={"X-Request-Id": "served"}))
    assert [entry["request_id"] for entry in written(path, 1)] == ["served"]


def test_every_way_out_is_written_down(start, engine, path):
    gateway = start(ledger_settings(engine, path))
    hold = engine.gate()
    engine.script(reply(usage=None, tokens=5), reply(gate=hold))
    admitted(gateway.chat(stream=True, fields={"X-Request-Id": "counted"}))
    with gateway.connect() as connection:
        fields = {"X-Request-Id": "left"}
        connection.request("POST", "/v1/chat/completions", chat_body(stream=True), fields, KEY)
        eventually(lambda: len(engine.calls) == 2, "the engine is asked")
    found = {entry["request_id"]: entry for entry in written(path, 2)}
    assert found["counted"]["source"] == "counted" and found["counted"]["output"] == 5
    assert found["left"]["outcome"] == "client_left"
    hold.open()


def test_usage_reports_the_exact_sums(start, engine, run, path):
    gateway = start(ledger_settings(engine, path))
    for number in range(1, 8):
        engine.script(reply(usage=usage_of(1_000 + number, number)))
        admitted(gateway.chat(key=KEY if number % 2 else OTHER_KEY))
    written(path, 7)
    rows = usage(run, path)
    assert [(row["tenant"], row["requests"]) for row in rows] == [("acme", 4), ("beta", 3)]
    acme = rows[0]
    assert list(acme) == [
        "tenant",
        "model",
        "requests",
        "input",
        "cached_input",
        "output",
        "reasoning",
        "cost",
        "currency",
    ]
    assert (acme["input"], acme["output"]) == (4_016, 16)
    # 4,016 × 0.1 and 16 × 0.4 millionths.
    assert acme["cost"] == 0.000408 and acme["currency"] == "EUR"
    [all_of_it] = usage(run, path, "--by", "outcome")
    assert all_of_it["requests"] == 7 and all_of_it["outcome"] == "completed"
    assert usage(run, path, "--to", "2020-01-01") == []
    table = run("usage", "--config", gateway.file).stdout.splitlines()
    assert table[0].split()[:3] == ["tenant", "model", "requests"] and len(table) == 3
    rows = run("usage", "--config", gateway.file, "--format", "csv", "--by", "key").stdout
    assert len(rows.splitlines()) == 3 and rows.startswith("key,requests,")


def test_the_ledger_is_the_engines_counters_to_the_token(start, engine, run, path):
    gateway = start(ledger_settings(engine, path))
    totals = {"prompt": 0, "completion": 0}
    lock = threading.Lock()

    async def count(call):
        prompt, completion = len(call.body), len(engine.calls)
        with lock:
            totals["prompt"] += prompt
            totals["completion"] += completion
        await reply(tokens=3, usage=usage_of(prompt, completion))(call)

    engine.default = count

    def client(number: int) -> None:
        for turn in range(25):
            admitted(gateway.chat(stream=turn % 2 == 0, text="x" * (number + turn)))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    written(path, 200)
    [row] = usage(run, path)
    assert (row["input"], row["output"]) == (totals["prompt"], totals["completion"])


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
def test_a_killed_gateway_loses_no_more_than_the_window(start, engine, run, path, fsync):
    window = 0.5
    gateway = start(
        ledger_settings(engine, path, window=f"{window}s", file={"fsync": fsync})
    )
    # When each answer was there, by the request's name.
    seen: dict[str, float] = {}
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer = gateway.chat()
            except (OSError, BrokenAnswer):
                return
            if answer.status == 200:
                seen[answer.fields["x-request-id"]] = time.monotonic()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    eventually(
        lambda: seen and time.monotonic() > min(seen.values()) + 4 * window,
        "requests are served for four windows",
    )
    killed = time.monotonic()
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    stop.set()
    for thread in clients:
        thread.join()
    owed = {name for name, at in seen.items() if at < killed - window}
    assert len(owed) > 100
    kept = {entry["request_id"] for entry in entries_of(path.read_bytes())}
    assert owed <= kept, len(owed - kept)
    assert sum(row["requests"] for row in usage(run, path)) == len(kept) >= len(owed)


def entries_of(text: bytes) -> list[dict]:
    """Those of whole lines."""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def test_a_torn_line_is_told_of_and_the_next_gateway_begins_its_own(start, engine, run, path):
    gateway = start(ledger_settings(engine, path))
    for _ in range(3):
        admitted(gateway.chat())
    written(path, 3)
    gateway.kill()
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    gateway = start(ledger_settings(engine, path))
    admitted(gateway.chat())
    eventually(lambda: path.read_bytes().count(b"\n") == 4, "the next entry is there")
    done = run("usage", "--file", path, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["requests"] == 3
    assert done.stderr == "penstock: 1 broken line was left out\n"


def test_full_files_stand_aside_and_nothing_is_lost_or_counted_twice(start, engine, run, path):
    gateway = start(ledger_settings(engine, path, file={"rotate": {"size": "4KiB"}}))
    for _ in range(60):
        admitted(gateway.chat())
    eventually(lambda: usage(run, path)[0]["requests"] == 60, "all of it is written")
    full = sorted(path.parent.glob("usage.ndjson.2*"))
    assert len(full) >= 3
    assert all(file.stat().st_size <= 4_096 for file in full)
    [row] = usage(run, path)
    assert row["requests"] == 60 and row["input"] == 60 * 7 and row["output"] == 60 * 4
    again = run("usage", "--file", path, "--file", path, "--json")
    assert json.loads(again.stdout)[0]["requests"] == 60
    assert "stand there more than once" in again.stderr


def test_only_so_many_full_files_are_kept(start, engine, path):
    rotate = {"size": "4KiB", "keep": 2}
    gateway = start(ledger_settings(engine, path, file={"rotate": rotate}))
    for _ in range(60):
        admitted(gateway.chat())
    eventually(lambda: _sink(gateway)["written"] == 60, "all of it is written")
    assert _sink(gateway)["rotations"] >= 3
    assert len(list(path.parent.glob("usage.ndjson.2*"))) == 2


def _sink(gateway) -> dict:
    return gateway.admin("/admin/ledger").json["sinks"][0]


def test_an_old_file_stands_aside_too(start, engine, path):
    start(ledger_settings(engine, path, file={"rotate": {"age": "1s"}})).chat()
    written(path, 1)
    eventually(lambda: list(path.parent.glob("usage.ndjson.2*")), "the file is old")
    assert path.read_bytes() == b""


def test_a_full_disk_refuses_new_requests_until_it_takes_entries_again(start, engine, path):
    path.symlink_to("/dev/full")
    gateway = start(ledger_settings(engine, path, window="100ms"))
    hold = engine.gate()
    engine.script(reply(gate=hold), reply())
    open_one = threading.Thread(target=lambda: admitted(gateway.chat()))
    open_one.start()
    eventually(lambda: len(engine.calls) == 1, "one is open")
    admitted(gateway.chat())
    eventually(lambda: gateway.chat().status == 503, "the ledger is behind")
    answer = gateway.chat()
    refused(answer, 503, "ledger_unavailable")
    assert answer.fields["retry-after"] == "1"
    assert gateway.admin("/readyz").status == 503
    assert b"ledger is behind" in gateway.admin("/readyz").body
    sink = _sink(gateway)
    assert not sink["up"] and sink["behind"] and "space" in sink["fault"]
    page = gateway.admin("/metrics").body.decode()
    assert 'penstock_ledger_up{sink="file"} 0' in page
    # What was open is settled all the same, and waits with the first.
    hold.open()
    open_one.join()
    assert gateway.get("/v1/models").status == 200
    path.unlink()
    eventually(lambda: gateway.chat().status == 200, "the disk has room again", within=5)
    # Three, and what the waiting for the refusal and for the end of it let in.
    gateway.assert_at_rest()
    count = len(engine.calls)
    eventually(lambda: len(entries(path)) == count, "nothing is lost")
    assert _sink(gateway)["lost"] == 0 and _sink(gateway)["up"]
    gateway.wait_log("is written again")


def test_a_ledger_that_may_drop_serves_on_and_counts_what_it_loses(start, engine, path):
    path.symlink_to("/dev/full")
    gateway = start(ledger_settings(engine, path, queue=3, on_full="drop", window="10ms"))
    for _ in range(10):
        admitted(gateway.chat())
    eventually(lambda: _sink(gateway)["lost"] == 7, "what exceeds the queue is lost")
    path.unlink()
    assert len(written(path, 3)) == 3


def test_two_gateways_never_share_a_file(start, engine, run, path):
    gateway = start(ledger_settings(engine, path))
    done = run("serve", "--config", gateway.file)
    assert done.returncode == 3
    assert "another gateway writes to it" in done.stderr


def test_a_ledger_that_cannot_be_opened_is_an_error_of_the_start(start, engine, run, tmp_path):
    file = tmp_path / "penstock.json"
    file.write_text(json.dumps(ledger_settings(engine, tmp_path / "none" / "usage")))
    done = run("serve", "--config", file)
    assert done.returncode == 3
    assert f"penstock: ledger {tmp_path}/none/usage: No such file or directory" in done.stderr


def test_the_end_writes_out_what_waits(start, engine, path):
    gateway = start(ledger_settings(engine, path))
    for _ in range(20):
        admitted(gateway.chat())
    assert gateway.stop() == 0
    assert len(entries(path)) == 20


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--file", "none"], 1, "penstock: none: No such file or directory"),
        (["--file", "x", "--from", "yesterday"], 2, "--from: 'yesterday' is no time"),
        (["--file", "x", "--from", "2026-02-30"], 2, "--from: '2026-02-30' is no time"),
        (
            ["--file", "x", "--from", "2026-01-02", "--to", "2026-01-02"],
            2,
            "--from 2026-01-02 is not before --to 2026-01-02",
        ),
        (["--file", "x", "--by", "tenant,weather"], 2, "--by: 'weather' is none of"),
        (["--file", "x", "--by", "key,key"], 2, "--by: 'key' stands twice"),
        (["--file", "x", "--format", "xml"], 2, "xml"),
        ([], 2, "give --config FILE, or --file FILE"),
    ],
)
def test_mistakes_are_named(run, arguments, code, message):
    done = run("usage", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr and done.stdout == ""


# The stream.


def stream_settings(engine, redis, **ledger):
    configuration = settings(engine)
    configuration["models"][0]["price"] = PRICE
    return configuration | {
        "store": {"kind": "redis", "redis": {"addresses": [redis.address]}},
        "ledger": {"redis_stream": ledger.pop("stream", {})} | ledger,
    }


def stream_usage(run, gateway) -> list[dict]:
    done = run("usage", "--config", gateway.file, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_stream_has_every_settlement_and_usage_reads_it(start, engine, redis, run):
    redis.start()
    gateway = start(stream_settings(engine, redis))
    engine.default = reply(usage=usage_of(123, 45, cached=100))
    for _ in range(150):
        admitted(gateway.chat())
    eventually(lambda: redis.command("XLEN", "penstock:ledger") == "150", "all is in the stream")
    [row] = stream_usage(run, gateway)
    assert (row["requests"], row["input"], row["cached_input"]) == (150, 150 * 123, 15_000)
    assert row["cost"] == 0.003795
    assert _sink(gateway)["sink"] == "redis_stream" and _sink(gateway)["written"] == 150


def test_an_answer_that_was_lost_makes_no_entry_twice(start, engine, redis, run):
    redis.start()
    gateway = start(stream_settings(engine, redis, window="30s"))
    admitted(gateway.chat())
    gateway.wait_log("budget store is up")
    stop = threading.Event()
    served = []

    def client() -> None:
        while not stop.is_set():
            served.append(admitted(gateway.chat()))

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    for _ in range(4):
        mark = len(served)
        eventually(lambda mark=mark: len(served) > mark + 20, "requests are served")
        redis.freeze()
        # Commands that the server has got already are carried out once it goes on.
        eventually(lambda: _sink(gateway)["faults"] > 0 and not _sink(gateway)["up"], "away")
        redis.thaw()
        eventually(lambda: _sink(gateway)["up"], "the stream is there again")
    stop.set()
    for thread in clients:
        thread.join()
    count = str(len(served) + 1)
    eventually(lambda: redis.command("XLEN", "penstock:ledger") == count, "each is there once")
    assert sum(row["requests"] for row in stream_usage(run, gateway)) == int(count)
    assert _sink(gateway)["lost"] == 0


def test_a_redis_that_is_away_refuses_new_requests_where_nothing_may_be_lost(
    start, engine, redis, run
):
    redis.start()
    gateway = start(stream_settings(engine, redis, window="200ms"))
    admitted(gateway.chat())
    eventually(lambda: _sink(gateway)["written"] == 1, "the first is in the stream")
    redis.stop()
    # With `on_failure: local` budgets go on; the ledger does not.
    admitted(gateway.chat())
    eventually(lambda: gateway.chat().status == 503, "the ledger is behind")
    refused(gateway.chat(), 503, "ledger_unavailable")
    redis.start()
    eventually(lambda: gateway.chat().status == 200, "the stream is there again", within=3)
    gateway.assert_at_rest()
    # The server has forgotten the first; all that came since is there.
    count = len(engine.calls) - 1
    eventually(lambda: redis.command("XLEN", "penstock:ledger") == str(count), "none is lost")


def test_entries_that_fall_out_of_a_full_stream_are_counted(start, engine, redis):
    redis.start()
    gateway = start(stream_settings(engine, redis, stream={"maxlen": 1, "key": "my{tag}"}))
    for _ in range(300):
        admitted(gateway.chat())
    eventually(lambda: _sink(gateway)["written"] == 300, "all of it was written")
    left = int(redis.command("XLEN", "my{tag}"))
    assert left < 300 and _sink(gateway)["trimmed"] == 300 - left


def test_a_key_that_is_no_stream_is_named(start, engine, redis):
    redis.start()
    redis.command("SET", "penstock:ledger", "mine")
    gateway = start(stream_settings(engine, redis, window="100ms"))
    gateway.chat()
    eventually(lambda: "WRONGTYPE" in (_sink(gateway)["fault"] or ""), "the fault is named")
    eventually(lambda: gateway.chat().status == 503, "the ledger is behind")
    redis.command("DEL", "penstock:ledger")
    eventually(lambda: _sink(gateway)["up"], "it goes on")


def test_usage_without_a_server_is_a_fault_of_the_environment(run, redis, engine, tmp_path):
    file = tmp_path / "penstock.json"
    file.write_text(json.dumps(stream_settings(engine, redis)))
    done = run("usage", "--config", file)
    assert done.returncode == 3
    assert "penstock: penstock:ledger: Connection refused" in done.stderr
