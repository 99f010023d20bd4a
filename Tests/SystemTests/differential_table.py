# SPDX-License-Identifier: Apache-2.0
"""The table of all cases, and the differences that are known and why.

    python Tests/SystemTests/differential_table.py > docs/differential.md
"""

import os
import pathlib
import sys

from ambiguous_lines import CASES
from differential import PEERS, Outcome, bench
from reference_proxies import version

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Those that the known differences were looked at with.
VERSIONS = {"nginx": "1.22.1", "haproxy": "2.6.12"}

TABS = "RFC 9110 section 5.5 allows tabs around a value; Penstock cuts them off and frames anew."
# What Penstock lets through and another one does not, or reads otherwise: (case, who) → why.
KNOWN = {
    ("Content-Length: between tabs", "nginx"): TABS,
    ("Transfer-Encoding: between tabs", "nginx"): TABS,
    ("Request line: absolute form, another host", "haproxy"): (
        "RFC 9112 section 3.2.2: the target's authority counts and Host is ignored. Penstock "
        "chooses nothing by either and sends the engine's own."
    ),
    ("In a row: two, a byte between", "nginx"): (
        "The second has the method XPOST: Penstock answers 405 itself, as one request."
    ),
    ("In a row: two, a byte between", "haproxy"): (
        "The second has the method XPOST: Penstock answers 405 itself, as one request."
    ),
}

TEXT = """# How ambiguous requests are read

Made by `python Tests/SystemTests/differential_table.py > docs/differential.md`, with {versions}.
`Tests/SystemTests/test_differential.py` holds Penstock to it.

Each of {count} messages goes over a connection of its own, with a good request behind it, to
Penstock, nginx and HAProxy; behind each stands an upstream that records bytes. nginx and HAProxy
have their defaults for reading; both read a whole body before they forward it. A cell tells the
statuses, the bytes of each body that came out behind the proxy, and "kept" where the good request
was answered too. 408 ends the wait for a message that is not whole; 9 is an answer without a
head. The upstream answers 400 to what RFC 9112 has no place for: "malformed upstream".
"hidden one ran": a second request, which stood in or behind the first, came out as its own.
One cell changes from run to run: "Trailers: space before the colon" is refused by HAProxy with 400
at times, and forwarded at others.

What holds for every message: what Penstock forwards is one request by the grammar, and the same
one to h11, to Node's llhttp, and to nginx and HAProxy behind Penstock; as many requests reach the
upstream as are answered with 200; what nginx or HAProxy let through first, Penstock reads as that
one request or refuses. {forwarded} of the messages are forwarded.

## Known differences

Messages that Penstock forwards and another one refuses or reads otherwise. There are no more.

{known}

## All messages

{rows}
"""


def name(number: int) -> str:
    return f"{CASES[number].group}: {CASES[number].name}"


def differences(found: dict[str, dict[int, Outcome]]) -> set[tuple[str, str]]:
    """Case and peer, where Penstock forwards and the peer does not make the same of it."""
    return {
        (name(number), peer)
        for peer in PEERS
        for number, own in found["penstock"].items()
        if own.forwarded and _made(own) != _made(found[peer][number])
    }


def _made(outcome: Outcome) -> object:
    bodies = [message.body for message in outcome.forwarded]
    return bodies, outcome.kept, bool(outcome.faults)


def table(found: dict[str, dict[int, Outcome]]) -> str:
    columns = ["penstock", *PEERS]
    rows = _lines(
        ["message", *columns],
        [[name(n), *(found[who][n].verdict for who in columns)] for n in CASES],
    )
    known = _lines(
        ["message", "who differs", "why"], [[case, who, why] for (case, who), why in KNOWN.items()]
    )
    versions = " and ".join(f"{peer} {version(peer)}" for peer in PEERS)
    forwarded = sum(bool(outcome.forwarded) for outcome in found["penstock"].values())
    return TEXT.format(
        versions=versions, count=len(CASES), known=known, rows=rows, forwarded=forwarded
    )


def _lines(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    assert PEERS == list(VERSIONS), f"nginx and haproxy are needed; here: {PEERS}"
    binary = os.environ.get("PENSTOCK_BIN") or REPOSITORY / ".build/debug/penstock"
    with bench(pathlib.Path(binary)) as made:
        text = table(made.run_all())
    sys.stdout.write(text)
