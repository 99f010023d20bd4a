# SPDX-License-Identifier: Apache-2.0
"""config/penstock.schema.json takes the shipped examples and refuses broken documents."""

import copy
import json
import pathlib

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "Tests/ConfigurationTests/Golden"

ACCEPTED = [
    ROOT / "config/minimal.yaml",
    ROOT / "config/penstock.yaml",
    GOLDEN / "defaults.yaml",
    GOLDEN / "everything.yaml",
]

# Path into the minimal example, and the value that must be refused there; REMOVED takes the
# key away.
REMOVED = object()
BROKEN = [
    (["workers"], 0),
    (["workers"], 65),
    (["workers"], "four"),
    (["workers"], 1.5),
    (["wrokers"], 4),
    (["listeners"], REMOVED),
    (["listeners"], []),
    (["listeners", 0, "address"], "localhost"),
    (["listeners", 0, "address"], "*:8080"),
    (["listeners", 0, "protocols"], ["http3"]),
    (["admin"], {"token": ["x"]}),
    (["store"], {"kind": "etcd"}),
    (["store"], {"kind": "redis", "redis": {"timeout": "50ms"}}),
    (["store"], {"kind": "redis", "redis": {"addresses": ["redis"]}}),
    (["http"], {"max_body": "16MB"}),
    (["http"], {"max_body": 16777216}),
    (["http"], {"head_timeout": 10}),
    (["http"], {"head_timeout": "10 s"}),
    (["models", 0, "context_length"], REMOVED),
    (["models", 0, "price"], {"input_per_million": 1}),
    (["models", 0, "price"], {"input_per_million": -1, "output_per_million": 1}),
    (["pools", 0, "engine"], "ollama"),
    (["pools", 0, "endpoints"], ["http://user:password@10.0.0.1"]),
    (["pools", 0, "endpoints"], "http://10.0.0.1"),
    (["classes", 0, "kv"], {"throttle_at": 85}),
    (["classes", 0, "kv"], {"treshold_at": 0.5}),
    (["tenants", 0, "keys"], ["sk-clear-key"]),
    (["tenants", 0, "limits"], {"tokens_per_minute": 0}),
    (["tenants", 0, "limits"], {"tokens_per_year": 5}),
    (["tenants", 0, "weight"], "heavy"),
]

# What must be taken although it is not what the type says at first sight.
UNUSUAL = [
    (["workers"], "${WORKERS:-4}"),
    (["workers"], None),
    (["admin"], None),
    (["http"], {"max_body": "1.5MiB", "idle_timeout": "1d"}),
    (["listeners", 0, "address"], "[::]:${PORT}"),
]


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((ROOT / "config/penstock.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def minimal():
    return yaml.safe_load(ACCEPTED[0].read_text(encoding="utf-8"))


def named(change):
    return ".".join(map(str, change[0]))


@pytest.mark.parametrize("file", ACCEPTED, ids=lambda file: file.name)
def test_examples_fit(validator, file):
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(document)] == []


@pytest.mark.parametrize("change", UNUSUAL, ids=named)
def test_what_is_unusual_fits(validator, minimal, change):
    assert validator.is_valid(changed(minimal, *change))


@pytest.mark.parametrize("change", BROKEN, ids=named)
def test_what_is_broken_does_not_fit(validator, minimal, change):
    assert not validator.is_valid(changed(minimal, *change))
