"""Comps and house credit, reversals of top-ups, and tax, over REST."""

import asyncio
import json
import re
from typing import Any
from uuid import uuid4

import httpx

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.services import money, visits
from tapwire_core.services.guests import require_guest
from tests.integration.rest.test_console_users import in_browser
from tests.rest import Rest, done, log_in, refusal, with_key
from tests.venue import OPERATOR, Guest, Venue


def path(guest: Guest, what: str) -> str:
    """A route of a guest."""
    return f"/api/guests/{guest.guest_id}/{what}"


async def post(client: httpx.AsyncClient, guest: Guest, what: str, **body: Any) -> httpx.Response:
    """A booking with a key of its own."""
    return await client.post(path(guest, what), json={"reason": "sorry"} | body, headers=with_key())


async def top_up(client: httpx.AsyncClient, guest: Guest, amount_minor: int, method: str = "cash") -> int:
    """A top-up; its movement's number."""
    body = {"amount_minor": amount_minor, "method": method}
    return int(done(await client.post(path(guest, "top-ups"), json=body, headers=with_key()), 201)["movement_id"])


async def purse(rest: Rest, guest: Guest) -> tuple[int, int, int]:
    """A guest's balance, house credit, and what can be paid out."""
    found = done(await rest.operator.get(f"/api/guests/{guest.guest_id}"))
    return found["balance_minor"], found["house_credit_minor"], found["refundable_minor"]


async def test_a_comp_is_poured_first_not_paid_out_and_comes_back_with_its_pour(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=10_00)
    refusal(await post(rest.operator, ann, "comps", amount_minor=60_00), 403, "role_required")
    given = done(await post(rest.shift_lead, ann, "comps", amount_minor=60_00), 201)
    assert (given["balance_minor"], given["house_credit_minor"], given["refundable_minor"]) == (70_00, 60_00, 10_00)

    problem = refusal(await post(rest.shift_lead, ann, "refunds", amount_minor=10_01, method="cash"), 409, "not_refundable")
    assert (problem["refundable_minor"], problem["house_credit_minor"]) == (10_00, 60_00)
    grant = await venue.grant(ann)
    await venue.report(grant, 100)  # 50.00 of the house's 60.00
    assert await purse(rest, ann) == (20_00, 10_00, 10_00)
    pour = {"pour_id": str(grant.pour_id)}
    done(await post(rest.shift_lead, ann, "adjustments", amount_minor=-15_00), 201)
    assert await purse(rest, ann) == (5_00, 0, 5_00)
    done(await post(rest.shift_lead, ann, "adjustments", amount_minor=40_00, **pour), 201)
    assert await purse(rest, ann) == (45_00, 40_00, 5_00)
    done(await post(rest.shift_lead, ann, "adjustments", amount_minor=40_00, **pour), 201)
    assert await purse(rest, ann) == (85_00, 50_00, 35_00), "no more than the pour took"
    done(await post(rest.shift_lead, ann, "adjustments", amount_minor=1_00), 201)
    assert await purse(rest, ann) == (86_00, 50_00, 36_00)

    bob = await venue.guest()
    refusal(await post(rest.shift_lead, bob, "comps", amount_minor=1, **pour), 409, "not_the_guests_pour")
    refusal(
        await rest.shift_lead.post(path(bob, "comps"), json={"amount_minor": 1, "reason": "x"}), 400, "idempotency_key_required"
    )
    done(await post(rest.shift_lead, ann, "comps", amount_minor=2_00, **pour), 201)
    assert await purse(rest, ann) == (88_00, 52_00, 36_00)
    assert await venue.audited("comp") == 2
    shift = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    report = done(await rest.operator.get(f"/api/shifts/{shift}/reports/x"))
    assert (report["comps_minor"], report["till"]["comps_minor"], report["till"]["adjustments_minor"]) == (62_00, 62_00, 66_00)
    assert report["totals"]["sold_minor"] == 50_00
    today = await venue.today()
    sales = done(await rest.operator.get(f"/api/reports/sales?venue_id=bar&from={today}&to={today}"))
    assert (sales["comps_minor"], sales["items"][0]["comps_minor"], sales["items"][0]["written_off_minor"]) == (62_00, 62_00, 0)
    await venue.books_balance()


async def test_sales_comps_corrections_and_refunds_at_once_keep_the_house_credit(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=5_00)
    done(await post(rest.shift_lead, ann, "comps", amount_minor=95_00), 201)
    grant = await venue.grant(ann)

    await asyncio.gather(
        venue.report(grant, 100),
        *(post(rest.shift_lead, ann, "comps", amount_minor=3) for _ in range(4)),
        *(post(rest.shift_lead, ann, "adjustments", amount_minor=7, pour_id=str(grant.pour_id)) for _ in range(4)),
        *(post(rest.shift_lead, ann, "refunds", amount_minor=2_00, method="cash") for _ in range(4)),
    )

    balance_minor, house_minor, refundable_minor = await purse(rest, ann)
    assert refundable_minor == max(0, balance_minor - house_minor)
    rows = await venue.db.pool.fetch("SELECT * FROM money_movements WHERE guest_id = $1 ORDER BY movement_id", ann.guest_id)
    assert sum(row["house_credit_minor"] for row in rows) == house_minor
    paid_out = sum(row["amount_minor"] for row in rows if row["credit_account"] == "cash")
    assert paid_out <= 5_00 + 4 * 7
    await venue.books_balance()


async def test_a_top_up_is_reversed_whole_once_in_its_shift_and_soon_or_by_a_shift_lead(
    rest: Rest, venue: Venue, owner_db: Database
) -> None:
    ann = await venue.guest()
    first = await top_up(rest.operator, ann, 20_00, "card")

    def undo(movement_id: int) -> str:
        return f"top-ups/{movement_id}/reverse"

    answers = await asyncio.gather(*(rest.operator.post(path(ann, undo(first)), json={"reason": "typo"}) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    reversal = next(answer.json() for answer in answers if answer.status_code == 201)
    assert (reversal["amount_minor"], reversal["balance_minor"]) == (-20_00, 0)
    refusal(await post(rest.operator, ann, undo(first)), 409, "already_reversed")
    refusal(await post(rest.operator, ann, undo(reversal["movement_id"])), 409, "not_reversible")
    refusal(await post(rest.operator, await venue.guest(), undo(first)), 404, "not_found")
    refusal(await post(rest.operator, ann, undo(10**15)), 404, "not_found")

    others = await top_up(rest.engineer, ann, 5_00)
    refusal(await post(rest.operator, ann, undo(others)), 403, "role_required")
    done(await post(rest.shift_lead, ann, "comps", amount_minor=1_00), 201)
    done(await post(rest.shift_lead, ann, "refunds", amount_minor=1, method="cash"), 201)
    refusal(await post(rest.shift_lead, ann, undo(others)), 409, "not_refundable")
    mine = await top_up(rest.operator, ann, 3_00)
    async with owner_db.transaction() as store:
        await store.connection.execute("SET LOCAL session_replication_role = replica")
        await store.connection.execute("UPDATE money_movements SET created_at = created_at - interval '11 minutes'")
    refusal(await post(rest.operator, ann, undo(mine)), 403, "role_required")
    done(await post(rest.shift_lead, ann, undo(mine)), 201)

    entries = done(await rest.operator.get(path(ann, "ledger")))["items"]
    assert (entries[0]["kind"], entries[0]["reverses_movement_id"], entries[0]["method"]) == ("reversal", mine, "cash")
    assert next(entry for entry in entries if entry["movement_id"] == mine)["reversed_by_movement_id"] == entries[0]["movement_id"]
    shift = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    report = done(await rest.operator.get(f"/api/shifts/{shift}/reports/x"))
    assert (report["till"]["top_ups_minor"], report["till"]["reversals_minor"], report["till"]["refunds_minor"]) == (
        28_00,
        23_00,
        1,
    )
    assert report["by_operator"]["operator"]["reversals_minor"] == 23_00, "at the till of who booked first"
    assert report["by_operator"]["shift_lead"]["reversals_minor"] == 0
    assert {key: till["reversals_minor"] for key, till in report["by_method"].items()} == {"card": 20_00, "cash": 3_00}
    await venue.books_balance()

    for guest in await venue.db.pool.fetch("SELECT visit_id FROM visits WHERE status = 'active'"):
        await visits.close_visit(venue.db, OPERATOR, guest["visit_id"])
    done(await rest.shift_lead.post("/api/shifts/close", json={}))
    done(await rest.shift_lead.post("/api/shifts/open", json={}), 201)
    refusal(await post(rest.shift_lead, ann, undo(others)), 409, "shift_closed")


async def test_tax_rows_add_up_to_what_was_sold_at_the_rates_of_then(rest: Rest, venue: Venue) -> None:
    ann, beer = await venue.guest(balance_minor=400_00), f"/api/beverages/{venue.beverage_id}"
    refusal(await rest.engineer.patch(beer, json={"tax_rate_bp": 10_001}), 400, "invalid")
    await venue.report(await venue.grant(ann), 100)  # 50.00 without a rate
    assert done(await rest.engineer.patch(beer, json={"tax_rate_bp": 1_900}))["tax_rate_bp"] == 1_900
    grant = await venue.grant(ann)
    done(await rest.engineer.patch(beer, json={"tax_rate_bp": 700}))
    await venue.report(grant, 33)  # 16.50 at 19 %
    await venue.report(await venue.grant(ann), 41)  # 20.50 at 7 %
    done(await post(rest.shift_lead, ann, "comps", amount_minor=10_00), 201)
    await venue.report(await venue.grant(ann), 20)  # 10.00 at 7 %, of the house's

    shift = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    report = done(await rest.operator.get(f"/api/shifts/{shift}/reports/x"))
    assert report["tax"] == [
        {"tax_rate_bp": 700, "gross_minor": 30_50, "net_minor": 28_50, "tax_minor": 2_00},
        {"tax_rate_bp": 1_900, "gross_minor": 16_50, "net_minor": 13_87, "tax_minor": 2_63},
        {"tax_rate_bp": None, "gross_minor": 50_00, "net_minor": None, "tax_minor": None},
    ]
    assert sum(row["gross_minor"] for row in report["tax"]) == report["totals"]["sold_minor"]
    today = await venue.today()
    sales = done(await rest.operator.get(f"/api/reports/sales?venue_id=bar&from={today}&to={today}&by=tap"))
    assert sales["tax"] == report["tax"]
    rows = (await rest.operator.get(f"/api/shifts/{shift}/reports/x", headers={"Accept": "text/csv"})).text
    assert [line.split(",")[:2] for line in rows.splitlines() if line.startswith("tax,")] == [
        ["tax", "700"],
        ["tax", "1900"],
        ["tax", ""],
    ]


async def test_an_operator_pays_out_up_to_the_limit_and_cash_that_came_as_cash(venue: Venue) -> None:
    ann = await venue.guest()
    await money.top_up(venue.db, OPERATOR, ann.guest_id, 10_00, PaymentMethod.CARD)
    await money.top_up(venue.db, OPERATOR, ann.guest_id, 4_00, PaymentMethod.CASH)
    await venue.db.pool.execute("UPDATE venues SET operator_refund_limit_minor = 600")
    till = await venue.db.pool.fetchval("SELECT shift_id FROM shifts")

    async def refused(role: Role, amount_minor: int, method: PaymentMethod) -> int | None:
        async with venue.db.transaction() as store:
            guest = await require_guest(store, ann.guest_id)
            try:
                await money.require_payout_allowed(store, role, money.Till("bar", till), guest, amount_minor, method)
            except money.RefundLimit as refusal:
                return int(str(refusal.facts["limit_minor"]))
            return None

    assert await refused(Role.OPERATOR, 6_00, PaymentMethod.CARD) is None
    assert await refused(Role.OPERATOR, 6_01, PaymentMethod.CARD) == 6_00
    assert await refused(Role.SHIFT_LEAD, 14_00, PaymentMethod.CASH) is None
    assert await refused(Role.OPERATOR, 4_00, PaymentMethod.CASH) is None
    assert await refused(Role.OPERATOR, 4_01, PaymentMethod.CASH) == 4_00
    await money.refund(venue.db, OPERATOR, ann.guest_id, 1_00, PaymentMethod.CARD, "she leaves")
    assert await refused(Role.OPERATOR, 5_01, PaymentMethod.CARD) == 6_00
    assert await refused(Role.OPERATOR, 5_00, PaymentMethod.CARD) is None


async def test_a_guest_without_a_name_goes_by_the_last_digits_of_the_card(rest: Rest, venue: Venue) -> None:
    guest_id = done(await rest.operator.post("/api/guests", json={"age_checked": True}), 201)["guest_id"]
    assert done(await rest.operator.get(f"/api/guests/{guest_id}"))["shown_name"] == "–"
    body = {"venue_id": "bar", "guest_id": guest_id, "card_uid": "04a1b2c3"}
    done(await rest.operator.post("/api/visits/open-and-assign-card", json=body), 201)

    guest = done(await rest.operator.get(f"/api/guests/{guest_id}"))
    assert (guest["first_name"], guest["shown_name"]) == (None, "…b2c3")
    found = done(await rest.operator.get("/api/search?q=b2c3"))
    assert [one["name"] for one in found["guests"]["items"]] == ["…b2c3"]
    assert [one["shown_name"] for one in done(await rest.operator.get("/api/guests?search=b2c3"))["items"]] == ["…b2c3"]
    (visit,) = done(await rest.operator.get("/api/visits?status=active"))["items"]
    assert visit["guest_name"] == "…b2c3"
    await money.top_up(venue.db, OPERATOR, guest_id, 10_00, PaymentMethod.CASH)
    grant = await venue.grant(Guest(guest_id, visit["visit_id"], "04a1b2c3"))
    assert grant.display.guest_first_name == "…b2c3"
    in_use = refusal(await rest.shift_lead.post("/api/shifts/close", json={}), 409, "shift_in_use")
    assert [visit["guest_name"] for visit in in_use["active_visits"]] == ["…b2c3"]
    done(await rest.operator.patch(f"/api/guests/{guest_id}", json={"first_name": "Ann"}))
    assert done(await rest.operator.get("/api/guests?search=b2c3"))["items"] == []


async def test_cards_are_registered_in_advance_all_or_none(rest: Rest, venue: Venue) -> None:
    await venue.guest(card_uid="04a1b2c3")
    sent = {"card_uids": ["04:A1:B2:C3", "04aa0001", "04AA0001", "88aa0001"]}

    answer = done(await rest.operator.post("/api/cards", json=sent), 201)
    assert [(card["card_uid"], card["status"]) for card in answer["items"]] == [
        ("04a1b2c3", "bound"),
        ("04aa0001", "available"),
        ("88aa0001", "available"),
    ]
    assert (answer["added"], answer["warnings"]) == (2, ["card_uid_partial"])
    assert done(await rest.operator.post("/api/cards", json=sent), 201)["added"] == 0
    refusal(await rest.operator.post("/api/cards", json={"card_uids": ["04aa0009", "08aa0001"]}), 409, "card_uid_random")
    refusal(await rest.operator.post("/api/cards", json={"card_uids": ["00000000"]}), 409, "card_uid_invalid")
    refusal(await rest.operator.post("/api/cards", json={"card_uids": ["04aa0001"] * 1_001}), 400, "invalid")
    assert await venue.db.pool.fetchval("SELECT count(*) FROM cards") == 3
    assert await venue.audited("cards_registered") == 1


async def test_the_console_gives_house_credit_undoes_a_top_up_and_shows_tax(rest: Rest, venue: Venue) -> None:
    ann, lead = await venue.guest(), in_browser(await log_in(venue.db, Role.SHIFT_LEAD))
    browser = in_browser(await log_in(venue.db, Role.OPERATOR))

    async def see(address: str, headers: dict[str, str] = browser) -> str:
        return (await rest.nobody.get(address, headers=headers)).text

    async def send(address: str, headers: dict[str, str] = browser, **fields: str) -> httpx.Response:
        return await rest.nobody.post(address, headers=headers, data={"key": str(uuid4()), **fields})

    done(await rest.engineer.patch(f"/api/beverages/{venue.beverage_id}", json={"tax_rate_bp": 770}))
    booked = await send(f"/visits/{ann.visit_id}/top-up", amount_minor="60", method="cash")
    undo = json.loads(booked.headers["HX-Trigger"])["said"]["undo"]["path"]
    assert undo in await see(f"/guests/{ann.guest_id}")
    assert "60.00" in await see(undo)
    assert (await send(undo, reason="wrong guest")).status_code == 200
    assert 'data-refused="already_reversed"' in (await send(undo, reason="wrong guest")).text
    page = await see(f"/guests/{ann.guest_id}")
    assert undo not in page
    assert "Top-up reversed" in page
    assert f"/guests/{ann.guest_id}/comp" not in page
    assert "not allowed" in await see(f"/guests/{ann.guest_id}/comp")

    assert "Give house credit" in await see(f"/guests/{ann.guest_id}/comp", lead)
    assert (await send(f"/guests/{ann.guest_id}/comp", lead, amount_minor="60", reason="flat")).status_code == 200
    assert "not paid out" in await see(f"/guests/{ann.guest_id}")
    refused = await send(f"/visits/{ann.visit_id}/refund", lead, amount_minor="1", method="cash", reason="x")
    assert 'data-refused="not_refundable"' in refused.text
    await venue.report(await venue.grant(ann), 100)
    shift = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    for address in (f"/shift/{shift}", "/reports"):
        assert re.search(r"7\.7\s%.*50\.00.*46\.43.*3\.57", await see(address), re.DOTALL), address
    shown = await see(f"/stock/beverages/{venue.beverage_id}", in_browser(await log_in(venue.db, Role.ENGINEER)))
    assert 'name="tax_rate" type="text" value="7.7"' in shown
