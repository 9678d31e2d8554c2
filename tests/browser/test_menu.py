"""The menu on a wall, and the tap wall in the console."""

import time
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, CDPSession, expect

from tapwire_demo.demo_file import DemoFile
from tests.browser.api import Api
from tests.browser.console import Console

pytestmark = pytest.mark.timeout(240)

LIVE_WITHIN_S: Final = 2.0
ON_A_BUSY_MACHINE_S: Final = 8.0
"""Six programs and a browser share the test's machine."""


async def test_a_wall_shows_a_changed_price_without_being_touched(browser: Browser, demo: DemoFile, api: Api) -> None:
    asked: set[str] = set()
    async with Console.opened(browser, demo.api_url, language="ru", theme="light", width=1920, height=1080) as wall:
        wall.page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        page = await wall.see("/menu/bar")
        tap = page.locator("li[data-tap=left]")
        left = await api.read("/api/taps/bar/left")
        beverage_id, before = left["beverage_id"], left["list_price_per_liter_minor"]

        await api.change(f"/api/beverages/{beverage_id}", {"sell_price_per_liter_minor": 4_242})
        began_s = time.monotonic()
        await expect(tap.locator("strong")).to_have_text("21,21\N{NO-BREAK SPACE}€")
        took_s = time.monotonic() - began_s
        await api.change(f"/api/beverages/{beverage_id}", {"sell_price_per_liter_minor": before})

        assert took_s < ON_A_BUSY_MACHINE_S, f"{took_s:.1f} s, on an idle machine {LIVE_WITHIN_S} s"
        assert asked == {urlsplit(demo.api_url).netloc}
        assert not await wall.violations()
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        await expect(page.locator("#lost")).to_be_hidden()

        await page.set_viewport_size({"width": 360, "height": 740})
        assert not await wall.violations()
        assert await wall.overflow() <= 0


async def test_the_tap_wall_is_arranged_by_keyboard_and_by_hand_and_remembers_it(console: Console) -> None:
    page = await console.see("/wall")
    taps = page.locator(".wall-tap")

    async def order() -> list[str]:
        found: list[str] = await taps.evaluate_all("(taps) => taps.map((tap) => tap.dataset.id)")
        return found

    first, second, *rest = await order()
    await console.press("Arrange")
    await taps.first.locator("[data-handle]").focus()
    async with page.expect_response(lambda answer: answer.request.method == "POST" and answer.ok):
        await page.keyboard.press("ArrowRight")
    assert await order() == [second, first, *rest]
    await expect(page.locator(f"[data-id={first}] [data-handle]")).to_be_focused()

    handle, target = page.locator(f"[data-id={first}] [data-handle]"), page.locator(f"[data-id={second}]")
    await handle.hover()
    await page.mouse.down()
    box = await target.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2, steps=4)
    async with page.expect_response(lambda answer: answer.request.method == "POST" and answer.ok):
        await page.mouse.up()
    assert await order() == [first, second, *rest]

    async with page.expect_response(lambda answer: answer.request.method == "POST" and answer.ok):
        await taps.last.locator("[data-move='-1']").click()
    moved = [first, second, *rest[:-2], rest[-1], rest[-2]]
    await console.see("/wall")
    assert await order() == moved
    async with page.expect_navigation():
        await page.locator("[name=sort_by][value=number]").click()
    assert await order() == [first, second, *rest]
    await taps.first.locator(".wall-open").click()
    await expect(console.dialog).to_be_visible()


@pytest.mark.parametrize("width", [360, 768])
async def test_a_tap_is_dragged_to_another_place_by_a_finger(browser: Browser, demo: DemoFile, width: int) -> None:
    async with Console.opened(browser, demo.api_url, language="en", theme="light", width=width, height=900) as console:
        await console.log_in(demo.operator)
        page = await console.see("/wall")
        finger = await page.context.new_cdp_session(page)
        await finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 1})
        await console.press("Arrange")
        taps = page.locator(".wall-tap")
        first, second, *rest = await taps.evaluate_all("(taps) => taps.map((tap) => tap.dataset.id)")
        handle, target = await taps.first.locator("[data-handle]").bounding_box(), await taps.nth(1).bounding_box()
        assert handle is not None
        assert target is not None
        at = (handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
        to = (target["x"] + target["width"] * 0.6, target["y"] + target["height"] / 2)

        await touch(finger, "touchStart", *at)
        for step in range(1, 9):
            await touch(finger, "touchMove", *(begin + (end - begin) * step / 8 for begin, end in zip(at, to, strict=True)))
        async with page.expect_response(lambda answer: answer.request.method == "POST" and answer.ok):
            await finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        await console.see("/wall")
        assert await taps.evaluate_all("(taps) => taps.map((tap) => tap.dataset.id)") == [second, first, *rest]


async def touch(finger: CDPSession, kind: str, x: float, y: float) -> None:
    """One event of a finger on the screen."""
    await finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y, "id": 1}]})
