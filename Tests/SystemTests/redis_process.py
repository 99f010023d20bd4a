# SPDX-License-Identifier: Apache-2.0
"""A Redis server of the test's own."""

import io
import pathlib
import shutil
import signal
import socket
import subprocess

from waiting import eventually


def ask(port: int, *words: str, timeout: float = 20.0) -> str:
    """One command's answer as redis-cli shows it: an array has a line for each of its members.

    Empty where nobody answers. A process for each command would be the most of what a test costs.
    """
    request = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                return _reply(answer)
    except OSError:
        return ""


def _reply(answer: io.BufferedReader) -> str:
    line = answer.readline().decode().rstrip("\r\n")
    kind, rest = line[:1], line[1:]
    if kind == "*":
        return "\n".join(_reply(answer) for _ in range(int(rest)))
    if kind == "$" and int(rest) >= 0:
        return answer.read(int(rest) + 2)[:-2].decode()
    return "" if kind == "$" else rest


class Redis:
    """A redis-server on a free port of loopback, without persistence; it may stop and start."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        # Bound without listening, the port stays ours and refuses while the server is away.
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind(("127.0.0.1", 0))
        self.port = self._placeholder.getsockname()[1]
        self.process: subprocess.Popen | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> "Redis":
        binary = shutil.which("redis-server")
        assert binary, "redis-server is not installed: make deps"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--appendonly", "no", "--dir", str(self.folder), "--loglevel", "warning"]
        self.process = subprocess.Popen(
            [binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(lambda: self.command("PING") == "PONG", "redis-server answers")
        return self

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Stops answering without closing anything."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.stop()
        self._placeholder.close()

    def command(self, *words: str) -> str:
        """One command's answer; empty while the server is away."""
        return ask(self.port, *words, timeout=5)
