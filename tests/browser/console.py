"""The vocabulary of our browser tests: the console as somebody uses it, in a real Chromium, against a running demo.

Whatever the browser complains about on its console fails the test that made it do so.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Response,
    async_playwright,
    expect,
)

from tapwire_demo.demo_file import Login

CHROMIUM: Final = shutil.which("chromium") or shutil.which("google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE: Final = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
PATIENCE_MS: Final = 40_000
MAX_SCRIPT_BYTES: Final = 150_000
TOUCHED: Final = "button, .button, .nav a, select, summary, input:not([type=hidden], [type=radio], [type=checkbox])"
"""Touch targets; radio buttons and boxes are touched by their labels."""
LEAST_TARGET_PX: Final = 44
WCAG: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]

expect.set_options(timeout=PATIENCE_MS)


LEFT_EARLY: Final = ("htmx:sendAbort", "htmx:afterRequest")
"""What htmx says of a part that was still asked for when its page was left; of a request that fails it says one more thing."""


def has_chromium() -> bool:
    """Return whether a browser is installed."""
    return CHROMIUM is not None


def require_chromium() -> None:
    """Skip where Chromium is missing; in CI it must not be."""
    if not has_chromium():
        reason = "chromium is not installed (Debian: apt-get install chromium)"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    """A browser while the block runs."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


class Console:
    """One viewer's browser: a context with its cookies, and one page."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context: Final = context
        self.complaints: list[str] = []
        self.script_bytes = 0
        self.page: Final = page
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", self._count)

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, browser: Browser, url: str, *, language: str = "en", theme: str = "dark", width: int = 1440, height: int = 900
    ) -> AsyncIterator["Console"]:
        """A new viewer; the browser must have complained about nothing when the block is over."""
        context = await browser.new_context(base_url=url, viewport={"width": width, "height": height}, locale=language)
        context.set_default_timeout(PATIENCE_MS)
        await context.add_cookies([{"name": "tapwire_theme", "value": theme, "url": url}])
        await context.add_cookies([{"name": "tapwire_language", "value": language, "url": url}])
        try:
            console = cls(context, await context.new_page())
            yield console
            assert not console.complaints, console.complaints
        finally:
            await context.close()

    async def log_in(self, login: Login) -> None:
        """Log in by the form, as people do."""
        await self.page.goto("/login")
        await self.page.locator("[name=username]").fill(login.username)
        await self.page.locator("[name=password]").fill(login.password)
        await self.page.locator("button[type=submit]").click()
        await self.page.wait_for_url(lambda url: urlsplit(url).path != "/login")

    async def go(self, path: str) -> Page:
        """Load a page."""
        self.script_bytes = 0
        await self.page.goto(path)
        return self.page

    async def see(self, path: str) -> Page:
        """Load a page, and wait until its parts have come too."""
        await self.go(path)
        await expect(self.page.locator(".htmx-request")).to_have_count(0)
        await self.page.evaluate("document.fonts.ready")
        return self.page

    async def press(self, name: str, within: Locator | None = None) -> None:
        """Press a button or follow a link by what stands on it."""
        where = within or self.page
        await where.get_by_role("button", name=name, exact=True).or_(where.get_by_role("link", name=name, exact=True)).first.click()

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.locator("dialog[open]")

    async def violations(self) -> list[str]:
        """Findings of axe on the page as it is."""
        await self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: dict[str, Any] = await self.page.evaluate("(tags) => axe.run(document, {runOnly: tags})", WCAG)
        return [
            f"{violation['id']}: {node['target']} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    async def small_targets(self) -> list[str]:
        """Touch targets lower than a wet finger needs; links in running text aside."""
        found: list[str] = await self.page.evaluate(
            """([touched, least]) => [...document.querySelectorAll(touched)]
              .filter((one) => one.checkVisibility() && !one.matches(".visually-hidden"))
              .map((one) => [one.getBoundingClientRect().height, one.outerHTML.slice(0, 120)])
              .filter(([height]) => height < least)
              .map(([height, html]) => `${height} px: ${html}`)""",
            [TOUCHED, LEAST_TARGET_PX],
        )
        return found

    async def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide: int = await self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wide

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(LEFT_EARLY):
            self.complaints.append(f"{message.text} {message.location.get('url')}")

    async def _count(self, response: Response) -> None:
        if response.request.resource_type == "script" and response.ok:
            with suppress(Error):  # the page was left meanwhile; what `see` waits for is counted
                self.script_bytes += len(await response.body())
