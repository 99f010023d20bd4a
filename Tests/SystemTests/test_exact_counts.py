# SPDX-License-Identifier: Apache-2.0
"""Prompts of a model with a tokenizer are counted, not estimated."""

import json
import select
import signal

import pytest
import tokenizers
import yaml
from checks import admitted
from gateway_process import KEY, chat_body, settings
from http_client import Connection
from test_request_traces import named, trace
from tokenizers import models, pre_tokenizers, trainers
from waiting import eventually

PATH = "/v1/chat/completions"
TEXT = "penstock meters water onto a turbine, tokens onto engines. " * 20


@pytest.fixture(scope="module")
def tokenizer():
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator([TEXT], trainer)
    return made


@pytest.fixture
def file(tokenizer, tmp_path):
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def with_tokenizer(engine, file, **sections):
    configuration = settings(engine, **sections)
    configuration["models"][0]["tokenizer"] = str(file)
    configuration["models"][0]["context_length"] = 10_000_000
    return configuration


def estimate(gateway, name: str) -> int:
    """Of the texts and what stands around them, before what was learnt."""
    return trace(gateway, name)["estimate"]["input_by_text"]


def ask(gateway, name: str, *contents: str, **members) -> int:
    """What a prompt of these messages comes to, by the name of its request."""
    messages = [{"role": "user", "content": content} for content in contents]
    admitted(gateway.chat(fields=named(name), messages=messages, max_tokens=5, **members))
    return estimate(gateway, name)


def ways(gateway) -> dict[str, int]:
    found = {}
    for line in gateway.admin("/metrics").body.decode().splitlines():
        if line.startswith("penstock_prompts_counted_total{"):
            found[line.split('"')[1]] = int(float(line.split()[-1]))
    return found


def test_a_prompt_comes_to_the_tokens_of_its_texts(start, engine, tokenizer, file):
    gateway = start(with_tokenizer(engine, file))
    around = ask(gateway, "empty", "")
    texts = [TEXT, "a", "naïve 你好 \u0000 \\u4e2d \"quoted\"\n", "é" * 300]
    for number, text in enumerate(texts):
        right = len(tokenizer.encode(text).ids)
        assert ask(gateway, f"one-{number}", text) - around == right
    # Each message is a text of its own.
    two = ask(gateway, "two", "penstock", "penstock") - ask(gateway, "none", "", "")
    assert two == 2 * len(tokenizer.encode("penstock").ids)
    assert ways(gateway)["worker"] == 7 and ways(gateway)["thread"] == 0


def test_big_prompts_are_counted_by_another_thread(start, engine, tokenizer, file):
    gateway = start(
        with_tokenizer(engine, file, workers=1, counting={"inline": "1KiB", "threads": 2}))
    around = ask(gateway, "empty", "")
    text = TEXT * 20
    assert ask(gateway, "big", text) - around == len(tokenizer.encode(text).ids)
    assert ways(gateway) == {"worker": 1, "thread": 1, "estimated": 0}


def counting(gateway, letters: int) -> Connection:
    """A connection whose prompt is being counted: letters of one kind, which takes a while."""
    connection = Connection(gateway.address, 110)
    connection.request("POST", PATH, chat_body("p" * letters, max_tokens=5), key=KEY)
    eventually(lambda: ways(gateway)["thread"] == 1, "the big one is being counted", within=60)
    return connection


def is_answered(connection: Connection) -> bool:
    return bool(select.select([connection.socket], [], [], 0)[0])


def test_others_do_not_wait_for_a_big_prompt(start, engine, file):
    gateway = start(with_tokenizer(engine, file, workers=1))
    big = counting(gateway, 3_000_000)
    served = 0
    while served < 10 and not is_answered(big):
        ask(gateway, f"small-{served}", "a small one")
        served += 1
    assert served == 10
    # More tokens than the engine's cache has.
    assert big.answer().status in (200, 400, 503)


@pytest.mark.parametrize("character", ["p", " "])
def test_eight_megabytes_of_one_character_are_counted_in_linear_time(
    start, engine, file, character
):
    gateway = start(with_tokenizer(engine, file, workers=1))
    body = chat_body(character * (8 << 20), max_tokens=5)
    with Connection(gateway.address, 110) as connection:
        connection.request("POST", PATH, body, key=KEY)
        # More tokens than the engine's cache, or than the model's context.
        assert connection.answer().status in (200, 400, 503)
    assert ways(gateway)["thread"] == 1
    assert ask(gateway, "after", "a") > 0


def test_where_too_much_waits_the_estimate_stands(start, engine, file):
    gateway = start(with_tokenizer(
        engine, file, workers=1, counting={"inline": "0KiB", "max_waiting": "1MiB"}))
    big = counting(gateway, 3_000_000)
    ask(gateway, "second", TEXT)
    assert ways(gateway) == {"worker": 0, "thread": 1, "estimated": 1}
    assert big.answer().status in (200, 400, 503)


def test_a_client_that_leaves_while_its_prompt_is_counted_is_forgotten(start, engine, file):
    gateway = start(with_tokenizer(engine, file, workers=1))
    counting(gateway, 2_000_000).close()
    assert ask(gateway, "after", "a") > 0


def test_a_reload_reads_the_file_again(start, engine, tokenizer, file):
    gateway = start(with_tokenizer(engine, file))
    around = ask(gateway, "empty", "")
    before = ask(gateway, "before", TEXT)
    document = json.loads(file.read_text())
    document["model"]["merges"] = []
    document["model"]["ignore_merges"] = False
    file.write_text(json.dumps(document))
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("configuration 2 is in force")
    assert ask(gateway, "after", TEXT) - around == len(TEXT) > before
    file.write_text("{}")
    gateway.signal(signal.SIGHUP)
    gateway.wait_log("reload refused")
    assert ask(gateway, "still", TEXT) - around == len(TEXT)


def test_a_file_that_cannot_count_is_a_mistake_with_its_place(run, engine, tmp_path):
    configuration = settings(engine)
    (tmp_path / "bad.json").write_text('{"model": {"type": "Unigram"}}')
    configuration["models"][0]["tokenizer"] = "bad.json"
    configuration["models"][1]["tokenizer"] = "none.json"
    path = tmp_path / "penstock.yaml"
    path.write_text(yaml.safe_dump(configuration, sort_keys=False))
    result = run("check", "--config", path)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0].endswith(
        "models[0].tokenizer: 'bad.json' cannot count: model.type: Unigram is not known")
    assert lines[1].endswith("models[1].tokenizer: 'none.json' cannot be read: no such file")
    assert all(line.startswith(f"{path}:") for line in lines) and len(lines) == 2
