# SPDX-License-Identifier: Apache-2.0
"""What every answer of one kind must have."""

import datetime
import math
import re

from http_client import Answer

TYPES = {
    "invalid_request": "invalid_request_error",
    "bad_request": "invalid_request_error",
    "invalid_api_key": "invalid_request_error",
    "api_key_expired": "invalid_request_error",
    "api_key_not_yet_valid": "invalid_request_error",
    "invalid_token": "invalid_request_error",
    "token_expired": "invalid_request_error",
    "unsupported_content_encoding": "invalid_request_error",
    "invalid_content_encoding": "invalid_request_error",
    "request_too_dense": "invalid_request_error",
    "model_not_allowed": "permission_error",
    "class_not_allowed": "permission_error",
    "model_not_found": "invalid_request_error",
    "not_found": "invalid_request_error",
    "method_not_allowed": "invalid_request_error",
    "request_too_large": "invalid_request_error",
    "context_length_exceeded": "invalid_request_error",
    "request_exceeds_limit": "invalid_request_error",
    "header_too_large": "invalid_request_error",
    "concurrent_requests_exceeded": "requests",
    "kv_cache_pressure": "service_unavailable_error",
    "queue_full": "service_unavailable_error",
    "queue_wait_too_long": "service_unavailable_error",
    "no_healthy_endpoint": "service_unavailable_error",
    "budget_store_unavailable": "service_unavailable_error",
    "ledger_unavailable": "service_unavailable_error",
    "gateway_overloaded": "service_unavailable_error",
    "draining": "service_unavailable_error",
    "upstream_failed": "server_error",
    "deadline_exceeded": "timeout_error",
}


for window in ("second", "minute", "hour", "day", "week", "month"):
    for quantity in ("tokens", "input_tokens", "output_tokens", "requests", "cost"):
        is_short = window in ("second", "minute", "hour") and quantity != "cost"
        unit = "requests" if quantity == "requests" else "tokens"
        TYPES[f"{quantity}_per_{window}_exceeded"] = unit if is_short else "insufficient_quota"

# In Anthropic's words: what is not here is the same in both, or is about a limit.
ANTHROPIC_TYPES = {
    "invalid_api_key": "authentication_error",
    "api_key_expired": "authentication_error",
    "api_key_not_yet_valid": "authentication_error",
    "invalid_token": "authentication_error",
    "token_expired": "authentication_error",
    "model_not_found": "not_found_error",
    "not_found": "not_found_error",
    "request_too_large": "request_too_large",
    "request_too_dense": "request_too_large",
    "upstream_failed": "api_error",
    "budget_store_unavailable": "api_error",
    "ledger_unavailable": "api_error",
}
RENAMED = {
    "service_unavailable_error": "overloaded_error",
    "tokens": "rate_limit_error",
    "requests": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
}


def anthropic_type(code: str) -> str:
    """The type of a refusal in the Anthropic error body."""
    return ANTHROPIC_TYPES.get(code) or RENAMED.get(TYPES[code], TYPES[code])


def refused(answer: Answer, status: int, code: str, param: str | None = None) -> dict:
    """The error of a refusal that has the status, code, type and fields that belong to it."""
    assert answer.status == status, answer
    error = answer.error
    assert error["code"] == code, error
    assert error["type"] == TYPES[code], error
    assert error["param"] == param, error
    _check_refusal(answer, code, error)
    return error


def refused_as_anthropic(answer: Answer, status: int, code: str) -> dict:
    """The same of a refusal in Anthropic's form."""
    assert answer.status == status, answer
    assert answer.fields["content-type"] == "application/json", answer
    document = answer.json
    assert list(document) == ["type", "error", "request_id"], document
    assert document["type"] == "error"
    error = document["error"]
    assert error["type"] == anthropic_type(code), error
    assert error["details"] == {"error_code": code}, error
    assert answer.fields["request-id"] == answer.fields["x-request-id"]
    assert document["request_id"] == answer.fields["request-id"]
    _check_refusal(answer, code, error)
    return error


def _check_refusal(answer: Answer, code: str, error: dict) -> None:
    """What is the same in every dialect."""
    status = answer.status
    assert answer.fields["x-penstock-decision"] == code
    assert re.fullmatch(r"[!-~]{1,128}", answer.fields["x-request-id"])
    assert int(answer.fields["content-length"]) == len(answer.body)
    assert "date" in answer.fields
    if status in (429, 503):
        wait = wait_of(answer)
        # Longer than clients honour means that they must not come back by themselves.
        assert (answer.fields.get("x-should-retry") == "false") == (wait > 60), answer
        found = re.search(r"try again in ([0-9.]+)s\.", error["message"])
        assert found, error["message"]
        assert round(float(found[1]) * 1000) == int(answer.fields["retry-after-ms"])
    else:
        assert "retry-after" not in answer.fields and "retry-after-ms" not in answer.fields
    if status == 401:
        assert answer.fields["www-authenticate"].startswith("Bearer")


def wait_of(answer: Answer) -> float:
    """The wait that a refusal tells, in seconds; both fields must agree."""
    milliseconds = answer.fields["retry-after-ms"]
    assert milliseconds.isdigit() and int(milliseconds) >= 1, milliseconds
    assert int(answer.fields["retry-after"]) == math.ceil(int(milliseconds) / 1000)
    return int(milliseconds) / 1000


def admitted(answer: Answer, decision: str = "admitted") -> Answer:
    assert answer.status == 200, answer
    assert answer.fields["x-penstock-decision"] == decision, answer
    assert answer.fields["x-request-id"]
    assert "retry-after" not in answer.fields
    return answer


ITEM = r'"[a-z-]+"(?:;[a-z]+=(?:[0-9]+|"[a-z-]+"))+'
SPAN = r"(?:\d+ms|\d{1,2}(?:\.\d{3})?s|(?:\d+h)?\d{1,2}m\d{1,2}s)"


def limits(answer: Answer) -> dict[str, tuple[int, int, float]]:
    """The limits that an answer tells, by unit: limit, remaining, seconds until it is full again.

    Checks the IETF's fields (draft-ietf-httpapi-ratelimit-headers-10) against OpenAI's.
    """
    found = {}
    for unit in ("requests", "tokens"):
        if f"x-ratelimit-limit-{unit}" not in answer.fields:
            continue
        limit = int(answer.fields[f"x-ratelimit-limit-{unit}"])
        remaining = int(answer.fields[f"x-ratelimit-remaining-{unit}"])
        assert 0 <= remaining <= limit
        found[unit] = (limit, remaining, seconds(answer.fields[f"x-ratelimit-reset-{unit}"]))
    policy = answer.fields["ratelimit-policy"]
    standing = answer.fields["ratelimit"]
    for value in (policy, standing):
        assert re.fullmatch(f"{ITEM}(?:, {ITEM})*", value), value
    for unit, (limit, remaining, _) in found.items():
        assert f";q={limit}" in policy
        assert f";r={remaining};t=" in standing
        assert unit != "tokens" or 'qu="tokens"' in policy
    return found


def anthropic_limits(answer: Answer) -> dict[str, tuple[int, int, float]]:
    """The same in Anthropic's fields, whose time is a date: RFC 3339 in whole seconds."""
    now = datetime.datetime.now(datetime.UTC)
    found = {}
    for unit in ("requests", "tokens", "input-tokens", "output-tokens"):
        name = f"anthropic-ratelimit-{unit}"
        if f"{name}-limit" not in answer.fields:
            continue
        limit = int(answer.fields[f"{name}-limit"])
        remaining = int(answer.fields[f"{name}-remaining"])
        reset = answer.fields[f"{name}-reset"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", reset), reset
        assert 0 <= remaining <= limit
        left = (datetime.datetime.fromisoformat(reset) - now).total_seconds()
        found[unit] = (limit, remaining, left)
    return found


def seconds(text: str) -> float:
    """OpenAI's form of a time: `12ms`, `1.574s`, `6m0s`, `1h2m3s`."""
    assert re.fullmatch(SPAN, text), text
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([0-9.]+)(ms|[hms])", text))
