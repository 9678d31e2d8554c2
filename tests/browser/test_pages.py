"""Every page: accessible, no wider than the window, in both languages and themes, and light enough for an old tablet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from tapwire_admin.console.menu import MENU
from tapwire_demo.demo_file import DemoFile
from tests.browser.api import Api
from tests.browser.console import MAX_SCRIPT_BYTES, Console

pytestmark = pytest.mark.timeout(240)

PAGES = (
    *(entry.path for entry in MENU),
    *("/attention/resolved", "/cards?card_uid=04a1b2c3", "/reports?by=beverage", "/reports/kegs", "/shift/close"),
    *("/reports/heat-map", "/reports/heat-map?of=pours", "/reports/comparison"),
    *("/taps/bar/left", "/cleaning-log"),
)
DIALOGS = (
    "/taps/bar/left/actions",
    "/taps/bar/left/stop",
    "/taps/bar/left/clean",
    "/taps/bar/left/interval",
    "/taps/bar/left/calibrate",
    "/emergency",
    "/check-in/new-guest",
    "/stock/new-keg",
    "/prices/new",
    "/prices/volumes",
    "/devices/accept",
    "/users/new",
    "/webhooks/new",
)


@asynccontextmanager
async def viewer(browser: Browser, demo: DemoFile, language: str, theme: str, width: int) -> AsyncIterator[Console]:
    """A console in a language, a theme and a width."""
    async with Console.opened(browser, demo.api_url, language=language, theme=theme, width=width, height=800) as console:
        await console.log_in(demo.operator)
        yield console


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "dark", 1440), ("ru", "light", 360)])
async def test_every_page_is_accessible_fits_and_loads_little(
    browser: Browser, demo: DemoFile, api: Api, language: str, theme: str, width: int
) -> None:
    guest = await api.read(f"/api/guests/{demo.cards[0].guest_id}")
    shift_id = (await api.read("/api/shifts/current?venue_id=bar"))["shift_id"]
    away = await api.make("/api/guests", {"age_checked": True})
    issued = {"venue_id": "bar", "guest_id": away["guest_id"], "card_uid": "04" + uuid4().hex[:12]}
    await api.make(f"/api/guests/{away['guest_id']}/top-ups", {"amount_minor": 1_00, "method": "cash", "venue_id": "bar"})
    visit_id = (await api.make("/api/visits/open-and-assign-card", issued))["visit"]["visit_id"]
    webhook = {"url": "https://books.example/tapwire", "event_types": ["shift.closed"], "description": "the books"}
    webhook_id = (await api.send("/api/webhooks", webhook)).json()["webhook_id"]
    await api.send(f"/api/webhooks/{webhook_id}/test", {})
    erased = await api.make("/api/guests", {"first_name": "Zoe", "age_checked": True})
    (await api.send(f"/api/guests/{erased['guest_id']}/erase", {"reason": "asked for it"})).raise_for_status()
    things = (
        f"/guests/{guest['guest_id']}",
        f"/guests/{erased['guest_id']}",
        f"/visits/{guest['active_visit_id']}",
        *(f"/visits/{visit_id}", f"/visits/{visit_id}/receipt", f"/check-in?guest_id={away['guest_id']}"),
        f"/shift/{shift_id}",
        f"/webhooks/{webhook_id}/deliveries",
    )
    found: dict[str, object] = {}
    async with viewer(browser, demo, language, theme, width) as console:
        for path in (*PAGES, *things):
            await console.see(path)
            if wrong := await console.violations():
                found[path] = wrong
            if (too_wide := await console.overflow()) > 0:
                found[f"{path} is too wide"] = too_wide
            if small := await console.small_targets():
                found[f"{path} is hard to touch"] = small
            if console.script_bytes > MAX_SCRIPT_BYTES:
                found[f"{path} loads too much"] = console.script_bytes
            await expect(console.page.locator("html")).to_have_attribute("lang", language)
    assert not found


async def test_dialogs_are_accessible(browser: Browser, demo: DemoFile, api: Api) -> None:
    found: dict[str, object] = {}
    guest = await api.read(f"/api/guests/{demo.cards[0].guest_id}")
    visit = f"/visits/{guest['active_visit_id']}"
    of_visit = (f"{visit}/{name}" for name in ("top-up", "refund", "card", "lost", "close", "check-out", "guest-page"))
    async with viewer(browser, demo, "ru", "dark", 360) as console:
        await console.see("/")
        of_guest = (f"/guests/{guest['guest_id']}/{name}" for name in ("change", "adjust", "erase"))
        nobody = (await api.make("/api/guests", {"age_checked": True}))["guest_id"]
        for path in (*DIALOGS, *of_visit, *of_guest, f"/guests/{nobody}/erase"):
            await console.page.evaluate("(path) => htmx.ajax('GET', path, '#dialog-body')", path)
            await expect(console.dialog.get_by_role("heading").first).to_be_visible()
            if wrong := await console.violations():
                found[path] = wrong
            if small := await console.small_targets():
                found[f"{path} is hard to touch"] = small
            await console.page.keyboard.press("Escape")
            await expect(console.dialog).to_have_count(0)
    assert not found


async def test_the_login_is_accessible(browser: Browser, demo: DemoFile) -> None:
    async with Console.opened(browser, demo.api_url, language="ru", theme="light", width=360) as visitor:
        await visitor.see("/login")
        assert not await visitor.violations()
        assert not await visitor.small_targets()
        assert await visitor.overflow() <= 0


async def test_a_russian_operator_reads_russian(browser: Browser, demo: DemoFile) -> None:
    async with viewer(browser, demo, "ru", "dark", 768) as console:
        await expect(console.page.get_by_role("heading", name="Краны", exact=True)).to_be_visible()
        await console.press("Аварийный стоп")
        await expect(console.dialog).to_contain_text("Остановить все краны")
        await console.go("/audit?action=insufficient_funds_denied")
        await expect(console.page.get_by_role("cell", name="Отказ в наливе: недостаточно денег").first).to_be_visible()
