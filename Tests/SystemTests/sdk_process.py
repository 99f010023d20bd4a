# SPDX-License-Identifier: Apache-2.0
"""Versions of OpenAI's and Anthropic's SDKs in a process of their own: `sdk_process.py [FOLDER]`.

The folder has the packages to use in place of the installed ones. Each line of the input is a
request as JSON, and each line of the output what its caller would see of it.
"""

import functools
import json
import logging
import pathlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

ENVIRONMENT = pathlib.Path(__file__).resolve().parents[2] / ".venv"
# What the Makefile installs beside it: Tests/python/oldest.txt.
OLDEST = ENVIRONMENT / "oldest"


@dataclass
class Seen:
    """What the caller of the SDK saw."""

    version: str
    # The exception's class and what it is derived from; empty without one.
    raised: list[str] = field(default_factory=list)
    status: int | None = None
    code: str | None = None
    type: str | None = None
    param: str | None = None
    message: str = ""
    # Of the exception, where this version knows it, and of the answer.
    request_id: str | None = None
    request_id_field: str | None = None
    # Of the answer, where it was a refusal.
    fields: dict[str, str] = field(default_factory=dict)
    text: str = ""
    finish: str | None = None
    usage: dict | None = None
    # How many answers its transport has seen, retries included.
    attempts: int = 0


class SDK:
    """The process, as a test sees it."""

    def __init__(self, folder: pathlib.Path | None = None, script: str = __file__):
        self.is_oldest = folder == OLDEST
        if folder:
            assert folder.is_dir(), f"nothing is installed in {folder}: make .venv/.made"
        self._process = subprocess.Popen(
            [sys.executable, script, *([str(folder)] if folder else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: object) -> Seen:
        """One call; `members` are what the SDK's function for `kind` is given."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        return Seen(**json.loads(line))

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        # It holds nothing, and to end by itself it would take all its modules apart.
        self._process.kill()
        self._process.wait(10)


# Inside the process.

HELPERS = {"messages": "get_final_message", "responses": "get_final_response"}

class _Attempts(logging.Handler):
    """Counts answers by what the SDK's transport logs of each."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("HTTP Request: POST")


def serve(call: Callable[[dict], dict]) -> None:
    """Answers every line of the input with what `call` gives, out of the folder's packages."""
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
    attempts = _Attempts()
    # The SDKs have changed their transport's name.
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).addHandler(attempts)
        logging.getLogger(name).setLevel(logging.INFO)
    for line in sys.stdin:
        attempts.count = 0
        seen = call(json.loads(line))
        print(json.dumps(seen | {"attempts": attempts.count}), flush=True)


# Each transport of its own would read all certificates once more.
@functools.cache
def _openai():  # noqa: ANN202
    import openai

    return openai, openai.OpenAI(base_url="http://127.0.0.1/v1", api_key="none", timeout=20)


@functools.cache
def _anthropic():  # noqa: ANN202
    import anthropic

    return anthropic, anthropic.Anthropic(
        base_url="http://127.0.0.1", api_key="none", timeout=20
    )


def _call(request: dict) -> dict:
    is_anthropic = request["kind"] in ("messages", "count_tokens")
    package, root = _anthropic() if is_anthropic else _openai()
    client = root.copy(
        base_url=request["base_url"] + ("" if is_anthropic else "/v1"),
        api_key=request["key"],
        max_retries=request["retries"],
        default_headers=request["fields"],
    )
    seen = {"version": package.__version__, "text": ""}
    try:
        for part in _parts(client, request["kind"], request["members"]):
            _note(part.model_dump(), seen)
    except Exception as error:  # Whatever it raises is what its caller sees.
        note_error(error, seen)
    return seen


def _parts(client, kind: str, members: dict):  # noqa: ANN001, ANN202
    """What the SDK gives for one call: the answer, or a stream's events.

    With the member `helper` it is what its helper for streams has put together of them.
    """
    if members.pop("helper", False):
        with getattr(client, kind).stream(**members) as stream:
            return [getattr(stream, HELPERS[kind])()]
    if kind == "count_tokens":
        return [client.messages.count_tokens(**members)]
    maker = client.chat.completions if kind == "chat" else getattr(client, kind)
    answer = maker.create(**members)
    return answer if members.get("stream") else [answer]


def _note(part: dict, seen: dict) -> None:
    """One answer, or one event of a stream, of any dialect."""
    for choice in part.get("choices") or []:
        content = choice.get("delta") or choice.get("message")
        seen["text"] += (content.get("content") if content else choice.get("text")) or ""
        seen["finish"] = choice["finish_reason"] or seen.get("finish")
    match part.get("type") or part.get("object"):
        case "message":
            _note_message(part, seen)
        case "message_start":
            _note_message(part["message"], seen)
        case "content_block_delta":
            seen["text"] += part["delta"]["text"]
        case "message_delta":
            seen["finish"] = part["delta"]["stop_reason"]
        case "response.output_text.delta":
            seen["text"] += part["delta"]
        case "response":
            for item in part["output"]:
                seen["text"] += "".join(piece["text"] for piece in item["content"])
            _note_response(part, seen)
        case "response.completed" | "response.incomplete" | "response.failed":
            _note_response(part["response"], seen)
    if usage := part.get("usage"):
        told = {name: value for name, value in usage.items() if value is not None}
        seen["usage"] = (seen.get("usage") or {}) | told
    elif "input_tokens" in part:
        seen["usage"] = {"input_tokens": part["input_tokens"]}


def _note_message(message: dict, seen: dict) -> None:
    seen["text"] += "".join(block["text"] for block in message["content"])
    seen["finish"] = message["stop_reason"]
    seen["usage"] = message["usage"]


def _note_response(response: dict, seen: dict) -> None:
    cut = response["incomplete_details"]
    seen["finish"] = cut["reason"] if cut else response["status"]
    seen["usage"] = response["usage"]


def note_error(error: Exception, seen: dict) -> None:
    kinds = type(error).__mro__[:-1]
    seen["raised"] = [f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in kinds]
    seen["message"] = str(error)
    answer = getattr(error, "response", None)
    # The oldest leave their members empty, and openai 1.0.0 drops the body: callers read the
    # answer that it keeps.
    is_refusal = answer is not None and answer.status_code >= 400
    body = answer.json() if is_refusal else getattr(error, "body", None)
    told = body.get("error", body) if isinstance(body, dict) else {}
    details = told.get("details") or {}
    seen["code"] = (
        getattr(error, "error_code", None)
        or getattr(error, "code", None)
        or told.get("code", details.get("error_code"))
    )
    for name in ("type", "param"):
        seen[name] = getattr(error, name, None) or told.get(name)
    seen["request_id"] = getattr(error, "request_id", None)
    if answer is not None:
        seen["status"] = answer.status_code
        names = ("request-id", "x-request-id")
        seen["request_id_field"] = next(
            (answer.headers[name] for name in names if name in answer.headers), None
        )
        seen["fields"] = dict(answer.headers)


if __name__ == "__main__":
    serve(_call)
