"""Random evenings: whatever happens at the taps, a shift's report adds up to what flowed and to what was paid."""

import random
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import msgspec
import pytest

from tapwire_contracts.messages import PourAuthorized
from tapwire_contracts.reasons import Resolution
from tapwire_core.db.engine import Database
from tapwire_core.db.views.shift_reports import ShiftReport, Totals, sum_up_shift
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import PaymentMethod, Role
from tapwire_core.services import kegs, money
from tapwire_core.services.beverages import change_beverage
from tapwire_core.services.books import check_books
from tapwire_core.services.incidents import resolve_incident
from tapwire_core.services.pour_recovery import force_unlock, reconcile_pour
from tapwire_core.services.visits import PourPending
from tests.venue import KEG_ML, OPERATOR, Guest, SimulatedTap, Venue

HAPPENINGS = 30
FINISHED = ("yield_loss_ml", "spoiled_ml", "returned_ml")
PARTS = ("sold_ml", "written_off_ml", "rejected_ml", "unattributed_ml", "corrected_ml", "line_cleaning_ml", *FINISHED)
"""The volumes that a report keeps apart."""
BALANCES_MINOR = (20_00, 50_00, 100_00, 500_00)


@dataclass
class Evening:
    """An evening as dice make it; `pending` are the pours that no report has come for."""

    venue: Venue
    dice: random.Random
    taps: list[SimulatedTap]
    guests: list[Guest] = field(default_factory=list)
    pending: list[tuple[PourAuthorized, Guest, SimulatedTap]] = field(default_factory=list)

    async def go_on(self) -> None:
        """One thing happens."""
        happenings = (self.come, self.pour, self.pour, self.pour, self.end_one, self.end_one, self.clean, self.correct)
        await self.dice.choice((*happenings, self.give, self.undo, self.tax, self.resolve))()

    async def come(self) -> None:
        """A guest comes, with more money or less."""
        self.guests.append(await self.venue.guest(self.dice.choice(BALANCES_MINOR)))

    async def pour(self) -> None:
        """A guest lays the card on a tap, which may refuse."""
        await self.venue.db.pool.execute("UPDATE taps SET status = 'active'")
        tap, guest = self.dice.choice(self.taps), self.dice.choice(self.guests)
        answer = await self.venue.ask(tap.question(guest.card_uid, unsettled=tuple(self._unsettled(tap))), tap)
        if isinstance(answer, PourAuthorized):
            self.pending.append((answer, guest, tap))

    def _unsettled(self, tap: SimulatedTap) -> Iterable[UUID]:
        return (grant.pour_id for grant, _, at in self.pending if at is tap)

    async def end_one(self) -> None:
        """A pour ends: reported as granted, or with more, or with nothing; by hand; or not as the one that was granted."""
        if not self.pending:
            return
        grant, guest, tap = self.pending.pop(self.dice.randrange(len(self.pending)))
        most = grant.max_volume_ml
        match self.dice.randrange(6):
            case 0:
                await reconcile_pour(self.venue.db, OPERATOR, guest.visit_id, volume_ml=self.dice.randint(0, most), reason="seen")
            case 1:
                await force_unlock(self.venue.db, OPERATOR, guest.visit_id, reason="dead")
                await self.venue.report(grant, self.dice.choice((0, 7, 120)), tap)
            case 2:
                await self.venue.report(grant, most + self.dice.choice((1, 40, 51, 300)), tap)
            case 3:
                unknown = msgspec.structs.replace(grant, pour_id=uuid4())
                await self.venue.report(unknown, 33, tap)
                await self.venue.report(grant, 0, tap)
            case _:
                await self.venue.report(grant, self.dice.randint(0, most), tap)

    async def clean(self) -> None:
        """The lines are cleaned."""
        cleaned_ml = self.dice.randint(1, 500)
        await kegs.book_line_cleaning(self.venue.db, OPERATOR, Role.SHIFT_LEAD, self.venue.keg_id, cleaned_ml, "Monday")

    async def correct(self) -> None:
        """Somebody weighs the keg, and gives a guest money back."""
        volume_ml = self.dice.choice((-200, -1, 1, 90))
        await kegs.correct_stock(self.venue.db, OPERATOR, self.venue.keg_id, volume_ml, "weighed")
        guest = self.dice.choice(self.guests)
        await money.adjust(self.venue.db, OPERATOR, guest.guest_id, 1_00, "sorry")

    async def give(self) -> None:
        """A guest gets a beer on the house, perhaps for a pour, or pays for a broken glass."""
        guest, db = self.dice.choice(self.guests), self.venue.db
        pour_id = await db.pool.fetchval("SELECT pour_id FROM pours WHERE guest_id = $1 ORDER BY pour_id LIMIT 1", guest.guest_id)
        await money.comp(db, OPERATOR, guest.guest_id, self.dice.randint(1, 30_00), "sorry", self.dice.choice((pour_id, None)))
        if pour_id is not None:
            await money.adjust(db, OPERATOR, guest.guest_id, self.dice.choice((1, 9_00)), "flat", pour_id)
        with suppress(money.InsufficientFunds):
            await money.adjust(db, OPERATOR, guest.guest_id, -3_33, "a glass")

    async def undo(self) -> None:
        """A top-up of the wrong amount is taken back by somebody."""
        guest, other = self.dice.choice(self.guests), Actor(self.dice.choice(("test-operator", "lead")))
        booked = await money.top_up(self.venue.db, OPERATOR, guest.guest_id, 77_00, self.dice.choice(list(PaymentMethod)))
        with suppress(money.NotRefundable):
            await money.reverse_top_up(self.venue.db, other, Role.SHIFT_LEAD, guest.guest_id, booked.movement_id, "typo")

    async def tax(self) -> None:
        """A rate changes, or is no longer stated."""
        rate = self.dice.choice((None, 0, 700, 1_900, 10_000))
        await change_beverage(self.venue.db, OPERATOR, self.venue.beverage_id, tax_rate_bp=rate)

    async def resolve(self) -> None:
        """Somebody looks at an incident, and some guest pays, or gets money back, or nobody does."""
        incident_id = await self.venue.db.pool.fetchval(
            "SELECT incident_id FROM incidents WHERE status <> 'resolved' AND kind <> 'volume_gap' ORDER BY raised_at LIMIT 1"
        )
        if incident_id is not None:
            with suppress(PourPending):
                await resolve_incident(
                    self.venue.db,
                    OPERATOR,
                    incident_id,
                    resolution=self.dice.choice((Resolution.CHARGED, Resolution.WRITTEN_OFF, Resolution.CORRECTED)),
                    comment="looked",
                    amount_minor=self.dice.randint(1, 40_00),
                    visit_id=self.dice.choice(self.guests).visit_id,
                )


@pytest.mark.parametrize("seed", range(6))
async def test_a_report_adds_up_to_what_left_the_kegs_and_to_what_was_paid(db: Database, seed: int) -> None:
    venue = await Venue.open(db)
    evening = Evening(venue, random.Random(seed), [venue.tap, await venue.another_tap("right")])
    await evening.come()
    for _ in range(HAPPENINGS):
        await evening.go_on()

    shift_id = await db.pool.fetchval("SELECT shift_id FROM shifts")
    report = await sum_up_shift(db, shift_id)

    assert report is not None
    assert report.till is not None
    totals, till = report.totals, report.till
    assert totals.flowed_ml == sum(getattr(totals, part) for part in PARTS)
    assert totals.flowed_ml == 2 * KEG_ML - await db.pool.fetchval("SELECT sum(book_volume_ml)::bigint FROM kegs")
    assert totals.sold_ml == await db.pool.fetchval(
        "SELECT coalesce(sum(volume_ml), 0)::bigint FROM stock_movements WHERE kind = 'sale'"
    )
    balances_minor = await db.pool.fetchval("SELECT sum(balance_minor)::bigint FROM guests")
    paid_minor = till.top_ups_minor - till.refunds_minor - till.reversals_minor
    assert balances_minor == paid_minor + till.adjustments_minor + till.comps_minor - totals.sold_minor
    assert sum(row.gross_minor for row in report.tax) == totals.sold_minor
    assert all(row.net_minor is None or row.net_minor + (row.tax_minor or 0) == row.gross_minor for row in report.tax)
    assert await check_books(db) == []
    assert totals.pending_pours == len(evening.pending)
    assert totals.pending_hold_minor == await db.pool.fetchval("SELECT sum(held_minor)::bigint FROM guests")
    assert totals.pending_max_ml == sum(grant.max_volume_ml for grant, _, _ in evening.pending)
    _is_the_sum_of_its_parts(report)


def _is_the_sum_of_its_parts(report: ShiftReport) -> None:
    """Rows by tap, beverage and operator add up to the total."""
    assert report.by_operator is not None
    assert report.by_method is not None
    for name in Totals.__struct_fields__:
        whole = getattr(report.totals, name)
        assert sum(getattr(part, name) for part in report.by_tap.values()) == whole, name
        assert sum(getattr(part, name) for part in report.by_beverage.values()) == whole, name
    assert report.by_operator is not None
    assert report.by_method is not None
    for name in ("top_ups_minor", "refunds_minor", "reversals_minor", "adjustments_minor", "comps_minor"):
        assert sum(getattr(part, name) for part in report.by_operator.values()) == getattr(report.till, name), name
    for name in ("top_ups_minor", "refunds_minor", "reversals_minor"):
        assert sum(getattr(part, name) for part in report.by_method.values()) == getattr(report.till, name), name
    assert set(report.by_method) <= set(PaymentMethod)
