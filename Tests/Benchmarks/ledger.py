#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a ledger costs a request, and how fast `penstock usage` reads what was written.

CPU microseconds of gateways of one worker each, without a ledger and with a file, medians over
rounds in which they take turns; then CPU of `penstock usage` over all that they wrote.
"""

import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

from measure import Bench, options, penstock


def usage(binary: str, file: pathlib.Path) -> tuple[int, float]:
    """Requests that it tells of, and its seconds of CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [binary, "usage", "--file", str(file), "--by", "tenant,model", "--json"]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return sum(row["requests"] for row in json.loads(out)), seconds


def main() -> None:
    arguments = options()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(arguments.bench, folder)
        stack.callback(bench.stop)
        file = folder / "usage.ndjson"
        gateways = [penstock(arguments.penstock, folder, bench.port, "without")]
        stack.callback(gateways[0].stop)
        # A disk that is late is not to refuse requests here.
        ledger = {"file": {"path": str(file)}, "on_full": "drop"}
        gateways.append(penstock(arguments.penstock, folder, bench.port, "with", ledger=ledger))
        figures: dict[str, list[float]] = {gateway.name: [] for gateway in gateways}
        try:
            for _ in range(arguments.rounds):
                for gateway in gateways:
                    figures[gateway.name].append(bench.load(gateway, "request"))
        finally:
            # It writes out what waits.
            gateways[1].stop()
        read = [usage(arguments.penstock, file) for _ in range(arguments.rounds)]
        size = sum(each.stat().st_size for each in folder.glob("usage.ndjson*"))
    print(f"medians of {arguments.rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for name, values in figures.items():
        spread = f"({min(values):.2f}-{max(values):.2f})"
        print(f"CPU us a request, {name} a ledger: {statistics.median(values):.2f} {spread}")
    requests = read[0][0]
    seconds = statistics.median(seconds for _, seconds in read)
    print(
        f"penstock usage: {requests} entries, {size / 1e6:.1f} MB, {seconds:.2f} s of CPU, "
        f"{requests / seconds:,.0f} a second"
    )


if __name__ == "__main__":
    sys.exit(main())
