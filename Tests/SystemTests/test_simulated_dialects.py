# SPDX-License-Identifier: Apache-2.0
"""The simulated engine's messages and responses, as the SDKs read them."""

import pytest
from checks import admitted
from fake_engine import MODEL
from gateway_process import KEY, settings
from http_client import Answer, Connection
from simulated_engines import SimulatedEngines

MESSAGES = {"messages": [{"role": "user", "content": "Say hello to all."}], "max_tokens": 12}
MEMBERS = {"messages": MESSAGES, "responses": {"input": "Say hello.", "max_output_tokens": 12}}


@pytest.fixture(scope="module")
def engines(penstock):
    made = SimulatedEngines(penstock, 1, context=2_000)
    yield made
    made.stop()


def post(engines, path: str, body: dict | bytes) -> Answer:
    host, _, port = engines.addresses[0].partition(":")
    with Connection((host, int(port))) as connection:
        return connection.exchange("POST", path, body)


@pytest.mark.parametrize(
    ("age", "kind"), [("current", "messages"), ("current", "responses"), ("oldest", "messages")]
)
def test_the_sdks_read_them(engines, sdk_of, age, kind):
    def ask(**changes):  # noqa: ANN202
        members = {"model": MODEL} | MEMBERS[kind] | changes
        base = f"http://{engines.addresses[0]}"
        request = {"kind": kind, "base_url": base, "key": "none", "retries": 0, "fields": {}}
        seen = sdk_of(age).ask(**request, members=members)
        assert not seen.raised, seen
        return seen

    bound = "max_tokens" if kind == "messages" else "max_output_tokens"
    whole, stream = (ask(stream=s) for s in (False, True))
    for seen in (whole, stream):
        assert seen.text and seen.usage["output_tokens"] == 12
        assert seen.finish == bound
    if kind == "messages":
        assert ask(helper=True).text
    free = ask(extra_body={"simulated_output": 5}, helper=True, **{bound: 100})
    assert free.finish == ("end_turn" if kind == "messages" else "completed")
    assert free.usage["output_tokens"] == 5 and free.text


@pytest.mark.parametrize("kind", ["messages", "responses"])
def test_its_own_usage_is_what_the_gateway_settles(start, engines, kind):
    made = settings(limits={"tokens_per_day": 10**6})
    made["pools"][0]["endpoints"] = [f"http://{engines.addresses[0]}"]
    gateway = start(made)
    body = {"model": MODEL} | MEMBERS[kind]
    before = engines.tokens
    for stream in (False, True):
        admitted(gateway.post(f"/v1/{kind}", body | {"stream": stream}, key=KEY))
    gateway.assert_at_rest()
    after = engines.tokens
    tokens = gateway.tenant()["tokens"]
    assert tokens["input"] == after[0] - before[0] > 0
    assert tokens["output"] == after[1] - before[1] == 24


def test_errors_have_the_form_of_the_path(engines):
    for kind in ("messages", "responses"):
        body = {"model": MODEL} | MEMBERS[kind]
        content = next(name for name in ("messages", "input") if name in body)
        faults = [
            (400, {name: value for name, value in body.items() if name != content}),
            (404, body | {"model": "nonesuch"}),
            (400, b"{"),
        ]
        if kind == "messages":
            faults.append((400, {"model": MODEL, "messages": body["messages"]}))
        for status, wrong in faults:
            answer = post(engines, f"/v1/{kind}", wrong)
            assert answer.status == status, (kind, wrong, answer)
            document = answer.json
            if kind == "messages":
                assert document["type"] == "error" and set(document) == {"type", "error"}
                assert set(document["error"]) == {"type", "message"}
            else:
                assert document["error"]["code"] == status
            assert document["error"]["message"]
