# SPDX-License-Identifier: Apache-2.0
"""Engines are started when a test first needs them, and always stopped."""

import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
# The gateway as a process, a client that sees every byte, and waiting are the same as there.
sys.path.insert(0, str(REPOSITORY / "Tests" / "SystemTests"))

from engines import VLLM, Engine, LlamaCpp  # noqa: E402
from rig import Front, settings  # noqa: E402


def missing(kind: str) -> str | None:
    """Why there is no engine of this kind here."""
    return os.environ.get(f"PENSTOCK_WITHOUT_{kind.upper()}") or None


def need(kind: str) -> None:
    if reason := missing(kind):
        pytest.skip(f"no {kind}: {reason}")


@contextmanager
def running(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine.start()
    finally:
        engine.stop()


@pytest.fixture(scope="session")
def vllm() -> Iterator[Engine]:
    need("vllm")
    with running(VLLM()) as engine:
        yield engine


@pytest.fixture(scope="session")
def llamacpp() -> Iterator[Engine]:
    need("llamacpp")
    with running(LlamaCpp()) as engine:
        yield engine


@pytest.fixture(scope="session", params=["vllm", "llamacpp"])
def engine(request) -> Engine:
    """Each engine in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def engines(request) -> list[Engine]:
    """All engines that there are."""
    kinds = [kind for kind in ("vllm", "llamacpp") if not missing(kind)]
    return [request.getfixturevalue(kind) for kind in kinds]


@pytest.fixture(scope="session")
def penstock() -> pathlib.Path:
    """The executable under test."""
    path = pathlib.Path(os.environ.get("PENSTOCK_BIN") or REPOSITORY / ".build/debug/penstock")
    assert path.is_file(), f"no executable at {path}: swift build, or set PENSTOCK_BIN"
    return path


@pytest.fixture
def start(penstock, tmp_path) -> Iterator[Callable[[dict], Front]]:
    """Starts gateways. At the end each must live, with nothing in flight, and drain cleanly."""
    gateways: list[Front] = []

    def start(configuration: dict) -> Front:
        folder = tmp_path / f"gateway-{len(gateways)}"
        folder.mkdir()
        gateways.append(Front(penstock, folder, configuration))
        return gateways[-1].wait_started()

    yield start
    try:
        for gateway in gateways:
            gateway.assert_at_rest()
            assert gateway.stop() == 0, gateway.logs
    finally:
        for gateway in gateways:
            gateway.kill()


@pytest.fixture
def gateway(start, engines) -> Front:
    """A gateway before all engines, which have nothing else to do."""
    for engine in engines:
        engine.wait_idle()
    front = start(settings(*engines))
    front.wait_scraped_once(*engines)
    return front
