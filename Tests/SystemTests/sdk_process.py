# SPDX-License-Identifier: Apache-2.0
"""A version of the OpenAI SDK in a process of its own: `sdk_process.py [FOLDER]`.

The folder has the packages to use in place of the installed ones. Each line of the input is a
request as JSON, and each line of the output what its caller would see of it.
"""

import functools
import json
import logging
import pathlib
import subprocess
import sys
from dataclasses import dataclass, field


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
    text: str = ""
    finish: str | None = None
    usage: dict | None = None
    # How many answers its transport has seen, retries included.
    attempts: int = 0


class SDK:
    """The process, as a test sees it."""

    def __init__(self, folder: pathlib.Path | None = None):
        arguments = [str(folder)] if folder else []
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: object) -> Seen:
        """One call; `kind` is chat, completions or embeddings, `members` what it is given."""
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
        self._process.wait(10)


# Inside the process.


class _Attempts(logging.Handler):
    """Counts answers by what the SDK's transport logs of each."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.getMessage().startswith("HTTP Request: POST")


def _serve() -> None:
    attempts = _Attempts()
    # The SDK has changed its transport's name.
    for name in ("httpx", "httpx2"):
        logging.getLogger(name).addHandler(attempts)
        logging.getLogger(name).setLevel(logging.INFO)
    for line in sys.stdin:
        attempts.count = 0
        seen = _call(json.loads(line))
        print(json.dumps(seen | {"attempts": attempts.count}), flush=True)


@functools.cache
def _root(openai):  # noqa: ANN001, ANN202
    return openai.OpenAI(base_url="http://127.0.0.1/v1", api_key="none", timeout=20)


def _call(request: dict) -> dict:
    import httpx
    import openai

    seen = {"version": openai.__version__, "text": ""}
    # Each transport of its own would read all certificates once more.
    client = _root(openai).copy(
        base_url=request["base_url"],
        api_key=request["key"],
        max_retries=request["retries"],
        default_headers=request["fields"],
    )
    made = {
        "chat": client.chat.completions,
        "completions": client.completions,
        "embeddings": client.embeddings,
    }[request["kind"]]
    try:
        answer = made.create(**request["members"])
        for part in answer if request["members"].get("stream") else [answer]:
            _note(part, seen)
    except (openai.OpenAIError, httpx.HTTPError) as error:
        _note_error(error, seen)
    return seen


def _note(part, seen: dict) -> None:  # noqa: ANN001
    for choice in getattr(part, "choices", []):
        content = getattr(choice, "delta", None) or getattr(choice, "message", None)
        seen["text"] += (content.content if content else getattr(choice, "text", "")) or ""
        seen["finish"] = choice.finish_reason or seen.get("finish")
    if part_usage := getattr(part, "usage", None):
        seen["usage"] = part_usage.model_dump()


def _note_error(error: Exception, seen: dict) -> None:
    kinds = type(error).__mro__[:-1]
    seen["raised"] = [f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in kinds]
    seen["message"] = str(error)
    answer = getattr(error, "response", None)
    # 1.0.0 leaves its members empty and drops the body: callers read the answer that it keeps.
    told = answer.json()["error"] if answer is not None else {}
    for name in ("code", "type", "param"):
        seen[name] = getattr(error, name, None) or told.get(name)
    seen["request_id"] = getattr(error, "request_id", None)
    if answer is not None:
        seen["status"] = answer.status_code
        seen["request_id_field"] = answer.headers.get("x-request-id")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.path.insert(0, sys.argv[1])
    _serve()
