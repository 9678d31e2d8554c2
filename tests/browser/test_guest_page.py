"""The guest's own page: from the QR code at the counter to the receipt, on a telephone that nobody touches."""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from tapwire_admin.console.render import qr_code
from tapwire_demo.demo_file import DemoFile
from tests.browser.api import Api
from tests.browser.console import Console
from tests.browser.counter import issue_typed, new_guest, result
from tests.running_demo import OutsideTap

pytestmark = pytest.mark.timeout(240)

TOP_UP_MINOR = 20_00
WATCHED_MS = 6_000
"""Longer than the page's interval between pours."""


async def check_in(console: Console, api: Api) -> tuple[str, str]:
    """A guest with a card and some money; the visit's id and the card's."""
    name, card = f"Nora {uuid4().hex[:6]}", f"04{uuid4().hex[:6]}"
    await new_guest(console, name)
    await issue_typed(console, card)
    await result(console, "success")
    visit = await api.read(f"/api/visits/active/by-card/{card}")
    await api.make(f"/api/guests/{visit['guest_id']}/top-ups", {"amount_minor": TOP_UP_MINOR, "method": "cash", "venue_id": "bar"})
    return visit["visit_id"], card


async def url_shown(console: Console, api: Api, visit_id: str) -> str:
    """The address in the QR code that the page shows."""
    url: str = (await api.read(f"/api/visits/{visit_id}/guest-page"))["url"]
    drawn = await console.page.locator("[data-guest-page] path").last.get_attribute("d")
    assert drawn is not None
    assert f'd="{drawn}"' in qr_code(url)
    return url


async def looks_well(telephone: Console) -> None:
    """The page as it is fits a small telephone, and everybody can use it."""
    assert await telephone.overflow() <= 0
    assert not await telephone.violations()
    assert not await telephone.small_targets()


async def mark(page: Page) -> None:
    """Remember that the page was not loaded again."""
    await page.evaluate("window.stillHere = true")


async def test_a_guest_scans_the_code_and_watches_a_pour_to_the_receipt(
    console: Console, browser: Browser, demo: DemoFile, api: Api
) -> None:
    visit_id, card = await check_in(console, api)
    url = await url_shown(console, api, visit_id)
    await expect(console.page.locator("[data-result=success]")).to_contain_text("This address works on this computer only.")
    device = next(tap for tap in demo.taps if not tap.simulated)
    asked: set[str] = set()
    async with Console.opened(browser, demo.api_url, width=320, height=640) as telephone:
        telephone.page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page = await telephone.see(url)
        await mark(page)
        await expect(page.locator("h1")).to_contain_text("Hello, Nora")
        await expect(page.locator("[data-balance]")).to_have_text("€20.00")
        await looks_well(telephone)

        with OutsideTap.connected(demo, device) as tap:
            grant = tap.ask(tap.question(card))
            assert grant["type"] == "pour_authorized", grant
            for volume_ml in (40, 90):
                tap.show_progress(grant, volume_ml)
                await expect(page.locator("[data-volume]")).to_have_text(f"{volume_ml}\N{NO-BREAK SPACE}ml")
            price_minor = grant["display"]["sell_price_per_liter_minor"]
            left_minor = TOP_UP_MINOR - round(90 * price_minor / 1_000)
            await expect(page.locator("[data-balance]")).to_have_text(f"€{left_minor / 100:.2f}")
            await looks_well(telephone)
            tap.settle(tap.report(grant, 100))

        await expect(page.locator("[data-pour]")).to_have_count(0)
        await expect(page.locator(".pours li")).to_contain_text("100\N{NO-BREAK SPACE}ml")
        await api.make(f"/api/visits/{visit_id}/close", {})
        await expect(page.locator("h1")).to_contain_text("Thank you, Nora")
        receipt = await api.read(f"/api/visits/{visit_id}/receipt")
        await expect(page.locator("[data-receipt] .is-total")).to_contain_text(f"€{receipt['balance_minor'] / 100:.2f}")
        await looks_well(telephone)
        assert await page.evaluate("window.stillHere")
        assert asked == {urlsplit(demo.api_url).netloc}
        assert await page.evaluate("caches.keys().then((kept) => kept.length)") == 0
        assert await page.evaluate("localStorage.length + sessionStorage.length") == 0

    page = await console.see(f"/visits/{visit_id}/receipt")
    assert await url_shown(console, api, visit_id) == url
    await expect(page.locator(".receipt .guest-qr")).to_contain_text("This receipt on your telephone")


async def test_a_page_that_ended_says_so_and_asks_no_more(console: Console, browser: Browser, demo: DemoFile, api: Api) -> None:
    visit_id, _ = await check_in(console, api)
    old = (await api.read(f"/api/visits/{visit_id}/guest-page"))["url"]
    looks: list[int] = []
    async with Console.opened(browser, demo.api_url, language="ru", theme="light", width=360, height=740) as telephone:
        page = await telephone.see(old)
        page.on("response", lambda response: looks.append(response.status))
        await expect(page.locator("h1")).to_contain_text("Здравствуйте, Nora")

        await console.see(f"/visits/{visit_id}")
        await console.press("Guest's own page")
        await console.dialog.get_by_text("Has somebody else got it?").click()
        await console.press("Make a new address", console.dialog)

        await expect(console.dialog.get_by_role("status")).to_contain_text("The old one no longer works.")
        new = await url_shown(console, api, visit_id)
        assert new != old
        await expect(page.locator("h1")).to_have_text("Эта страница отключена")
        await expect(page.locator("#lost")).to_be_hidden()
        await looks_well(telephone)
        looks.clear()
        await page.wait_for_timeout(WATCHED_MS)
        assert looks == []
        telephone.complaints.clear()  # Chromium writes each 404 to its console

        page = await telephone.see(new)
        await page.get_by_role("link", name="English").click()
        await expect(page.locator("h1")).to_contain_text("Hello, Nora")
