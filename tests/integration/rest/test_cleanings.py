"""Cleanings of taps: recorded by people and by what their nodes measured, and due again after the tap's interval."""

import asyncio
import csv
import io
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from tapwire_contracts.messages import UnattributedFlow
from tapwire_contracts.reasons import FlowCause
from tapwire_core.services.cleanings import raise_due_cleanings
from tapwire_core.services.flows import record_flow
from tests.rest import Rest, done, refusal, with_key
from tests.venue import RAW, Venue

TAP = "/api/taps/bar/left"
CLEANINGS = f"{TAP}/cleanings"


def cleaning_flow(venue: Venue, volume_ml: int = 2_000, age_ms: int | None = 0) -> UnattributedFlow:
    """The report of a cleaning at the tap's node."""
    return replace(venue.tap.flow(volume_ml), cause=FlowCause.CLEANING, age_ms=age_ms)


async def let_interval_pass(venue: Venue, days: int) -> None:
    """Let the tap's interval and its cleanings be older by so many days."""
    await venue.db.pool.execute(
        """UPDATE taps SET cleaning_interval_set_at = cleaning_interval_set_at - $1 * interval '24 hours',
               last_cleaned_at = last_cleaned_at - $1 * interval '24 hours'""",
        days,
    )


async def due(rest: Rest) -> list[dict[str, Any]]:
    """The incidents of overdue cleanings that nobody has resolved."""
    found = done(await rest.operator.get("/api/incidents", params={"kind": "cleaning_due"}))["items"]
    return [incident for incident in found if incident["status"] != "resolved"]


async def test_a_cleaning_is_recorded_once_and_read_back_as_json_and_csv(rest: Rest, venue: Venue) -> None:
    key = with_key()
    new = {"kind": "caustic", "note": "=2 % for 15 min"}
    first = done(await rest.operator.post(CLEANINGS, json=new, headers=key), 201)
    again = done(await rest.operator.post(CLEANINGS, json=new, headers=key), 201)
    rinsed = done(await rest.operator.post(CLEANINGS, json={"kind": "rinse"}), 201)

    assert first == again
    assert (first["kind"], first["cleaned_by"], first["volume_ml"], first["event_id"]) == ("caustic", "operator", None, None)
    listed = done(await rest.operator.get(CLEANINGS))
    assert listed == {"items": [rinsed, first], "next_cursor": None}
    table = csv.DictReader(io.StringIO((await rest.operator.get(CLEANINGS, headers={"Accept": "text/csv"})).text))
    assert [(row["kind"], row["note"]) for row in table] == [("rinse", ""), ("caustic", "'=2 % for 15 min")]
    assert done(await rest.operator.get(TAP))["last_cleaned_at"] == rinsed["cleaned_at"]
    assert await venue.audited("tap_cleaned") == 2
    refusal(await rest.operator.post(CLEANINGS, json={"kind": "vodka"}), 400, "invalid")
    refusal(await rest.operator.post("/api/taps/bar/none/cleanings", json={"kind": "rinse"}), 404, "not_found")


async def test_a_cleaning_flow_is_a_cleaning_once_an_event_at_its_arrival_less_its_age(rest: Rest, venue: Venue) -> None:
    flow = cleaning_flow(venue, 2_000, age_ms=3_600_000)

    await asyncio.gather(*(record_flow(venue.db, venue.tap.path, flow, RAW) for _ in range(4)))

    (made,) = done(await rest.operator.get(CLEANINGS))["items"]
    assert (made["kind"], made["cleaned_by"], made["volume_ml"]) == (None, None, 2_000)
    assert made["event_id"] == str(flow.event_id)
    ago = await venue.db.pool.fetchval("SELECT now() - cleaned_at FROM tap_cleanings")
    assert timedelta(minutes=60) <= ago < timedelta(minutes=61)
    assert await venue.audited("tap_cleaned") == 1


async def test_what_is_no_believed_flow_of_a_cleaning_is_no_cleaning(rest: Rest, venue: Venue) -> None:
    for flow in (
        cleaning_flow(venue, 99),
        replace(cleaning_flow(venue), cause=FlowCause.TEST),
        replace(cleaning_flow(venue), cause=FlowCause.CLOSED_VALVE),
        replace(cleaning_flow(venue), volume_ml=200_000),
    ):
        await record_flow(venue.db, venue.tap.path, flow, RAW)
    assert done(await rest.operator.get(CLEANINGS))["items"] == []

    await record_flow(venue.db, venue.tap.path, cleaning_flow(venue, 100, age_ms=None), RAW)
    await record_flow(venue.db, venue.tap.path, cleaning_flow(venue, 100, age_ms=2**53 - 1), RAW)

    assert len(done(await rest.operator.get(CLEANINGS))["items"]) == 2


async def test_a_cleaning_that_arrives_late_does_not_take_a_later_one_back(rest: Rest, venue: Venue) -> None:
    typed = done(await rest.operator.post(CLEANINGS, json={"kind": "acid"}), 201)

    await record_flow(venue.db, venue.tap.path, cleaning_flow(venue, age_ms=86_400_000), RAW)

    assert done(await rest.operator.get(TAP))["last_cleaned_at"] == typed["cleaned_at"]


async def test_a_tap_that_was_never_cleaned_is_due_from_when_its_interval_was_set(rest: Rest, venue: Venue) -> None:
    tap = done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": 7}))
    await let_interval_pass(venue, 3)

    again = done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": 7}))

    assert tap["last_cleaned_at"] is None
    assert again["cleaning_due_at"] < tap["cleaning_due_at"]
    assert done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": None}))["cleaning_due_at"] is None
    for days in (0, 367):
        refusal(await rest.engineer.patch(TAP, json={"cleaning_interval_days": days}), 400, "invalid")
    refusal(await rest.operator.patch(TAP, json={"cleaning_interval_days": 7}), 403, "role_required")


async def test_an_overdue_cleaning_is_one_incident_of_any_number_of_workers_and_a_cleaning_ends_it(
    rest: Rest, venue: Venue
) -> None:
    done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": 7}))
    await raise_due_cleanings(venue.db)
    assert await due(rest) == []
    await let_interval_pass(venue, 7)

    for _ in range(2):
        await asyncio.gather(*(raise_due_cleanings(venue.db) for _ in range(4)))

    (incident,) = await due(rest)
    assert incident["details"]["cleaning_interval_days"] == 7
    await record_flow(venue.db, venue.tap.path, cleaning_flow(venue), RAW)
    assert await due(rest) == []
    await let_interval_pass(venue, 8)
    await raise_due_cleanings(venue.db)
    assert len(await due(rest)) == 1
    assert await venue.audited("incident_raised") == 2


async def test_a_longer_interval_ends_the_incident_and_an_old_cleaning_does_not(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": 7}))
    await let_interval_pass(venue, 10)
    await raise_due_cleanings(venue.db)

    await record_flow(venue.db, venue.tap.path, cleaning_flow(venue, age_ms=8 * 86_400_000), RAW)
    await raise_due_cleanings(venue.db)
    assert len(await due(rest)) == 1

    done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": 14}))
    assert await due(rest) == []


async def test_nothing_can_be_booked_for_an_overdue_cleaning_and_no_action_ends_it_until_the_next(rest: Rest, venue: Venue) -> None:
    done(await rest.engineer.patch(TAP, json={"cleaning_interval_days": 1}))
    await let_interval_pass(venue, 1)
    await raise_due_cleanings(venue.db)
    (incident,) = await due(rest)
    path = f"/api/incidents/{incident['incident_id']}/resolve"

    for resolution in ("charged", "written_off", "corrected"):
        wanted = {"resolution": resolution, "comment": "no", "amount_minor": 100}
        refusal(await rest.shift_lead.post(path, json=wanted), 409, "nothing_to_book")
    together = {"kind": "cleaning_due", "tap": "bar/taps/left", "resolution": "written_off", "comment": "no"}
    refusal(await rest.shift_lead.post("/api/incidents/resolve", json=together), 409, "nothing_to_book")

    done(await rest.shift_lead.post(path, json={"resolution": "no_action", "comment": "the bar is closed"}))
    await raise_due_cleanings(venue.db)
    assert await due(rest) == []


async def test_a_new_tap_may_have_an_interval_at_once(rest: Rest, venue: Venue) -> None:
    new = {"tap_id": "right", "name": "Right", "cleaning_interval_days": 14}

    tap = done(await rest.engineer.post("/api/taps", json=new), 201)

    assert (tap["cleaning_interval_days"], tap["last_cleaned_at"]) == (14, None)
    assert tap["cleaning_due_at"] is not None
