# SPDX-License-Identifier: Apache-2.0
"""Takes the pictures of the operators' page: a gateway, simulated engines and a morning's traffic.

python take_screenshots.py --penstock PATH FOLDER
"""

import argparse
import pathlib
import random
import tempfile
import threading
import time

from browsing import Tab, chromium_path
from gateway_process import Gateway, hashed
from http_client import BrokenAnswer
from simulated_engines import SimulatedEngines

MODEL = "llama-3.1-8b"
PRICE = {
    "input_per_million": 0.1,
    "cached_input_per_million": 0.05,
    "output_per_million": 0.4,
    "currency": "USD",
}
# Name, class, limits; how many clients, tokens of an answer, seconds between two requests.
TENANTS = [
    ("support-chat", "interactive", {"tokens_per_minute": 30_000}, 5, 160, 0.6),
    ("search", "interactive", {"tokens_per_minute": 13_000, "concurrent_requests": 8}, 4, 90, 0.5),
    ("code-review", "interactive", {"tokens_per_minute": 9_000}, 3, 260, 0.8),
    ("translation", "interactive", {"tokens_per_minute": 12_000}, 2, 120, 0.9),
    ("trial", "interactive", {"tokens_per_minute": 900, "requests_per_minute": 60}, 1, 110, 1.7),
    ("research", "interactive", {"tokens_per_day": 60_000}, 2, 300, 1.1),
    ("summaries", "batch", {"tokens_per_minute": 40_000}, 3, 420, 0.4),
    ("etl-nightly", "batch", {"tokens_per_minute": 90_000, "cost_per_month": 250}, 3, 700, 0.3),
]


def configuration(engines: list[str]) -> dict:
    urls = [f"http://{address}" for address in engines]
    return {
        "workers": 1,
        "listeners": [{"address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "upstream": {"scrape_interval": "500ms"},
        "models": [{"name": MODEL, "context_length": 32_768, "price": PRICE}],
        "pools": [
            {"name": "interactive", "engine": "vllm", "endpoints": urls[:4], "models": [MODEL]},
            {"name": "batch", "engine": "vllm", "endpoints": urls[4:], "models": [MODEL]},
        ],
        "classes": [
            {"name": "interactive", "pool": "interactive", "queue": {"max_wait": "2s"}},
            {
                "name": "batch",
                "pool": "batch",
                "kv": {"throttle_at": 0.75, "reject_at": 0.85},
                "queue": {"max_wait": "4s"},
            },
        ],
        "tenants": [
            {
                "id": name,
                "keys": [hashed(f"sk-{name}")],
                "classes": [name_of_class],
                "models": [MODEL],
                "limits": limits,
            }
            for name, name_of_class, limits, *_ in TENANTS
        ],
    }


def client(gateway: Gateway, name: str, tokens: int, pause: float, seed: int, end: threading.Event):
    chance = random.Random(f"{name} {seed}")
    number = 0
    while not end.wait(pause * chance.uniform(0.5, 1.5)):
        number += 1
        words = " ".join(chance.choice("water head gate flow rate".split()) for _ in range(30))
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": words}],
            "max_tokens": int(tokens * chance.uniform(0.5, 1.5)),
            "ignore_eos": True,
        }
        fields = {"X-Request-Id": f"{name}-{seed}{number:03}"}
        try:
            gateway.post("/v1/chat/completions", body, f"sk-{name}", fields)
        except (OSError, BrokenAnswer):
            return


def pictures(browser, gateway: Gateway, folder: pathlib.Path) -> None:
    light = Tab(browser, gateway.admin_url, viewport={"width": 1280, "height": 860}).go().live()
    dark = Tab(
        browser, gateway.admin_url, viewport={"width": 1280, "height": 860}, color_scheme="dark"
    )
    dark.go().live()
    phone = Tab(browser, gateway.admin_url, viewport={"width": 375, "height": 780})
    phone.go().live()
    # The lines of the figures need some seconds to be worth a look.
    time.sleep(45)

    def take(tab: Tab, name: str) -> None:
        # Frames are drawn once a second: the next one is whole.
        tab.page.wait_for_timeout(1_500)
        tab.page.screenshot(path=folder / f"{name}.png")

    take(light, "now-light")
    take(dark, "now-dark")
    take(phone, "now-phone")
    light.go("tenants")
    take(light, "tenants")
    light.go("engines")
    take(light, "engines")
    # The walk: a refusal of the feed, and why.
    light.go("refusals")
    light.page.get_by_label("Tenant").locator("visible=true").first.fill("trial")
    take(light, "why-1")
    light.page.locator("#refusal-table tbody tr:visible td:last-child a").first.click()
    light.wait_text("It would have been admitted", selector="#request-body")
    take(light, "why-2")
    for tab in (light, dark, phone):
        tab.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--penstock", type=pathlib.Path, required=True)
    parser.add_argument("folder", type=pathlib.Path)
    options = parser.parse_args()
    path = chromium_path()
    if path is None:
        raise SystemExit("no Chromium here: `make browser` installs it")
    from playwright.sync_api import sync_playwright

    options.folder.mkdir(parents=True, exist_ok=True)
    chat = SimulatedEngines(options.penstock, 4, model=MODEL, kv_tokens=2_600)
    batch = SimulatedEngines(options.penstock, 2, model=MODEL, kv_tokens=5_000)
    end = threading.Event()
    addresses = chat.addresses + batch.addresses
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(options.penstock, pathlib.Path(folder), configuration(addresses))
        try:
            gateway.wait_started()
            threads = [
                threading.Thread(target=client, args=(gateway, name, tokens, pause, seed, end))
                for name, _, _, clients, tokens, pause in TENANTS
                for seed in range(clients)
            ]
            for thread in threads:
                thread.start()
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                pictures(browser, gateway, options.folder)
                browser.close()
        finally:
            end.set()
            gateway.kill()
            chat.stop()
            batch.stop()


if __name__ == "__main__":
    main()
