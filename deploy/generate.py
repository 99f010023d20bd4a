# SPDX-License-Identifier: Apache-2.0
"""Writes what follows from other files here: python3 deploy/generate.py

Of the rules in prometheus/, the objects that the Prometheus Operator reads; of grafana/panels.py,
the dashboards. A test asks whether all of it is as it would be written now.
"""

import pathlib
import runpy
import sys

DEPLOY = pathlib.Path(__file__).resolve().parent
LICENCE = "# SPDX-License-Identifier: Apache-2.0\n"


def rule_object(source: pathlib.Path, name: str) -> str:
    """The rules of a file of Prometheus as a PrometheusRule, comments and all."""
    comments, _, groups = source.read_text().removeprefix(LICENCE).partition("groups:\n")
    body = "".join(f"  {line}\n" if line else "\n" for line in groups.splitlines())
    return (
        f"{LICENCE}# Written by deploy/generate.py from prometheus/{source.name}.\n{comments}"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"
        f"metadata:\n  name: {name}\nspec:\n  groups:\n{body}"
    )


def files() -> dict[pathlib.Path, str]:
    """Every file that is written, and its text."""
    rules = DEPLOY / "prometheus"
    base = DEPLOY / "kubernetes" / "base"
    panels = runpy.run_path(str(DEPLOY / "grafana" / "panels.py"))
    dashboards = panels["dashboards"]().items()
    return {DEPLOY / "grafana" / name: text for name, text in dashboards} | {
        base / "rules.yaml": rule_object(rules / "recording.yaml", "penstock"),
        base / "alerts.yaml": rule_object(rules / "alerts.yaml", "penstock-alerts"),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
        print(path.relative_to(DEPLOY.parent), file=sys.stderr)
