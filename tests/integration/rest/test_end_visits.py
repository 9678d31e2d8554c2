"""Everyone home: closing a shift with all its visits, beside grants, reports and visits that come at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg

from tapwire_contracts.reasons import DenyReason
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import check_outs, guests, shifts, visits
from tapwire_core.services.money import ShiftClosed
from tests.rest import Rest, done, refusal
from tests.venue import OPERATOR, Venue

LOCK_VISIT: Final = "SELECT FROM visits WHERE visit_id = $1 FOR NO KEY UPDATE"


@asynccontextmanager
async def held(venue: Venue, statement: str, *values: object) -> AsyncIterator[asyncpg.Connection]:
    """A second connection that holds the rows that a statement locks until the block ends."""
    async with venue.db.pool.acquire() as connection, connection.transaction():
        await connection.execute(statement, *values)
        yield connection


async def until_waiting(venue: Venue, holder: asyncpg.Connection, *, count: int = 1) -> None:
    """Wait until so many transactions wait, one of them for this one."""
    pids = "SELECT pg_blocking_pids(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while True:
        blockers = [row[0] for row in await venue.db.pool.fetch(pids)]
        if len(blockers) >= count and any(holder.get_server_pid() in pids for pids in blockers):
            return


async def open_visit(venue: Venue) -> UUID:
    """Open a visit by a statement, past all locks."""
    guest_id = await guests.create_guest(venue.db, OPERATOR, first_name="Bob", age_checked=True)
    visit_id: UUID = await venue.db.pool.fetchval(
        """INSERT INTO visits (visit_id, venue_id, guest_id, opened_by) VALUES (gen_random_uuid(), 'bar', $1, 'ann')
           RETURNING visit_id""",
        guest_id,
    )
    return visit_id


async def test_a_shift_closes_with_all_its_visits_in_one_request(rest: Rest, venue: Venue) -> None:
    inside = [await venue.guest(balance_minor=10_00) for _ in range(9)]
    await venue.report(await venue.grant(inside[0]), 10)
    refusal(await rest.operator.post("/api/shifts/close", json={"end_visits": True}), 403, "role_required")

    closed = done(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}))

    ended = await venue.db.pool.fetch(
        """SELECT details, subjects FROM audit WHERE action = 'visit_closed' AND actor = 'shift_lead' AND venue_id = 'bar'"""
    )
    assert {entry["subjects"][0] for entry in ended} == {str(guest.visit_id) for guest in inside}
    assert {entry["details"] for entry in ended} == {f'{{"shift_id": "{closed["shift_id"]}"}}'}
    visit = done(await rest.operator.get(f"/api/visits/{inside[1].visit_id}"))
    assert (visit["status"], visit["card_status"]) == ("closed", "bound")
    assert [await venue.balance(guest) for guest in inside[:2]] == [(5_00, 0), (10_00, 0)]
    assert await venue.denial(inside[2]) is DenyReason.SHIFT_CLOSED
    await venue.books_balance()


async def test_pending_pours_refuse_the_whole_with_their_list(rest: Rest, venue: Venue) -> None:
    ann, _ = [await venue.guest(balance_minor=10_00) for _ in range(2)]
    grant = await venue.grant(ann)

    problem = refusal(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}), 409, "shift_in_use")

    assert ([pour["pour_id"] for pour in problem["pending_pours"]], problem["active_visits"]) == ([str(grant.pour_id)], [])
    assert (problem["active_visit_count"], problem["pending_pour_count"]) == (0, 1)
    assert await venue.audited("visit_closed") == 0
    await venue.report(grant, 10)
    done(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}))


async def test_a_visit_that_is_opened_at_that_moment_is_closed_too(venue: Venue) -> None:
    """The visit commits when the closing already has the visits that it saw, and waits for the shift."""
    await venue.guest()
    async with held(venue, "SELECT FROM shifts WHERE status = 'open' FOR SHARE") as opening:
        closing = asyncio.ensure_future(shifts.close_shift(venue.db, OPERATOR, "bar", end_visits=True))
        await until_waiting(venue, opening)
        await open_visit(venue)
    shift_id = await closing

    rows = await venue.db.pool.fetch("SELECT status, ended_by_shift_id FROM visits")
    assert [tuple(row) for row in rows] == [("closed", shift_id)] * 2


async def test_visits_that_keep_coming_are_busy_and_nothing_is_done(venue: Venue, rest: Rest) -> None:
    """Each attempt waits for a visit, and another is opened meanwhile."""
    locked = (await venue.guest()).visit_id
    async with AsyncExitStack() as first:
        stack = first
        holder = await stack.enter_async_context(held(venue, LOCK_VISIT, locked))
        closing = asyncio.create_task(rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}))
        for _ in range(shifts.LOCK_ATTEMPTS):
            await until_waiting(venue, holder)
            newcomer = await open_visit(venue)
            following = AsyncExitStack()
            holder = await following.enter_async_context(held(venue, LOCK_VISIT, newcomer))
            await stack.aclose()
            stack = following
        problem = refusal(await closing, 503, "busy")
        await stack.aclose()

    assert problem["retry_after_ms"] == 1_000
    assert await venue.db.pool.fetchval("SELECT count(*) FROM visits WHERE status = 'active'") == 1 + shifts.LOCK_ATTEMPTS
    done(await rest.shift_lead.post("/api/shifts/close", json={"end_visits": True}))


async def test_a_grant_that_comes_while_the_shift_closes_is_denied(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=100_00)
    async with held(venue, "SELECT FROM shifts WHERE status = 'open' FOR SHARE") as holder:
        closing = asyncio.ensure_future(shifts.close_shift(venue.db, OPERATOR, "bar", end_visits=True))
        await until_waiting(venue, holder)
        asking = asyncio.create_task(venue.denial(ann))
        await until_waiting(venue, holder, count=2)
    await closing

    assert await asking is DenyReason.SHIFT_CLOSED
    await venue.books_balance()


async def test_closings_grants_reports_and_openings_at_once_end_without_a_deadlock(venue: Venue) -> None:
    tap = await venue.another_tap("right")
    inside = [await venue.guest(balance_minor=100_00) for _ in range(4)]
    grant = await venue.grant(inside[0])
    newcomers = [await guests.create_guest(venue.db, OPERATOR, first_name="Bob", age_checked=True) for _ in range(3)]
    report = venue.tap.report(grant.pour_id, grant.card_uid, 50)

    async def opening(number: int) -> None:
        await visits.open_and_assign_card(venue.db, OPERATOR, "bar", newcomers[number], f"04ffff{number:02x}")

    ended = await asyncio.gather(
        opening(0),
        venue.ask(tap.question(inside[1].card_uid), tap),
        shifts.close_shift(venue.db, OPERATOR, "bar", end_visits=True),
        venue.deliver(report),
        opening(1),
        visits.close_visit(venue.db, OPERATOR, inside[2].visit_id),
        opening(2),
        return_exceptions=True,
    )

    unexpected = [one for one in ended if isinstance(one, Exception) and not isinstance(one, shifts.ShiftInUse | ShiftClosed)]
    assert unexpected == []
    active, is_open = await venue.db.pool.fetchrow(
        """SELECT (SELECT count(*) FROM visits WHERE status = 'active'), (SELECT count(*) FROM shifts WHERE status = 'open')"""
    )
    assert is_open or not active
    await venue.books_balance()


async def test_a_check_out_and_the_close_wait_for_each_other_at_the_visit(venue: Venue) -> None:
    """Both take the visit's row before the shift's: the one that gets it first is done first, and nobody is stuck."""
    ann = await venue.guest(balance_minor=10_00)
    wish = CheckOutWish(payout=PaymentMethod.CASH, card_returned=True)
    async with held(venue, LOCK_VISIT, ann.visit_id) as holder:
        closing = asyncio.ensure_future(shifts.close_shift(venue.db, OPERATOR, "bar", end_visits=True))
        await until_waiting(venue, holder)
        leaving = asyncio.ensure_future(check_outs.check_out(venue.db, OPERATOR, ann.visit_id, wish))
        await until_waiting(venue, holder, count=2)
    ended = await asyncio.gather(closing, leaving, return_exceptions=True)

    assert isinstance(ended[0], UUID)
    assert isinstance(ended[1], UUID | ShiftClosed)
    paid_out = await venue.audited("refund")
    assert await venue.balance(ann) == ((1 - paid_out) * 10_00, 0)
    assert await venue.audited("visit_closed") == 1
    await venue.books_balance()
