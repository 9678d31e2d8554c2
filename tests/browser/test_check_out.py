"""Check-out at the counter: two presses from a card on the reader to done, and a receipt to print."""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.api import Api
from tests.browser.console import Console
from tests.browser.counter import issue_typed, new_guest, result
from tests.browser.desk import DeskReader

pytestmark = pytest.mark.timeout(240)

STREAM_BEGINS_MS = 700
"""Time in which a page has heard what lies on the readers."""


async def test_a_card_on_the_reader_is_checked_out_with_two_presses(console: Console, desk: DeskReader, api: Api) -> None:
    name, card = f"Vera {uuid4().hex[:6]}", uuid4().hex[:8]
    await new_guest(console, name)
    await issue_typed(console, card)
    await result(console, "success")
    guest_id = (await api.read(f"/api/cards/{card}"))["guest_id"]
    top_up = {"amount_minor": 12_34, "method": "cash"}
    await api.make(f"/api/guests/{guest_id}/top-ups", top_up)
    await console.go("/visits")
    await console.page.wait_for_timeout(STREAM_BEGINS_MS)

    desk.lay(card)
    await expect(console.page.get_by_role("heading", name=name)).to_be_visible()
    await console.page.get_by_role("button", name="Check out").click()
    await console.dialog.get_by_role("button", name="Pay out").click()

    await expect(console.dialog.get_by_text(f"Card {card} is free for the next guest.")).to_be_visible()
    await expect(console.dialog.get_by_text("Paid out: ")).to_contain_text("12.34")
    assert (await api.read(f"/api/cards/{card}"))["status"] == "available"
    await console.dialog.get_by_role("link", name="Receipt").click()
    await expect(console.page.locator(".receipt")).to_contain_text("12.34")
    desk.take_off()
