"""The taps as they are watched, stopped and trusted: in the console and on the taps' own screens."""

import os
import re
import signal
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Locator, expect

from tapwire_demo.broker import BrokerKind, best_broker
from tapwire_demo.demo_file import DemoFile
from tests.browser.api import Api
from tests.browser.console import Console
from tests.running_demo import RunningDemo

pytestmark = pytest.mark.timeout(240)

NUMBER = re.compile(r"^[1-9][\d,]*$")


def tap(console: Console, tap_id: str) -> Locator:
    """A tap's card."""
    return console.page.locator(f'[data-tap="bar/taps/{tap_id}"]')


async def test_a_pour_is_watched_live_to_its_settlement(console: Console) -> None:
    card = tap(console, "middle")
    await expect(card).to_have_attribute("data-phase", "POURING")
    await expect(card.locator("[data-live=ml]")).to_have_text(NUMBER)
    pour_id = await card.get_attribute("data-pour")
    first = await card.locator("[data-live=ml]").text_content()
    await expect(card.locator("[data-live=ml]")).not_to_have_text(first or "")
    await expect(card.locator("[data-live=money]")).to_contain_text("€")
    await expect(card).to_contain_text("Ben")

    await expect(card).not_to_have_attribute("data-pour", pour_id or "-")

    await console.go(f"/audit?subject={pour_id}")
    settled = console.page.get_by_role("cell", name=re.compile("Pour settled")).first
    await expect(settled).to_contain_text("Ben")


async def test_the_taps_own_screen_shows_a_pour_to_its_end_and_denials_in_words(console: Console, browser: Browser) -> None:
    await console.go("/devices")
    await console.page.locator("tr", has_text="bar/taps/left").get_by_role("button").click()
    address = await console.page.locator("[data-screen]").text_content() or ""
    path = address.removeprefix(console.page.url.removesuffix("/devices"))

    async with Console.opened(browser, console.page.url.removesuffix("/devices"), width=800, height=480) as screen:
        page = await screen.go(path)
        assert "key=" not in page.url, "the secret stays out of the address"
        await expect(page.locator("body[data-state=denied] [data-show=title]")).to_have_text("Please top up at the counter.")
        await expect(page.locator("body[data-state=pouring] [data-show=title]")).to_have_text("Enjoy, Ann!")
        await expect(page.locator("[data-show=ml]")).to_have_text(NUMBER)
        assert await page.evaluate("document.querySelector('footer').getBoundingClientRect().bottom <= innerHeight")
        await expect(page.locator("body[data-state=thanks] [data-show=title]")).to_have_text("Cheers!")
        await expect(page.locator("[data-show=money]")).to_contain_text("€")


async def test_the_emergency_stop_is_confirmed_closes_every_tap_and_ends(
    console: Console, browser: Browser, demo: DemoFile
) -> None:
    async with Console.opened(browser, demo.api_url) as elsewhere:
        await elsewhere.log_in(demo.operator)
        page = await elsewhere.go("/visits")
        banner = page.get_by_role("alert").filter(has_text="all taps are closed")
        await _stop_all_and_release(console, banner)
        await expect(banner).to_be_hidden()
    await expect(tap(console, "middle")).not_to_have_attribute("data-status", "emergency_stop")


async def _stop_all_and_release(console: Console, banner_elsewhere: Locator) -> None:
    await console.press("Emergency stop")
    await expect(console.dialog).to_contain_text("All valves of the venue close now")
    await console.press("Stop all taps now")
    await expect(console.dialog.get_by_role("status")).to_contain_text("bar/taps/open")
    await console.press("Show the taps")

    try:
        for tap_id in ("left", "middle", "right", "open"):
            await expect(tap(console, tap_id)).to_have_attribute("data-status", "emergency_stop")
        await expect(console.page.get_by_role("alert").filter(has_text="all taps are closed")).to_be_visible()
        await expect(banner_elsewhere).to_be_visible()
    finally:
        await console.press("End the emergency stop")
        await console.press("End the stop")
    await expect(tap(console, "middle")).to_have_attribute("data-phase", "POURING")


async def test_a_tap_is_taken_out_of_service_and_put_back(console: Console) -> None:
    card = tap(console, "open")
    await card.get_by_role("button", name="More actions for Open").click()
    await console.dialog.get_by_role("radio", name="Lock").check()
    await console.press("Take out of service")
    await expect(card).to_have_attribute("data-status", "locked")

    await console.press("Return to service", card)
    await console.press("Return to service", console.dialog)
    await expect(card).to_have_attribute("data-status", "active")


async def test_what_happened_between_two_streams_is_shown_all_the_same(console: Console, api: Api) -> None:
    beat = 'retry: 500\nevent: beat\ndata: {"broker": true, "cores": 1}\n\n'
    await console.page.route("**/live", lambda asked: asked.fulfill(body=beat, content_type="text/event-stream"))
    await console.go("/")
    card = tap(console, "open")
    await expect(card).to_have_attribute("data-status", "active")

    await api.change("/api/taps/bar/open", {"status": "locked"})
    try:
        await expect(card).to_have_attribute("data-status", "locked")
    finally:
        await api.change("/api/taps/bar/open", {"status": "active"})
    await expect(card).to_have_attribute("data-status", "active")


async def test_a_core_that_is_stopped_is_shown_at_once_and_so_is_its_return(
    console: Console, running: RunningDemo, demo: DemoFile
) -> None:
    if best_broker() is not BrokerKind.MOSQUITTO:
        pytest.skip("the broker in the demo's own process would stop with it; needs mosquitto")
    core = console.page.locator("[data-link=core]")
    await expect(core).to_have_attribute("data-there", "true")

    running.process.send_signal(signal.SIGSTOP)  # so that nobody starts the core again
    try:
        os.kill(running.ready().pids["core"], signal.SIGKILL)
        await expect(core).to_have_attribute("data-there", "false")
        await expect(core).to_contain_text("Core offline")
        await expect(console.page.locator(".core-away")).to_be_visible()
    finally:
        running.process.send_signal(signal.SIGCONT)

    await expect(core).to_have_attribute("data-there", "true", timeout=60_000)
    await expect(console.page.locator(".core-away")).to_be_hidden()
    await expect(tap(console, "middle")).to_have_attribute("data-phase", "POURING", timeout=60_000)


async def test_nobody_reads_a_screen_without_its_secret(browser: Browser, demo: DemoFile) -> None:
    async with Console.opened(browser, demo.api_url) as stranger:
        for path in ("/screen/bar/left", f"/screen/bar/left?key={uuid4()}"):
            assert (await stranger.context.request.get(path)).status == 403
        assert (await stranger.context.request.get("/screen/bar/left/live")).status == 403
