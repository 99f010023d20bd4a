# SPDX-License-Identifier: Apache-2.0
"""What deploy/generate.py writes has been written, and nothing was changed by hand since."""

import runpy

import pytest
import yaml


@pytest.fixture(scope="session")
def written(deploy):
    return runpy.run_path(str(deploy / "generate.py"))["files"]()


def test_all_is_as_it_would_be_written_now(written):
    stale = [path.name for path, text in written.items() if path.read_text() != text]
    assert not stale, f"python3 deploy/generate.py, for {stale}"


def test_the_operators_objects_have_all_rules(named, deploy):
    for name, file in (("penstock", "recording.yaml"), ("penstock-alerts", "alerts.yaml")):
        rules = yaml.safe_load((deploy / "prometheus" / file).read_text())
        assert named("PrometheusRule", name)["spec"] == rules
