# SPDX-License-Identifier: Apache-2.0
"""A command of the executable that runs until it is told to end."""

import signal
import subprocess
import threading


class CommandProcess:
    """The running command, and what it says on both outputs."""

    def __init__(self, *arguments: object):
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.text += line

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join(5)
