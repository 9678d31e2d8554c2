"""Expired rows are deleted; rows that may still be asked for, and the books, stay."""

from tapwire_core.domain.retention import RetentionPeriods
from tapwire_core.services.retention import delete_expired
from tests.rest import Rest, done
from tests.venue import Venue

TIMES = {
    "authorization_answers": "decided_at",
    "pour_reports": "received_at",
    "dead_letters": "last_received_at",
    "pours": "settled_at",
}


async def age(venue: Venue, days: int) -> None:
    """Let all that happened so far have happened some days earlier."""
    for table, column in TIMES.items():
        await venue.db.pool.execute(f"UPDATE {table} SET {column} = {column} - make_interval(days => $1)", days)


async def test_answers_verdicts_and_dead_letters_go_when_nobody_can_ask_for_them_again(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    await venue.report(await venue.grant(ann), 50)
    books = await venue.db.pool.fetch("SELECT movement_id FROM money_movements UNION ALL SELECT movement_id FROM stock_movements")

    await age(venue, 29)
    assert not any((await delete_expired(venue.db, RetentionPeriods())).values())
    await age(venue, 3)
    gone = await delete_expired(venue.db, RetentionPeriods())

    assert (gone["authorization_answers"], gone["pour_reports"]) == (1, 1)
    left = await venue.db.pool.fetch("SELECT movement_id FROM money_movements UNION ALL SELECT movement_id FROM stock_movements")
    assert left == books
    assert await venue.db.pool.fetchval("SELECT count(*) FROM pours") == 1


async def test_what_a_pending_pour_or_an_open_incident_needs_stays(rest: Rest, venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=50_00)
    right = await venue.another_tap("right")
    rejected = await venue.grant(bob, right)
    await venue.report(rejected, 400, right)
    question = venue.tap.question(ann.card_uid)
    answer = await venue.ask_raw(question)

    await age(venue, 400)
    gone = await delete_expired(venue.db, RetentionPeriods())

    assert (gone["authorization_answers"], gone["pour_reports"]) == (1, 0)
    assert await venue.ask_raw(question) == answer
    (incident,) = done(await rest.operator.get("/api/incidents?status=open"))["items"]
    resolved = {"resolution": "no_action", "comment": "spilled"}
    done(await rest.shift_lead.post(f"/api/incidents/{incident['incident_id']}/resolve", json=resolved))
    assert (await delete_expired(venue.db, RetentionPeriods()))["pour_reports"] == 1
