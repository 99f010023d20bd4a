# SPDX-License-Identifier: Apache-2.0
"""The configurations under deploy/ are ones that the gateway takes."""

import json
import subprocess

import jsonschema
import pytest


def check(penstock, path):
    return subprocess.run(
        [penstock, "check", "--config", path],
        capture_output=True, text=True, timeout=30, check=False,
    )


@pytest.fixture
def with_secrets(base, tmp_path):
    """The ConfigMap's file, its secrets in a folder of the test."""
    text = (base / "penstock.yaml").read_text()
    for name in ("admin-token", "redis-password"):
        (tmp_path / name).write_text("a-secret-of-the-test")
    path = tmp_path / "penstock.yaml"
    path.write_text(text.replace("/run/secrets/penstock/", f"{tmp_path}/"))
    return path


def test_it_fits_the_schema(repository, configuration):
    schema = repository / "config" / "penstock.schema.json"
    if not schema.is_file():
        pytest.skip("no config/penstock.schema.json")
    jsonschema.validate(configuration, json.loads(schema.read_text()))


def test_the_gateway_accepts_it(penstock, with_secrets):
    done = check(penstock, with_secrets)
    assert done.returncode == 0, done.stderr


def test_the_gateway_refuses_it_with_a_mistake(penstock, with_secrets):
    with_secrets.write_text(with_secrets.read_text().replace("pools:", "pool:"))
    done = check(penstock, with_secrets)
    assert done.returncode == 1
    assert str(with_secrets) in done.stderr


def test_names_in_it_are_defined_in_it(configuration):
    models = {model["name"] for model in configuration["models"]}
    pools = {pool["name"] for pool in configuration["pools"]}
    classes = {entry["name"] for entry in configuration["classes"]}
    assert {entry["pool"] for entry in configuration["classes"]} == pools
    for pool in configuration["pools"]:
        assert set(pool["models"]) <= models
    for tenant in configuration["tenants"]:
        assert set(tenant["classes"]) <= classes
        assert set(tenant["models"]) <= models
