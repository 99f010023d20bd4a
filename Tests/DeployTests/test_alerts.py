# SPDX-License-Identifier: Apache-2.0
"""Every alert fires when it should and is over when its cause is; Prometheus' own tool says so."""

import dataclasses
import os
import subprocess

import pytest
import yaml

DAY = 86_400


@dataclasses.dataclass
class Case:
    """What is scraped minute by minute, and when the alert is seen; times in minutes."""

    series: dict[str, list[float]]
    quiet: int
    fires: int
    over: int
    labels: dict[str, str] = dataclasses.field(default_factory=dict)


def gauge(*parts: tuple[int, float]) -> list[float]:
    """Each value for so many minutes."""
    return [value for minutes, value in parts for _ in range(minutes)]


def counter(*parts: tuple[int, float]) -> list[float]:
    """A counter that grows by so much a minute, for so many minutes."""
    total, values = 0.0, []
    for minutes, growth in parts:
        for _ in range(minutes):
            values.append(total)
            total += growth
    return values


def events(name: str, **labels: str) -> Case:
    """For alerts on a count that ought not to grow."""
    named = ",".join(f'{key}="{value}"' for key, value in labels.items())
    kept = {key: labels[key] for key in labels if key == "sink"}
    return Case({f"{name}{{{named}}}": counter((20, 0), (5, 3), (60, 0))}, 19, 25, 60, kept)


def ended(healthy: dict[str, float], sick: dict[str, float], minutes: int) -> dict:
    """Requests of one class that end so in every minute, then otherwise, then as before."""
    return {
        f'penstock_requests_total{{class="batch",outcome="{outcome}"}}': counter(
            (30, healthy.get(outcome, 0)), (minutes, sick.get(outcome, 0)),
            (60, healthy.get(outcome, 0)),
        )
        for outcome in healthy | sick
    }


def shed(share: float, **times: int) -> Case:
    """Of 100 requests a minute, that share is refused for two reasons."""
    series = ended({"completed": 100}, {"completed": 100 - share, "refused": share}, 30)
    for reason in ("kv_cache_pressure", "queue_full"):
        name = f'penstock_throttled_total{{class="batch",reason="{reason}"}}'
        series[name] = counter((30, 0), (30, share / 2), (60, 0))
    # What tenants' own limits refuse is no shedding.
    limit = 'penstock_throttled_total{class="batch",reason="tokens_per_minute_exceeded"}'
    return Case(series | {limit: counter((120, 90))}, 29, 55, 80, {"class": "batch"})


def first_tokens(good: int, bad: int, then: int) -> dict[str, list[float]]:
    """60 streams a minute, of which in the bad time 10 have their first token within 2 s."""
    name = "penstock_time_to_first_token_seconds"
    in_time = counter((good, 60), (bad, 10), (then, 60))
    return {
        f'{name}_bucket{{class="interactive",le="2.0"}}': in_time,
        f'{name}_count{{class="interactive"}}': counter((good + bad + then, 60)),
    }


def certificate(left: float) -> Case:
    name = 'penstock_tls_certificate_seconds_left{listener="l",certificate="c"}'
    values = gauge((10, 20 * DAY), (90, left), (40, 90 * DAY))
    return Case({name: values}, 9, 95, 110, {"listener": "l", "certificate": "c"})


POOL = {"pool": "p"}
ENGINE = 'pool="p",endpoint="e:1",model="m"'
DOWN = gauge((5, 1), (10, 0), (30, 1))
CASES = {
    "PenstockDown": Case(
        {'up{job="penstock",instance="i"}': DOWN}, 6, 12, 20, {"job": "penstock", "instance": "i"}
    ),
    # One of two gateways is enough.
    "PenstockBudgetStoreDown": Case(
        {'penstock_budget_store_up{pod="a"}': DOWN,
         'penstock_budget_store_up{pod="b"}': gauge((45, 1))}, 5, 12, 20,
    ),
    "PenstockSettlementsLost": events("penstock_budget_settlements_lost_total"),
    "PenstockLedgerDown": Case(
        {'penstock_ledger_up{sink="file"}': DOWN}, 5, 12, 20, {"sink": "file"}
    ),
    "PenstockLedgerLost": events("penstock_ledger_lost_total", sink="file"),
    "PenstockPoolDown": Case(
        {f"penstock_endpoint_up{{{ENGINE}}}": DOWN,
         f"penstock_endpoint_up{{{ENGINE.replace('e:1', 'e:2')}}}": gauge((8, 1), (7, 0), (30, 1))},
        8, 12, 20, POOL,
    ),
    # Where one gateway still sends to it, it is not down.
    "PenstockEndpointDown": Case(
        {f'penstock_endpoint_up{{{ENGINE},pod="a"}}': gauge((5, 1), (15, 0), (30, 1)),
         f'penstock_endpoint_up{{{ENGINE},pod="b"}}': gauge((10, 1), (10, 0), (30, 1))},
        9, 15, 25, POOL | {"endpoint": "e:1"},
    ),
    "PenstockEngineFailures": Case(
        ended({"completed": 100}, {"completed": 80, "engine_failed": 10, "timed_out": 10}, 20),
        29, 45, 70, {"class": "batch"},
    ),
    "PenstockKVCachePressure": Case(
        {f"kv_cache_tokens_used{{{ENGINE}}}": gauge((10, 500), (20, 900), (30, 500)),
         f"kv_cache_tokens_capacity{{{ENGINE}}}": gauge((60, 1000))}, 9, 20, 40, POOL,
    ),
    "PenstockEvictionsRising": Case(
        {f"kv_cache_evictions_total{{{ENGINE}}}": counter((60, 0), (20, 6), (60, 0))},
        60, 75, 95, POOL,
    ),
    "PenstockEvictionsMany": Case(
        {f"kv_cache_evictions_total{{{ENGINE}}}": counter((60, 6), (30, 30), (60, 6))},
        59, 85, 110, POOL,
    ),
    "PenstockBatchEfficiencyFalling": Case(
        {f"tokens_out_total{{{ENGINE}}}": counter((90, 60_000), (60, 18_000), (90, 60_000)),
         f"active_sequences{{{ENGINE}}}": gauge((240, 8))}, 90, 130, 175, POOL,
    ),
    # Its size is what counts, not its sign.
    "PenstockLedgerDisagrees": Case(
        {f"penstock_kv_ledger_error_ratio{{{ENGINE}}}": gauge((10, 0.05), (20, -0.15), (30, 0))},
        9, 20, 40, POOL | {"endpoint": "e:1"},
    ),
    "PenstockFirstTokenBurnFast": Case(
        first_tokens(90, 60, 60), 95, 130, 170, {"class": "interactive"}
    ),
    "PenstockFirstTokenBurnSlow": Case(
        first_tokens(400, 100, 120), 410, 480, 560, {"class": "interactive"}
    ),
    "PenstockShedding": shed(10),
    "PenstockSheddingMuch": shed(40),
    "PenstockRefusals": Case(
        ended({"completed": 90, "refused": 10}, {"completed": 10, "refused": 90}, 40),
        29, 65, 90, {"class": "batch"},
    ),
    "PenstockCertificateEnds": certificate(10 * DAY),
    "PenstockCertificateOver": certificate(-60),
    "PenstockCertificatesNotRead": events("penstock_tls_reloads_total", outcome="failed"),
    "PenstockCountingQueueFull": Case(
        {'penstock_prompts_counted_total{way="worker"}': counter((120, 50)),
         'penstock_prompts_counted_total{way="estimated"}': counter((30, 0), (30, 5), (60, 0))},
        29, 55, 80,
    ),
    "PenstockReloadRefused": events("penstock_config_reloads_total", outcome="failed"),
    "PenstockLogLinesDropped": events("penstock_log_lines_dropped_total"),
}


@pytest.fixture(scope="session")
def alerts(deploy) -> dict[str, dict]:
    groups = yaml.safe_load((deploy / "prometheus" / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def in_space(name: str) -> str:
    """The series as the operator's Prometheus has it."""
    name = name.replace("{}", "")
    return f'{name[:-1]},namespace="n"}}' if name.endswith("}") else f'{name}{{namespace="n"}}'


def unit_test(name: str, rule: dict, case: Case) -> dict:
    labels = {"alertname": name, "alertstate": "firing", "namespace": "n"}
    labels |= rule["labels"] | case.labels
    shown = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    firing = [{"labels": f"ALERTS{{{shown}}}", "value": 1}]
    query = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": in_space(series), "values": " ".join(map(str, values))}
            for series, values in case.series.items()
        ],
        "promql_expr_test": [
            {"expr": query, "eval_time": f"{at}m", "exp_samples": samples}
            for at, samples in ((case.quiet, []), (case.fires, firing), (case.over, []))
        ],
    }


def test_every_alert_has_a_case(alerts):
    assert set(CASES) == set(alerts)
    for name, case in CASES.items():
        assert case.quiet < case.fires < case.over < len(next(iter(case.series.values()))), name


@pytest.mark.parametrize("name", CASES)
def test_it_is_quiet_then_fires_then_is_over(promtool, deploy, alerts, tmp_path, name):
    path = tmp_path / "test.yaml"
    rules = [str(deploy / "prometheus" / file) for file in ("recording.yaml", "alerts.yaml")]
    plan = {
        "rule_files": rules,
        "evaluation_interval": "1m",
        "tests": [unit_test(name, alerts[name], CASES[name])],
    }
    path.write_text(yaml.safe_dump(plan, width=10_000))
    done = subprocess.run(
        [promtool, "test", "rules", path],
        capture_output=True, text=True, timeout=60, check=False,
        # It is over before collecting garbage would have been worth its time.
        env=os.environ | {"GOGC": "800"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_on_the_page_and_none_else(alerts, repository):
    lines = (repository / "docs" / "monitoring.md").read_text().splitlines()
    headings = [line.removeprefix("### ") for line in lines if line.startswith("### Penstock")]
    assert sorted(headings) == sorted(alerts)


def test_alerts_say_how_bad_it_is_and_what_to_do(alerts):
    for name, rule in alerts.items():
        assert rule["labels"]["severity"] in ("warning", "critical"), name
        assert set(rule["annotations"]) == {"summary", "description", "runbook"}, name
        assert rule["annotations"]["runbook"].endswith(f"docs/monitoring.md#{name.lower()}")
