"""Check-out, receipts, deposits and validity on the console."""

import re
from uuid import UUID

import pytest

from tapwire_admin.console.pages.check_outs import MAX_POURS
from tapwire_contracts.reasons import Resolution
from tapwire_core.db.engine import Database
from tapwire_core.services import cards, guests, incidents, venues
from tests.integration.rest.test_console_forms import Tab, engineer
from tests.rest import Rest
from tests.venue import OPERATOR, Venue

SETTINGS = {"name": "The Bar", "time_zone": "Europe/Berlin", "legal_age": "18", "keg_low_percent": "15", "keg_low_minutes": "60"}


async def shown(rest: Rest, tab: Tab, path: str) -> str:
    """A page's or a part's HTML."""
    answer = await rest.nobody.get(path, headers=tab.headers())
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_card_shows_the_night_and_one_press_ends_it(rest: Rest, db: Database, venue: Venue) -> None:
    await venues.change_venue(db, OPERATOR, "bar", card_deposit_minor=5_00)
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=100_00)
    await venue.report(await venue.grant(ann), 100)
    night = f"/check-out/night?card_uid={ann.card_uid}"

    page, as_shown = await shown(rest, tab, night), await tab.see(night)
    answer = await tab.send(f"/visits/{ann.visit_id}/check-out", as_shown, end="pay_out", method="cash", card_returned="true")

    assert f'data-night="{ann.visit_id}"' in page
    assert "Deposit on the card" in page
    assert "Without the card its deposit of €5.00 is forfeited." in page
    assert "data-card-opens" in await shown(rest, tab, "/check-out")
    assert "50.00" in answer.text
    assert f"Card {ann.card_uid} is free" in answer.text
    assert f'href="/visits/{ann.visit_id}/receipt"' in answer.text
    again = await tab.send(f"/visits/{ann.visit_id}/check-out", as_shown, end="pay_out", method="cash", card_returned="true")
    assert again.text == answer.text
    assert "is in no visit" in await shown(rest, tab, night)
    assert "not the number of a card" in await shown(rest, tab, "/check-out/night?card_uid=zz")
    assert await venue.balance(ann) == (0, 0)


async def test_a_long_night_shows_its_latest_pours_and_how_many_more_there_are(rest: Rest, db: Database, venue: Venue) -> None:
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=100_00)
    for _ in range(MAX_POURS + 2):
        await venue.report(await venue.grant(ann), 10)

    page = await shown(rest, tab, f"/check-out/night?card_uid={ann.card_uid}")

    assert page.count("<tr>") == MAX_POURS
    assert "… and 2 more" in page


async def test_what_was_charged_later_stands_below_the_pours(rest: Rest, db: Database, venue: Venue) -> None:
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=2000_00)
    await venue.report(await venue.grant(ann), 1200)
    (incident,) = await venue.incidents("overpour")
    incident_id = UUID(str(incident["incident_id"]))
    await incidents.resolve_incident(db, OPERATOR, incident_id, resolution=Resolution.CHARGED, comment="was told")

    page = await shown(rest, tab, f"/check-out/night?card_uid={ann.card_uid}")

    assert "Charged later" in page


async def test_what_is_kept_stays_and_what_changed_meanwhile_is_asked_again(rest: Rest, db: Database, venue: Venue) -> None:
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=100_00)
    at = f"/visits/{ann.visit_id}/check-out"
    before = await tab.see(at)
    await venue.report(await venue.grant(ann), 100)

    stale = await tab.send(at, before, end="pay_out", method="cash", card_returned="true")
    done = await tab.send(at, await tab.see(at), end="keep", card_returned="true")

    assert stale.status_code == 409
    assert "stays on the guest" in done.text
    assert await venue.balance(ann) == (50_00, 0)


async def test_a_deposit_stands_once_in_the_guests_history_also_if_forfeited(rest: Rest, db: Database, venue: Venue) -> None:
    await venues.change_venue(db, OPERATOR, "bar", card_deposit_minor=5_00)
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=100_00)
    as_shown = await tab.see(f"/check-out/night?card_uid={ann.card_uid}")
    await tab.send(f"/visits/{ann.visit_id}/check-out", as_shown, end="keep")

    history = re.findall("<li.*?</li>", await shown(rest, tab, f"/guests/{ann.guest_id}"), re.DOTALL)
    taken, forfeited = ([line for line in history if text in line] for text in ("<b>Card deposit<", "<b>Card deposit forfeited<"))

    assert [line.count("-€5.00") for line in taken] == [1]
    assert [("€5.00 · " in line, "€0.00" in line) for line in forfeited] == [(True, False)]
    assert not any("Card deposit taken" in line for line in history)


async def test_a_new_guest_pays_before_the_card_takes_its_deposit(rest: Rest, db: Database, venue: Venue) -> None:
    await venues.change_venue(db, OPERATOR, "bar", card_deposit_minor=5_00)
    tab = await engineer(rest, db)
    guest_id = await guests.create_guest(db, OPERATOR, age_checked=True)
    page, purse = f"/check-in?guest_id={guest_id}", f"/guests/{guest_id}/top-up"
    fields = {"guest_id": str(guest_id), "card_uid": "04a1b2c3", "typed": "04a1b2c3"}

    refused = await tab.send("/check-in", await tab.see(page), **fields)
    paid = await tab.send(purse, await tab.see(purse), amount_minor="20", method="cash")
    issued = await tab.send("/check-in", await tab.see(page), **fields)

    assert "The deposit for a card is €5.00" in refused.text
    assert f'hx-get="{purse}"' in refused.text
    assert "A new card takes a deposit of €5.00" in await shown(rest, tab, page)
    assert f'hx-get="{purse}"' in await shown(rest, tab, f"/guests/{guest_id}")
    assert paid.status_code == 200, paid.text
    assert 'data-result="success"' in issued.text
    assert await db.pool.fetchval("SELECT balance_minor FROM guests WHERE guest_id = $1", guest_id) == 15_00


async def test_check_out_is_in_the_menu_of_narrow_windows(rest: Rest, db: Database, venue: Venue) -> None:
    tab = await engineer(rest, db)

    entries = re.findall(r'<li class="always\s*">\s*<a href="([^"]+)"', await shown(rest, tab, "/visits"))

    assert entries == ["/", "/check-in", "/check-out", "/visits", "/attention"]
    assert 'href="/check-out"' not in (await shown(rest, tab, "/more")).partition("<main")[2]


async def test_unpaid_beer_stands_beside_the_buttons_and_a_lost_card_can_not_be_ticked(
    rest: Rest, db: Database, venue: Venue
) -> None:
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=10_00)
    await venue.report(await venue.grant(ann), 500)
    await cards.report_card_lost(db, OPERATOR, ann.card_uid, "gone")
    at = f"/visits/{ann.visit_id}/check-out"

    page, as_shown = await shown(rest, tab, at), await tab.see(at)
    refused = await tab.send(at, as_shown, end="keep")
    done = await tab.send(at, as_shown, end="keep", despite_incidents="true", reason="comes back tomorrow")

    assert "250.00" in page
    assert "The card is back" not in page
    assert 'data-refused="incident_open"' in refused.text
    assert f'data-checked-out="{ann.visit_id}"' in done.text


@pytest.mark.parametrize(("accept", "word"), [("en", "Tax rate"), ("ru", "Ставка налога")])
async def test_a_receipt_is_read_and_downloaded_in_the_viewers_language(
    rest: Rest, db: Database, venue: Venue, accept: str, word: str
) -> None:
    tab, ann = await engineer(rest, db), await venue.guest(balance_minor=100_00)
    await venue.report(await venue.grant(ann), 100)
    headers = {**tab.headers(), "Accept-Language": accept}

    page = (await rest.nobody.get(f"/visits/{ann.visit_id}/receipt", headers=headers)).text
    table = await rest.nobody.get(f"/visits/{ann.visit_id}/receipt.csv", headers=headers)

    assert word in page
    assert "The Bar" in page
    assert "Pils" in table.text
    assert table.headers["content-disposition"].startswith("attachment")


async def test_an_engineer_sets_hours_and_deposit_and_a_visit_is_extended(rest: Rest, db: Database, venue: Venue) -> None:
    tab, path = await engineer(rest, db), "/venues/bar/change"
    typed = {"visit_hours": "3", "card_deposit_minor": "5,00"}
    assert (await tab.send(path, await tab.see(path), **SETTINGS, **typed)).status_code == 200
    ann = await venue.guest(balance_minor=20_00)
    at = f"/visits/{ann.visit_id}/extend"

    assert "Valid until" in await shown(rest, tab, f"/visits/{ann.visit_id}")
    first = await tab.see(at)
    assert (await tab.send(at, first, hours="2")).status_code == 200
    assert (await tab.send(at, first, hours="3")).status_code == 409, "a second person asks again"

    row = await db.pool.fetchrow("SELECT visit_hours, card_deposit_minor FROM venues")
    assert tuple(row) == (3, 5_00)
    assert await db.pool.fetchval("SELECT valid_until - opened_at > interval '4 hours' FROM visits")
    assert (await tab.send(path, await tab.see(path), **SETTINGS)).status_code == 200
    assert tuple(await db.pool.fetchrow("SELECT visit_hours, card_deposit_minor FROM venues")) == (None, 0)
