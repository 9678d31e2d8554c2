"""Forms and charts in a browser: what was typed survives a login, what went wrong can be read, and labels don't overlap."""

import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from tapwire_admin.console.assets import asset
from tapwire_demo.demo_file import DemoFile, Login
from tests.browser.api import Api
from tests.browser.conftest import PASSWORD
from tests.browser.console import Console

pytestmark = pytest.mark.timeout(240)

RECORD_LABELS = """
window.labels = [];
const write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const { a, e, f } = this.getTransform();
  window.labels.push({ text, align: this.textAlign, x: a * x + e, y: a * y + f, width: a * this.measureText(text).width });
  return write.apply(this, arguments);
};
"""


async def end_sessions(api: Api, login: Login) -> None:
    """End all sessions of a user, as a new password does."""
    await api.change(f"/api/users/{login.username}", {"password": PASSWORD})


async def log_in_again(console: Console, login: Login) -> None:
    """Log in by the form to which the console has led."""
    await expect(console.page.locator("[name=password]")).to_be_visible()
    await console.page.locator("[name=username]").fill(login.username)
    await console.page.locator("[name=password]").fill(login.password)
    await console.page.locator("button[type=submit]").click()
    await console.page.wait_for_url("**/visits/*")


async def test_what_was_typed_into_a_dialog_is_there_again_after_the_login_of_the_same_user_alone(
    browser: Browser, demo: DemoFile, api: Api, user: Callable[[str], Awaitable[Login]]
) -> None:
    visit_id = (await api.read(f"/api/guests/{demo.cards[0].guest_id}"))["active_visit_id"]
    ann, bob = await user("operator"), await user("operator")
    async with Console.opened(browser, demo.api_url) as console:
        await console.log_in(ann)
        for again in (ann, bob):
            await console.go(f"/visits/{visit_id}")
            await console.press("Top up")
            amount = console.dialog.get_by_label("Amount")
            await amount.fill("12.34")
            await end_sessions(api, ann)
            await log_in_again(console, again)
            if again is ann:
                await expect(amount).to_have_value("12.34")
                await expect(console.dialog.get_by_text("You were logged out.")).to_be_visible()
            else:
                await expect(console.page.locator("[data-available]")).to_be_visible()
                await expect(console.dialog).to_have_count(0)
            assert await console.page.evaluate("sessionStorage.getItem('tapwire-typed')") is None


async def test_a_form_says_in_itself_that_the_server_does_not_answer(console: Console, demo: DemoFile, api: Api) -> None:
    visit_id = (await api.read(f"/api/guests/{demo.cards[0].guest_id}"))["active_visit_id"]
    await console.go(f"/visits/{visit_id}")
    await console.press("Top up")
    await console.dialog.get_by_label("Amount").fill("12.34")
    await console.page.route("**/top-up", lambda route: route.abort())

    await console.press("Top up", console.dialog)

    await expect(console.dialog.get_by_text("The server does not answer.")).to_be_visible()
    await console.page.evaluate("document.dispatchEvent(new CustomEvent('said', {detail: {text: 'A word'}}))")
    assert await console.page.evaluate("document.querySelector('#toasts').matches(':popover-open')"), "it lies above the dialog"
    console.complaints.clear()


@pytest.mark.parametrize("width", [360, 1440])
async def test_labels_of_a_chart_never_lie_over_each_other(console: Console, width: int) -> None:
    page = console.page
    await page.set_viewport_size({"width": width, "height": 700})
    await page.add_init_script(RECORD_LABELS)
    for points in (1, 2, 24, 169, 1000):
        keys = [f"{point % 28 + 1} Nov, {point % 24:02}:00" for point in range(points)]
        chart = {"keys": keys, "money": [100] * points, "volumes": [10] * points, "labels": ["Hour", "Sold", "Volume"]}
        await page.route("**/chart-page", answer_with(chart_page(chart)))
        await page.goto("/chart-page")
        await page.wait_for_function("keys => labels.some((label) => keys.includes(label.text))", arg=keys)

        shown: list[dict[str, Any]] = await page.evaluate("labels")
        axis = [label for label in shown if label["text"] in keys]
        drawn = {label["x"]: label for label in axis if label["y"] == axis[-1]["y"]}
        ordered = [drawn[x] for x in sorted(drawn)]
        for before, after in itertools.pairwise(ordered):
            assert before["x"] + before["width"] / 2 < after["x"] - after["width"] / 2, (points, before, after)
        assert len(ordered) >= min(points, 2), points
        await page.unroute("**/chart-page")


def answer_with(body: str) -> Callable[[Route], Awaitable[None]]:
    """A route's handler that answers with this page."""

    async def answer(route: Route) -> None:
        await route.fulfill(body=body, content_type="text/html")

    return answer


def chart_page(chart: dict[str, Any]) -> str:
    """The report's chart alone."""
    return f"""<!doctype html>
        <link rel="stylesheet" href="{asset("console.css")}"><link rel="stylesheet" href="{asset("uplot.css")}">
        <main class="main"><div class="chart" id="chart"></div></main>
        <script type="application/json" id="chart-data">{json.dumps(chart)}</script>
        <script src="{asset("uplot.js")}"></script><script src="{asset("chart.js")}" type="module"></script>"""
