"""Export and erasure of guests: nothing says who they were, ids and books stay, and nothing of theirs changes any longer."""

from uuid import UUID

from tapwire_core.db.engine import Database
from tests.rest import Rest, done, with_key
from tests.venue import Venue

REASON = {"reason": "asked for it"}


async def settled_guest(rest: Rest, venue: Venue, **data: str) -> str:
    """A guest who was there, paid, poured, and went with the balance paid out."""
    names = {"first_name": "Zoe", "last_name": "Zimmer", "phone": "+34 611 22 33 44", "birth_date": "1987-06-05", **data}
    guest_id: str = done(await rest.operator.post("/api/guests", json=names), 201)["guest_id"]
    paid = {"amount_minor": 200_00, "method": "cash", "venue_id": "bar"}
    done(await rest.operator.post(f"/api/guests/{guest_id}/top-ups", json=paid, headers=with_key()), 201)
    who = {"venue_id": "bar", "guest_id": guest_id, "card_uid": "04a1b2c3"}
    visit = done(await rest.operator.post("/api/visits/open-and-assign-card", json=who), 201)["visit"]["visit_id"]
    grant = await venue.ask(venue.tap.question("04a1b2c3"))
    await venue.deliver(venue.tap.report(grant.pour_id, "04a1b2c3", 300))  # type: ignore[union-attr]
    payout = {"payout": {"method": "cash"}, "card_returned": False}
    done(await rest.shift_lead.post(f"/api/visits/{visit}/check-out", json=payout))
    return guest_id


async def test_an_erased_guest_is_nobody_and_ids_and_books_stay(rest: Rest, venue: Venue, db: Database) -> None:
    guest_id = await settled_guest(rest, venue)

    erased = done(await rest.shift_lead.post(f"/api/guests/{guest_id}/erase", json=REASON))

    assert [erased[name] for name in ("first_name", "last_name", "phone", "birth_date")] == [None] * 4
    assert (erased["shown_name"], erased["cards"], erased["erased_at"] is not None) == ("Erased guest", [], True)
    assert done(await rest.operator.get("/api/cards/04a1b2c3"))["status"] == "retired"
    assert done(await rest.operator.get("/api/guests", params={"search": "zoe"}))["items"] == []
    assert done(await rest.operator.get("/api/visits"))["items"][0]["guest_name"] == "Erased guest"
    assert len(done(await rest.operator.get(f"/api/guests/{guest_id}/ledger"))["items"]) == 3
    assert await venue.audited("guest_erased") == 1
    await venue.books_balance()
    shown = await db.pool.fetch("SELECT payload::jsonb->'display' AS shown FROM authorization_answers")
    assert all('"guest_first_name": null' in row["shown"] and '"balance_minor": null' in row["shown"] for row in shown)
    assert UUID(guest_id) == await db.pool.fetchval("SELECT guest_id FROM pours")
