# SPDX-License-Identifier: Apache-2.0
"""The demo as a newcomer tries it."""

import json
import pathlib
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from command_process import CommandProcess
from waiting import eventually

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def demo(penstock):
    process = CommandProcess(penstock, "demo", "--port", 0, "--admin-port", 0)
    try:
        eventually(lambda: "/admin/throttles" in process.text, "the demo starts", within=30)
        yield process.text
    finally:
        code = process.stop()
    assert code == 0, process.text


def curl_lines(text: str) -> list[str]:
    """The commands that a text offers for pasting, whatever their indentation."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line.startswith(("curl ", "for i in "))]


def paste(command: str) -> str:
    result = subprocess.run(
        ["bash", "-c", command.replace("curl ", "curl -s --max-time 60 ")],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 0, (command, result)
    return result.stdout


def refusal_in(text: str, status: int) -> float:
    """The wait of the one refusal in what curl -i printed, in seconds."""
    assert text.count(f"HTTP/1.1 {status} ") == 1, text
    refused = text[text.index(f"HTTP/1.1 {status} ") :]
    milliseconds = int(re.search(r"(?i)^retry-after-ms: (\d+)", refused, re.M)[1])
    seconds = int(re.search(r"(?i)^retry-after: (\d+)", refused, re.M)[1])
    assert seconds == -(-milliseconds // 1000)
    return milliseconds / 1000


def test_the_demos_lines_work_as_pasted_and_its_refusals_keep_their_word(demo):
    stream, budget, filling, refused, throttles = curl_lines(demo)

    answer = paste(stream)
    assert answer.count("data: ") > 10 and "data: [DONE]" in answer

    def budget_path() -> None:
        text = paste(budget)
        told = time.monotonic()
        assert text.count("HTTP/1.1 200 ") == 1, text
        wait = refusal_in(text, 429)
        once = budget.removeprefix("for i in 1 2; do ").removesuffix("; done")
        time.sleep(max(0.0, told + wait - time.monotonic()))
        assert "HTTP/1.1 200 " in paste(once)

    def memory_path() -> None:
        with subprocess.Popen(["bash", "-c", filling.replace("& sleep 1", "")]) as running:
            time.sleep(1)
            text = paste(refused)
            told = time.monotonic()
            wait = refusal_in(text, 503)
            time.sleep(max(0.0, told + wait - time.monotonic()))
            # The same request, but its head alone: the whole answer would take its time.
            again = refused.replace("curl -i", "curl -iN")
            again = again.replace('{"model"', '{"stream": true, "model"')
            assert paste(f"{again} | head -n 1") == "HTTP/1.1 200 OK\n"
            running.wait(60)

    with ThreadPoolExecutor(2) as pool:
        for path in [pool.submit(budget_path), pool.submit(memory_path)]:
            path.result()
    records = json.loads(paste(throttles))["throttles"]
    assert {record["tenant"] for record in records} == {"trial", "etl"}
    assert {record["status"] for record in records} == {429, 503}


def test_the_readme_shows_the_lines_of_the_demo(demo):
    ports = re.search(r"running: 127\.0\.0\.1:(\d+) .* http://127\.0\.0\.1:(\d+)/", demo)
    assert ports, demo
    usual = demo.replace(f":{ports[1]}", ":8080").replace(f":{ports[2]}", ":9901")
    readme = curl_lines((REPOSITORY / "README.md").read_text())
    assert readme == curl_lines(usual)
