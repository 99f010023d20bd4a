# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
from collections.abc import Callable, Iterator

import pytest
from browsing import Tab, chromium_path
from fake_engine import FakeEngine
from gateway_process import Gateway
from redis_process import Redis
from sdk_process import OLDEST, SDK

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


@pytest.fixture(scope="session")
def sdk_of() -> Iterator[Callable[[str], SDK]]:
    """The SDKs' processes: `current` or `oldest`. To begin takes them seconds."""
    made: dict[str, SDK] = {}

    def of(age: str) -> SDK:
        if age not in made:
            made[age] = SDK(OLDEST if age == "oldest" else None)
        return made[age]

    yield of
    for sdk in made.values():
        sdk.close()


@pytest.fixture
def redis(tmp_path) -> Iterator[Redis]:
    """A Redis server that is not started yet."""
    server = Redis(tmp_path)
    yield server
    server.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A browser without a window. Of a module: its event loop would be in the way of others'."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium here: `make browser` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium) -> Iterator[Callable[..., Tab]]:
    """Opens tabs. At the end none of them may have asked anybody else, or broken its policy."""
    tabs: list[Tab] = []

    def tab(url: str, **options: object) -> Tab:
        tabs.append(Tab(chromium, url, **options))
        return tabs[-1]

    yield tab
    for opened in tabs:
        opened.close()
