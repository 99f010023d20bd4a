# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str = "", within: float = 10.0) -> T:
    """Calls `condition` until it gives something true, and returns that.

    An `AssertionError` inside counts as not yet, and is raised when the time is over.
    """
    deadline = time.monotonic() + within
    pause = 0.002
    while True:
        last: AssertionError | None = None
        try:
            found = condition()
            if found:
                return found
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise last or AssertionError(f"not within {within} s: {what or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
