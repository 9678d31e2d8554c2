"""Export and erasure of guests: nothing says who they were, ids and books stay, and nothing of theirs changes any longer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx

from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.domain.shown import Noun
from tapwire_core.services import guest_erasures, money, users, visits
from tests.rest import Rest, document, done, form_about, refusal, with_key
from tests.venue import OPERATOR, Venue

CARD = "04a1b2c3"
REASON = {"reason": "asked for it"}
PERSONAL = {"first_name": "Zoe", "last_name": "Zimmer", "phone": "+34 611 22 33 44", "birth_date": "1987-06-05"}
DAYS = 400


async def seen_guest(rest: Rest, venue: Venue, balance_minor: int = 200_00) -> tuple[str, str, Any]:
    """A guest who paid and poured, and whose visit is open: guest, visit and the report of the pour."""
    guest_id: str = done(await rest.operator.post("/api/guests", json=PERSONAL), 201)["guest_id"]
    paid = {"amount_minor": balance_minor, "method": "cash", "venue_id": "bar"}
    done(await rest.operator.post(f"/api/guests/{guest_id}/top-ups", json=paid, headers=with_key()), 201)
    who = {"venue_id": "bar", "guest_id": guest_id, "card_uid": CARD}
    visit_id = done(await rest.operator.post("/api/visits/open-and-assign-card", json=who), 201)["visit"]["visit_id"]
    grant = await venue.ask(venue.tap.question(CARD))
    report = venue.tap.report(grant.pour_id, CARD, 300)  # type: ignore[union-attr]
    await venue.deliver(report)
    return guest_id, visit_id, report


async def settled_guest(rest: Rest, venue: Venue) -> tuple[str, str, Any]:
    """A guest who was there, paid, poured, and went with the balance paid out, and with the card."""
    guest_id, visit_id, report = await seen_guest(rest, venue)
    payout = {"payout": {"method": "cash"}, "card_returned": False}
    done(await rest.shift_lead.post(f"/api/visits/{visit_id}/check-out", json=payout))
    return guest_id, visit_id, report


async def erase(rest: Rest, guest_id: str) -> Any:
    """Erase a guest."""
    return done(await rest.shift_lead.post(f"/api/guests/{guest_id}/erase", json=REASON))


async def test_an_erased_guest_is_nobody_and_ids_and_books_stay(rest: Rest, venue: Venue, db: Database) -> None:
    guest_id, _, _ = await settled_guest(rest, venue)

    erased = await erase(rest, guest_id)

    assert [erased[name] for name in PERSONAL] == [None] * 4
    assert (erased["shown_name"], erased["cards"], erased["erased_at"] is not None) == ("Erased guest", [], True)
    assert done(await rest.operator.get(f"/api/cards/{CARD}"))["status"] == "retired"
    assert done(await rest.operator.get("/api/guests", params={"search": "zoe"}))["items"] == []
    assert done(await rest.operator.get("/api/visits"))["items"][0]["guest_name"] == "Erased guest"
    assert len(done(await rest.operator.get(f"/api/guests/{guest_id}/ledger"))["items"]) == 3
    assert await venue.audited("guest_erased") == 1
    await venue.books_balance()
    shown = await db.pool.fetch("SELECT payload::jsonb->'display' AS shown FROM authorization_answers")
    assert all('"guest_first_name": null' in row["shown"] and '"balance_minor": null' in row["shown"] for row in shown)
    assert UUID(guest_id) == await db.pool.fetchval("SELECT guest_id FROM pours")


async def test_a_shift_lead_erases_once_and_a_repeat_gets_the_same_answer(rest: Rest, venue: Venue) -> None:
    guest_id, _, _ = await settled_guest(rest, venue)
    path, key = f"/api/guests/{guest_id}/erase", with_key()

    refusal(await rest.operator.post(path, json=REASON), 403, "role_required")
    refusal(await rest.shift_lead.post(path, json={}), 400, "invalid")
    first = done(await rest.shift_lead.post(path, json=REASON, headers=key))
    again = done(await rest.shift_lead.post(path, json=REASON, headers=key))

    assert again == first
    refusal(await rest.shift_lead.post(path, json=REASON), 409, "guest_erased")
    refusal(await rest.operator.get(f"/api/guests/{guest_id}/export"), 403, "role_required")


async def test_what_is_not_settled_is_named_and_keeps_the_guest(rest: Rest, venue: Venue, db: Database) -> None:
    await rest.engineer.patch("/api/venues/bar", json={"card_deposit_minor": 5_00})
    guest_id, visit_id, report = await seen_guest(rest, venue)
    path = f"/api/guests/{guest_id}/erase"
    late = venue.tap.report(report.pour_id, CARD, 350)
    await venue.deliver(late)
    pending = await venue.ask(venue.tap.question(CARD))

    told = refusal(await rest.shift_lead.post(path, json=REASON), 409, "guest_not_settled")
    assert {name: told[name] for name in ("active_visit_id", "pending_pour_ids", "balance_minor", "deposit_minor")} == {
        "active_visit_id": visit_id,
        "pending_pour_ids": [str(pending.pour_id)],  # type: ignore[union-attr]
        "balance_minor": 45_00,
        "deposit_minor": 5_00,
    }
    await venue.deliver(venue.tap.report(pending.pour_id, CARD, 0))  # type: ignore[union-attr]
    [incident] = done(await rest.operator.get("/api/incidents"))["items"]
    assert told["incident_ids"] == [incident["incident_id"]]
    passed = {"payout": {"method": "cash"}, "card_returned": True, "despite_incidents": True, "reason": "late"}
    done(await rest.shift_lead.post(f"/api/visits/{visit_id}/check-out", json=passed))
    left = refusal(await rest.shift_lead.post(path, json=REASON), 409, "guest_not_settled")

    assert {name for name in left if name.endswith(("_minor", "_ids", "visit_id"))} == {"incident_ids"}
    assert await db.pool.fetchval("SELECT first_name FROM guests WHERE guest_id = $1", UUID(guest_id)) == "Zoe"
    ended = {"resolution": "written_off", "comment": "late"}
    done(await rest.shift_lead.post(f"/api/incidents/{incident['incident_id']}/resolve", json=ended))
    await erase(rest, guest_id)
    await venue.books_balance()


async def test_nothing_of_an_erased_guest_changes_by_any_route(rest: Rest, venue: Venue, db: Database) -> None:
    guest_id, visit_id, report = await settled_guest(rest, venue)
    movement = done(await rest.operator.get(f"/api/guests/{guest_id}/ledger"))["items"][-1]["movement_id"]
    pour_id = str(report.pour_id)
    await erase(rest, guest_id)
    before = await everything(db)
    g, v = f"/api/guests/{guest_id}", f"/api/visits/{visit_id}"
    money_of, why = {"amount_minor": 5_00, "method": "cash", "venue_id": "bar"}, {"reason": "x"}

    refused = [
        ("PATCH", g, {"first_name": "Zoe"}),
        ("PATCH", g, {"blocked": True}),
        ("PATCH", g, {"age_checked": True}),
        ("POST", f"{g}/cards", {"card_uid": "04a1b2c4"}),
        ("DELETE", f"{g}/cards/{CARD}", None),
        ("POST", f"{g}/top-ups", money_of),
        ("POST", f"{g}/refunds", {**money_of, **why}),
        ("POST", f"{g}/adjustments", {"amount_minor": 1, **why}),
        ("POST", f"{g}/comps", {"amount_minor": 1, "venue_id": "bar", **why}),
        ("POST", f"{g}/top-ups/{movement}/reverse", why),
        ("POST", f"{g}/erase", why),
        ("POST", "/api/visits", {"venue_id": "bar", "guest_id": guest_id}),
        ("POST", "/api/visits/open-and-assign-card", {"venue_id": "bar", "guest_id": guest_id, "card_uid": "04a1b2c4"}),
        ("POST", f"{v}/assign-card", {"card_uid": "04a1b2c4"}),
        ("POST", f"{v}/rearm", why),
        ("POST", f"{v}/alcohol", {"allowed": False, **why}),
        ("POST", f"{v}/extend", {"hours": 1}),
        ("POST", f"{v}/reconcile-pour", {"volume_ml": 1, "pour_id": pour_id, **why}),
        ("POST", f"{v}/force-unlock", {"pour_id": pour_id, **why}),
        ("POST", f"{v}/force-unlock", why),
        ("POST", f"{v}/guest-page", None),
        ("POST", f"{v}/close", {}),
        ("POST", f"{v}/close", {"void_pending": True, "pour_id": pour_id}),
        ("POST", f"{v}/check-out", {"payout": None, "card_returned": False}),
    ]
    for method, path, body in refused:
        answer = await rest.shift_lead.request(method, path, json=body, headers=with_key() if method == "POST" else {})
        refusal(answer, 409, "guest_erased")
    for path, code in ((f"/api/cards/{CARD}/lost", "lost_card"), (f"/api/cards/{CARD}/restore", "card_not_lost")):
        refusal(await rest.shift_lead.post(path, json=why), 409, code)
    assert await everything(db) == before
    other = await venue.guest()
    refusal(await rest.operator.post(f"/api/visits/{other.visit_id}/assign-card", json={"card_uid": CARD}), 409, "lost_card")
    tested = {(method, templated(path, guest_id, visit_id)) for method, path, _ in refused}
    assert changing_routes_of_guests() <= tested


def changing_routes_of_guests() -> set[tuple[str, str]]:
    """Documented changes whose path names a guest or a visit."""

    paths = document()["paths"]
    return {
        (method.upper(), path)
        for path, item in paths.items()
        for method in item
        if method in ("post", "patch", "put", "delete") and ("{guest_id}" in path or "{visit_id}" in path)
    }


def templated(path: str, guest_id: str, visit_id: str) -> str:
    """A path as the documentation writes it."""
    parts = path.replace(guest_id, "{guest_id}").replace(visit_id, "{visit_id}").replace(CARD, "{card_uid}").split("/")
    return "/".join("{movement_id}" if part.isdigit() and len(part) < 8 else part for part in parts)


async def everything(db: Database) -> list[Any]:
    """The rows that a change of a guest would touch."""
    tables = ("guests", "cards", "visits", "pours", "money_movements", "check_outs")
    return [[tuple(row) for row in await db.pool.fetch(f"SELECT * FROM {table} ORDER BY 1")] for table in tables]


async def test_a_late_report_of_an_erased_guest_is_written_off_and_nothing_else(rest: Rest, venue: Venue) -> None:
    guest_id, visit_id, report = await settled_guest(rest, venue)
    await erase(rest, guest_id)
    stock_ml = await venue.keg_ml()

    verdict = await venue.deliver(venue.tap.report(report.pour_id, CARD, 350))

    assert verdict.outcome == "audit_late_recorded"
    assert await venue.keg_ml() == stock_ml - 50
    [incident] = done(await rest.operator.get("/api/incidents"))["items"]
    resolve = f"/api/incidents/{incident['incident_id']}/resolve"
    for refused in ({"resolution": "charged"}, {"resolution": "corrected", "amount_minor": 5}, {"resolution": "corrected"}):
        for more in ({}, {"visit_id": visit_id}):
            refusal(await rest.shift_lead.post(resolve, json={**refused, "comment": "x", **more}), 409, "guest_erased")
    assert "Erased guest" not in str(incident["details"])
    done(await rest.shift_lead.post(resolve, json={"resolution": "written_off", "comment": "x"}))
    await venue.books_balance()


async def test_an_export_has_every_row_that_is_about_the_guest(rest: Rest, venue: Venue, owner_db: Database) -> None:
    guest_id, visit_id, report = await settled_guest(rest, venue)
    other = await venue.guest(balance_minor=1_00)
    answer = await rest.shift_lead.get(f"/api/guests/{guest_id}/export")

    found = done(answer)
    assert f'filename="guest-{guest_id}.json"' in answer.headers["content-disposition"]
    assert {name: found["guest"][name] for name in PERSONAL} == PERSONAL
    assert [row["visit_id"] for row in found["visits"]] == [visit_id]
    assert [row["pour_id"] for row in found["pours"]] == [row["pour_id"] for row in found["reports"]] == [str(report.pour_id)]
    assert [row["card_uid"] for row in found["cards"]] == [CARD]
    assert (len(found["check_outs"]), len(found["answers"]), len(found["movements"])) == (1, 1, 3)
    assert found["answers"][0]["payload"]["display"]["guest_first_name"] == "Zoe"
    assert {"guest_created", "top_up", "visit_opened", "pour_authorized", "guest_exported"} <= {
        row["action"] for row in found["audit"]
    }
    assert str(other.guest_id) not in answer.text
    assert await venue.audited("guest_exported") == 1

    # a table that names guests, visits or pours, and is no part of an export, is forgotten there
    tables = {
        row["table_name"]
        for row in await owner_db.pool.fetch(
            """SELECT table_name FROM information_schema.columns
               WHERE table_schema = 'public' AND column_name IN ('guest_id', 'visit_id', 'pour_id')"""
        )
    }
    # a view, and what the provider `test` keeps in place of a company
    others = {"pour_facts", "simulated_checkouts"}
    exported = {
        *("cards", "visits", "check_outs", "pours", "pour_reports", "authorization_answers", "money_movements", "incidents"),
        *("payments", "guest_pages"),
    }
    assert tables - others - {"guests"} == exported


async def test_an_export_takes_no_lock_so_that_no_tap_waits_for_it(rest: Rest, venue: Venue, owner_db: Database) -> None:
    ann = await venue.guest(balance_minor=50_00)
    async with owner_db.transaction() as other:
        await other.connection.execute("SELECT FROM guests WHERE guest_id = $1 FOR UPDATE", ann.guest_id)
        export = done(await rest.shift_lead.get(f"/api/guests/{ann.guest_id}/export"))

    assert export["guest"]["guest_id"] == str(ann.guest_id)
    refusal(await rest.shift_lead.get(f"/api/guests/{uuid4()}/export"), 404, "not_found")
    assert await venue.audited("guest_exported") == 1


async def test_the_console_says_what_happens_and_calls_the_guest_erased_in_each_language(rest: Rest, venue: Venue) -> None:
    guest_id, visit_id, _ = await seen_guest(rest, venue)
    page, dialog = f"/guests/{guest_id}", f"/guests/{guest_id}/erase"
    assert dialog not in (await rest.operator.get(page)).text
    assert (await rest.operator.get(dialog)).status_code == 403
    unsettled = (await rest.shift_lead.get(dialog)).text
    assert (f"/visits/{visit_id}" in unsettled, "50.00" in unsettled, 'name="reason"' in unsettled) == (True, True, False)
    payout = {"payout": {"method": "cash"}, "card_returned": True}
    done(await rest.shift_lead.post(f"/api/visits/{visit_id}/check-out", json=payout))

    asked = (await rest.shift_lead.get(dialog)).text
    form = {"reason": "asked for it", **form_about(Noun.GUEST, guest_id)}
    erased = await rest.shift_lead.post(dialog, data=form, headers={"HX-Request": "true"})

    assert ("deleted for good" in asked, "write no names" in asked) == (True, True)
    assert erased.headers["HX-Redirect"] == page
    for language, name in (("en", "Erased guest"), ("ru", "Удалённый гость")):
        rest.shift_lead.cookies.set("tapwire_language", language)
        for shown in (page, "/guests", f"/visits/{visit_id}", f"/visits/{visit_id}/receipt", "/audit"):
            text = (await rest.shift_lead.get(shown)).text
            assert (name in text, "Zoe" in text) == (True, False), (language, shown)
        own = (await rest.shift_lead.get(page)).text
        assert (f"{page}/change" in own, f"{page}/top-up" in own, f"/api{page}/export" in own) == (False, False, True)


@asynccontextmanager
async def operator_of(db: Database, rest: Rest, venues: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """A shift lead of some venues."""
    await users.change_user(db, OPERATOR, "shift_lead", venues=venues)
    yield rest.shift_lead


async def test_a_guest_who_was_seen_elsewhere_takes_an_operator_of_all_venues(rest: Rest, venue: Venue, db: Database) -> None:
    await Venue.open(db, "club", keg_ml=10_000)
    guest_id, _, _ = await settled_guest(rest, venue)
    both = await venue.guest()
    await visits.close_visit(db, OPERATOR, both.visit_id)
    await visits.close_visit(db, OPERATOR, await visits.open_visit(db, OPERATOR, "club", both.guest_id))
    async with operator_of(db, rest, ["bar"]) as lead:
        for path in (f"/api/guests/{both.guest_id}/export", f"/api/guests/{both.guest_id}/erase"):
            answer = await (lead.get(path) if path.endswith("export") else lead.post(path, json=REASON))
            refusal(answer, 403, "all_venues_required")
        assert done(await lead.get(f"/api/guests/{guest_id}/export"))["guest"]["first_name"] == "Zoe"
        assert done(await lead.post(f"/api/guests/{guest_id}/erase", json=REASON))["first_name"] is None
        actions = [entry["action"] for entry in done(await lead.get("/api/audit"))["items"]]
    assert {"guest_exported", "guest_erased"} <= set(actions)
    assert done(await rest.engineer.get(f"/api/guests/{both.guest_id}/export"))["visits"] != []


async def test_who_was_not_seen_for_long_and_has_nothing_is_erased_by_itself(venue: Venue, owner_db: Database) -> None:
    db = venue.db
    long_gone, has_money, has_visit, young, back = [await venue.guest(balance_minor=5_00) for _ in range(5)]
    for guest in (long_gone, young, back):
        await visits.close_visit(db, OPERATOR, guest.visit_id)
        await money.refund(db, OPERATOR, guest.guest_id, 5_00, PaymentMethod.CASH, "bye", "bar")
    await visits.close_visit(db, OPERATOR, has_money.visit_id)
    await money.adjust(db, OPERATOR, has_visit.guest_id, -5_00, "x")
    async with owner_db.transaction() as store:
        await store.connection.execute("SET LOCAL session_replication_role = replica")
        then = f"now() - interval '{DAYS + 1} days'"
        old = [long_gone.guest_id, has_money.guest_id, has_visit.guest_id, back.guest_id]
        await store.connection.execute(f"UPDATE guests SET created_at = {then} WHERE guest_id = ANY($1)", old)
        await store.connection.execute(f"UPDATE visits SET opened_at = {then}, closed_at = closed_at - interval '{DAYS + 1} days'")
        await store.connection.execute(f"UPDATE money_movements SET created_at = {then} WHERE guest_id = ANY($1)", old)
    await visits.close_visit(db, OPERATOR, await visits.open_visit(db, OPERATOR, "bar", back.guest_id))

    assert await guest_erasures.erase_unseen_guests(db, None) == 0
    both_workers = await asyncio.gather(*(guest_erasures.erase_unseen_guests(db, DAYS) for _ in range(2)))

    assert sum(both_workers) == 1
    assert [row["guest_id"] for row in await db.pool.fetch("SELECT guest_id FROM guests WHERE erased_at IS NOT NULL")] == [
        long_gone.guest_id
    ]
    assert await db.pool.fetchval("SELECT actor FROM audit WHERE action = 'guest_erased'") == "core"
    await venue.books_balance()
