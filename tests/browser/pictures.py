"""`make pictures`: every page of the running demo's console as a picture, in each theme, language and width; for people to look at.

`python -m tests.browser.pictures FOLDER`. Before that the demo has an evening (`evening.py`), so that there is something to see.
With `README` as the folder it takes the few that README and docs show, of the demo as it is.
"""

import asyncio
import sys
from itertools import product
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, expect

from tapwire_demo.demo_file import FOLDER, DemoFile, NoDemo, read_demo_file
from tests.browser.api import Api
from tests.browser.console import Console, open_chromium
from tests.browser.evening import Evening, have_an_evening
from tests.browser.test_pages import DIALOGS, PAGES

THEMES: Final = ("dark", "light")
LANGUAGES: Final = ("en", "ru")
SIZES: Final = ((360, 740), (768, 1024), (1440, 900))
README: Final = Path("docs/pictures")
QUALITY: Final = 72
SETTLE_MS: Final = 300


async def take_pictures(demo: DemoFile, folder: Path) -> None:
    """All of them."""
    async with open_chromium() as browser, Api.opened(demo) as api:
        evening = await have_an_evening(api, demo)
        paths, dialogs = await _pages_of(api, evening), _dialogs_of(evening)
        for theme, language, (width, height) in product(THEMES, LANGUAGES, SIZES):
            where = folder / f"{language}-{theme}-{width}"
            where.mkdir(parents=True, exist_ok=True)
            async with Console.opened(browser, demo.api_url, language=language, theme=theme, width=width, height=height) as console:
                await _picture(await console.see("/login"), where / "login.png")
                await console.log_in(demo.operator)
                for name, path in paths.items():
                    await _picture(await console.see(path), where / f"{name}.png")
                await _take_dialogs(console, dialogs, where)
                await _take_refusals(console, evening, where)
            print(where)
        for state in ("denied", "pouring", "thanks"):
            await _screen(browser, demo, state, folder / f"screen-{state}.png")


async def take_for_readme(demo: DemoFile) -> None:
    """The few that README and docs show, each in both themes; a tap's own screen has one look."""
    README.mkdir(parents=True, exist_ok=True)
    async with open_chromium() as browser:
        for theme in THEMES:
            async with Console.opened(browser, demo.api_url, theme=theme, width=1280, height=800) as console:
                await console.log_in(demo.operator)
                await _two_pouring(console.page)
                await _photo(console.page, f"taps-{theme}")
                await console.see(f"/check-in?guest_id={demo.cards[0].guest_id}")
                await _photo(console.page, f"check-in-{theme}")
            async with Console.opened(browser, demo.api_url, theme=theme, width=360, height=740) as console:
                await console.log_in(demo.operator)
                await _two_pouring(console.page)
                await _photo(console.page, f"phone-{theme}")
        await _screen(browser, demo, "pouring", README / "screen.jpg")
        await _take_menus(browser, demo)


async def _take_menus(browser: Browser, demo: DemoFile) -> None:
    """The menu on a wall, on a telephone and in the dark."""
    for name, theme, width, height in (("wall", "light", 1920, 1080), ("phone", "light", 360, 740), ("dark", "dark", 1920, 1080)):
        async with Console.opened(browser, demo.api_url, width=width, height=height) as console:
            await console.see(f"/menu/{demo.venue_id}?theme={theme}")
            await _photo(console.page, f"menu-{name}")


async def _photo(page: Page, name: str) -> None:
    await page.screenshot(path=README / f"{name}.jpg", type="jpeg", quality=QUALITY)


async def _pages_of(api: Api, evening: Evening) -> dict[str, str]:
    """Every page by the name of its picture; those of one thing with one that has something to show."""
    shift_id = (await api.read("/api/shifts/current?venue_id=bar"))["shift_id"]
    one = {
        "visits-stuck": f"/visits/{evening.stuck_visit_id}",
        "visits-one": f"/visits/{evening.visit_id}",
        "guests-one": f"/guests/{evening.guest_id}",
        "cards-lost": f"/cards?card_uid={evening.lost_card}",
        "check-in-guest": f"/check-in?guest_id={evening.guest_id}",
        "shift-report": f"/shift/{shift_id}",
        "reports-tap": "/reports?by=tap",
    }
    return {path.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "taps": path for path in PAGES} | one


def _dialogs_of(evening: Evening) -> dict[str, str]:
    """Every dialog by the name of its picture."""
    visit, stuck = f"/visits/{evening.visit_id}", f"/visits/{evening.stuck_visit_id}"
    one = {
        **{name: f"{visit}/{name}" for name in ("top-up", "refund", "card", "lost", "close")},
        **{f"stuck-{name}": f"{stuck}/{name}" for name in ("reconcile", "unlock", "close")},
        **{f"resolve-{number}": f"/attention/{one}/resolve" for number, one in enumerate(evening.incident_ids)},
        "guest-change": f"/guests/{evening.guest_id}/change",
        "guest-adjust": f"/guests/{evening.guest_id}/adjust",
        "keg": f"/stock/kegs/{evening.keg_id}",
        "tap-cleaning": "/taps/bar/terrace/actions",
    }
    return {path.strip("/").replace("/", "-"): path for path in DIALOGS} | one


async def _picture(page: Page, file: Path, *, full_page: bool = True) -> None:
    await page.wait_for_timeout(SETTLE_MS)
    await page.screenshot(path=file, full_page=full_page)


async def _take_dialogs(console: Console, dialogs: dict[str, str], where: Path) -> None:
    await console.see("/")
    for name, path in dialogs.items():
        await console.page.evaluate("(path) => htmx.ajax('GET', path, '#dialog-body')", path)
        await expect(console.dialog.get_by_role("heading").first).to_be_visible()
        await _picture(console.page, where / f"dialog-{name}.png", full_page=False)
        await console.page.keyboard.press("Escape")
        await expect(console.dialog).to_have_count(0)


async def _take_refusals(console: Console, evening: Evening, where: Path) -> None:
    """Refusals: a card that can't be issued; and the page that closes the night."""
    page = console.page
    for name, guest_id, card in (
        ("lost", evening.coming_guest_id, evening.lost_card),
        ("bound", evening.coming_guest_id, evening.bound_card),
        ("here", evening.guest_id, "04c0ffee"),
    ):
        await console.see(f"/check-in?guest_id={guest_id}")
        await page.locator("details:has([name=typed]) summary").click()
        await page.locator("[name=typed]").fill(card)
        await page.locator("#desk form button[type=submit]").click()
        await expect(page.locator("[data-result]")).to_be_visible()
        await _picture(page, where / f"check-in-refused-{name}.png")
    await console.see("/shift/close")
    await _picture(page, where / "close-night.png")


async def _screen(browser: Browser, demo: DemoFile, state: str, file: Path) -> None:
    """The left tap's own screen, once it shows this."""
    async with Console.opened(browser, demo.api_url, width=800, height=480) as console:
        await console.log_in(demo.operator)
        await console.go("/devices")
        await console.page.locator("tr", has_text="bar/taps/left").get_by_role("button").click()
        address = await console.page.locator("[data-screen]").text_content() or ""
        await console.page.goto(address)
        await expect(console.page.locator(f"body[data-state={state}]")).to_be_visible()
        await console.page.wait_for_timeout(SETTLE_MS * 3 if state == "pouring" else SETTLE_MS)
        kind = {"type": "jpeg", "quality": QUALITY} if file.suffix == ".jpg" else {}
        await console.page.screenshot(path=file, **kind)  # type: ignore[arg-type]


async def _two_pouring(page: Page) -> None:
    """Wait until beer flows at two taps, and has for a moment."""
    await expect(page.locator('[data-phase="POURING"] [data-live=money]').nth(1)).to_be_visible()
    await page.wait_for_timeout(SETTLE_MS * 3)


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
