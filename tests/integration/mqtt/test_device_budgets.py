"""A device that floods fills no table: beyond its budgets it is counted in one incident, and other taps pour as ever."""

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from tapwire_contracts.acl import BrokerRole
from tapwire_contracts.reasons import IncidentKind, Malformation, Resolution
from tapwire_contracts.tasks import end_tasks
from tapwire_core.db.engine import Database
from tapwire_core.domain.policy import Policy
from tapwire_core.errors import Invalid
from tapwire_core.mqtt.connection import BrokerAddress
from tapwire_core.services.decision_rates import DecisionRates
from tapwire_core.services.incidents import resolve_incidents_of
from tapwire_core.services.nodes import keep_unusable
from tapwire_core.worker.worker import Intervals, Worker
from tapwire_demo.broker import Account, EmbeddedBroker
from tests.mqtt_tap import connect_tap
from tests.venue import OPERATOR, SimulatedTap, Venue

INCIDENTS, DEAD_LETTERS, DECISIONS = 3, 4, 30
PACE = Intervals(outbox_s=0.5, progress_s=0.05, database_check_s=0.1)
FLOODED = 100


@pytest.fixture
def db(db: Database) -> Database:
    """The test's database, with small budgets."""
    policy = Policy(
        device_incidents_per_hour=INCIDENTS, device_dead_letters_per_hour=DEAD_LETTERS, device_decisions_per_hour=DECISIONS
    )
    return replace(db, policy=policy)


async def test_a_flood_leaves_few_rows_and_one_urgent_incident_and_the_tap_beside_it_pours(
    venue: Venue, mosquitto: EmbeddedBroker
) -> None:
    beside, ann = await venue.another_tap("right"), await venue.guest(balance_minor=300_00)
    for each in (venue.tap, beside):
        await mosquitto.add_account(Account(str(each.path), secrets.token_urlsafe(), BrokerRole.DEVICE))
    worker = Worker(venue.db, BrokerAddress(url=mosquitto.url("core")), PACE, "core-one")
    running = asyncio.create_task(worker.run())
    try:
        async with connect_tap(mosquitto, str(venue.tap.path)) as flooder, connect_tap(mosquitto, str(beside.path)) as tap:
            await tap.core()
            for number in range(FLOODED):
                await flooder.send("card", f"nonsense {number}".encode())
                await flooder.send("card", venue.tap.question("04ffffff"))
            await tap.send("card", beside.question(ann.card_uid))
            grant = await tap.command("pour_authorized")
            await tap.send("pour/completed", beside.report(grant["pour_id"], ann.card_uid, 100))
            await tap.command("pour_settled")
            muted = await _muted(venue, at_least=2 * FLOODED - DECISIONS - 10)
    finally:
        await end_tasks(running)

    decided = await venue.db.pool.fetchval("SELECT count(*) FROM audit WHERE action = 'pour_denied'")
    kept = await venue.db.pool.fetchval("SELECT count(*) FROM dead_letters")
    assert decided <= DECISIONS + 5
    assert kept <= DEAD_LETTERS + 1
    assert muted["undecided"] + muted["dead_letters"] + muted["incidents"] == muted["muted"]
    assert {"of": "undecided", "topic": venue.tap.path.topic("card")}.items() <= muted["samples"][-1].items()
    assert len(muted["samples"]) <= 5


async def test_incidents_beyond_the_budget_are_folded_into_one_with_their_volume(venue: Venue) -> None:
    strange = [venue.tap.report(uuid4(), "04a1b2c3", 100) for _ in range(INCIDENTS + 7)]
    for report in strange:
        verdict = await venue.deliver(report)
        assert verdict.outcome == "audit_missing_pending"

    (incident,) = await venue.incidents("device_misbehaving")
    details = json.loads(str(incident["details"]))
    assert len(await venue.incidents("missing_pending")) == INCIDENTS
    assert (details["muted"], details["incidents"], details["volume_ml"], incident["occurrences"]) == (7, 7, 700, 7)
    assert len(details["samples"]) == 5
    assert details["samples"][0]["kind"] == "missing_pending"
    assert await venue.audited("sync_missing_pending") == INCIDENTS + 7
    assert await venue.audited("incident_raised") == INCIDENTS + 1


async def test_another_tap_and_the_next_hour_have_budgets_of_their_own_whatever_the_clock_says(venue: Venue) -> None:
    beside = await venue.another_tap("right")

    async def raise_one(tap: SimulatedTap) -> None:
        await venue.deliver(tap.report(uuid4(), "04a1b2c3", 100), tap)

    for _ in range(INCIDENTS + 1):
        await raise_one(venue.tap)
    await raise_one(beside)
    for shift in ("- interval '61 minutes'", "+ interval '2 days'"):
        await venue.db.pool.execute(f"UPDATE incidents SET raised_at = now() {shift}")
        await raise_one(venue.tap)

    assert len(await venue.incidents("missing_pending")) == INCIDENTS + 3
    assert len(await venue.incidents("device_misbehaving")) == 1


async def test_dead_letters_of_topics_without_a_device_share_one_budget_and_few_incidents(venue: Venue) -> None:
    for number in range(DEAD_LETTERS + 2):
        await keep_unusable(venue.db, f"tapwire/v1/X{number}/taps/y/card", b"\0%d" % number, Malformation.NOT_JSON, "no\0", None)

    assert await venue.db.pool.fetchval("SELECT count(*) FROM dead_letters") == DEAD_LETTERS
    assert len(await venue.incidents("dead_letter")) == 1
    (incident,) = await venue.incidents("device_misbehaving")
    assert json.loads(str(incident["details"]))["dead_letters"] == 2


async def test_incidents_of_one_kind_and_tap_are_ended_together_each_with_its_booking(venue: Venue) -> None:
    beside = await venue.another_tap("right")
    for tap in (venue.tap, venue.tap, beside):
        await venue.deliver(tap.report(uuid4(), "04a1b2c3", 100), tap)

    ended = await resolve_incidents_of(
        venue.db,
        OPERATOR,
        kind=IncidentKind.MISSING_PENDING,
        tap_path=str(venue.tap.path),
        resolution=Resolution.WRITTEN_OFF,
        comment="a test",
    )

    (left,) = await venue.incidents("missing_pending")
    loss = await venue.db.pool.fetchval("SELECT sum(amount_minor) FROM money_movements WHERE debit_account = 'overpour_loss'")
    assert (ended.resolved, ended.left, left["tap_path"], loss) == (2, 0, str(beside.path), 2 * 50_00)
    with pytest.raises(Invalid):
        await resolve_incidents_of(
            venue.db,
            OPERATOR,
            kind=IncidentKind.MISSING_PENDING,
            tap_path=str(beside.path),
            resolution=Resolution.CHARGED,
            comment="a test",
        )


def test_an_allowance_comes_back_with_time_and_a_batch_may_overdraw_it() -> None:
    rates = DecisionRates(3_600)

    assert all(rates.admit("tap", 0.0) for _ in range(3_600))
    assert not rates.admit("tap", 0.0)
    assert rates.admit("beside", 0.0)
    assert rates.admit("tap", 1.0, decisions=3)
    assert not rates.admit("tap", 2.0)
    assert rates.retry_after_ms("tap") == 2_000
    assert rates.admit("tap", 4.5)


async def _misbehaving(venue: Venue) -> dict[str, Any]:
    """The details of the incident; nothing is muted without one."""
    found = await venue.incidents("device_misbehaving")
    details: dict[str, Any] = json.loads(str(found[0]["details"])) if found else {"muted": 0}
    return details


async def _muted(venue: Venue, at_least: int) -> dict[str, Any]:
    """The same, once so many messages are muted."""
    async with asyncio.timeout(10):
        while (details := await _misbehaving(venue))["muted"] < at_least:
            await asyncio.sleep(0.02)
    return details
