"""A row that somebody holds: who wants it is told soon, and nobody else waits, least of all whoever closes a valve."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tapwire_core.db import engine
from tapwire_core.db.engine import POOL_SIZE, Database
from tapwire_core.domain.policy import Policy
from tests.rest import Rest, done, refusal, with_key
from tests.venue import Guest, Venue

SOON_S: Final = 10.0
PATIENT_MS: Final = 60_000


@asynccontextmanager
async def held(db: Database, guest: Guest) -> AsyncIterator[None]:
    """Somebody's transaction that does not come to its end."""
    async with db.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM guests WHERE guest_id = $1 FOR UPDATE", guest.guest_id)
        yield


async def test_a_booking_on_a_held_account_is_told_to_come_again_and_then_books_once(
    db: Database, database_url: str, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ROW_LOCK_TIMEOUT_MS", 50)
    ann = await venue.guest()
    path, once = f"/api/guests/{ann.guest_id}/top-ups", with_key()
    body = {"amount_minor": 5_00, "method": "cash"}
    async with Database.open(database_url, Policy()) as impatient, Rest.open(impatient) as rest:
        async with held(db, ann):
            refused = await rest.operator.post(path, json=body, headers=once)
        refusal(refused, 503, "busy")
        assert refused.headers["Retry-After"] == "1"

        for _ in range(2):
            done(await rest.operator.post(path, json=body, headers=once), 201)

    assert await venue.balance(ann) == (5_00, 0)
    await venue.books_balance()


async def test_taps_are_stopped_and_locked_at_once_however_many_bookings_wait(
    db: Database, database_url: str, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ROW_LOCK_TIMEOUT_MS", PATIENT_MS)
    ann = await venue.guest()
    path, change = f"/api/guests/{ann.guest_id}", {"last_name": "Lee"}
    async with Database.open(database_url, Policy()) as patient, Rest.open(patient) as rest:
        async with held(db, ann):
            waiting = [asyncio.create_task(rest.operator.patch(path, json=change)) for _ in range(2 * POOL_SIZE)]
            while patient.pool.get_idle_size() or patient.pool.get_size() < POOL_SIZE:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(SOON_S):
                why = {"reason": "a hose burst"}
                done(await rest.operator.post("/api/taps/bar/left/stop", json=why, headers=with_key()))
                done(await rest.operator.patch("/api/taps/bar/left", json={"status": "locked", **why}))
                done(await rest.operator.post("/api/venues/bar/emergency-stop", json={"on": True, **why}))
            assert not any(task.done() for task in waiting)
        assert [(await task).status_code for task in waiting] == [200] * len(waiting)
