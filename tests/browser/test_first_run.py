"""An empty database: the engineer whom the command made is led to a tap that may pour."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import asyncpg
import httpx
import pytest
from playwright.async_api import Browser, expect

from tapwire_demo.demo_file import Login
from tapwire_demo.processes import LOOPBACK, free_port
from tests.browser.console import Console
from tests.browser.counter import issue_typed, new_guest

pytestmark = pytest.mark.timeout(240)

READY_S = 60
CARD = "04a1b2c3"


@pytest.fixture
def empty_console(empty_owner_url: str, empty_database_url: str) -> Iterator[tuple[str, Login]]:
    """The console on a database that has a user and nothing else, as the commands make it."""
    port = free_port()
    settings = {"TAPWIRE_DATABASE_URL": empty_database_url, "TAPWIRE_ADMIN_HOST": LOOPBACK, "TAPWIRE_ADMIN_PORT": str(port)}
    environment = {**os.environ, **settings}
    core = [sys.executable, "-m", "tapwire_core"]
    subprocess.run([*core, "migrate"], env={**environment, "TAPWIRE_OWNER_DATABASE_URL": empty_owner_url}, check=True)
    made = subprocess.run(
        [*core, "create-user", "eve", "--role", "engineer"], env=environment, check=True, capture_output=True, text=True
    )
    admin = subprocess.Popen([sys.executable, "-m", "tapwire_admin", "run"], env=environment)
    try:
        url = f"http://{LOOPBACK}:{port}"
        _wait_until_ready(url)
        yield url, Login("eve", made.stdout.split()[-1])
    finally:
        admin.terminate()
        admin.wait(READY_S)


async def test_an_empty_database_leads_an_engineer_to_a_tap_that_may_pour(
    browser: Browser, empty_console: tuple[str, Login], empty_database_url: str
) -> None:
    url, login = empty_console
    async with Console.opened(browser, url) as console:
        await console.log_in(login)
        step = console.page.locator("li.is-next")
        await expect(step).to_have_attribute("data-step", "venue")
        await step.get_by_label("Name").fill("The Bar")
        await step.get_by_label("Id:").fill("bar")
        await console.press("Add the venue")

        await expect(step).to_have_attribute("data-step", "tap")
        await step.get_by_label("Name").fill("Left")
        await step.get_by_label("Id:").fill("left")
        await console.press("Add the tap")

        await expect(step).to_have_attribute("data-step", "beverage")
        await console.press("New beverage")
        await console.dialog.get_by_label("Name").fill("Pils")
        await console.dialog.get_by_label("Price per litre").fill("5,20")
        await console.press("Save")
        await expect(console.page.get_by_role("cell", name="Pils")).to_be_visible()
        await console.go("/set-up")

        await expect(step).to_have_attribute("data-step", "keg")
        await console.press("Add a keg to stock")
        await console.press("Add to stock")
        await expect(console.page.get_by_text("30.0 l of 30.0 l left")).to_be_visible()

        await console.go("/")
        await console.page.get_by_role("button", name="Change keg").click()
        await console.press("Connect this keg")
        await expect(console.page.locator('[data-tap="bar/taps/left"]')).to_contain_text("€5.20")

        await console.go("/set-up")
        await expect(step).to_have_attribute("data-step", "device")
        await console.press("New device")
        await console.dialog.get_by_label("Id:").fill("left")
        await console.press("Add the device")
        await expect(console.dialog.locator("[data-secret]")).not_to_be_empty()

        await console.go("/set-up")
        await expect(step).to_have_attribute("data-step", "shift")
        await check_in(console, "Ann", CARD)
        await expect(console.page.locator('[data-result="shift_closed"]')).to_be_visible()
        await console.go("/set-up")
        await console.press("Open the shift", step)
        await console.press("Open the shift")
        await expect(console.page.get_by_text("Open since")).to_be_visible()
        await console.go("/set-up")
        await expect(console.page.get_by_text("Everything is ready")).to_be_visible()

        await check_in(console, "Bob", CARD)
        await expect(console.page.locator('[data-result="success"]')).to_be_visible()
        visit = await console.page.get_by_role("link", name="Show the visit").get_attribute("href") or ""

        await console.go(f"/check-in?guest_id={await give_card_away(empty_database_url, CARD, 'Ann')}")
        await issue_typed(console, CARD)
        await expect(console.page.locator('[data-result="card_busy"]')).to_contain_text("It is in use in Bob's visit.")

        await console.go("/shift")
        await console.press("Close the night")
        await console.press("End all visits and close")
        await expect(console.page.locator("[data-there=false]", has_text="No shift")).to_be_visible()
        await console.press("Create the Z report")
        await expect(console.page.get_by_role("heading", name="Z report")).to_be_visible()
        await console.go(visit)
        await expect(console.page.get_by_text("Closed", exact=True)).to_be_visible()


async def give_card_away(database_url: str, card_uid: str, first_name: str) -> UUID:
    """Bind a card to another guest although it is in a visit, as no use case does; the guest."""
    connection = await asyncpg.connect(database_url)
    try:
        guest_id: UUID = await connection.fetchval("SELECT guest_id FROM guests WHERE first_name = $1", first_name)
        await connection.execute("UPDATE cards SET guest_id = $2 WHERE card_uid = $1", card_uid, guest_id)
    finally:
        await connection.close()
    return guest_id


async def check_in(console: Console, name: str, card_uid: str) -> None:
    """Add a guest, and issue a card whose number is typed."""
    await new_guest(console, name)
    await issue_typed(console, card_uid)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health/ready").is_success:
                return
        assert time.monotonic() < deadline, "the console does not come"
        time.sleep(0.1)
