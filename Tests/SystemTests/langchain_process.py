# SPDX-License-Identifier: Apache-2.0
"""LangChain's chat classes in a process of their own, as `sdk_process.py` has the SDKs."""

import asyncio
import functools

from sdk_process import note_error, serve


def _model(request: dict):  # noqa: ANN202
    options = {"model": request["model"], "api_key": request["key"]}
    options |= {"max_retries": request["retries"], "timeout": 20}
    if request["kind"] == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(base_url=request["base_url"], **options)
    from langchain_openai import ChatOpenAI

    is_responses = request["kind"] == "responses"
    base = request["base_url"] + "/v1"
    return ChatOpenAI(base_url=base, use_responses_api=is_responses, **options)


def _call(request: dict) -> dict:
    import langchain_core

    seen = {"version": langchain_core.__version__, "text": ""}
    try:
        model = _model(request)
        match request["way"]:
            case "whole":
                _note(model.invoke(request["text"]), seen)
            case "stream":
                for part in model.stream(request["text"]):
                    _note(part, seen)
            case "async stream":
                _loop().run_until_complete(_stream(model, request["text"], seen))
            case "count":
                from langchain_core.messages import HumanMessage

                messages = [HumanMessage(request["text"])]
                count = model.get_num_tokens_from_messages(messages)
                seen["usage"] = {"input_tokens": count}
    except Exception as error:  # Whatever it raises is what its caller sees.
        note_error(error, seen)
    return seen


# Its asynchronous transport is kept, and with it the loop that it belongs to.
@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _stream(model, text: str, seen: dict) -> None:  # noqa: ANN001
    async for part in model.astream(text):
        _note(part, seen)


def _note(part, seen: dict) -> None:  # noqa: ANN001
    """A message, or a piece of one."""
    for block in part.content if isinstance(part.content, list) else [part.content]:
        seen["text"] += block if isinstance(block, str) else block.get("text", "")
    told = part.response_metadata
    cut = told.get("incomplete_details") or {}
    finish = told.get("finish_reason") or told.get("stop_reason")
    seen["finish"] = finish or cut.get("reason") or told.get("status") or seen.get("finish")
    if part.usage_metadata:
        before = seen.get("usage") or {}
        seen["usage"] = {
            name: before.get(name, 0) + part.usage_metadata[name]
            for name in ("input_tokens", "output_tokens")
        }


if __name__ == "__main__":
    serve(_call)
