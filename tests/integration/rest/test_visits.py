"""Visits and cards over REST: one atomic opening, one conflict code, and no way to get stuck."""

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from tapwire_core.services import cards, guests, visits
from tests.rest import Rest, done, refusal, with_key
from tests.venue import OPERATOR, Guest, Venue

OPEN = "/api/visits/open-and-assign-card"


async def newcomer(venue: Venue, *, birth_date: date | None = None, age_checked: bool = True) -> UUID:
    """A guest without visit and card."""
    return await guests.create_guest(venue.db, OPERATOR, first_name="New", birth_date=birth_date, age_checked=age_checked)


def body(guest_id: UUID, card_uid: str = "04a1b2c3") -> dict[str, str]:
    """The body that opens a visit."""
    return {"guest_id": str(guest_id), "card_uid": card_uid}


async def counts(venue: Venue) -> tuple[int, int, int]:
    """Number of visits, cards and audit entries."""
    row = await venue.db.pool.fetchrow(
        "SELECT (SELECT count(*) FROM visits), (SELECT count(*) FROM cards), (SELECT count(*) FROM audit)"
    )
    return tuple(row)


async def test_opening_binds_and_assigns_and_says_which_stages_happened(rest: Rest, venue: Venue) -> None:
    ann, bob = await newcomer(venue), await newcomer(venue)
    await cards.bind_card(venue.db, OPERATOR, bob, "04-B0-B0-B0")

    opened = done(await rest.operator.post(OPEN, json=body(ann, "04 A1:b2-C3")), 201)
    with_own = done(await rest.operator.post(OPEN, json=body(bob, "04b0b0b0")), 201)

    assert (opened["stages"], opened["visit"]["card_uid"]) == (["bound", "assigned"], "04a1b2c3")
    assert with_own["stages"] == ["already_bound", "assigned"]
    found = done(await rest.operator.get("/api/visits/active/by-card/04:A1:B2:C3"))
    assert found["visit_id"] == opened["visit"]["visit_id"]


async def test_a_double_click_gives_one_visit_and_the_same_answer(rest: Rest, venue: Venue) -> None:
    ann = await newcomer(venue)

    answers = await asyncio.gather(*(rest.operator.post(OPEN, json=body(ann)) for _ in range(4)))
    later = await rest.operator.post(OPEN, json=body(ann))

    assert {(answer.status_code, answer.text) for answer in [*answers, later]} == {(201, later.text)}
    assert await venue.audited("visit_opened") == 1


async def test_a_card_that_was_lost_since_is_not_issued_by_a_second_click(rest: Rest, venue: Venue) -> None:
    issue = body(await newcomer(venue))
    done(await rest.operator.post(OPEN, json=issue), 201)
    done(await rest.operator.post(f"/api/cards/{issue['card_uid']}/lost", json={"reason": "left in a taxi"}))

    refusal(await rest.operator.post(OPEN, json=issue), 409, "lost_card")


async def test_each_conflict_has_its_code_and_changes_nothing(rest: Rest, venue: Venue) -> None:
    ann, new = await venue.guest(), await newcomer(venue)
    lost = await venue.guest()
    await cards.report_card_lost(venue.db, OPERATOR, lost.card_uid, "gone")
    blocked, too_young = await newcomer(venue), await newcomer(venue, age_checked=False)
    await guests.change_guest(venue.db, OPERATOR, blocked, blocked=True)
    before = await counts(venue)

    async def conflict(guest_id: UUID, card_uid: str, code: str) -> dict[str, object]:
        return refusal(await rest.operator.post(OPEN, json=body(guest_id, card_uid)), 409, code)

    assert (await conflict(new, ann.card_uid, "bind_conflict"))["visit_id"] == str(ann.visit_id)
    assert (await conflict(ann.guest_id, "04ffffff", "visit_already_active"))["visit_id"] == str(ann.visit_id)
    await conflict(new, lost.card_uid, "lost_card")
    await conflict(blocked, "04ffffff", "guest_blocked")
    await conflict(too_young, "04ffffff", "guest_underage")

    assert await counts(venue) == before


async def test_without_an_open_shift_no_visit_opens(rest: Rest, venue: Venue) -> None:
    done(await rest.shift_lead.post("/api/shifts/close", json={"venue_id": venue.venue_id}))

    refusal(await rest.operator.post(OPEN, json=body(await newcomer(venue))), 409, "shift_closed")
    refusal(await rest.operator.post("/api/visits", json={"guest_id": str(await newcomer(venue))}), 409, "shift_closed")


@pytest.mark.parametrize(("days", "status"), [(0, 201), (1, 409)])
async def test_a_guest_is_served_from_the_birthday_on(rest: Rest, venue: Venue, days: int, status: int) -> None:
    async def opened_on(today: date, card_uid: str) -> int:
        birthday: date = await venue.db.pool.fetchval("SELECT ($1::date - interval '18 years')::date", today)
        guest_id = await newcomer(venue, birth_date=birthday + timedelta(days=days), age_checked=False)
        return (await rest.operator.post(OPEN, json=body(guest_id, card_uid))).status_code

    today = await venue.today()
    answered = await opened_on(today, "04a1b2c3")
    if (tomorrow := await venue.today()) != today:
        answered = await opened_on(tomorrow, "04a1b2c4")

    assert answered == status


async def test_a_visit_gets_another_card_and_the_lost_one_works_no_more(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    card = done(await rest.operator.post(f"/api/cards/{ann.card_uid}/lost", json={"reason": "dropped"}))
    assigned = done(await rest.operator.post(f"/api/visits/{ann.visit_id}/assign-card", json={"card_uid": "04FFFFFF"}))

    assert card["status"] == "lost"
    assert assigned["stages"] == ["bound", "assigned"]
    stopped = await venue.pour(grant.pour_id)
    assert (stopped["stop_reason"], stopped["sync_status"]) == ("lost_card", "pending_sync")
    assert await venue.db.pool.fetchval("SELECT count(*) FROM command_outbox WHERE payload LIKE '%stop_pour%'") == 1
    assert (await venue.denial(ann)).value == "lost_card"
    await venue.report(grant, 100)
    await venue.grant(Guest(ann.guest_id, ann.visit_id, "04ffffff"))


async def test_a_card_in_use_can_be_neither_taken_back_nor_retired(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest()
    own = f"/api/guests/{ann.guest_id}/cards/{ann.card_uid}"

    assert refusal(await rest.operator.delete(own), 409, "card_busy")["visit_id"] == str(ann.visit_id)
    refusal(await rest.operator.post(f"/api/cards/{ann.card_uid}/retire", json={"reason": "worn"}), 409, "card_busy")
    done(await rest.operator.post(f"/api/visits/{ann.visit_id}/close", json={}))
    done(await rest.operator.delete(own), 204)

    assert done(await rest.operator.get(f"/api/cards/{ann.card_uid}"))["status"] == "available"


async def test_two_guests_racing_for_one_card_get_one_visit(rest: Rest, venue: Venue) -> None:
    newcomers = [await newcomer(venue) for _ in range(6)]

    answers = await asyncio.gather(*(rest.operator.post(OPEN, json=body(guest_id)) for guest_id in newcomers))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"bind_conflict"}


async def test_one_guest_racing_with_several_cards_gets_one_visit(rest: Rest, venue: Venue) -> None:
    ann = await newcomer(venue)

    answers = await asyncio.gather(*(rest.operator.post(OPEN, json=body(ann, f"04a1b2c{n}")) for n in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    assert len(done(await rest.operator.get(f"/api/guests/{ann}"))["cards"]) == 1


async def test_closing_with_a_pending_pour_names_it_and_goes_on_once_it_ends(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    close = f"/api/visits/{ann.visit_id}/close"

    problem = refusal(await rest.operator.post(close, json={}), 409, "pour_pending")
    shown = done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))

    assert problem["pour_ids"] == [str(grant.pour_id)]
    assert (shown["pending_pour"]["pour_id"], shown["active_tap_id"]) == (str(grant.pour_id), "left")
    await venue.report(grant, 100)
    assert done(await rest.operator.post(close))["status"] == "closed"
    assert done(await rest.operator.post(close, json={}))["status"] == "closed"


async def test_closing_by_voiding_frees_the_hold_and_a_late_report_charges_nothing(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    close, void = f"/api/visits/{ann.visit_id}/close", {"void_pending": True, "pour_id": str(grant.pour_id)}

    refusal(await rest.operator.post(close, json=void), 403, "role_required")
    closed = done(await rest.shift_lead.post(close, json={**void, "reason": "the node is dead"}))

    assert (closed["status"], closed["held_minor"], closed["pending_pour"]) == ("closed", 0, None)
    assert (await venue.report(grant, 100)).outcome == "audit_late_recorded"
    assert await venue.balance(ann) == (100_00, 0)


async def test_closing_by_voiding_needs_no_reason(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)

    closed = done(await rest.shift_lead.post(f"/api/visits/{ann.visit_id}/close", json={"void_pending": True}))

    assert closed["status"] == "closed"
    assert (await venue.pour(grant.pour_id))["sync_status"] == "voided"
    (voided,) = done(await rest.operator.get(f"/api/audit/?action=pour_voided&subject={grant.pour_id}"))["items"]
    assert voided["details"]["reason"] == "visit closed"


async def test_closing_answers_a_pour_that_has_ended_with_its_state(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    close, named = f"/api/visits/{ann.visit_id}/close", {"pour_id": str(grant.pour_id)}

    refusal(await rest.operator.post(close, json=named), 409, "pour_pending")
    refusal(await rest.operator.post(close, json={"pour_id": str(uuid4())}), 404, "not_found")
    await venue.report(grant, 100)
    for body in (named, {**named, "void_pending": True}):
        problem = refusal(await rest.shift_lead.post(close, json=body), 409, "pour_not_pending")
        assert (problem["pour_id"], problem["sync_status"]) == (str(grant.pour_id), "synced")

    assert done(await rest.operator.get(f"/api/visits/{ann.visit_id}"))["status"] == "active"
    assert done(await rest.operator.post(close, json={}))["status"] == "closed"


async def test_a_birth_date_decides_without_a_check(rest: Rest, venue: Venue) -> None:
    child = await newcomer(venue, birth_date=date(2015, 5, 5), age_checked=False)
    adult = await newcomer(venue, birth_date=date(1990, 5, 5), age_checked=False)

    refusal(await rest.operator.post(OPEN, json=body(child)), 409, "guest_underage")
    done(await rest.operator.post(OPEN, json=body(adult)), 201)


async def test_reconcile_and_unlock_answer_a_pour_that_has_ended_with_its_state(rest: Rest, venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    grant = await venue.grant(ann)
    reconcile = f"/api/visits/{ann.visit_id}/reconcile-pour"
    request = {"pour_id": str(grant.pour_id), "volume_ml": 100, "reason": "seen on the glass"}

    pour = done(await rest.shift_lead.post(reconcile, json=request))
    again = done(await rest.shift_lead.post(reconcile, json=request))

    assert (pour["sync_status"], pour["amount_minor"]) == ("reconciled", 50_00)
    assert again["settled_at"] == pour["settled_at"]
    refusal(await rest.shift_lead.post(reconcile, json={**request, "volume_ml": 101}), 409, "already_reconciled")
    unlock = {"pour_id": str(grant.pour_id), "reason": "x"}
    problem = refusal(await rest.shift_lead.post(f"/api/visits/{ann.visit_id}/force-unlock", json=unlock), 409, "pour_not_pending")
    assert problem["sync_status"] == "reconciled"
    await venue.books_balance()


async def test_visits_that_wait_for_a_person_can_be_listed(rest: Rest, venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=100_00), await venue.guest(balance_minor=100_00)
    await venue.grant(ann)
    other = await venue.another_tap("right")
    await venue.grant(bob, other)
    await venue.db.pool.execute("UPDATE pours SET authorized_at = now() - interval '1 minute' WHERE visit_id = $1", ann.visit_id)

    stuck = done(await rest.operator.get("/api/visits?status=active&stuck=true"))["items"]

    assert [visit["visit_id"] for visit in stuck] == [str(ann.visit_id)]
    assert 60_000 <= stuck[0]["pending_pour"]["age_ms"] < 120_000


async def test_a_repeat_with_a_key_gets_the_first_visit_also_after_it_was_closed(rest: Rest, venue: Venue) -> None:
    ann, key = await newcomer(venue), with_key()
    first = done(await rest.operator.post(OPEN, json=body(ann), headers=key), 201)
    await visits.close_visit(venue.db, OPERATOR, UUID(first["visit"]["visit_id"]))

    again = done(await rest.operator.post(OPEN, json=body(ann), headers=key), 201)

    assert (again["visit"]["visit_id"], again["stages"]) == (first["visit"]["visit_id"], first["stages"])
    assert (first["visit"]["status"], again["visit"]["status"]) == ("active", "closed")
    assert await venue.audited("visit_opened") == 1


async def test_what_is_unknown_is_not_found(rest: Rest, venue: Venue) -> None:
    for path in (f"/api/visits/{uuid4()}", "/api/visits/active/by-card/04ffffff", f"/api/guests/{uuid4()}", "/api/cards/04ffffff"):
        refusal(await rest.operator.get(path), 404, "not_found")
    refusal(await rest.operator.post(OPEN, json=body(uuid4())), 404, "not_found")
    refusal(await rest.operator.post(f"/api/visits/{uuid4()}/close"), 404, "not_found")
    refusal(await rest.operator.get("/api/cards/04zz"), 400, "invalid")
