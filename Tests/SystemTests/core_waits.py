# SPDX-License-Identifier: Apache-2.0
"""How long threads were ready to run and no core was free: what a busy machine takes from a test.

The kernel counts it for every thread (`schedstat`). A test that says how soon the gateway does
something takes it off; on a machine with cores to spare there is next to nothing to take off.
"""

import bisect
import contextlib
import os
import pathlib
import threading
import time

# Of a process, by thread: nanoseconds.
Waits = dict[int, dict[str, int]]


def family() -> list[int]:
    """This process and those that it has started."""
    found = [os.getpid()]
    for process in found:
        for thread in _threads(process):
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _threads(process: int) -> list[pathlib.Path]:
    with contextlib.suppress(OSError):
        return list(pathlib.Path(f"/proc/{process}/task").iterdir())
    return []


def read(processes: list[int]) -> Waits:
    waits: Waits = {}
    for process in processes:
        waits[process] = {}
        for thread in _threads(process):
            with contextlib.suppress(OSError, IndexError):
                waits[process][thread.name] = int((thread / "schedstat").read_text().split()[1])
    return waits


def since(before: Waits, after: Waits) -> float:
    """Seconds: of each process the thread that waited longest, of all processes the sum.

    They wait for each other, so their waits add up; threads of one do not, or not often.
    """
    nanoseconds = 0
    for process, threads in after.items():
        old = before.get(process, {})
        grown = (waited - old.get(name, 0) for name, waited in threads.items())
        nanoseconds += max(grown, default=0)
    return nanoseconds / 1e9


class Stopwatch:
    """Seconds that pass, less what this process and those it has started wait for a core."""

    def __init__(self) -> None:
        self._before = read(family())
        self._began = time.monotonic()

    @property
    def passed(self) -> float:
        """All of the time: for bounds from below."""
        return time.monotonic() - self._began

    @property
    def seconds(self) -> float:
        return max(self.passed - self.waited, 0.0)

    @property
    def waited(self) -> float:
        """For a core."""
        return since(self._before, read(family()))


class Recorder:
    """Looks again and again, so that it can be told later what was waited within any time."""

    EVERY = 0.05

    def __init__(self, *processes: int):
        self._processes = list(processes)
        self._moments: list[float] = []
        self._waits: list[Waits] = []
        self._over = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        self._waits.append(read(self._processes))
        self._moments.append(time.monotonic())

    def _run(self) -> None:
        while not self._over.wait(self.EVERY):
            self._look()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def between(self, begin: float, end: float) -> float:
        """From the last look before `begin` to the first after `end`; once it is stopped."""
        first = max(bisect.bisect(self._moments, begin) - 1, 0)
        last = min(bisect.bisect_left(self._moments, end), len(self._moments) - 1)
        return since(self._waits[first], self._waits[last])
