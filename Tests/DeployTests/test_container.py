# SPDX-License-Identifier: Apache-2.0
"""The Containerfile, read as text: no engine is needed."""

import json
import pathlib
import re

import pytest

LIBRARIES = {"libhiredis": "libhiredis-dev", "libnghttp2": "libnghttp2-dev", "libssl": "libssl-dev",
             "zlib1g": "zlib1g-dev"}


def read(path: pathlib.Path) -> list[tuple[str, str]]:
    """Instructions and their arguments; comments left out, continued lines joined."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="session")
def stages(deploy):
    """The instructions of each stage, the first being its FROM."""
    found = []
    for instruction in read(deploy / "Containerfile"):
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def values(stage, keyword):
    return [argument for name, argument in stage if name == keyword]


def release(image):
    return re.search(r"bookworm|trixie", image)[0]


def test_every_image_has_a_version_and_all_have_one_release(stages):
    images = [values(stage, "FROM")[0].split()[0] for stage in stages]
    for image in images:
        tag = image.rpartition("/")[2].partition(":")[2]
        assert tag and tag != "latest", image
    assert len({release(image) for image in images}) == 1


def test_what_is_copied_is_there(stages, repository):
    named = {values(stage, "FROM")[0].split()[-1] for stage in stages[:-1]}
    for stage in stages:
        for copy in values(stage, "COPY"):
            *sources, _ = [part for part in copy.split() if not part.startswith("--")]
            origin = re.search(r"--from=(\S+)", copy)
            if origin:
                assert origin[1] in named
                assert all(source in str(stages[0]) for source in sources)
            else:
                assert all((repository / source).exists() for source in sources), copy


def test_what_is_copied_is_not_ignored(stages, deploy):
    lines = (deploy / "Containerfile.dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    for stage in stages:
        for copy in values(stage, "COPY"):
            if "--from=" not in copy:
                assert set(copy.split()[:-1]) <= kept


def test_the_result_has_the_libraries_that_the_build_links(stages):
    built, result = (" ".join(values(stage, "RUN")) for stage in (stages[0], stages[-1]))
    for library, development in LIBRARIES.items():
        assert development in built
        assert re.search(rf"\b{library}[0-9.-]*\b(?!-dev)", result), library
    # The static Swift runtime is written in C++ in part.
    assert "libstdc++6" in result
    assert "-dev" not in result
    assert "--static-swift-stdlib" in built


def test_it_is_built_as_a_release_is(stages, repository):
    makefile = (repository / "Makefile").read_text()
    strict = re.search(r"^STRICT := (.*)$", makefile, re.M)[1]
    line = re.search(r"^release:.*\n\t@\$\(SWIFT\) (build .*)$", makefile, re.M)[1]
    [command] = [run for run in values(stages[0], "RUN") if "swift build" in run]
    built = command.partition("swift ")[2].partition(" && ")[0]
    assert built.split() == line.replace("$(STRICT)", strict).split()
    # The linker that it asks for comes with the toolchain, whose image is Swift's own.
    assert values(stages[0], "FROM")[0].split()[0].partition(":")[0].endswith("/swift")
    assert len(stages) > 1, "the toolchain stays behind"


def test_it_runs_as_nobody_and_stops_by_draining(stages):
    user = values(stages[-1], "USER")[-1]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert values(stages[-1], "STOPSIGNAL") == ["SIGTERM"]


def test_it_serves(stages, named):
    assert json.loads(values(stages[-1], "ENTRYPOINT")[0]) == ["/usr/local/bin/penstock"]
    command = json.loads(values(stages[-1], "CMD")[0])
    gateway = named("Deployment", "penstock")["spec"]["template"]["spec"]
    assert command == gateway["containers"][0]["args"]
    ports = {str(port["containerPort"]) for port in gateway["containers"][0]["ports"]}
    assert set(values(stages[-1], "EXPOSE")[0].split()) == ports
    assert values(stages[-1], "USER")[-1].split(":")[0] == str(
        gateway["securityContext"]["runAsUser"]
    )
