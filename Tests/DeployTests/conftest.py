# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import shutil
import subprocess

import kustomize
import pytest
import yaml

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def deploy() -> pathlib.Path:
    return REPOSITORY / "deploy"


@pytest.fixture(scope="session")
def base(deploy) -> pathlib.Path:
    return deploy / "kubernetes" / "base"


@pytest.fixture
def objects(base) -> list[dict]:
    return kustomize.render(base)


@pytest.fixture
def named(objects):
    """Finds the one object of a kind and name."""

    def find(kind: str, name: str) -> dict:
        found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
        assert len(found) == 1, f"{len(found)} objects are {kind} {name}"
        return found[0]

    return find


@pytest.fixture
def configuration(base) -> dict:
    """The gateway's configuration as it goes into the ConfigMap."""
    return yaml.safe_load((base / "penstock.yaml").read_text())


@pytest.fixture(scope="session")
def penstock() -> pathlib.Path:
    """The executable; a test that needs it is skipped where it has not been built."""
    path = pathlib.Path(os.environ.get("PENSTOCK_BIN", ""))
    if not path.is_file():
        pytest.skip("no executable: set PENSTOCK_BIN")
    help_text = subprocess.run(
        [path, "check", "--help"], capture_output=True, text=True, timeout=20, check=False
    ).stdout
    if "--config" not in help_text:
        pytest.skip("the executable has no `check` command")
    return path


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus' own checker: PROMTOOL, or on PATH; skipped where there is none."""
    found = shutil.which(os.environ.get("PROMTOOL") or "promtool")
    if not found:
        pytest.skip("no promtool: make test-python fetches it, or set PROMTOOL")
    return found
