# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

from core_waits import Stopwatch

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str = "", within: float = 10.0) -> T:
    """Calls `condition` until it gives something true, and returns that.

    An `AssertionError` inside counts as not yet, and is raised when the time is over. That is so
    when `within` seconds have passed beside those in which the test waited for a core, or four
    times as many.
    """
    began = time.monotonic()
    watch: Stopwatch | None = None
    pause = 0.002
    while True:
        last: AssertionError | None = None
        try:
            found = condition()
            if found:
                return found
        except AssertionError as error:
            last = error
        passed = time.monotonic() - began
        # To look at all processes costs more than what most conditions take.
        if watch is None and passed > 0.1:
            watch = Stopwatch()
        waited = watch.waited if watch and passed > within else 0.0
        if passed > within + min(waited, 3 * within):
            raise last or AssertionError(f"not within {within} s: {what or condition}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
