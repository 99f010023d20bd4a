# SPDX-License-Identifier: Apache-2.0
"""The operators' page in a browser, before a gateway that runs."""

import re
import time

import pytest
from checks import admitted, refused
from command_process import CommandProcess
from gateway_process import TOKEN, settings
from http_client import Connection
from waiting import eventually

HOSTILE = "<img/src=x/onerror=alert(1)>\"'&</script>?a=b#c%2F../../reload"


@pytest.fixture
def demo(penstock):
    process = CommandProcess(penstock, "demo", "--port", 0, "--admin-port", 0)
    try:
        eventually(lambda: "/admin/throttles" in process.text, "the demo starts", within=30)
        found = re.search(
            r"running: 127\.0\.0\.1:(\d+) .* http://(127\.0\.0\.1:\d+)/", process.text
        )
        yield int(found[1]), f"http://{found[2]}"
    finally:
        code = process.stop()
    assert code == 0, process.text


def ask(port: int, tenant: str, request: str) -> int:
    body = {
        "model": "default",
        "max_tokens": 90,
        "ignore_eos": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    with Connection(("127.0.0.1", port)) as connection:
        return connection.exchange(
            "POST", "/v1/chat/completions", body, {"X-Request-Id": request}, f"sk-{tenant}"
        ).status


def test_the_walk_from_a_refusal_to_why_and_when(demo, tab):
    port, url = demo
    shown = tab(url).go("tenants").live()
    page = shown.page
    for tenant in ("acme", "trial", "etl"):
        shown.wait_text(tenant, selector="#tenant-table")
    page.keyboard.press("3")
    page.wait_for_selector("#engine-table tbody tr:nth-child(3)")
    shown.go("")
    assert ask(port, "trial", "first") == 200
    assert ask(port, "trial", "second") == 429
    told = time.monotonic()
    line = page.locator("#latest li a.why")
    line.wait_for(timeout=5_000)
    assert time.monotonic() - told < 2.0
    assert re.fullmatch(
        r"This minute's tokens are used: \d+ of 150, \d+ more asked for; asks again in [\d.]+ s",
        line.inner_text(),
    )
    line.click()
    shown.wait_text("Refused: this minute's tokens were used up", selector="#request-body")
    told = shown.text("#request-body")
    assert re.search(r"trial may use 150 tokens per minute\. .* it asked for \d+ more", told)
    assert re.search(r"It would have been admitted [\d.]+ s later, at [\d:.]+\.", told)
    assert re.search(r"That is in [\d.]+ s\.", told)

    # The same by its name, from anywhere, with the keyboard alone.
    page.keyboard.press("1")
    page.wait_for_selector("section[data-view=now]:not([hidden])")
    page.keyboard.press("/")
    page.keyboard.type("second")
    page.keyboard.press("Enter")
    shown.wait_text("Refused: this minute's tokens were used up", selector="#request-body")
    page.keyboard.press("/")
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    shown.wait_text("Admitted, and answered", selector="#request-body")
    page.keyboard.press("/")
    page.keyboard.type("nonesuch")
    page.keyboard.press("Enter")
    shown.wait_text("Not remembered", selector="#request-body")


def test_the_token_is_asked_for_and_kept_in_the_tab_alone(start, engine, tab):
    gateway = start(settings(engine, admin={"address": "127.0.0.1:0", "token": TOKEN}))
    shown = tab(gateway.admin_url).go()
    page = shown.page
    field = page.get_by_role("textbox", name="Admin token")
    field.fill("wrong")
    field.press("Enter")
    shown.wait_text("does not take the token", selector="#ask-token")
    field.fill(TOKEN)
    field.press("Enter")
    shown.live()
    shown.go("tenants").wait_text("acme", selector="#tenant-table")
    page.reload()
    shown.live()
    assert page.evaluate("[localStorage.length, document.cookie, Object.keys(sessionStorage)]") == [
        0,
        "",
        ["penstock.token"],
    ]
    assert all(TOKEN not in url for url in shown.requests)
    other = tab(gateway.admin_url).go()
    other.page.get_by_role("textbox", name="Admin token").wait_for()
    assert gateway.stop() == 0


def test_engines_are_drained_and_undrained_after_a_question(start, engine, tab):
    gateway = start(settings(engine))
    gateway.wait_scraped(engine)
    page = tab(gateway.admin_url).go("engines").live().page
    drain = page.get_by_role("button", name=f"Drain {engine.authority}", exact=True)
    drain.click()
    question = page.get_by_role("dialog")
    assert "all of them will be refused" in question.inner_text()
    # What does nothing has the focus, and Escape does nothing either.
    page.keyboard.press("Enter")
    question.wait_for(state="hidden")
    drain.click()
    page.keyboard.press("Escape")
    question.wait_for(state="hidden")
    assert not gateway.endpoint(engine)["draining"]
    drain.click()
    question.get_by_role("button", name="Drain").click()
    eventually(lambda: gateway.endpoint(engine)["draining"])
    back = page.get_by_role("button", name=f"Undrain {engine.authority}")
    back.click()
    question.get_by_role("button", name="Undrain").click()
    eventually(lambda: not gateway.endpoint(engine)["draining"])


def test_limits_are_overridden_and_revoked_after_a_question(start, engine, tab):
    gateway = start(settings(engine, limits={"tokens_per_minute": 500, "requests_per_minute": 7}))
    shown = tab(gateway.admin_url).go("tenants/acme").live()
    page = shown.page
    field = page.get_by_label("requests per minute", exact=True).locator("visible=true").last
    field.fill("0.5")
    page.get_by_role("button", name="Change", exact=True).click()
    question = page.get_by_role("dialog")
    assert "requests per minute: 7 → " in question.inner_text()
    question.get_by_role("button", name="Change").click()
    page.get_by_role("alert").wait_for()
    assert "limits.requests_per_minute" in page.get_by_role("alert").inner_text()
    assert gateway.tenant()["override"] is None

    field.fill("9")
    page.get_by_role("button", name="Change", exact=True).click()
    question.get_by_role("button", name="Change").click()
    shown.wait_text("In force: requests per minute 9", selector="#tenant-body")
    override = gateway.tenant()["override"]
    assert override["limits"] == {"requests_per_minute": 9} and override["expires"]
    page.get_by_role("button", name="Revoke the override").click()
    question.get_by_role("button", name="Revoke").click()
    shown.wait_text("The limits are as configured", selector="#tenant-body")
    assert gateway.tenant()["override"] is None


def test_what_a_client_calls_its_request_is_never_more_than_text(start, engine, tab):
    gateway = start(settings(engine, limits={"requests_per_minute": 1}))
    admitted(gateway.chat())
    refused(gateway.chat(fields={"X-Request-Id": HOSTILE}), 429, "requests_per_minute_exceeded")
    shown = tab(gateway.admin_url).go("refusals").live()
    link = shown.page.locator("#refusal-table a.id", has_text=HOSTILE)
    link.click()
    shown.wait_text("Refused: this minute's requests were used up", selector="#request-body")
    assert shown.page.locator("#request-title").inner_text() == HOSTILE
    assert shown.page.locator("main img, main script").count() == 0
    asked = [url for url in shown.requests if "/admin/requests/" in url]
    assert len(asked) == 1 and HOSTILE not in asked[0]


def test_a_gateway_that_comes_back_is_followed_again(start, engine, tab):
    gateway = start(settings(engine))
    shown = tab(gateway.admin_url).go("tenants").live()
    shown.wait_text("acme", selector="#tenant-table")
    configuration = gateway.configuration
    port = gateway.admin_address[1]
    gateway.kill()
    shown.page.wait_for_selector("#link.lost")
    start(configuration | {"admin": {"address": f"127.0.0.1:{port}"}})
    shown.live()
