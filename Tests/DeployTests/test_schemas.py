# SPDX-License-Identifier: Apache-2.0
"""Every object fits the schema of its kind, strictly: no member that the API does not know."""

import copy
import pathlib

import jsonschema
import kubernetes_validate
import kustomize
import pytest
import yaml

HERE = pathlib.Path(__file__).parent
BASE = HERE.parents[1] / "deploy" / "kubernetes" / "base"
# The oldest release whose every field we use is served, and a recent one.
RELEASES = ["1.29", "1.34"]
CUSTOM = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((HERE / "crds").glob("*.yaml"))
}
OBJECTS = {f"{o['kind']}/{o['metadata']['name']}": o for o in kustomize.render(BASE)}
OWN = [name for name, o in OBJECTS.items() if o["kind"] not in CUSTOM]
FOREIGN = [name for name, o in OBJECTS.items() if o["kind"] in CUSTOM]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", OWN)
def test_an_object_of_kubernetes_fits_its_schema(name, release):
    kubernetes_validate.validate(OBJECTS[name], release, strict=True)


@pytest.mark.parametrize("name", FOREIGN)
def test_an_object_of_an_operator_fits_its_schema(name):
    item = OBJECTS[name]
    jsonschema.validate(item, CUSTOM[item["kind"]], jsonschema.Draft202012Validator)


@pytest.mark.parametrize("kind", CUSTOM)
def test_every_schema_of_ours_is_one_and_is_used(kind):
    jsonschema.Draft202012Validator.check_schema(CUSTOM[kind])
    assert any(OBJECTS[name]["kind"] == kind for name in FOREIGN)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_misspelt_member_of_an_operators_object_is_refused(name):
    item = copy.deepcopy(OBJECTS[name])
    item["spec"]["minReplicas_"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(item, CUSTOM[item["kind"]], jsonschema.Draft202012Validator)


def test_a_misspelt_member_of_an_object_of_kubernetes_is_refused():
    item = copy.deepcopy(OBJECTS["Deployment/penstock"])
    item["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, RELEASES[-1], strict=True)
