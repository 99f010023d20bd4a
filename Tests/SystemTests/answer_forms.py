# SPDX-License-Identifier: Apache-2.0
"""The answers of each dialect, whole and streamed, member for member as vLLM 0.32 writes them.

But the first event of Anthropic's messages tells the prompt's cached parts too, as Anthropic and
llama.cpp do. There and in responses, usage is given as on OpenAI's other paths, or already in the
words of the dialect.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fake_engine import Call

MODEL = "llama-test"
MESSAGES = "/v1/messages"
RESPONSES = "/v1/responses"


def usage_of(prompt: int, completion: int, cached: int | None = None) -> dict:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage


def chunk_of(call: Call, text: str | None, finish: str | None = None) -> dict:
    is_chat = call.path == "/v1/chat/completions"
    choice: dict = {"index": 0, "finish_reason": finish, "logprobs": None}
    if is_chat:
        choice["delta"] = {"content": text} if text is not None else {}
    else:
        choice["text"] = text or ""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk" if is_chat else "text_completion",
        "created": 1_700_000_000,
        "model": MODEL,
        "choices": [choice],
    }


class _Choices:
    """Chat and completions."""

    def __init__(self, call: Call, usage: dict | None):
        self.call = call
        self.usage = usage
        options = call.json.get("stream_options") or {}
        self._tells_usage = options.get("include_usage")

    def whole(self, text: str) -> dict:
        document = chunk_of(self.call, text, "stop")
        [choice] = document["choices"]
        if "delta" in choice:
            document["object"] = "chat.completion"
            choice["message"] = {"role": "assistant"} | choice.pop("delta")
        return document if self.usage is None else document | {"usage": self.usage}

    def _send(self, chunk: dict) -> None:
        self.call.event(chunk | {"usage": None} if self._tells_usage else chunk)

    def begin(self) -> None:
        """Nothing stands before the first piece."""

    def piece(self, text: str) -> None:
        self._send(chunk_of(self.call, text))

    def end(self) -> None:
        self._send(chunk_of(self.call, None, "stop"))
        if self._tells_usage and self.usage:
            self.call.event(chunk_of(self.call, None) | {"choices": [], "usage": self.usage})
        self.call.event("[DONE]")


class _Typed:
    """The events have a type, which stands before their data and in it."""

    def __init__(self, call: Call, usage: dict | None):
        self.call = call
        self.model = call.json["model"]
        self.usage = self.told(usage) if usage is not None else None
        self.text = ""

    def told(self, usage: dict) -> dict:
        raise NotImplementedError

    def send(self, kind: str, **members: object) -> None:
        data = json.dumps({"type": kind, **members})
        self.call.piece(f"event: {kind}\ndata: {data}\n\n".encode())


class Messages(_Typed):
    """Anthropic's messages."""

    def told(self, usage: dict) -> dict:
        if "prompt_tokens" not in usage:
            return usage
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        return {
            "input_tokens": usage["prompt_tokens"] - cached,
            "output_tokens": usage["completion_tokens"],
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
        }

    def _message(self, content: list, reason: str | None, usage: dict | None) -> dict:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": content,
            "model": self.model,
            "stop_reason": reason,
            "stop_sequence": None,
        }
        return message if usage is None else message | {"usage": usage}

    def whole(self, text: str) -> dict:
        return self._message([{"type": "text", "text": text}], "end_turn", self.usage)

    def begin(self) -> None:
        usage = self.usage and self.usage | {"output_tokens": 0}
        self.send("message_start", message=self._message([], None, usage))
        self.send("content_block_start", content_block={"type": "text", "text": ""}, index=0)

    def piece(self, text: str) -> None:
        self.send("content_block_delta", delta={"type": "text_delta", "text": text}, index=0)

    def end(self) -> None:
        self.send("content_block_stop", index=0)
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        self.send("message_delta", delta=delta, **({"usage": self.usage} if self.usage else {}))
        self.send("message_stop")


class Responses(_Typed):
    """OpenAI's responses."""

    def __init__(self, call: Call, usage: dict | None):
        super().__init__(call, usage)
        self._sequence = 0

    def told(self, usage: dict) -> dict:
        if "prompt_tokens" not in usage:
            return usage
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        return {
            "input_tokens": usage["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total_tokens"],
        }

    def send(self, kind: str, **members: object) -> None:
        super().send(kind, sequence_number=self._sequence, **members)
        self._sequence += 1

    def _part(self, text: str) -> dict:
        return {"annotations": [], "text": text, "type": "output_text", "logprobs": []}

    def _item(self, status: str, *texts: str) -> dict:
        return {
            "id": "msg_1",
            "content": [self._part(text) for text in texts],
            "role": "assistant",
            "status": status,
            "type": "message",
        }

    def _response(self, status: str, output: list, usage: dict | None) -> dict:
        return {
            "id": "resp_1",
            "created_at": 1_700_000_000,
            "incomplete_details": None,
            "error": None,
            "instructions": None,
            "metadata": None,
            "model": self.model,
            "object": "response",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "status": status,
            "usage": usage,
        }

    def whole(self, text: str) -> dict:
        return self._response("completed", [self._item("completed", text)], self.usage)

    def begin(self) -> None:
        begun = self._response("in_progress", [], None)
        self.send("response.created", response=begun)
        self.send("response.in_progress", response=begun)
        self.send("response.output_item.added", item=self._item("in_progress"), output_index=0)
        self.send("response.content_part.added", part=self._part(""), **self._place)

    @property
    def _place(self) -> dict:
        return {"content_index": 0, "item_id": "msg_1", "output_index": 0}

    def piece(self, text: str) -> None:
        self.text += text
        self.send("response.output_text.delta", delta=text, logprobs=[], **self._place)

    def end(self) -> None:
        item = self._item("completed", self.text)
        self.send("response.output_text.done", logprobs=[], text=self.text, **self._place)
        self.send("response.content_part.done", part=self._part(self.text), **self._place)
        self.send("response.output_item.done", item=item, output_index=0)
        whole = self._response("completed", [item], self.usage)
        self.send("response.completed", response=whole)


def form_of(call: Call, usage: dict | None):  # noqa: ANN201
    """What writes an answer to `call`, whole or streamed: begin, pieces, end."""
    return {MESSAGES: Messages, RESPONSES: Responses}.get(call.path, _Choices)(call, usage)
