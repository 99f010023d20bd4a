#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""By how much a prompt of a megabyte holds up a stream on the same worker.

One worker passes a stream with an event each millisecond; each event says when the engine sent it.
How late the latest of 300 ms arrives is taken with and without a prompt of a megabyte sent in
between, by turns: medians over ROUNDS, because other processes hold up both. Beside it what the
prompt costs the worker's thread in all, by the kernel's account, which they do not. With
PENSTOCK_TOKENIZERS, a folder that has tokenizer_qwen2.json (or .gz), also where the model has a
tokenizer.
"""

import argparse
import contextlib
import gzip
import json
import os
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from measure import Proxy, free_port, hashed, request

ROUNDS = 30
WINDOW = 0.3
MEGABYTE = 1 << 20
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
WHOLE = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "yes"}}],
    "usage": {"prompt_tokens": 200_000, "completion_tokens": 1, "total_tokens": 200_001},
}
PAGE = (
    b"vllm:num_requests_running 0\nvllm:num_requests_waiting 0\nvllm:kv_cache_usage_perc 0\n"
    b"vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"10000000\"} 1\n")


# MARK: engine, in a process of its own


def engine() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
        while line := reader.readline():
            length = 0
            while (field := reader.readline()) not in (b"\r\n", b""):
                name, _, value = field.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            body = reader.read(length)
            if line.startswith(b"GET"):
                answer(connection, b"text/plain", PAGE)
            elif b'"stream":true' in body[-200:]:
                stream(connection)
            else:
                answer(connection, b"application/json", json.dumps(WHOLE).encode())


def answer(connection: socket.socket, kind: bytes, body: bytes) -> None:
    head = HEAD % kind + b"Content-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head + body)


def stream(connection: socket.socket) -> None:
    """An event each millisecond, with the time in it, until nobody listens."""
    connection.sendall(HEAD % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        delta = {"index": 0, "delta": {"content": f"@{time.monotonic_ns()}@"}}
        event = b"data: " + json.dumps(CHUNK | {"choices": [delta]}).encode() + b"\n\n"
        connection.sendall(b"%x\r\n%b\r\n" % (len(event), event))
        time.sleep(0.001)


# MARK: clients


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def big(port: int, kind: str) -> None:
    """In a process of its own: a prompt for each line on standard input."""
    sentence = "Every request is measured before it may enter the queue, and nobody waits. "
    text = {
        "plain": sentence * (MEGABYTE // len(sentence)),
        "escaped": "\n\"\u4e2d" * (MEGABYTE // 10),
    }[kind]
    content = request("sk-bench", messages=[{"role": "user", "content": text}], max_tokens=1)
    with connected(port) as connection:
        for _ in sys.stdin:
            connection.sendall(content)
            received = b""
            while b'"usage"' not in received:
                piece = connection.recv(65_536)
                assert piece and b"HTTP/1.1 200" in received + piece, received + piece
                received += piece
            print("answered", flush=True)


def latest(connection: socket.socket) -> float:
    """How late the latest event of a window is, in milliseconds."""
    until = time.monotonic() + WINDOW
    worst = 0
    while time.monotonic() < until:
        if not select.select([connection], [], [], 0.05)[0]:
            continue
        now = time.monotonic_ns()
        sent = connection.recv(1 << 20).split(b"@")[1:2]
        if sent and sent[0].isdigit():
            worst = max(worst, now - int(sent[0]))
    return worst / 1e6


def measured(binary: str, folder: pathlib.Path, engine_port: int, kind: str, tokenizer) -> None:
    port = free_port()
    file = folder / "penstock.yaml"
    file.write_text(json.dumps(configuration(port, folder, engine_port, tokenizer)))
    with contextlib.ExitStack() as stack:
        gateway = Proxy("penstock", [binary, "serve", "--config", file], port, port)
        stack.callback(gateway.stop)
        here = [sys.executable, __file__]
        client = subprocess.Popen(
            [*here, "--big", kind, "--port", str(port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        stack.callback(client.wait)
        stack.callback(client.stdin.close)
        with connected(port) as connection:
            connection.sendall(request("sk-bench", stream=True))
            latest(connection)
            with_prompt, without, spent = [], [], []
            for _ in range(ROUNDS):
                before = cpu(gateway.pid)
                without.append(latest(connection))
                between = cpu(gateway.pid)
                print("go", file=client.stdin, flush=True)
                with_prompt.append(latest(connection))
                assert client.stdout.readline() == "answered\n"
                spent.append((cpu(gateway.pid) - between) - (between - before))
    print(
        f"  {kind + (', tokenizer' if tokenizer else ''):20}"
        f"latest event {statistics.median(without):6.2f} ms, with the prompt "
        f"{statistics.median(with_prompt):6.2f} ms; worker's CPU "
        f"{statistics.median(spent):6.2f} ms a prompt")


def cpu(process: int) -> float:
    """Milliseconds that the first worker's thread has run."""
    for task in pathlib.Path(f"/proc/{process}/task").iterdir():
        if (task / "comm").read_text().strip() == "penstock-0":
            return int((task / "schedstat").read_text().split()[0]) / 1e6
    raise LookupError("no thread of a worker")


def configuration(port: int, folder: pathlib.Path, engine_port: int, tokenizer) -> dict:
    model = {"name": "m", "context_length": 10**7}
    if tokenizer:
        model["tokenizer"] = str(tokenizer)
    return {
        "workers": 1,
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"address": f"unix:{folder}/admin.sock"},
        "models": [model],
        "pools": [{"name": "p", "engine": "vllm", "models": ["m"],
                   "endpoints": [f"http://127.0.0.1:{engine_port}"]}],
        "classes": [{"name": "c", "pool": "p", "queue": {"max_wait": "60s"}}],
        "tenants": [{"id": "bench", "keys": [hashed("sk-bench")], "classes": ["c"],
                     "models": ["m"], "limits": {"tokens_per_minute": 10**12}}],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--penstock", default=".build/release/penstock")
    parser.add_argument("--engine", action="store_true")
    parser.add_argument("--big")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.engine:
        return engine()
    if options.big:
        return big(options.port, options.big)
    print(f"a stream beside a prompt of 1 MiB, one worker: medians of {ROUNDS}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        process = subprocess.Popen(
            [sys.executable, __file__, "--engine"], stdout=subprocess.PIPE, text=True)
        try:
            port = int(process.stdout.readline())
            for kind in ("plain", "escaped"):
                for tokenizer in [None, *tokenizers(folder)]:
                    measured(options.penstock, folder, port, kind, tokenizer)
        finally:
            process.kill()
            process.communicate()
    return None


def tokenizers(folder: pathlib.Path) -> list[pathlib.Path]:
    source = os.environ.get("PENSTOCK_TOKENIZERS")
    if not source:
        return []
    plain = pathlib.Path(source) / "tokenizer_qwen2.json"
    if not plain.exists():
        packed = plain.with_suffix(".json.gz").read_bytes()
        plain = folder / plain.name
        plain.write_bytes(gzip.decompress(packed))
    return [plain]


if __name__ == "__main__":
    main()
