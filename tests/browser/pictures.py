"""`make pictures`: every page of the running demo's console as a picture, in each theme, language and width; for people to look at.

`python -m tests.browser.pictures FOLDER`. With `README` as the folder it takes the few that the README shows.
"""

import asyncio
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, expect

from tapwire_demo.demo_file import FOLDER, DemoFile, NoDemo, read_demo_file
from tests.browser.api import Api
from tests.browser.console import Console, open_chromium
from tests.browser.test_pages import DIALOGS, PAGES

THEMES: Final = ("dark", "light")
LANGUAGES: Final = ("en", "ru")
SIZES: Final = ((360, 740), (768, 1024), (1440, 900))
README: Final = Path("docs/pictures")
QUALITY: Final = 72
SETTLE_MS: Final = 400


async def take_pictures(demo: DemoFile, folder: Path) -> None:
    """All of them."""
    async with open_chromium() as browser, Api.opened(demo) as api:
        paths = [*PAGES, *await _of_things(api)]
        for theme, language, (width, height) in product(THEMES, LANGUAGES, SIZES):
            where = folder / f"{language}-{theme}-{width}"
            where.mkdir(parents=True, exist_ok=True)
            async with Console.opened(browser, demo.api_url, language=language, theme=theme, width=width, height=height) as console:
                await console.log_in(demo.operator)
                await _pages(console, paths, where)
                await _dialogs(console, where)
            print(where)
        await _screens(browser, demo, folder)


async def take_for_readme(demo: DemoFile) -> None:
    """The few that the README shows."""
    README.mkdir(parents=True, exist_ok=True)
    async with open_chromium() as browser:
        async with Console.opened(browser, demo.api_url, width=1280, height=800) as console:
            await console.log_in(demo.operator)
            await _two_pouring(console.page)
            await console.page.screenshot(path=README / "taps.jpg", type="jpeg", quality=QUALITY)
        async with Console.opened(browser, demo.api_url, theme="light", width=1280, height=800) as console:
            await console.log_in(demo.operator)
            await console.see(f"/check-in?guest_id={demo.cards[0].guest_id}")
            await console.page.screenshot(path=README / "check-in.jpg", type="jpeg", quality=QUALITY)
        async with Console.opened(browser, demo.api_url, language="ru", width=360, height=740) as console:
            await console.log_in(demo.operator)
            await _two_pouring(console.page)
            await console.page.screenshot(path=README / "phone.jpg", type="jpeg", quality=QUALITY)
        await _screen(browser, demo, "pouring", README / "screen.jpg")


async def _pages(console: Console, paths: Sequence[str], where: Path) -> None:
    for path in paths:
        await console.see(path)
        await console.page.wait_for_timeout(SETTLE_MS)
        name = path.split("?")[0].strip("/").replace("/", "-")[:30] or "taps"
        await console.page.screenshot(path=where / f"{name}.png", full_page=True)


async def _dialogs(console: Console, where: Path) -> None:
    await console.see("/")
    for path in DIALOGS:
        await console.page.evaluate("(path) => htmx.ajax('GET', path, '#dialog-body')", path)
        await expect(console.dialog.get_by_role("heading").first).to_be_visible()
        await console.page.screenshot(path=where / f"dialog{path.replace('/', '-')}.png")
        await console.page.keyboard.press("Escape")


async def _screens(browser: Browser, demo: DemoFile, folder: Path) -> None:
    for state in ("denied", "pouring", "thanks"):
        await _screen(browser, demo, state, folder / f"screen-{state}.png")


async def _screen(browser: Browser, demo: DemoFile, state: str, file: Path) -> None:
    """The left tap's own screen, once it shows this."""
    async with Console.opened(browser, demo.api_url, width=800, height=480) as console:
        await console.log_in(demo.operator)
        await console.go("/devices")
        await console.page.locator("tr", has_text="bar/taps/left").get_by_role("button").click()
        address = await console.page.locator("[data-screen]").text_content() or ""
        await console.page.goto(address)
        await expect(console.page.locator(f"body[data-state={state}]")).to_be_visible()
        await console.page.wait_for_timeout(SETTLE_MS * 3)
        kind = {"type": "jpeg", "quality": QUALITY} if file.suffix == ".jpg" else {}
        await console.page.screenshot(path=file, **kind)  # type: ignore[arg-type]


async def _two_pouring(page: Page) -> None:
    """Wait until beer flows at two taps, and has for a moment."""
    await expect(page.locator('[data-phase="POURING"] [data-live=money]').nth(1)).to_be_visible()
    await page.wait_for_timeout(SETTLE_MS * 3)


async def _of_things(api: Api) -> list[str]:
    """Pages of one guest, one visit, one shift."""
    active = (await api.read("/api/visits?status=active&limit=1"))["items"][0]
    shift_id = (await api.read("/api/shifts/current"))["shift_id"]
    return [f"/guests/{active['guest_id']}", f"/visits/{active['visit_id']}", f"/shift/{shift_id}"]


def main() -> None:
    """Take them, of the demo that runs here."""
    wanted = sys.argv[1]
    try:
        demo = read_demo_file(FOLDER)
    except NoDemo as error:
        sys.exit(str(error))
    asyncio.run(take_for_readme(demo) if wanted == "README" else take_pictures(demo, Path(wanted)))


if __name__ == "__main__":
    main()
