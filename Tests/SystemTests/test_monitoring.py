# SPDX-License-Identifier: Apache-2.0
"""What rules and dashboards ask for is there when the demo has run: its own pages are the proof."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import yaml
from command_process import CommandProcess
from prometheus_client.parser import text_string_to_metric_families
from tls_gateway import authority, secure
from waiting import eventually

__all__ = ["authority", "secure"]
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
sys.path.append(str(REPOSITORY / "Tests" / "DeployTests"))
# What a gateway has that writes a ledger or speaks TLS; the demo does neither.
NOT_IN_THE_DEMO = {
    "penstock_ledger_",
    "penstock_tls_certificate_",
    "penstock_api_key_",
    "penstock_jwks_",
}
RULES = [DEPLOY / "prometheus" / file for file in ("recording.yaml", "alerts.yaml")]
Page = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def is_the_demos(name: str) -> bool:
    return not name.startswith(tuple(NOT_IN_THE_DEMO))


def read(text: str) -> tuple[Page, set[str]]:
    """Every series with its value, and the names of those that are counted."""
    page, counted = {}, set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            page[sample.name, tuple(sample.labels.items())] = sample.value
            if family.type != "gauge":
                counted.add(sample.name)
    return page, counted


def ask(url: str, key: str, **members: object) -> int:
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]} | members
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def demo_pages(penstock) -> Iterator[list[str]]:
    """Two scrapes of the demo, between which it served and refused."""
    process = CommandProcess(penstock, "demo", "--port", 0, "--admin-port", 0)
    try:
        eventually(lambda: "/admin/throttles" in process.text, "the demo starts", within=30)
        found = re.search(r"running: (\S+) .* (http://[\d.:]+)/", process.text)
        url, pages = f"http://{found[1]}", []

        def scrape() -> str:
            with urllib.request.urlopen(f"{found[2]}/metrics", timeout=10) as answer:
                return answer.read().decode()

        def is_scraped(text: str) -> bool:
            return text.count("\nkv_cache_tokens_capacity{") == 3

        eventually(lambda: is_scraped(scrape()), "the engines are scraped")
        for _ in range(2):
            assert ask(url, "sk-acme", stream=True, max_tokens=12) == 200
            statuses = {ask(url, "sk-trial", max_tokens=90, ignore_eos=True) for _ in range(2)}
            assert 429 in statuses
            pages.append(scrape())
        yield pages
    finally:
        process.stop()


@pytest.fixture
def other_page(secure, tmp_path) -> str:
    gateway = secure(ledger={"file": {"path": str(tmp_path / "usage")}})
    return gateway.admin("/metrics").body.decode()


def expressions() -> list[str]:
    """Of all panels."""
    return [
        target["expr"]
        for path in sorted((DEPLOY / "grafana").glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", [])
    ]


def rules() -> list[dict]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def filled_in(expression: str) -> str:
    """As Grafana asks with every choice at All."""
    text = expression.replace("$__rate_interval", "1m").replace("$__range", "30m")
    return re.sub(r"\$\w+", ".*", text)


def panel_tests(pages: list[tuple[Page, set[str]]]) -> dict:
    """What was scraped, going on as it began; every panel is asked for after half an hour."""
    (before, _), (after, counted) = pages
    series = []
    for (name, labels), value in after.items():
        written = ",".join(f'{key}="{value}"' for key, value in labels)
        grown = value - before.get((name, labels), value) if name in counted else 0.0
        series.append({
            "series": f"{name}{{{written}}}", "values": f"{value:.9f}+{max(grown, 0):.9f}x130",
        })
    asked = [
        {"expr": f"count({filled_in(text)}) > bool 0", "eval_time": "30m",
         "exp_samples": [{"labels": "{}", "value": 1}]}
        for text in expressions()
    ]
    tests = [{"interval": "15s", "input_series": series, "promql_expr_test": asked}]
    return {"rule_files": list(map(str, RULES)), "evaluation_interval": "15s", "tests": tests}


def test_every_series_that_rules_and_panels_name_is_there(demo_pages, other_page):
    import promql

    there = {name for name, _ in read(demo_pages[-1])[0]}
    elsewhere = {name for name, _ in read(other_page)[0] if not is_the_demos(name)}
    recorded = {rule.get("record") for rule in rules()}
    texts = expressions() + [rule["expr"] for rule in rules()]
    asked = {name for text in texts for name in promql.names(text).metrics} - recorded - {"up"}
    assert len(asked) > 25
    assert not {name for name in asked if is_the_demos(name)} - there
    assert not {name for name in asked if not is_the_demos(name)} - elsewhere


def test_every_panel_shows_something(demo_pages, other_page, tmp_path):
    promtool = shutil.which(os.environ.get("PROMTOOL") or "promtool")
    if not promtool:
        pytest.skip("no promtool: make test-python fetches it, or set PROMTOOL")
    pages = [read(text) for text in demo_pages]
    rest, _ = read(other_page)
    pages[1][0].update({key: rest[key] for key in rest if not is_the_demos(key[0])})
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump(panel_tests(pages), width=10_000))
    done = subprocess.run(
        [promtool, "test", "rules", path],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
