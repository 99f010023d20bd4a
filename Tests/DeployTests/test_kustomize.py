# SPDX-License-Identifier: Apache-2.0
"""The base renders, here and with the real tools the same."""

import shutil
import subprocess

import kustomize
import pytest
import yaml

TOOLS = (["kubectl", "kustomize"], ["kustomize", "build"])


def by_name(objects):
    return {(o["kind"], o["metadata"]["name"]): o for o in objects}


def test_the_real_tool_renders_the_same(base, objects):
    tool = next((tool for tool in TOOLS if shutil.which(tool[0])), None)
    if not tool:
        pytest.skip("no kubectl or kustomize on PATH")
    done = subprocess.run(
        [*tool, str(base)], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode and "unknown field" in done.stderr:
        pytest.skip(f"this {tool[0]} is too old")
    assert done.returncode == 0, done.stderr
    assert by_name(objects) == by_name(yaml.safe_load_all(done.stdout))


def test_no_object_is_there_twice(objects):
    keys = [(o["kind"], o["metadata"]["name"]) for o in objects]
    assert len(keys) == len(set(keys))


def test_everything_is_in_the_namespace_that_the_base_makes(objects, named):
    named("Namespace", "penstock")
    spaces = {o["metadata"].get("namespace") for o in objects if o["kind"] != "Namespace"}
    assert spaces == {"penstock"}


def test_a_changed_configuration_has_another_name(base, tmp_path):
    for file in base.iterdir():
        (tmp_path / file.name).write_text(file.read_text())
    before = by_name(kustomize.render(tmp_path))
    with (tmp_path / "penstock.yaml").open("a") as config:
        config.write("# changed\n")
    after = by_name(kustomize.render(tmp_path))
    changed = set(before) ^ set(after)
    assert len(changed) == 2
    assert all(kind == "ConfigMap" and "penstock-config-" in name for kind, name in changed)
    gateway = after["Deployment", "penstock"]["spec"]["template"]["spec"]
    mounted = {v["configMap"]["name"] for v in gateway["volumes"] if "configMap" in v}
    assert mounted <= {name for kind, name in after if kind == "ConfigMap"}


def test_what_the_renderer_does_not_know_is_refused(tmp_path):
    (tmp_path / "kustomization.yaml").write_text("resources: []\nnamePrefix: a-\n")
    with pytest.raises(ValueError, match="namePrefix"):
        kustomize.render(tmp_path)
