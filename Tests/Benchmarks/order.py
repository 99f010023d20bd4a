#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes deploy/symbols.order: the functions that requests go through, so that the linker puts
them side by side (Package.swift).

Requests, refusals and streams are sent through the release build under callgrind. Names that a
later build does not have are passed over, and functions that are not named stand where they would:
the file costs nothing when it is old, and is worth making anew after large changes.
"""

import argparse
import pathlib
import re
import shlex
import sys
import tempfile

import measure

# Instructions, callees included, of all that was sent: less is not on the way of a request.
LEAST = 500


def functions(profile: pathlib.Path) -> list[str]:
    """Names by their instructions, most first."""
    names: dict[str, str] = {}
    costs: dict[str, int] = {}
    present = None
    for line in profile.open():
        if spelled := re.match(r"(c?)fn=\((\d+)\)(?: (.*))?", line):
            callee, number, name = spelled.groups()
            if name:
                names[number] = name.strip()
            if not callee:
                present = names[number]
        elif present and line[0] in "+-*0123456789":
            costs[present] = costs.get(present, 0) + int(line.split()[-1])
    # Of one that calls itself callgrind counts the depths apart, as name'2.
    ranked = sorted(costs, key=lambda name: -costs[name])
    return list(dict.fromkeys(n.partition("'")[0] for n in ranked if costs[n] >= LEAST))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--penstock", required=True)
    parser.add_argument("--write", type=pathlib.Path, required=True)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        profile = folder / "profile"
        slow = folder / "penstock"
        valgrind = f"valgrind --tool=callgrind --demangle=no --callgrind-out-file={profile}"
        slow.write_text(f'#!/bin/sh\nexec {valgrind} {shlex.quote(chosen.penstock)} "$@"\n')
        slow.chmod(0o755)
        bench = measure.Bench(chosen.bench, folder)
        try:
            proxy = measure.penstock(str(slow), folder, bench.port)
            try:
                for load in ["request", "refusal", "events"]:
                    bench.load(proxy, load)
            finally:
                proxy.stop()
        finally:
            bench.stop()
        found = functions(profile)
    # The program's own: what libraries bring stands in their files.
    own = [n for n in found if n.startswith(("$s", "swift_", "_swift_", "_Z"))]
    if len(own) < 100:
        sys.exit(f"only {len(own)} functions were seen: is the build without symbols?")
    chosen.write.write_text("\n".join(own) + "\n")
    print(f"{chosen.write}: {len(own)} functions")


main()
