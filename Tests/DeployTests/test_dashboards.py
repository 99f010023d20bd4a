# SPDX-License-Identifier: Apache-2.0
"""The dashboards ask for series that are there, and offer the choices that their queries use."""

import json
import re

import promql
import pytest
from test_prometheus import metrics, problems, recorded

__all__ = ["metrics"]
NAMES = ("operations", "tenants", "anatomy")


@pytest.fixture(params=NAMES)
def dashboard(deploy, request) -> dict:
    return json.loads((deploy / "grafana" / f"{request.param}.json").read_text())


def queries(dashboard) -> list[dict]:
    return [target for panel in dashboard["panels"] for target in panel.get("targets", [])]


def test_every_query_names_what_is_there(dashboard, named, metrics):
    known = recorded(named, metrics)
    assert queries(dashboard)
    for target in queries(dashboard):
        assert not problems(target["expr"], known), target["expr"]
        labels = set().union(*(known[name] for name in promql.names(target["expr"]).metrics))
        legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        assert legend <= labels, target


def test_every_choice_is_one_that_some_query_uses_and_has(dashboard, named, metrics):
    known = recorded(named, metrics)
    text = json.dumps([target["expr"] for target in queries(dashboard)])
    used = {name for name in re.findall(r"\$(\w+)", text) if not name.startswith("__")}
    offered = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert used | {"datasource"} == set(offered)
    for name in used:
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", offered[name]["definition"])
        metric, label = asked.groups()
        assert label == name and label in known[metric]


def test_panels_have_a_place_of_their_own_and_a_unit(dashboard):
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        grid = panel["gridPos"]
        cells = {(x, grid["y"]) for x in range(grid["x"], grid["x"] + grid["w"])}
        assert not cells & taken and grid["x"] + grid["w"] <= 24
        taken |= cells
        assert panel["type"] == "text" or panel["fieldConfig"]["defaults"]["unit"]


def test_no_two_dashboards_have_one_name(deploy):
    files = [json.loads(path.read_text()) for path in sorted((deploy / "grafana").glob("*.json"))]
    assert len(files) == len(NAMES)
    assert len({file["uid"] for file in files}) == len({file["title"] for file in files}) == 3
