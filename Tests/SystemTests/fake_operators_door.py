# SPDX-License-Identifier: Apache-2.0
"""A door for operators that only pretends: the real page before figures that a test makes up."""

import base64
import hashlib
import json
import pathlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = pathlib.Path(__file__).resolve().parents[2] / "Sources" / "CPage"


def page() -> tuple[bytes, str]:
    """The page and its policy, put together as the gateway does it."""
    source = (PAGE / "page.c").read_text()

    def embedded(name: str) -> bytes:
        block = re.search(rf"{name}\[\] = \{{(.*?)\}};", source, re.S)
        assert block, name
        return b"".join(
            (PAGE / file).read_bytes() for file in re.findall(r'#embed "(.*?)"', block[1])
        )

    def hashed(text: bytes) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text).digest()).decode() + "'"

    markup, style, script = embedded("markup"), embedded("style"), embedded("script")
    for mark, text in ((b"<style>", style), (b'<script type="module">', script)):
        assert markup.count(mark) == 1, mark
        markup = markup.replace(mark, mark + text)
    policy = (
        f"default-src 'none'; script-src {hashed(script)}; style-src {hashed(style)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return markup, policy


def tenant(name: str, used: float = 0.0, limit: float = 1000.0, tokens: int = 0) -> dict:
    return {
        "id": name,
        "limits": [
            {"name": "tokens_per_minute", "scope": "tenant", "limit": limit, "used": used},
            {"name": "requests_per_minute", "scope": "tenant", "limit": 600.0, "used": 1.0},
        ],
        "limits_left_out": 0,
        "overridden": False,
        "requests": {
            "completed": tokens // 100,
            "refused": 0,
            "client_left": 0,
            "engine_failed": 0,
            "timed_out": 0,
        },
        "tokens": {"input": tokens // 2, "output": tokens // 2},
        "cost": tokens / 1e6,
        "throttled": {},
    }


def endpoint(name: str, pool: str = "main", share: float = 0.3) -> dict:
    return {
        "endpoint": name,
        "pool": pool,
        "healthy": True,
        "available": True,
        "draining": False,
        "sleeping": False,
        "ramp": 1.0,
        "kv": {
            "capacity_tokens": 100_000,
            "scraped_tokens": int(90_000 * share),
            "projected_tokens": int(100_000 * share),
            "projected_share": share,
            "ledger_alert": False,
        },
        "running": 3,
        "waiting": 0,
        "own_sequences": 2,
        "scrape_late_s": None,
        "last_fault": None,
    }


def refusal(request: str, tenant: str, time_s: float = 1_700_000_000.0) -> dict:
    return {
        "time": "2023-11-14T22:13:20Z",
        "time_s": time_s,
        "request_id": request,
        "tenant": tenant,
        "class": "interactive",
        "model": "m",
        "reason": "tokens_per_minute_exceeded",
        "status": 429,
        "scope": "tenant",
        "estimate": {"input": 20, "output_expected": 80},
        "limit": 1000.0,
        "used": 950.0,
        "requested": 100.0,
        "retry_after_ms": 12_400,
    }


class FakeDoor:
    """Answers with `documents` by path; whoever follows the events gets all that `tell` was given
    so far, and what it is given from then on."""

    def __init__(self) -> None:
        self.documents: dict[str, dict] = {}
        self.asked: list[tuple[str, str]] = []
        self._messages: list[bytes] = []
        self._news = threading.Condition()
        self._closed = False
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                door.asked.append(("GET", self.path))
                if self.path == "/":
                    text, policy = page()
                    self.answer(200, text, "text/html; charset=utf-8", policy)
                elif self.path == "/admin/events":
                    self.events()
                elif self.path.split("?")[0] in door.documents:
                    self.json(200, door.documents[self.path.split("?")[0]])
                else:
                    self.json(404, {"error": "no such request is remembered"})

            def do_POST(self) -> None:
                door.asked.append(("POST", self.path))
                self.json(200, {})

            def json(self, status: int, document: dict) -> None:
                self.answer(status, json.dumps(document).encode(), "application/json", "")

            def answer(self, status: int, body: bytes, kind: str, policy: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(body)

            def events(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                told = 0
                while True:
                    with door._news:
                        door._news.wait_for(lambda: door._closed or len(door._messages) > told)
                        if door._closed:
                            return
                        fresh = door._messages[told:]
                        told = len(door._messages)
                    try:
                        self.wfile.write(b"".join(fresh))
                        self.wfile.flush()
                    except OSError:
                        return

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def tell(self, name: str, document: dict) -> None:
        with self._news:
            self._messages.append(f"event: {name}\ndata: {json.dumps(document)}\n\n".encode())
            self._news.notify_all()

    def state(
        self,
        tenants: list[dict],
        endpoints: list[dict],
        queues: list[dict] = (),  # type: ignore[assignment]
        whole: bool = True,
        time_s: float = 1_700_000_000.0,
    ) -> None:
        gateway = {
            "time_s": time_s,
            "started_s": 1_699_990_000.0,
            "generation": 1,
            "draining": False,
            "store_up": True,
            "ledger_behind": False,
            "reload_rejected": False,
            "currency": "USD",
        }
        self.tell(
            "state",
            {
                "all": whole,
                "gateway": gateway,
                "tenants": tenants,
                "endpoints": endpoints,
                "queues": list(queues),
            },
        )

    def close(self) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
