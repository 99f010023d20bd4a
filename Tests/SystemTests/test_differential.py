# SPDX-License-Identifier: Apache-2.0
"""Ambiguous requests: Penstock beside nginx, HAProxy and the parsers of engines' servers."""

import shutil

import pytest
from ambiguous_lines import CASES
from ambiguous_requests import TAKEN
from differential import PEERS, Bench, Outcome, bench
from differential_table import KNOWN, REPOSITORY, VERSIONS, differences, name
from engine_readers import node, read_with_h11
from recording_upstream import Malformed, read_message
from reference_proxies import version

Found = dict[str, dict[int, Outcome]]


@pytest.fixture(scope="module")
def proxies(penstock):
    with bench(penstock) as made:
        yield made


@pytest.fixture(scope="module")
def found(proxies) -> Found:
    return proxies.run_all()


@pytest.fixture(params=["nginx", "haproxy"])
def peer(request) -> str:
    if request.param not in PEERS:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def test_penstock_answers_each_message_as_is_written_beside_it(found):
    told = {name(n): outcome.statuses[:1] for n, outcome in found["penstock"].items()}
    assert told == {name(n): [case.status] for n, case in CASES.items()}


def test_what_is_refused_never_reaches_the_engine_and_what_is_taken_does(found):
    for number, outcome in found["penstock"].items():
        taken = CASES[number].status == TAKEN
        assert bool(outcome.forwarded) == taken, name(number)


def test_what_is_forwarded_is_one_well_formed_request_for_each_answer_with_200(found):
    for number, outcome in found["penstock"].items():
        assert not outcome.faults, (name(number), outcome)
        assert len(outcome.forwarded) == outcome.statuses.count(200), (name(number), outcome)


def test_a_hidden_request_runs_only_where_it_stands_behind_the_first(found):
    for number, outcome in found["penstock"].items():
        most = CASES[number].requests - 1
        assert outcome.hidden <= most, (name(number), outcome)


def test_a_connection_with_malformed_http_is_not_kept(found):
    for number, outcome in found["penstock"].items():
        case = CASES[number]
        if case.status not in (200, 404, 405) and case.group != "In a row":
            assert not outcome.kept and len(outcome.statuses) == 1, (name(number), outcome)


def test_h11_reads_what_is_forwarded_as_the_same_one_request(found):
    for outcome in found["penstock"].values():
        for message, raw in zip(outcome.forwarded, outcome.raw, strict=True):
            assert read_with_h11(raw) == [message]


def test_node_reads_what_is_forwarded_as_the_same_one_request(found):
    executable = shutil.which("node")
    if not executable:
        pytest.skip("node is not installed")
    with node(executable) as server:
        for outcome in found["penstock"].values():
            for message, raw in zip(outcome.forwarded, outcome.raw, strict=True):
                assert server.read(raw) == [message]


def test_a_proxy_behind_penstock_reads_the_same_one_request(proxies: Bench, found, peer):
    first = found["penstock"]
    for number, outcome in proxies.run_after(peer, first).items():
        assert outcome.forwarded == first[number].forwarded[:1], name(number)
        assert outcome.statuses == [200] and not outcome.faults, (name(number), outcome)


def test_penstock_behind_a_proxy_reads_the_same_one_request_or_refuses(
    proxies: Bench, found, peer
):
    first = found[peer]
    again = proxies.run_after("penstock", first)
    assert sum(bool(outcome.forwarded) for outcome in again.values()) > len(again) // 2
    for number, outcome in again.items():
        bodies = [message.body for message in outcome.forwarded]
        assert bodies in ([], [first[number].forwarded[0].body]), (name(number), outcome)
        assert not outcome.faults and len(outcome.statuses) == 1, (name(number), outcome)


def test_the_differences_are_those_that_are_known(found):
    if not PEERS:
        pytest.skip("neither nginx nor haproxy is installed")
    seen = differences(found)
    assert seen <= set(KNOWN)
    for peer in PEERS:
        if version(peer) == VERSIONS[peer]:
            assert {case for case, who in seen if who == peer} == {
                case for case, who in KNOWN if who == peer
            }


def test_the_document_tells_what_penstock_does(found):
    lines = (REPOSITORY / "docs/differential.md").read_text().splitlines()
    for number, outcome in found["penstock"].items():
        start = f"| {name(number)} | {outcome.verdict} | "
        assert any(line.startswith(start) for line in lines), start


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nX : y\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: y\rz\r\n\r\n",
        b"POST / HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
        b"POST  / HTTP/1.1\r\n\r\n",
    ],
)
def test_the_reader_of_the_recorded_bytes_forgives_nothing(data):
    with pytest.raises(Malformed):
        read_message(data)
