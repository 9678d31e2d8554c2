"""Work at the counter: check-in, money, cards, settling by hand, closing the shift."""

from collections.abc import Awaitable, Callable
from typing import Final
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from tapwire_core.domain.money import charge
from tapwire_demo.demo_file import DemoFile, Login
from tests.browser.api import Api
from tests.browser.console import Console
from tests.browser.counter import issue, issue_typed, new_guest, result
from tests.browser.desk import DeskReader
from tests.running_demo import OutsideTap

pytestmark = pytest.mark.timeout(240)

POURED_ML = 212
REPORTED_ML = 300
MORE_THAN_SHOWN = 9
"""Beverages of one name: only some are shown until somebody searches."""
PRICE_MINOR = 500
STREAM_BEGINS_MS = 700
"""Time in which a page has heard what lies on the readers."""
TYPE_WHEN_OPEN: Final = """name => new MutationObserver((_, seen) => {
  const search = document.querySelector("dialog[open] [type=search]");
  if (!search) return;
  seen.disconnect();
  search.value = name;
  search.dispatchEvent(new Event("input", { bubbles: true }));
}).observe(document.getElementById("dialog"), { attributes: true })"""


async def test_a_visit_is_opened_with_a_card_and_each_refusal_has_its_panel(console: Console, desk: DeskReader, api: Api) -> None:
    name, card, lost = f"Nora {uuid4().hex[:6]}", uuid4().hex[:8], uuid4().hex[:8]
    await new_guest(console, name)
    await issue(console, desk, card)
    await result(console, "success")
    visits = [visit for visit in (await api.read("/api/visits?status=active"))["items"] if visit["card_uid"] == card]
    assert len(visits) == 1, "a double press opened one visit"

    await console.go(f"/check-in?guest_id={visits[0]['guest_id']}")
    await issue(console, desk, uuid4().hex[:8])
    await result(console, "visit_already_active")

    await new_guest(console, f"Otto {uuid4().hex[:6]}")
    await issue(console, desk, card)
    await result(console, "bind_conflict")
    await issue(console, desk, lost)
    await result(console, "success")
    await console.press("Show the visit")
    await console.press("Card lost")
    await console.press("Report it lost")
    await expect(console.page.get_by_text("The card no longer works.")).to_be_visible()

    await new_guest(console, f"Pia {uuid4().hex[:6]}")
    await issue(console, desk, lost)
    await result(console, "lost_card")

    await console.page.reload()
    activity = console.page.locator("#activity")
    await expect(activity).to_contain_text("Check-in refused")
    await expect(activity).to_contain_text(name)


async def test_a_card_laid_on_the_desk_reader_opens_its_guest_once_and_one_that_stays_there_opens_nothing(
    console: Console, desk: DeskReader
) -> None:
    name, card = f"Rosa {uuid4().hex[:6]}", uuid4().hex[:8]
    await new_guest(console, name)
    await issue_typed(console, card)
    await result(console, "success")
    await console.go("/visits")
    await console.page.wait_for_timeout(STREAM_BEGINS_MS)

    desk.lay(card)
    await expect(console.page.get_by_role("heading", name=name)).to_be_visible()

    await console.go("/attention")
    await console.page.wait_for_timeout(STREAM_BEGINS_MS)
    assert console.page.url.endswith("/attention")
    desk.take_off()


async def test_a_reader_that_loses_power_shows_no_card_and_nothing_is_issued_from_it(console: Console, desk: DeskReader) -> None:
    await new_guest(console, f"Lars {uuid4().hex[:6]}")
    desk.lay(uuid4().hex[:8])  # the page of before would open the card's page
    await console.page.locator('[name=reader][value="bar/readers/desk"]').check()
    button = console.page.get_by_role("button", name="Open visit and issue card")
    await expect(button).to_be_enabled()

    desk.lose_power()

    await expect(console.page.get_by_text("This reader is offline")).to_be_visible()
    await expect(console.page.locator("[data-uid]")).to_be_hidden()
    await expect(button).to_be_disabled()


async def test_who_is_not_of_age_or_blocked_gets_no_card_until_somebody_looks(console: Console) -> None:
    await new_guest(console, f"Quinn {uuid4().hex[:6]}", of_age=False)
    await issue_typed(console, uuid4().hex[:8])
    await result(console, "guest_underage")
    await console.press("Show the guest")
    await console.press("Change")
    await console.dialog.get_by_role("checkbox").check()
    await console.press("Save")
    await expect(console.page.get_by_text("checked by")).to_be_visible()

    await console.press("Block this guest")
    await expect(console.page.get_by_text("This guest is blocked.")).to_be_visible()
    await console.press("Check in", console.page.locator("main"))
    await issue_typed(console, uuid4().hex[:8])
    await result(console, "guest_blocked")
    await expect(console.page.locator("#result")).to_be_in_viewport()


async def test_money_is_taken_refused_and_given_back_by_those_who_may(
    console: Console, browser: Browser, demo: DemoFile, api: Api, user: Callable[[str], Awaitable[Login]]
) -> None:
    guest_id = demo.cards[0].guest_id
    visit_id = (await api.read(f"/api/guests/{guest_id}"))["active_visit_id"]
    before = (await api.read(f"/api/guests/{guest_id}"))["balance_minor"]
    await console.go(f"/visits/{visit_id}")
    await console.press("Top up")
    await expect(console.dialog.get_by_label("Amount")).to_be_focused()
    await console.dialog.get_by_label("Amount").fill("12,50")
    await console.press("Top up", console.dialog)
    await expect(console.page.locator("[data-available]")).to_have_text(f"€{(before + 1250) / 100:.2f}")

    await console.press("Refund")
    await console.dialog.get_by_label("Amount").fill("490")
    await console.press("Refund", console.dialog)
    await expect(console.dialog.get_by_role("alert")).to_have_text("That is more than the guest has available.")
    await console.dialog.get_by_label("Amount").fill("12.50")
    await console.press("Refund", console.dialog)
    await expect(console.page.locator("[data-available]")).to_have_text(f"€{before / 100:.2f}")

    async with Console.opened(browser, demo.api_url) as colleague:
        await colleague.log_in(await user("operator"))
        await colleague.go(f"/visits/{visit_id}")
        await expect(colleague.page.get_by_role("button", name="Top up")).to_be_visible()
        await expect(colleague.page.get_by_role("button", name="Refund")).to_have_count(0)
        assert (await colleague.context.request.get(f"/visits/{visit_id}/refund")).status == 403
        await expect(colleague.page.get_by_role("link", name="Users")).to_have_count(0)


async def test_a_pour_without_a_report_is_settled_by_hand_and_its_late_report_stands_beside_it(
    console: Console, demo: DemoFile, api: Api
) -> None:
    card = demo.cards[1]
    visit_id = (await api.read(f"/api/guests/{card.guest_id}"))["active_visit_id"]
    device = next(tap for tap in demo.taps if tap.path == "bar/taps/open")
    with OutsideTap.connected(demo, device) as tap:
        grant = tap.ask(tap.question(card.card_uid))
        assert grant["type"] == "pour_authorized"
        await console.go(f"/visits/{visit_id}")
        await console.press("Settle by hand")
        await console.dialog.get_by_label("Poured volume").fill(str(POURED_ML))
        paid = f"€{charge(POURED_ML, PRICE_MINOR) / 100:.2f}"
        await expect(console.dialog.locator("#preview strong")).to_have_text(paid)
        await console.press("Settle with this volume")
        await expect(console.page.get_by_role("row").filter(has_text="Settled by hand").first).to_contain_text(paid)

        tap.settle(tap.report(grant, REPORTED_ML))
    await console.go("/attention")
    incident = console.page.locator('[data-kind="late_mismatch"]').first
    await expect(incident.locator(".versus")).to_contain_text(f"{POURED_ML}")
    await expect(incident.locator(".versus")).to_contain_text(f"{REPORTED_ML}")
    await console.press("Assign to me", incident)
    await expect(incident).to_contain_text(f"Assigned to {demo.operator.username}")
    await console.press("Resolve", incident)
    await console.dialog.get_by_role("radio", name="Charge a guest").check()
    await console.dialog.get_by_label("What happened").fill("the guest agrees")
    await console.press("Resolve", console.dialog)
    await expect(console.page.locator('[data-kind="late_mismatch"]')).to_have_count(0)
    assert (await api.read(f"/api/guests/{card.guest_id}"))["balance_minor"] == card.balance_minor - charge(
        REPORTED_ML, PRICE_MINOR
    )


async def test_the_night_is_closed_in_five_clicks_with_nine_guests_here_and_a_drawer(console: Console, api: Api) -> None:
    clicks = 0

    async def press(name: str) -> None:
        nonlocal clicks
        clicks += 1
        await console.press(name)

    page, venue_id = console.page, f"night-{uuid4().hex[:6]}"
    await api.make("/api/venues", {"venue_id": venue_id, "name": "Night", "time_zone": "Europe/Berlin", "count_cash": True})
    await api.make("/api/shifts/open", {"venue_id": venue_id, "float_minor": 100_00})
    for number in range(9):
        guest = await api.make("/api/guests", {"first_name": f"Guest {number}", "age_checked": True})
        await api.make("/api/visits", {"venue_id": venue_id, "guest_id": guest["guest_id"]})
    await console.context.add_cookies([{"name": "tapwire_venue", "value": venue_id, "url": page.url}])
    await console.go("/")

    await press("Shift")
    await press("Close the night")
    await expect(page.get_by_text("Open visits: 9.")).to_be_visible()
    await page.get_by_text("Count notes and coins").click()
    await page.get_by_label("€50.00 ×").fill("1")
    await page.get_by_label("€0.50 ×").fill("99")
    await expect(page.get_by_label("Counted")).to_have_value("99.50")
    assert await console.small_targets() == []
    assert await console.violations() == []
    await press("Save the count")
    await expect(page.locator("[data-over-short]")).to_have_attribute("data-over-short", "-50")
    await press("End all visits and close")
    await press("Create the Z report")
    await expect(page.get_by_role("heading", name="Z report")).to_be_visible()
    await expect(page.locator("[data-drawer]")).to_contain_text("€99.50")
    await page.emulate_media(media="print")
    for width_mm in (80, 210):
        await page.set_viewport_size({"width": width_mm * 96 // 25, "height": 900})
        assert await console.overflow() == 0, width_mm
    assert clicks == 5


async def many_beverages(api: Api) -> str:
    """Make so many beverages that a list of choices has a search; returns the name that each has before its number, from 0 on.

    The name begins with the last number: all of them are found by it.
    """
    name = f"Amber {MORE_THAN_SHOWN - 1}{uuid4().hex[:5]}"
    for number in range(MORE_THAN_SHOWN):
        await api.make("/api/beverages", {"name": f"{name} {number}", "sell_price_per_liter_minor": PRICE_MINOR})
    return name


async def test_one_of_many_is_searched_and_what_was_chosen_stays(console: Console, api: Api) -> None:
    name = await many_beverages(api)
    await console.go("/stock")
    await console.press("Add a keg to stock")
    search, chosen = console.dialog.get_by_role("searchbox"), console.dialog.get_by_role("radio", name=f"{name} 8")

    await search.fill(f"{name} 8")
    await chosen.check()
    await search.fill(f"{name} 7")
    await expect(console.dialog.get_by_role("radio", name=f"{name} 7")).to_be_visible()
    await search.press("Enter")

    await expect(chosen).to_be_checked()
    await console.press("Add to stock", console.dialog)
    await expect(console.page.locator(".tap", has_text=f"{name} 8")).to_have_count(1)


async def test_what_is_typed_the_moment_a_dialog_opens_is_searched(console: Console, api: Api) -> None:
    name = await many_beverages(api)
    await console.go("/stock")
    await console.page.evaluate(TYPE_WHEN_OPEN, f"{name} 8")

    await console.press("Add a keg to stock")

    await expect(console.dialog.get_by_role("radio", name=f"{name} 8")).to_be_visible()


async def test_who_is_logged_out_is_led_back_to_where_they_wanted_to_go(browser: Browser, demo: DemoFile) -> None:
    async with Console.opened(browser, demo.api_url) as visitor:
        await visitor.go("/visits")
        await visitor.page.locator("[name=username]").fill("nobody")
        await visitor.page.locator("[name=password]").fill("wrong")
        await visitor.page.locator("button[type=submit]").click()
        await expect(visitor.page.get_by_role("alert")).to_have_text("The username or the password is wrong.")
        await visitor.page.locator("[name=username]").fill(demo.operator.username)
        await visitor.page.locator("[name=password]").fill(demo.operator.password)
        await visitor.page.locator("button[type=submit]").click()
        await expect(visitor.page.get_by_role("heading", name="Visits")).to_be_visible()
