#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks config/penstock.schema.json: it takes the shipped examples and refuses broken documents.

Needs the packages jsonschema and PyYAML. Exits 0 when all is well, else 1 with a line for each
failure.
"""

import copy
import json
import pathlib
import sys

import jsonschema
import yaml

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent.parent

ACCEPTED = [
    ROOT / "config/minimal.yaml",
    ROOT / "config/penstock.yaml",
    TESTS / "Golden/defaults.yaml",
    TESTS / "Golden/everything.yaml",
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
    (["listeners", 0, "tls"], {"certificate": "a", "key": "b"}),
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
    (["pools", 0, "endpoints"], ["https://10.0.0.1"]),
    (["pools", 0, "endpoints"], ["http://user:password@10.0.0.1"]),
    (["pools", 0, "endpoints"], "http://10.0.0.1"),
    (["classes", 0, "kv"], {"throttle_at": 85}),
    (["classes", 0, "kv"], {"treshold_at": 0.5}),
    (["tenants", 0, "keys"], ["sk-clear-key"]),
    (["tenants", 0, "limits"], {"tokens_per_minute": 0}),
    (["tenants", 0, "limits"], {"tokens_per_hour": 5}),
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


def main():
    schema = json.loads((ROOT / "config/penstock.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    failures = []
    for file in ACCEPTED:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        failures += [f"{file.name}: {error.message}" for error in validator.iter_errors(document)]
    minimal = yaml.safe_load(ACCEPTED[0].read_text(encoding="utf-8"))
    for path, value in UNUSUAL:
        if not validator.is_valid(changed(minimal, path, value)):
            failures.append(f"refused although right: {path} = {value!r}")
    for path, value in BROKEN:
        if validator.is_valid(changed(minimal, path, value)):
            failures.append(f"taken although broken: {path} = {value!r}")
    for failure in failures:
        print(failure, file=sys.stderr)
    total = len(ACCEPTED) + len(UNUSUAL) + len(BROKEN)
    print(f"penstock.schema.json: {total} documents, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
