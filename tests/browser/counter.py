"""Actions at the counter, for its tests."""

from playwright.async_api import expect

from tests.browser.console import Console
from tests.browser.desk import DeskReader


async def new_guest(console: Console, name: str, *, of_age: bool = True) -> None:
    """Add a guest at the counter, who is picked then."""
    await console.go("/check-in")
    await console.page.get_by_role("searchbox", name="Find a guest").fill(name)
    await console.press("New guest")
    await expect(console.dialog.get_by_label("First name")).to_have_value(name)
    await console.dialog.get_by_role("checkbox").set_checked(of_age)
    await console.press("Add the guest")
    await expect(console.page.get_by_role("heading", name=name)).to_be_visible()


async def issue(console: Console, desk: DeskReader, card_uid: str) -> None:
    """Lay a card on the desk's reader, and press the one button."""
    button = console.page.get_by_role("button", name="Open visit and issue card")
    await console.page.locator('[name=reader][value="bar/readers/desk"]').check()
    desk.take_off()
    await expect(button).to_be_disabled()
    desk.lay(card_uid)
    await expect(console.page.locator("[data-uid]")).to_have_text(card_uid)
    desk.take_off()
    await expect(button).to_be_disabled()
    desk.lay(card_uid)
    await expect(button).to_be_enabled()
    await button.dblclick()


async def issue_typed(console: Console, card_uid: str) -> None:
    """Issue a card whose number somebody types, as where no reader is."""
    await console.page.get_by_text("Type the card's number").click()
    await console.page.get_by_label("Card number").fill(card_uid)
    await console.press("Open visit and issue card")


async def result(console: Console, code: str) -> None:
    """Wait for the panel of a result."""
    await expect(console.page.locator(f'[data-result="{code}"]')).to_be_visible()
