# SPDX-License-Identifier: Apache-2.0
"""A browser tab that tells what a page did that it should not."""

import shutil
from urllib.parse import urlsplit

NAMES = ("chromium", "chromium-browser", "google-chrome")

# Policies broken are told as events, wherever in the page it happens.
WATCH = """
window.broken = [];
addEventListener("securitypolicyviolation",
    (event) => broken.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


def chromium_path() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One tab with storage of its own, at one gateway."""

    def __init__(self, browser, url: str, **options):
        self.url = url
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 860}, **options}
        )
        self.context.set_default_timeout(10_000)
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.on("console", self._console)

    def _dialog(self, dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _console(self, message) -> None:
        # What the gateway refused (401, 404) a browser reports by itself.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)

    def go(self, path: str = "") -> "Tab":
        self.page.goto(f"{self.url}/#/{path}")
        return self

    def live(self) -> "Tab":
        self.page.wait_for_selector("#link.live")
        return self

    def text(self, selector: str = "main") -> str:
        return self.page.inner_text(selector)

    def wait_text(self, text: str, within: float = 10.0, selector: str = "main") -> None:
        self.page.locator(selector).get_by_text(text).locator("visible=true").first.wait_for(
            timeout=within * 1000
        )

    def close(self) -> None:
        """Nothing was asked of anybody else, nothing failed, and no policy was broken."""
        try:
            own = urlsplit(self.url).netloc
            foreign = [
                url
                for url in self.requests
                if urlsplit(url).scheme != "data" and urlsplit(url).netloc != own
            ]
            assert foreign == []
            assert self.page.evaluate("broken") == []
            assert self.errors == []
            assert self.dialogs == []
        finally:
            self.context.close()
