# SPDX-License-Identifier: Apache-2.0
"""The systemd unit, read by systemd itself where it is installed."""

import configparser
import re
import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def unit(deploy):
    return deploy / "systemd" / "penstock.service"


@pytest.fixture(scope="session")
def service(unit):
    """The last value of each setting of [Service]."""
    reader = configparser.ConfigParser(strict=False, interpolation=None)
    reader.optionxform = str
    reader.read(unit)
    return reader["Service"]


@pytest.fixture
def runnable(unit, tmp_path):
    """The unit with an executable that is there on every machine."""
    path = tmp_path / unit.name
    path.write_text(unit.read_text().replace("/usr/local/bin/penstock", "/bin/true"))
    return path


def analyze(*arguments):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze on PATH")
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_systemd_accepts_the_unit(runnable):
    done = analyze("verify", "--man=no", str(runnable))
    assert done.returncode == 0, done.stderr
    assert str(runnable.name) not in done.stderr, done.stderr


def test_a_misspelt_setting_is_seen(runnable):
    runnable.write_text(runnable.read_text().replace("ProtectClock", "ProtectClok"))
    done = analyze("verify", "--man=no", str(runnable))
    assert "ProtectClok" in done.stderr


def test_the_unit_is_hardened(runnable):
    done = analyze("security", "--offline=true", "--no-pager", str(runnable))
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze reads no files")
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level[1]) <= 1.5


def test_stopping_drains_and_leaves_time_for_it(service):
    assert service["KillSignal"] == "SIGTERM"
    assert service["KillMode"] == "mixed"
    # The gateway's own default is 30 s.
    assert int(service["TimeoutStopSec"].removesuffix("s")) > 30


def test_reloading_is_a_hangup(service):
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_a_wrong_configuration_is_not_tried_again(service):
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"].split() == ["1", "2"]
