# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator

import pytest
from fake_engine import FakeEngine
from gateway_process import Gateway
from redis_process import Redis

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def penstock() -> pathlib.Path:
    """The executable under test."""
    path = pathlib.Path(os.environ.get("PENSTOCK_BIN") or REPOSITORY / ".build/debug/penstock")
    assert path.is_file(), f"no executable at {path}: swift build, or set PENSTOCK_BIN"
    return path


@pytest.fixture
def run(penstock, tmp_path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs one command of the executable to its end."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [penstock, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=tmp_path,
            **options,
        )

    return run


@pytest.fixture
def new_engine() -> Iterator[Callable[[], FakeEngine]]:
    """Makes running engines."""
    engines: list[FakeEngine] = []

    def make() -> FakeEngine:
        engines.append(FakeEngine().start())
        return engines[-1]

    yield make
    for engine in engines:
        engine.close()
    for engine in engines:
        assert not engine.faults, f"an engine's script failed: {engine.faults}"


@pytest.fixture
def engine(new_engine) -> FakeEngine:
    return new_engine()


@pytest.fixture
def start(penstock, tmp_path, new_engine) -> Iterator[Callable[[dict], Gateway]]:
    """Starts gateways. At the end each must live, with nothing in flight, and drain cleanly."""
    gateways: list[Gateway] = []

    def start(configuration: dict) -> Gateway:
        folder = tmp_path / f"gateway-{len(gateways)}"
        folder.mkdir()
        gateways.append(Gateway(penstock, folder, configuration))
        return gateways[-1].wait_started()

    yield start
    try:
        for gateway in gateways:
            if gateway.is_running:
                gateway.assert_at_rest()
                assert gateway.stop() == 0, gateway.logs
            assert gateway.process.returncode in (0, -9), gateway.logs
    finally:
        for gateway in gateways:
            gateway.kill()


@pytest.fixture
def redis(tmp_path) -> Iterator[Redis]:
    """A Redis server that is not started yet."""
    server = Redis(tmp_path)
    yield server
    server.close()
