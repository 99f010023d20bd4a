# SPDX-License-Identifier: Apache-2.0
"""Every query under deploy/ names metrics and labels that are there."""

import dataclasses
import pathlib
import re
import subprocess

import promql
import pytest
import yaml

# What Prometheus and its operator put on every series.
TARGET_LABELS = {"namespace", "job", "pod", "service", "instance", "container"}


@dataclasses.dataclass
class Metric:
    type: str
    labels: set[str]
    values: dict[str, set[str]]


def read_metrics(path: pathlib.Path) -> dict[str, Metric]:
    found = {}
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, kind, *labels = line.split()
        values = {}
        for label in labels:
            key, _, listed = label.partition("=")
            if listed:
                values[key] = set(listed.split(","))
        assert name not in found, f"{name} is listed twice"
        found[name] = Metric(kind, {label.partition("=")[0] for label in labels}, values)
    return found


@pytest.fixture(scope="session")
def metrics(deploy):
    return read_metrics(deploy / "metrics.txt")


def series(metrics) -> dict[str, set[str]]:
    """The labels of every series that a scrape brings."""
    found = {}
    for name, metric in metrics.items():
        labels = metric.labels | TARGET_LABELS
        if metric.type == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}}
            found |= {f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    # Prometheus' own, of every target.
    return found | {"up": set(TARGET_LABELS)}


def rules_of(named) -> list[dict]:
    objects = [named("PrometheusRule", name) for name in ("penstock", "penstock-alerts")]
    groups = [group for item in objects for group in item["spec"]["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def recorded(named, metrics) -> dict[str, set[str]]:
    """The scraped series and those that the rules make of them; rules may build on earlier ones."""
    known = series(metrics)
    for rule in rules_of(named):
        if "record" in rule:
            assert not problems(rule["expr"], known), rule["record"]
            labels = set(promql.names(rule["expr"]).result) - {"le"}
            known[rule["record"]] = labels
    return known


def problems(expression: str, known: dict[str, set[str]]) -> list[str]:
    used = promql.names(expression)
    found = [f"no metric {name}" for name in sorted(used.metrics - set(known))]
    there = set().union(*(known[name] for name in used.metrics & set(known)))
    found += [f"no label {label}" for label in sorted(used.labels - there)]
    return found if used.metrics else [*found, "no metric at all"]


def test_the_list_is_the_contracts(metrics):
    for name, metric in metrics.items():
        assert metric.type in ("counter", "gauge", "histogram"), name
        assert (metric.type == "counter") == name.endswith("_total"), name
        if metric.type == "histogram":
            assert name.endswith(("_seconds", "_ratio")), name
        if not name.startswith("penstock_"):
            assert metric.labels == {"pool", "endpoint", "model"}, name


def test_every_rule_builds_on_metrics_that_are_there(named, metrics):
    known = recorded(named, metrics)
    for rule in rules_of(named):
        assert not problems(rule["expr"], known), rule


def test_a_recorded_name_says_its_labels(named):
    for rule in rules_of(named):
        if "record" in rule:
            level, metric, operation = rule["record"].split(":")
            labels = set(promql.names(rule["expr"]).result) - {"le"}
            assert labels - {"namespace"} == set(level.split("_")) - {"namespace"}, rule["record"]
            assert metric and operation


def test_engine_figures_are_not_counted_once_for_every_gateway(named, metrics):
    engine = {name for name in metrics if not name.startswith("penstock_")}
    for rule in rules_of(named):
        if promql.names(rule["expr"]).metrics & engine:
            assert "max by (namespace, pool, endpoint" in rule["expr"], rule


def test_a_fixed_value_of_a_label_is_one_that_exists(named, metrics):
    for rule in rules_of(named):
        for name, metric in metrics.items():
            for label, values in metric.values.items():
                for value in re.findall(rf'{name}{{{label}="(\w+)"}}', rule["expr"]):
                    assert value in values, rule


def test_keda_asks_for_what_is_recorded(named, objects, metrics):
    known = recorded(named, metrics)
    for item in [o for o in objects if o["kind"] == "ScaledObject"]:
        for trigger in item["spec"]["triggers"]:
            query = trigger["metadata"]["query"]
            assert not problems(query, known), query
            assert f'namespace="{item["metadata"]["namespace"]}"' in query
            float(trigger["metadata"]["threshold"])


def test_scalers_get_their_metrics_from_the_adapter(named, objects, metrics, deploy):
    known = recorded(named, metrics)
    values = yaml.safe_load((deploy / "prometheus-adapter" / "values.yaml").read_text())
    served = {rule["name"]["as"]: rule for rule in values["rules"]["external"]}
    wanted = {
        metric["external"]["metric"]["name"]: metric["external"]["metric"]["selector"]
        for o in objects
        if o["kind"] == "HorizontalPodAutoscaler"
        for metric in o["spec"]["metrics"]
        if metric["type"] == "External"
    }
    assert set(wanted) == set(served)
    for name, rule in served.items():
        assert rule["seriesQuery"] in known, name
        assert set(wanted[name]["matchLabels"]) <= known[rule["seriesQuery"]]
        assert rule["resources"]["overrides"] == {"namespace": {"resource": "namespace"}}
        assert "namespace" in known[rule["seriesQuery"]]


def test_promtool_accepts_the_rules(promtool, deploy):
    for command, files in (("rules", ("recording.yaml", "alerts.yaml")),
                           ("config", ("prometheus.yaml",))):
        done = subprocess.run(
            [promtool, "check", command, *files], cwd=deploy / "prometheus",
            capture_output=True, text=True, timeout=60, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expression", "metrics", "labels", "result"),
    [
        ('sum by (pool) (rate(a_total{tenant="x{y}"}[5m]))', {"a_total"}, {"pool", "tenant"},
         ("pool",)),
        ("histogram_quantile(0.95, sum by (class, le) (rate(b_bucket[5m])))", {"b_bucket"},
         {"class", "le"}, ("class", "le")),
        ("pool:a:sum / on (pool) group_left c > 0 unless d offset 5m", {"pool:a:sum", "c", "d"},
         {"pool"}, None),
        ("1e3 * x + 2", {"x"}, set(), None),
    ],
)
def test_the_reader_of_expressions(expression, metrics, labels, result):
    assert promql.names(expression) == promql.Names(metrics, labels, result)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("sum by (pool) (rate(tokens_in_totals[1m]))", ["no metric tokens_in_totals",
                                                        "no label pool"]),
        ("sum by (tenant) (tokens_in_total)", ["no label tenant"]),
        ('penstock_queue_wait_seconds{class="a"}', ["no metric penstock_queue_wait_seconds",
                                                     "no label class"]),
        ("vector(1)", ["no metric at all"]),
    ],
)
def test_a_wrong_name_is_seen(expression, expected, metrics):
    assert problems(expression, series(metrics)) == expected
