# SPDX-License-Identifier: Apache-2.0
"""Renders a Kustomize base the way `kubectl kustomize` does, for machines without kubectl.

Only what the base uses is known: resources, namespace, labels, configMapGenerator with content
hashes, and image tags; anything else in a kustomization.yaml is an error. Where kubectl or
kustomize is at hand, a test compares the two.
"""

import hashlib
import json
import pathlib

import yaml

KNOWN = {
    "apiVersion", "kind", "namespace", "resources", "labels", "configMapGenerator", "images",
}
CLUSTER_WIDE = {"Namespace"}


def render(folder: pathlib.Path) -> list[dict]:
    """All objects of the base, in the order of its files."""
    plan = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(plan) - KNOWN
    if unknown:
        raise ValueError(f"not rendered here: {sorted(unknown)}")
    objects = [
        item
        for name in plan["resources"]
        for item in yaml.safe_load_all((folder / name).read_text())
    ]
    generated = [config_map(folder, entry) for entry in plan.get("configMapGenerator", [])]
    renamed = {}
    for item in generated:
        name = item["metadata"]["name"]
        renamed[name] = item["metadata"]["name"] = f"{name}-{content_hash(item)}"
    for item in objects:
        for pod in pod_specs(item):
            rename_config_maps(pod, renamed)
            set_images(pod, plan.get("images", []))
    objects += generated
    for item in objects:
        if item["kind"] not in CLUSTER_WIDE:
            item["metadata"]["namespace"] = plan["namespace"]
        for rule in plan.get("labels", []):
            add_labels(item, rule)
    return objects


def config_map(folder: pathlib.Path, entry: dict) -> dict:
    data = {name: (folder / name).read_text() for name in entry["files"]}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": entry["name"]},
        "data": data,
    }


def content_hash(item: dict) -> str:
    """The suffix of kustomize's hasher: SHA-256 of Go's JSON, ten digits, no vowels.

    The name that is hashed along is empty there, as kustomize keeps names elsewhere.
    """
    content = {"data": item["data"], "kind": "ConfigMap", "name": ""}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    digits = hashlib.sha256(text.encode()).hexdigest()[:10]
    return digits.translate(str.maketrans("013ae", "ghkmt"))


def pod_specs(item: dict) -> list[dict]:
    """The pod's specification of a workload; none of anything else."""
    template = (item.get("spec") or {}).get("template")
    return [template["spec"]] if isinstance(template, dict) and "spec" in template else []


def rename_config_maps(pod: dict, renamed: dict) -> None:
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            name = volume["configMap"]["name"]
            volume["configMap"]["name"] = renamed.get(name, name)


def set_images(pod: dict, images: list[dict]) -> None:
    for container in pod["containers"]:
        for image in images:
            if container["image"] == image["name"]:
                container["image"] = f"{image['name']}:{image['newTag']}"


def add_labels(item: dict, rule: dict) -> None:
    if set(rule) != {"pairs"}:
        raise ValueError(f"not rendered here: {sorted(set(rule) - {'pairs'})} of labels")
    metadata = item["metadata"]
    metadata["labels"] = {**metadata.get("labels", {}), **rule["pairs"]}
