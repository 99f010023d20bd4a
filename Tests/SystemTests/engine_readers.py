# SPDX-License-Identifier: Apache-2.0
"""How the parsers of engines' HTTP servers read a request: h11, and llhttp as Node has it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import h11
from differential import exchange
from recording_upstream import Message

SERVER = """
const http = require("http");
const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = Buffer.concat(parts).toString("latin1");
    response.end(JSON.stringify([request.method, request.url, body]) + "\\n");
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


def read_with_h11(data: bytes) -> list[Message]:
    """Every request in `data`; what h11 refuses raises."""
    found = []
    while data:
        reader = h11.Connection(h11.SERVER)
        reader.receive_data(data)
        request, body = reader.next_event(), b""
        assert isinstance(request, h11.Request), request
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data), event
            body += bytes(event.data)
        found.append(Message(request.method.decode(), request.target.decode(), body))
        data = reader.trailing_data[0]
    return found


class Node:
    """A server of Node's own http module, with its defaults."""

    def __init__(self, address: tuple[str, int]):
        self.address = address

    def read(self, data: bytes) -> list[Message]:
        """Every request that the server saw; a refusal has no line and is an error."""
        answers = exchange(self.address, data, half_close=True)
        lines = [line for line in answers.split(b"\n") if line.startswith(b'["')]
        assert answers.count(b"HTTP/1.1 ") == len(lines), answers
        return [
            Message(method, target, body.encode("latin-1"))
            for method, target, body in map(json.loads, lines)
        ]


@contextmanager
def node(executable: str) -> Iterator[Node]:
    process = subprocess.Popen([executable, "-e", SERVER], stdout=subprocess.PIPE)
    try:
        assert process.stdout
        yield Node(("127.0.0.1", int(process.stdout.readline())))
    finally:
        process.kill()
        process.wait()
