"""A finished keg: its rest is booked once, by its finish, and its book volume stays 0 for good."""

import asyncio
import random
from uuid import UUID

import pytest

from tapwire_contracts.messages import PourAuthorized
from tapwire_core.db.engine import Database
from tapwire_core.domain.closed_sets import KegFinish, Role
from tapwire_core.domain.kegs import is_low, likely_finish
from tapwire_core.services import kegs, pour_recovery, taps
from tapwire_core.services.books import check_books
from tapwire_core.services.kegs import KegIsFinished
from tapwire_core.services.shown import ChangedMeanwhile
from tapwire_core.services.taps import KegNotLow, NoKeg
from tests.venue import KEG_ML, OPERATOR, Guest, Venue

RICH_MINOR = 10_000_000


async def finish(venue: Venue, how: KegFinish = KegFinish.KICKED, reason: str | None = "seen by the lead") -> None:
    """A shift lead takes the tap's keg off."""
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=how, reason=reason, role=Role.SHIFT_LEAD)


async def fresh_keg(venue: Venue) -> UUID:
    """A full keg in stock."""
    return await kegs.create_keg(
        venue.db, OPERATOR, venue_id=venue.venue_id, beverage_id=venue.beverage_id, initial_volume_ml=KEG_ML
    )


async def booked(venue: Venue, kind: str, keg_id: UUID | None = None) -> list[int]:
    """The volumes that were booked from a keg as this kind, in their order."""
    statement = "SELECT volume_ml FROM stock_movements WHERE keg_id = $1 AND kind = $2 ORDER BY movement_id"
    return [row["volume_ml"] for row in await venue.db.pool.fetch(statement, keg_id or venue.keg_id, kind)]


async def test_a_kicked_keg_books_its_rest_as_yield_loss_and_is_empty(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=RICH_MINOR)
    await venue.report(await venue.grant(ann), 400)

    await finish(venue)

    assert await booked(venue, "yield_loss") == [KEG_ML - 400]
    assert await venue.keg_ml() == 0
    row = await venue.db.pool.fetchrow("SELECT * FROM kegs WHERE keg_id = $1", venue.keg_id)
    assert (row["status"], row["finish"], row["finished_at"] is not None, row["on_tap_since"]) == ("retired", "kicked", True, None)
    await venue.books_balance()


@pytest.mark.parametrize(("how", "kind"), [(KegFinish.SPOILED, "spoiled"), (KegFinish.RETURNED, "returned")])
async def test_what_is_spoiled_or_returned_is_booked_as_that_with_its_reason(venue: Venue, how: KegFinish, kind: str) -> None:
    await finish(venue, how, "sour")

    row = await venue.db.pool.fetchrow("SELECT * FROM stock_movements WHERE keg_id = $1", venue.keg_id)
    assert (row["kind"], row["volume_ml"], row["reason"], row["tap_path"]) == (kind, KEG_ML, "sour", "bar/taps/left")
    assert row["shift_id"] is not None
    await venue.books_balance()


async def test_a_keg_that_gave_more_than_it_had_has_a_negative_yield_loss(venue: Venue) -> None:
    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, KEG_ML + 300, "a big keg")

    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=KegFinish.KICKED)

    assert await booked(venue, "yield_loss") == [-300]
    assert await venue.keg_ml() == 0
    await venue.books_balance()


async def test_the_rest_is_booked_when_the_last_pending_pour_has_ended(venue: Venue) -> None:
    ann, bob = await venue.guest(balance_minor=RICH_MINOR), await venue.guest(balance_minor=RICH_MINOR)
    first = await venue.grant(ann)
    right = await venue.another_tap("right")
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path)
    await taps.put_keg(venue.db, OPERATOR, right.path, venue.keg_id)
    second = await venue.grant(bob, right)
    await taps.take_keg_off(venue.db, OPERATOR, right.path, finish=KegFinish.KICKED, reason="foam only", role=Role.SHIFT_LEAD)
    assert await booked(venue, "yield_loss") == []

    await venue.report(first, 300)
    assert (await booked(venue, "yield_loss"), await venue.keg_ml()) == ([], KEG_ML - 300)
    await venue.report(second, 200, right)

    assert await booked(venue, "yield_loss") == [KEG_ML - 500]
    assert await venue.keg_ml() == 0
    await venue.books_balance()


async def test_a_pending_pour_that_is_voided_books_the_rest_too(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=RICH_MINOR)
    grant = await venue.grant(ann)
    await finish(venue)
    assert await venue.keg_ml() == KEG_ML

    await pour_recovery.force_unlock(venue.db, OPERATOR, ann.visit_id, reason="the node burnt", pour_id=grant.pour_id)

    assert await booked(venue, "yield_loss") == [KEG_ML]
    await venue.books_balance()


async def test_a_late_report_takes_the_yield_loss_back_and_overdraws_nothing(venue: Venue) -> None:
    ann = await venue.guest(balance_minor=RICH_MINOR)
    grant = await venue.grant(ann)
    await pour_recovery.force_unlock(venue.db, OPERATOR, ann.visit_id, reason="no report came", pour_id=grant.pour_id)
    await finish(venue)

    verdict = await venue.report(grant, 350)

    assert verdict.outcome == "audit_late_mismatch" or verdict.outcome == "audit_late_recorded"
    assert await booked(venue, "yield_loss") == [KEG_ML, -350]
    assert await venue.keg_ml() == 0
    assert await venue.incidents("keg_overdrawn") == []
    await venue.books_balance()


async def test_a_correction_of_a_finished_keg_is_balanced_at_once(venue: Venue) -> None:
    await finish(venue, KegFinish.SPOILED)

    assert await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, 500, "it was line cleaning") == 0
    assert await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, -200, "recounted") == 0

    assert await booked(venue, "spoiled") == [KEG_ML, -500, 200]
    assert await venue.incidents("keg_overdrawn") == []
    await venue.books_balance()


async def test_a_keg_that_comes_back_keeps_when_it_was_tapped(venue: Venue) -> None:
    first = await venue.db.pool.fetchrow("SELECT tapped_at, on_tap_since FROM kegs WHERE keg_id = $1", venue.keg_id)
    fresh = await fresh_keg(venue)
    await taps.put_keg(venue.db, OPERATOR, venue.tap.path, fresh)
    await venue.db.pool.execute("UPDATE kegs SET on_tap_before_s = on_tap_before_s + 3600 WHERE keg_id = $1", venue.keg_id)
    off = await venue.db.pool.fetchrow("SELECT * FROM kegs WHERE keg_id = $1", venue.keg_id)
    assert (off["finish"], off["finished_at"], off["status"], off["on_tap_since"]) == ("swapped", None, "in_stock", None)

    await taps.put_keg(venue.db, OPERATOR, venue.tap.path, venue.keg_id)

    back = await venue.db.pool.fetchrow("SELECT * FROM kegs WHERE keg_id = $1", venue.keg_id)
    assert (back["tapped_at"], back["finish"], back["on_tap_before_s"]) == (first["tapped_at"], None, off["on_tap_before_s"])
    assert back["on_tap_since"] > first["on_tap_since"]
    assert await venue.keg_ml() == KEG_ML


async def test_a_keg_that_is_not_low_takes_a_shift_lead_and_a_reason(venue: Venue) -> None:
    for how in (KegFinish.KICKED, KegFinish.SPOILED):
        for role, reason in ((Role.OPERATOR, "empty"), (Role.SHIFT_LEAD, None)):
            with pytest.raises(KegNotLow) as refused:
                await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=how, reason=reason, role=role)
            assert refused.value.facts["left_ml"] == KEG_ML
    assert await venue.keg_ml() == KEG_ML

    await kegs.correct_stock(venue.db, OPERATOR, venue.keg_id, KEG_ML * 85 // 100, "sold elsewhere")
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path, finish=KegFinish.KICKED)

    assert await booked(venue, "yield_loss") == [KEG_ML * 15 // 100]


async def test_the_keg_that_comes_off_must_be_the_expected_one(venue: Venue) -> None:
    fresh, other = await fresh_keg(venue), await fresh_keg(venue)
    path = venue.tap.path
    with pytest.raises(ChangedMeanwhile):
        await taps.put_keg(venue.db, OPERATOR, path, fresh, expected_keg_id=other)
    with pytest.raises(ChangedMeanwhile):
        await taps.take_keg_off(venue.db, OPERATOR, path, expected_keg_id=other)

    for _ in range(2):  # the same again changes nothing
        await taps.put_keg(venue.db, OPERATOR, path, fresh, finish=KegFinish.RETURNED, expected_keg_id=venue.keg_id)
    with pytest.raises(ChangedMeanwhile):
        await taps.put_keg(venue.db, OPERATOR, path, fresh, finish=KegFinish.SPOILED, expected_keg_id=venue.keg_id)
    with pytest.raises(ChangedMeanwhile):
        await taps.put_keg(venue.db, OPERATOR, path, fresh, expected_keg_id=fresh)
    await taps.take_keg_off(venue.db, OPERATOR, path, expected_keg_id=fresh)

    with pytest.raises(NoKeg):
        await taps.take_keg_off(venue.db, OPERATOR, path, finish=KegFinish.RETURNED)
    with pytest.raises(NoKeg):
        await taps.put_keg(venue.db, OPERATOR, path, other, finish=KegFinish.RETURNED)
    with pytest.raises(NoKeg):
        await taps.take_keg_off(venue.db, OPERATOR, path)
    assert await booked(venue, "returned") == [KEG_ML]


async def test_a_finished_keg_comes_neither_back_into_stock_nor_onto_a_tap(venue: Venue) -> None:
    await finish(venue, KegFinish.RETURNED)

    with pytest.raises(KegIsFinished):
        await kegs.restock_keg(venue.db, OPERATOR, venue.keg_id)
    with pytest.raises(taps.KegNotUsable):
        await taps.put_keg(venue.db, OPERATOR, venue.tap.path, venue.keg_id)


@pytest.mark.parametrize("seed", range(3))
async def test_a_report_and_the_finish_of_its_keg_at_once_end_in_the_same_books(venue: Venue, seed: int) -> None:
    guests = [await venue.guest(balance_minor=RICH_MINOR) for _ in range(2)]
    right = await venue.another_tap("right")
    grants = [(await venue.grant(guests[0]), venue.tap)]
    await taps.take_keg_off(venue.db, OPERATOR, venue.tap.path)
    await taps.put_keg(venue.db, OPERATOR, right.path, venue.keg_id)
    grants.append((await venue.grant(guests[1], right), right))
    off = taps.take_keg_off(venue.db, OPERATOR, right.path, finish=KegFinish.KICKED, reason="warm", role=Role.SHIFT_LEAD)
    work = [off, *(venue.report(grant, 250, tap) for grant, tap in grants)]
    random.Random(seed).shuffle(work)

    await asyncio.gather(*work)

    assert await booked(venue, "yield_loss") == [KEG_ML - 500]
    assert await venue.keg_ml() == 0
    await venue.books_balance()


@pytest.mark.parametrize("seed", range(3))
async def test_a_finished_keg_is_empty_whatever_facts_come_in_whatever_order(venue: Venue, seed: int) -> None:
    chance = random.Random(seed)
    guests = [await venue.guest(balance_minor=RICH_MINOR) for _ in range(3)]
    pending: list[tuple[Guest, PourAuthorized]] = []
    ended: list[PourAuthorized] = []

    async def step(db: Database) -> None:
        match chance.choice(("grant", "report", "unlock", "late", "correct", "leak", "kick", "swap")):
            case "grant" if not pending and await _has_keg(db):
                guest = chance.choice(guests)
                pending.append((guest, await venue.grant(guest)))
            case "report" if pending:
                _, grant = pending.pop()
                await venue.report(grant, chance.randrange(1, 900))
                ended.append(grant)
            case "unlock" if pending:
                guest, grant = pending.pop()
                await pour_recovery.force_unlock(db, OPERATOR, guest.visit_id, reason="stuck", pour_id=grant.pour_id)
                ended.append(grant)
            case "late" if ended:
                await venue.report(chance.choice(ended), chance.randrange(1, 900))
            case "correct":
                await kegs.correct_stock(db, OPERATOR, venue.keg_id, chance.choice((-70, 90)), "recounted")
            case "leak":
                await venue.idle()
                venue.tap.odometer_ml += chance.randrange(0, 40)
                await venue.idle()
            case "kick" if await _has_keg(db):
                how = chance.choice((KegFinish.KICKED, KegFinish.SPOILED, KegFinish.RETURNED))
                fresh = await fresh_keg(venue)
                await taps.put_keg(db, OPERATOR, venue.tap.path, fresh, finish=how, reason="done", role=Role.SHIFT_LEAD)
            case "swap" if await _has_keg(db):
                await taps.put_keg(db, OPERATOR, venue.tap.path, await fresh_keg(venue))
            case _:
                pass

    for _ in range(40):
        await step(venue.db)
        assert await check_books(venue.db) == []
    finished = await venue.db.pool.fetchval("SELECT count(*) FROM kegs WHERE finished_at IS NOT NULL")
    assert finished > 0


async def _has_keg(db: Database) -> bool:
    return bool(await db.pool.fetchval("SELECT keg_id IS NOT NULL FROM taps"))


async def test_the_check_finds_a_finished_keg_whose_rest_is_not_booked_or_booked_otherwise(venue: Venue) -> None:
    await finish(venue)
    pool = venue.db.pool
    moved = (
        "INSERT INTO stock_movements (keg_id, kind, volume_ml, venue_id, actor) VALUES ($1, 'correction', $2, 'bar', 'somebody')"
    )
    await pool.execute(moved, venue.keg_id, 10)
    await pool.execute("UPDATE kegs SET book_volume_ml = -10, finish = 'returned' WHERE keg_id = $1", venue.keg_id)

    rules = {difference.rule for difference in await check_books(venue.db)}

    assert rules == {"a finished keg without a pending pour is empty", "only a finished keg has what its finish books"}
    await pool.execute(moved, venue.keg_id, -10)
    await pool.execute("UPDATE kegs SET book_volume_ml = 0, finish = 'kicked' WHERE keg_id = $1", venue.keg_id)
    await venue.books_balance()


def test_a_low_keg_was_likely_kicked_and_another_one_is_kept() -> None:
    assert is_low(7_500, 50_000, 15)
    assert not is_low(7_501, 50_000, 15)
    assert likely_finish(7_500, 50_000, 15) is KegFinish.KICKED
    assert likely_finish(7_501, 50_000, 15) is KegFinish.SWAPPED
