"""The drawer of a shift over REST: what is booked into it, how it is counted blind, and what X and Z say of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from tapwire_admin.responses.csv_tables import BYTE_ORDER_MARK
from tapwire_core.db.engine import Database
from tapwire_core.db.views.event_stream import EventKind, kind_of, newest_audit_id, read_audit
from tapwire_core.db.views.shift_reports import sum_up_shift
from tapwire_core.db.views.webhooks import make_events
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.services import money, shift_cash, shifts, venues, visits
from tapwire_core.services.books import check_books
from tapwire_core.services.money import ShiftClosed
from tapwire_core.services.shift_cash import CashNotCounted
from tests.integration.rest.test_console_users import in_browser
from tests.rest import Rest, done, log_in, refusal, with_key
from tests.venue import OPERATOR, Venue

FLOAT_MINOR = 100_00
HIDDEN = ("till", "by_method", "by_operator")
HIDDEN_CASH = ("top_ups_minor", "refunds_minor", "reversals_minor", "expected_minor", "counted_minor", "over_short_minor")


@pytest.fixture
async def shift(venue: Venue, rest: Rest) -> AsyncIterator[str]:
    """A shift that counts its cash, with a float; afterwards the books balance."""
    await shifts.close_shift(venue.db, OPERATOR, "bar")
    await venues.change_venue(venue.db, OPERATOR, "bar", count_cash=True)
    yield done(await rest.operator.post("/api/shifts/open", json={"float_minor": FLOAT_MINOR}), 201)["shift_id"]
    await venue.books_balance()


async def report(rest: Rest, shift_id: str) -> dict[str, Any]:
    """The shift's X report."""
    found: dict[str, Any] = done(await rest.engineer.get(f"/api/shifts/{shift_id}/reports/x"))
    return found


async def book(rest: Rest, shift_id: str, kind: str, amount_minor: int) -> None:
    """Move cash."""
    body = {"kind": kind, "amount_minor": amount_minor, "reason": "ice"}
    moved = done(await rest.shift_lead.post(f"/api/shifts/{shift_id}/cash", json=body, headers=with_key()), 201)
    assert moved == {"shift_id": shift_id, "kind": kind, "amount_minor": amount_minor, "currency": "EUR"}


async def count(rest: Rest, shift_id: str, counted_minor: int) -> dict[str, Any]:
    """Count the drawer."""
    counted: dict[str, Any] = done(
        await rest.operator.post(f"/api/shifts/{shift_id}/count", json={"counted_minor": counted_minor}), 201
    )
    return counted


async def see(rest: Rest, venue: Venue, role: Role, shift_id: str) -> list[str]:
    """The console's pages and files of a shift's drawer, and for shift leads its dialogs."""
    headers = in_browser(await log_in(venue.db, role))
    paths = [f"/shift/{shift_id}", "/shift/close", f"/shift/{shift_id}/report.csv", f"/shift/{shift_id}/cash.csv"]
    if role.includes(Role.SHIFT_LEAD):
        paths += ["/parts/shift", "/shift", f"/shift/{shift_id}/count", f"/shift/{shift_id}/cash"]
    pages = [await rest.nobody.get(path, headers=headers) for path in paths]
    assert [page.status_code for page in pages] == [200] * len(pages)
    return [page.text for page in pages]


async def balances(db: Database) -> dict[str, int]:
    """What each account of the house has, without those at 0."""
    rows = await db.pool.fetch(
        """SELECT account, sum(amount)::bigint FROM (
               SELECT debit_account AS account, amount_minor AS amount FROM money_movements
               UNION ALL SELECT credit_account, -amount_minor FROM money_movements) AS sides
           WHERE account IN ('cash', 'safe', 'pay_in', 'pay_out', 'over_short') GROUP BY account HAVING sum(amount) <> 0"""
    )
    return dict(map(tuple, rows))


async def test_a_drawer_is_filled_counted_and_emptied_into_the_safe(rest: Rest, venue: Venue, shift: str) -> None:
    ann = await venue.guest(balance_minor=50_00)
    refund = {"amount_minor": 20_00, "method": "cash", "reason": "leaves"}
    done(await rest.shift_lead.post(f"/api/guests/{ann.guest_id}/refunds", json=refund, headers=with_key()), 201)
    await book(rest, shift, "pay_in", 5_00)
    await book(rest, shift, "pay_out", 7_00)
    await book(rest, shift, "drop", 60_00)
    expected_minor = FLOAT_MINOR + 50_00 - 20_00 + 5_00 - 7_00 - 60_00

    counted = await count(rest, shift, expected_minor - 1_50)

    assert (counted["expected_minor"], counted["over_short_minor"], counted["counted_by"]) == (expected_minor, -1_50, "operator")
    cash = {
        "float_minor": FLOAT_MINOR,
        "top_ups_minor": 50_00,
        "refunds_minor": 20_00,
        "reversals_minor": 0,
        "pay_in_minor": 5_00,
        "pay_out_minor": 7_00,
        "drop_minor": 60_00,
        "expected_minor": expected_minor,
        "counted_minor": expected_minor - 1_50,
        "over_short_minor": -1_50,
        "float_difference_minor": None,
    }
    x = await report(rest, shift)
    assert (x["cash"], x["liability_minor"], x["till"]["top_ups_minor"]) == (cash, 30_00, 50_00)
    assert set(x["by_method"]) == {"cash"}
    done(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}))
    # what the drawer was short of is gone, and the float is back
    in_safe = -FLOAT_MINOR + 60_00 + expected_minor - 1_50
    assert await balances(venue.db) == {"safe": in_safe, "pay_in": -5_00, "pay_out": 7_00, "over_short": 1_50}

    z = done(await rest.shift_lead.post(f"/api/shifts/{shift}/reports/z"), 201)
    assert (z["cash"], z["liability_minor"]) == (cash, 30_00)
    following = done(await rest.operator.post("/api/shifts/open", json={"float_minor": 80_00}), 201)["shift_id"]
    assert (await report(rest, following))["cash"]["float_difference_minor"] == 80_00 - (expected_minor - 1_50)
    done(await rest.shift_lead.post("/api/shifts/close", json={"counted_minor": 80_00}))


@pytest.mark.parametrize(
    ("language", "header", "movement", "drawer"),
    [
        ("en", "Number,Kind,Amount (EUR),Currency", "Float,100.00,EUR", "Shift,Drawer"),
        ("ru", "Номер;Вид;Сумма (EUR);Валюта", "Размен;100,00;EUR", "Смена;Касса"),
    ],
)
async def test_a_shifts_spreadsheets_speak_the_viewers_language(
    rest: Rest, venue: Venue, shift: str, language: str, header: str, movement: str, drawer: str
) -> None:
    headers = in_browser(await log_in(venue.db, Role.SHIFT_LEAD))
    headers["Cookie"] += f"; tapwire_language={language}"
    await count(rest, shift, FLOAT_MINOR)

    moved = await rest.nobody.get(f"/shift/{shift}/cash.csv", headers=headers)
    report = await rest.nobody.get(f"/shift/{shift}/report.csv", headers=headers)

    assert moved.text.splitlines()[0].removeprefix(BYTE_ORDER_MARK).startswith(header)
    assert movement in moved.text
    assert drawer in report.text
    assert "_minor" not in moved.text + report.text
    assert "_ml" not in moved.text + report.text


async def test_until_it_is_counted_nobody_sees_what_gives_the_sum_away(rest: Rest, venue: Venue, shift: str) -> None:
    ann = await venue.guest(balance_minor=30_00)
    await venue.guest(balance_minor=13_21)
    await money.top_up(venue.db, OPERATOR, ann.guest_id, 1_00, PaymentMethod.CARD, "bar")
    for role, reads in zip(Role, (rest.operator, rest.shift_lead, rest.engineer), strict=True):
        for ask in (reads.get, reads.post):
            x = done(await ask(f"/api/shifts/{shift}/reports/x"), 200 if ask == reads.get else 201)
            assert [x[field] for field in HIDDEN] == [None] * len(HIDDEN)
            assert [x["cash"][field] for field in HIDDEN_CASH] == [None] * len(HIDDEN_CASH)
            assert x["cash"]["float_minor"] == FLOAT_MINOR
        text = (await reads.get(f"/api/shifts/{shift}/reports/x", headers={"Accept": "text/csv"})).text
        movements = done(await reads.get(f"/api/shifts/{shift}/cash"))
        listed = (await reads.get(f"/api/shifts/{shift}/cash", headers={"Accept": "text/csv"})).text
        assert [(one["kind"], one["amount_minor"]) for one in movements["items"]] == [("float", FLOAT_MINOR)]
        assert not {"4321", "14321"} & set(text.replace("\r\n", ",").split(",") + listed.replace("\r\n", ",").split(","))
        pages = await see(rest, venue, role, shift)
        assert not any(sum_ in page for sum_ in ("43.21", "143.21", "4321") for page in pages)
    await count(rest, shift, 143_21)

    assert (await report(rest, shift))["till"]["top_ups_minor"] == 44_21
    shown, closing, file, movements = await see(rest, venue, Role.OPERATOR, shift)
    assert all("143.21" in page for page in (shown, closing, file)), "the drawer is counted"
    assert "13.21" in movements
    kinds = [one["kind"] for one in done(await rest.operator.get(f"/api/shifts/{shift}/cash"))["items"]]
    assert kinds == ["float", "top_up", "top_up"]
    await venue.guest(balance_minor=1_00)  # cash has moved since: the count no longer holds
    x = await report(rest, shift)
    assert (x["till"], x["cash"]["counted_minor"], x["cash"]["expected_minor"]) == (None, None, None)
    refusal(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}), 409, "count_required")
    done(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True, "counted_minor": 144_21}))


async def test_a_drawer_has_no_more_cash_than_the_books_say(rest: Rest, venue: Venue, shift: str) -> None:
    cash, body = f"/api/shifts/{shift}/cash", {"kind": "pay_out", "amount_minor": FLOAT_MINOR + 1, "reason": "ice"}
    refusal(await rest.operator.post(cash, json=body, headers=with_key()), 403, "role_required")
    refusal(await rest.shift_lead.post(cash, json=body), 400, "idempotency_key_required")
    problem = refusal(await rest.shift_lead.post(cash, json=body, headers=with_key()), 409, "drawer_short")
    assert "expected_minor" not in problem
    refusal(await rest.shift_lead.post(cash, json={**body, "kind": "drop"}, headers=with_key()), 409, "drawer_short")
    key = with_key()
    for _ in range(2):
        done(await rest.shift_lead.post(cash, json={**body, "amount_minor": 99_00}, headers=key), 201)
    drops = [rest.shift_lead.post(cash, json={**body, "kind": "drop", "amount_minor": 1_00}, headers=with_key()) for _ in range(3)]

    assert sorted(answer.status_code for answer in await asyncio.gather(*drops)) == [201, 409, 409]
    assert await venue.audited("cash_moved") == 2
    done(await rest.shift_lead.post("/api/shifts/close", json={"counted_minor": 0}))
    refusal(await rest.shift_lead.post(cash, json=body, headers=with_key()), 409, "shift_closed")


async def test_a_count_is_corrected_until_the_z_report_and_each_difference_is_a_row(rest: Rest, venue: Venue, shift: str) -> None:
    counts = f"/api/shifts/{shift}/count"
    await count(rest, shift, FLOAT_MINOR)
    assert await count(rest, shift, FLOAT_MINOR) == await count(rest, shift, FLOAT_MINOR)
    await count(rest, shift, 90_00)
    done(await rest.shift_lead.post("/api/shifts/close", json={"counted_minor": 95_00}))
    refusal(await rest.operator.post(counts, json={"counted_minor": 99_00, "reason": "a roll"}), 403, "role_required")
    refusal(await rest.shift_lead.post(counts, json={"counted_minor": 99_00}), 400, "reason_required")

    for _ in range(2):
        body = {"counted_minor": 101_00, "reason": "a roll of coins was found"}
        assert done(await rest.shift_lead.post(counts, json=body), 201)["over_short_minor"] == 1_00

    assert await venue.audited("shift_counted") == 4
    booked = [(one["kind"], one["amount_minor"]) for one in done(await rest.operator.get(f"/api/shifts/{shift}/cash"))["items"][1:]]
    assert booked == [
        ("over_short", -10_00),
        ("over_short", 5_00),
        ("deposited", -95_00),
        ("over_short", 6_00),
        ("deposited", -6_00),
    ]
    assert await balances(venue.db) == {"safe": 1_00, "over_short": -1_00}
    z = done(await rest.shift_lead.post(f"/api/shifts/{shift}/reports/z"), 201)
    assert (z["cash"]["counted_minor"], z["cash"]["over_short_minor"]) == (101_00, 1_00)
    refusal(await rest.shift_lead.post(counts, json={"counted_minor": 1, "reason": "x"}), 409, "z_report_made")
    table = (await rest.operator.get(f"/api/shifts/{shift}/reports/z", headers={"Accept": "text/csv"})).text.splitlines()
    found = dict(zip(table[0].split(","), table[-1].split(","), strict=True))
    assert (found["key"], found["cash_counted_minor"], found["cash_over_short_minor"]) == ("cash", "10100", "100")


async def test_a_z_report_takes_the_count_that_came_while_its_sums_were_read(venue: Venue, rest: Rest, shift: str) -> None:
    shift_id = await shifts.close_shift(venue.db, OPERATOR, "bar", counted_minor=90_00)
    report_of_before = await sum_up_shift(venue.db, shift_id)
    await shift_cash.count_drawer(venue.db, OPERATOR, Role.SHIFT_LEAD, shift_id, 100_00, "counted again")
    assert report_of_before is not None

    made = await shifts.make_z_report(venue.db, OPERATOR, report_of_before)

    assert made.cash is not None
    assert (made.cash.counted_minor, made.cash.over_short_minor) == (100_00, 0)


async def test_a_venue_that_counts_no_cash_books_none(rest: Rest, venue: Venue) -> None:
    shift_id = done(await rest.operator.get("/api/shifts/current"))["shift_id"]
    await venue.guest(balance_minor=10_00)
    body = {"kind": "pay_in", "amount_minor": 1, "reason": "x"}
    refusal(await rest.shift_lead.post(f"/api/shifts/{shift_id}/cash", json=body, headers=with_key()), 409, "cash_not_counted")
    refusal(await rest.operator.post(f"/api/shifts/{shift_id}/count", json={"counted_minor": 0}), 409, "cash_not_counted")
    done(await rest.engineer.patch("/api/venues/bar", json={"count_cash": True}))  # the open shift stays as it was opened

    x = await report(rest, shift_id)

    assert (x["till"]["top_ups_minor"], x["cash"]["expected_minor"], x["cash"]["counted_minor"]) == (10_00, 10_00, None)
    with pytest.raises(CashNotCounted):
        await shifts.close_shift(venue.db, OPERATOR, "bar", counted_minor=10_00, end_visits=True)
    done(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}))
    assert await balances(venue.db) == {"cash": 10_00}
    done(await rest.engineer.patch("/api/venues/bar", json={"count_cash": False}))
    refusal(await rest.operator.post("/api/shifts/open", json={"float_minor": 1}), 409, "cash_not_counted")
    assert done(await rest.operator.post("/api/shifts/open", json={"float_minor": 0}), 201)["count_cash"] is False


async def test_the_books_check_finds_a_drawer_that_does_not_balance(venue: Venue, rest: Rest, shift: str) -> None:
    await shifts.close_shift(venue.db, OPERATOR, "bar", counted_minor=99_00)
    again = """INSERT INTO money_movements (debit_account, credit_account, amount_minor, venue_id, shift_id, actor)
               SELECT {}, amount_minor, venue_id, shift_id, actor FROM money_movements
               WHERE debit_account = 'over_short' LIMIT 1"""
    await venue.db.pool.execute(again.format("debit_account, credit_account"))

    found = {difference.rule for difference in await check_books(venue.db)}

    await venue.db.pool.execute(again.format("credit_account, debit_account"))
    assert found == {"the drawer of a closed shift is empty", "over or short = the last count less what was expected"}


async def test_streams_and_webhooks_tell_of_cash_and_counts_without_reasons(rest: Rest, venue: Venue, shift: str) -> None:
    await book(rest, shift, "pay_in", 5_00)
    await count(rest, shift, 104_00)
    done(await rest.shift_lead.post("/api/shifts/close", json={}))
    entries = await read_audit(venue.db, 0, await newest_audit_id(venue.db))

    told = [json.loads(event.payload) for event in await make_events(venue.db, entries, {"cash.moved", "shift.counted"})]

    known = {"shift_id": shift, "venue_id": "bar", "currency": "EUR"}
    assert [(event["type"], event["venue_id"], event["data"]) for event in told] == [
        ("cash.moved", "bar", {**known, "kind": "pay_in", "amount_minor": 5_00}),
        ("shift.counted", "bar", {**known, "counted_minor": 104_00, "expected_minor": 105_00, "over_short_minor": -1_00}),
    ]
    assert {kind_of(entry.action) for entry in entries if shift in entry.subjects} == {EventKind.SHIFT}


async def test_counts_top_ups_and_the_close_at_once_leave_an_empty_drawer(rest: Rest, venue: Venue, shift: str) -> None:
    ann = await venue.guest()

    async def top_up() -> None:
        await money.top_up(venue.db, OPERATOR, ann.guest_id, 1_00, PaymentMethod.CASH, "bar")

    async def count_it(counted_minor: int) -> None:
        await shift_cash.count_drawer(venue.db, OPERATOR, Role.SHIFT_LEAD, UUID(shift), counted_minor, "at once")

    close = shifts.close_shift(venue.db, OPERATOR, "bar", counted_minor=101_00, end_visits=True)
    ended = await asyncio.gather(
        top_up(), count_it(90_00), top_up(), close, count_it(102_00), top_up(), count_it(103_00), return_exceptions=True
    )

    assert [one for one in ended if isinstance(one, Exception) and not isinstance(one, ShiftClosed)] == []
    assert "cash" not in await balances(venue.db)


async def test_deposits_are_no_payments_and_both_reports_say_what_the_venue_has_of_them(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.patch("/api/venues/bar", json={"card_deposit_minor": 5_00}))
    await venue.guest(balance_minor=8_00)
    ann = await venue.guest(balance_minor=9_00)
    await visits.close_visit(venue.db, OPERATOR, ann.visit_id)
    done(await rest.operator.delete(f"/api/guests/{ann.guest_id}/cards/{ann.card_uid}"), 204)
    shift_id = await shifts.close_shift(venue.db, OPERATOR, "bar", end_visits=True)

    z = done(await rest.shift_lead.post(f"/api/shifts/{shift_id}/reports/z"), 201)

    assert (z["deposits_minor"], z["liability_minor"], z["till"]["adjustments_minor"]) == (5_00, 12_00, 0)
    table = (await rest.operator.get(f"/api/shifts/{shift_id}/reports/z", headers={"Accept": "text/csv"})).text.splitlines()
    assert (table[0].split(",")[-1], table[-1].split(",")[-1]) == ("deposits_minor", "500")
    await venue.books_balance()
