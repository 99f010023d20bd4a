# SPDX-License-Identifier: Apache-2.0
"""An engine, as a process of its own, that breaks HTTP in seeded ways: `unruly_engine.py SEED`.

Each request carries a token `~digits~`; the right answer repeats it, and so does all that is wrong.
It prints its port, and when its input ends one JSON document of what it did.
"""

import collections
import heapq
import itertools
import json
import random
import re
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

# <linux/socket.h>: each read tells when its bytes came in, by the clock of the day.
SO_TIMESTAMPNS = 35
# A gateway that has looked for what it did not ask for has sent its request within this time, even
# where the machine is busy. (When its kernel has both, nobody can tell one from the other.)
CROSSING_NANOSECONDS = 20_000_000
TOKEN = re.compile(rb"~\d+~")
CHUNK = b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"llama-test","choices":'
PAGE = b"".join(
    b"# TYPE vllm:%s gauge\nvllm:%s 0\n" % (name, name)
    for name in (b"num_requests_running", b"num_requests_waiting", b"kv_cache_usage_perc")
) + b'vllm:cache_config_info{block_size="16",num_gpu_blocks="1000000"} 1\n'


def framed(body: bytes, kind: bytes = b"application/json", fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        kind, len(body), fields, body,
    )  # fmt: skip


def whole_body(token: bytes, count: int) -> bytes:
    """An answer of `count` tokens, which it names, so that a client can tell it from a part."""
    return (
        b'{"id":"c","object":"chat.completion","created":1,"model":"llama-test","choices":'
        b'[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"#%d# %s"}}],'
        b'"usage":{"prompt_tokens":5,"completion_tokens":%d,"total_tokens":%d}}'
    ) % (count, token * count, count, count + 5)


def stream(token: bytes, count: int) -> bytes:
    """The same as a stream."""
    deltas = [b"#%d#" % count] + [token] * count
    events = [
        b'data: %s[{"index":0,"finish_reason":null,"delta":{"content":"%s"}}]}\n\n' % (CHUNK, delta)
        for delta in deltas
    ] + [
        b'data: %s[],"usage":{"prompt_tokens":5,"completion_tokens":%d,"total_tokens":%d}}\n\n'
        % (CHUNK, count, count + 5),
        b"data: [DONE]\n\n",
    ]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    pieces = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return head + b"\r\n" + b"".join(pieces) + b"0\r\n\r\n"


class Engine:
    """The loop that serves all connections."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.done: collections.Counter = collections.Counter()
        # What was unasked for, by its token, and crossed a request on its way.
        self.crossed: list[str] = []
        self.poll = select.epoll()
        self.connections: dict[int, Unruly] = {}
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.poll.register(self.listener, select.EPOLLIN)
        self.poll.register(sys.stdin, select.EPOLLIN)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self.timers, (time.monotonic() + seconds, next(self.order), action))

    def run(self) -> None:
        """Until the input ends."""
        while True:
            patience = self.timers[0][0] - time.monotonic() if self.timers else -1
            for descriptor, _ in self.poll.poll(max(patience, 0) if self.timers else -1):
                if descriptor == sys.stdin.fileno():
                    return
                if descriptor == self.listener.fileno():
                    self.accept()
                elif connection := self.connections.get(descriptor):
                    connection.readable()
            while self.timers and self.timers[0][0] <= time.monotonic():
                heapq.heappop(self.timers)[2]()

    def accept(self) -> None:
        try:
            while True:
                connection, _ = self.listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
                self.connections[connection.fileno()] = Unruly(self, connection)
                self.poll.register(connection, select.EPOLLIN)
        except BlockingIOError:
            return

    def report(self) -> str:
        return json.dumps({"done": self.done, "crossed": self.crossed})


class Unruly:
    """One connection."""

    # What may be done, and how often.
    WAYS = {
        "right": 30, "trickle": 8, "interim": 4, "excess_with": 8, "excess_after": 8,
        "two_with": 8, "two_after": 8, "two_late": 8, "cut": 8, "cut_by_reset": 3, "no_head": 4,
        "close_after": 6, "until_close": 3, "not_http": 2,
    }  # fmt: skip
    NAMES, WEIGHTS = list(WAYS), list(WAYS.values())

    def __init__(self, engine: Engine, connection: socket.socket):
        self.engine = engine
        self.socket = connection
        self.is_open = True
        self.is_busy = False
        self.buffer = b""
        # When something unasked for went out, and when the latest bytes came in; nanoseconds.
        self.unasked_at = 0
        self.unasked = ""
        self.received_at = 0
        self.requests = 0

    def readable(self) -> None:
        try:
            data, ancillary, _, _ = self.socket.recvmsg(65_536, 64)
        except BlockingIOError:
            return
        except ConnectionError:
            if time.time_ns() - self.unasked_at < CROSSING_NANOSECONDS:
                self.engine.crossed.append(self.unasked)
            return self.close()
        if not data:
            return self.close()
        for _, _, stamp in ancillary:
            seconds, nanoseconds = struct.unpack("qq", stamp)
            self.received_at = seconds * 10**9 + nanoseconds
        self.buffer += data
        if not self.is_busy:
            self.take()
        return None

    def send(self, data: bytes) -> None:
        try:
            if self.is_open and self.socket.send(data) < len(data):
                self.close()
        except (BlockingIOError, ConnectionError):
            self.close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            del self.engine.connections[self.socket.fileno()]
            self.engine.poll.unregister(self.socket)
            self.socket.close()

    def take(self) -> None:
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET "):
            self.buffer = rest
            is_page = head.startswith(b"GET /metrics")
            return self.send(framed(PAGE if is_page else b"", b"text/plain"))
        found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        length = int(found[1]) if found else 0
        if len(rest) < length:
            return None
        self.buffer = rest[length:]
        return self.answer(rest[:length])

    def answer(self, body: bytes) -> None:
        chance = self.engine.random
        token = TOKEN.findall(body)[0]
        self.requests += 1
        if self.unasked_at:
            late = self.received_at - self.unasked_at
            if late < CROSSING_NANOSECONDS:
                self.engine.crossed.append(self.unasked)
            else:
                self.engine.done["on a spoiled connection"] += 1
            self.unasked = token.decode()
            # If that passed for this one's answer, this one's will be unasked for in turn.
            self.unasked_at = time.time_ns()
        way = chance.choices(self.NAMES, self.WEIGHTS)[0]
        self.engine.done[way] += 1
        shape = stream if b'"stream": true' in body else lambda *a: framed(whole_body(*a))
        right = shape(token, chance.randint(1, 12))
        getattr(self, way)(right, token)

    # Ways to answer.

    def right(self, answer: bytes, token: bytes) -> None:
        self.send(answer)

    def trickle(self, answer: bytes, token: bytes) -> None:
        self.is_busy = True
        cuts = sorted(self.engine.random.sample(range(1, len(answer)), 4))
        pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
        self.send_slowly(pieces)

    def send_slowly(self, pieces: list[bytes]) -> None:
        self.send(pieces[0])
        if len(pieces) > 1:
            later = self.engine.random.choice((0, 0, 0.001, 0.003))
            self.engine.later(later, lambda: self.send_slowly(pieces[1:]))
        else:
            self.is_busy = False
            self.take()

    def interim(self, answer: bytes, token: bytes) -> None:
        hint = b"HTTP/1.1 103 Early Hints\r\nLink: <%s>\r\n\r\n" % token
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n" + hint + answer)

    def excess_with(self, answer: bytes, token: bytes) -> None:
        self.send(answer + self.excess(token))

    def excess_after(self, answer: bytes, token: bytes) -> None:
        self.send(answer)
        self.send_unasked(self.excess(token), token)

    def two_with(self, answer: bytes, token: bytes) -> None:
        self.send(answer + framed(whole_body(token, 2)))

    def two_after(self, answer: bytes, token: bytes) -> None:
        self.send(answer)
        self.send_unasked(framed(whole_body(token, 2)), token)

    def two_late(self, answer: bytes, token: bytes) -> None:
        """While the connection lies idle."""
        self.send(answer)
        number = self.requests

        def unasked() -> None:
            if self.is_open and self.requests == number and not self.is_asked():
                self.send_unasked(framed(whole_body(token, 2)), token)

        self.engine.later(self.engine.random.uniform(0.001, 0.05), unasked)

    def cut(self, answer: bytes, token: bytes) -> None:
        self.send(answer[: self.engine.random.randrange(len(answer))])
        self.close()

    def cut_by_reset(self, answer: bytes, token: bytes) -> None:
        self.send(answer[: self.engine.random.randrange(len(answer))])
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def no_head(self, answer: bytes, token: bytes) -> None:
        self.close()

    def close_after(self, answer: bytes, token: bytes) -> None:
        self.send(answer)
        self.close()

    def until_close(self, answer: bytes, token: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        self.send(head + whole_body(token, 3))
        self.close()

    def not_http(self, answer: bytes, token: bytes) -> None:
        self.send(self.excess(token) + answer)

    # What nobody asked for.

    def excess(self, token: bytes) -> bytes:
        kinds = (b"%s", b"\r\n%s", b"data: %s\n\n", b"5\r\n%s\r\n0\r\n\r\n", b"HTTP/1.1 200 %s")
        return self.engine.random.choice(kinds) % token

    def is_asked(self) -> bool:
        """Whether a request, or its end, waits to be read."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is not None
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def send_unasked(self, data: bytes, token: bytes) -> None:
        self.send(data)
        self.unasked_at = time.time_ns()
        self.unasked = token.decode()
        self.engine.done["unasked"] += 1


def main() -> None:
    engine = Engine(int(sys.argv[1]))
    print(engine.listener.getsockname()[1], flush=True)
    engine.run()
    print(engine.report(), flush=True)


if __name__ == "__main__":
    main()
