"""Random evenings with erasures at any moment: the books balance, and who was erased is nobody."""

import random
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from tapwire_contracts.messages import PourAuthorized
from tapwire_contracts.reasons import Resolution
from tapwire_core.domain.check_outs import CheckOutWish
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.errors import DomainError
from tapwire_core.services import cards, check_outs, guest_erasures, guests, incidents, money, pour_recovery, venues, visits
from tests.thoroughness import short_or_long
from tests.venue import OPERATOR, Venue

STEPS = 100
OF_THOSE_THERE = 0.8
"""Share of the events that are of guests who were not erased."""
SEEDS = range(short_or_long(3, 20))
NAMES = ("Zoraya", "Vicentico", "Torvaldina")


@dataclass
class Chance:
    """People and guests who do anything at any time; each step may be refused, and then nothing was done."""

    venue: Venue
    dice: random.Random
    guests: list[UUID] = field(default_factory=list)
    pours: dict[UUID, PourAuthorized] = field(default_factory=dict)
    erased: set[UUID] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)

    async def step(self) -> None:
        """One of the evening's events."""
        there = [guest_id for guest_id in self.guests if guest_id not in self.erased]
        guest_id = self.dice.choice(there if self.dice.random() < OF_THOSE_THERE else self.guests)
        actions = [
            self.pay,
            self.give_back,
            self.come,
            self.pour,
            self.report,
            self.report,
            self.go,
            self.lose,
            self.resolve,
            self.erase,
        ]
        try:
            await self.dice.choice(actions)(guest_id)
        except DomainError as refused:
            self.refused.append(refused.code)

    async def pay(self, guest_id: UUID) -> None:
        """Money comes, as a top-up or as a present."""
        minor = self.dice.randint(1, 100_00)
        if self.dice.random() < 0.7:
            await money.top_up(self.venue.db, OPERATOR, guest_id, minor, PaymentMethod.CASH, "bar")
        else:
            await money.comp(self.venue.db, OPERATOR, guest_id, minor, "x", venue_id="bar")

    async def give_back(self, guest_id: UUID) -> None:
        """Money goes, as a refund of all or as a correction."""
        found = await self.venue.db.pool.fetchrow("SELECT * FROM guests WHERE guest_id = $1", guest_id)
        available = found["balance_minor"] - found["held_minor"]
        if self.dice.random() < 0.5 and available > found["house_credit_minor"]:
            minor = available - found["house_credit_minor"]
            await money.refund(self.venue.db, OPERATOR, guest_id, minor, PaymentMethod.CASH, "x", "bar")
        elif available:
            await money.adjust(self.venue.db, OPERATOR, guest_id, -available, "x")

    async def come(self, guest_id: UUID) -> None:
        """A visit with a card begins."""
        card = f"04a{self.dice.randrange(16**5):05x}"
        await visits.open_and_assign_card(self.venue.db, OPERATOR, "bar", guest_id, card)

    async def pour(self, guest_id: UUID) -> None:
        """The guest's card lies on the tap."""
        card = await self.venue.db.pool.fetchval("SELECT card_uid FROM visits WHERE guest_id = $1 AND status = 'active'", guest_id)
        if card is not None:
            answer = await self.venue.ask(self.venue.tap.question(card))
            if isinstance(answer, PourAuthorized):
                self.pours[answer.pour_id] = answer

    async def report(self, _: UUID) -> None:
        """A pour is reported: within its grant, over it, or once more."""
        if self.pours:
            pour = self.dice.choice(list(self.pours.values()))
            await self.venue.report(pour, self.dice.choice([0, 1, pour.max_volume_ml, pour.max_volume_ml + 90]))

    async def go(self, guest_id: UUID) -> None:
        """The visit ends, checked out or closed, with its pour voided if need be."""
        visit_id = await self.venue.db.pool.fetchval(
            "SELECT visit_id FROM visits WHERE guest_id = $1 AND status = 'active'", guest_id
        )
        if visit_id is None:
            return
        if self.dice.random() < 0.5:
            wish = CheckOutWish(
                payout=PaymentMethod.CASH, card_returned=self.dice.random() < 0.5, despite_incidents=True, reason="x"
            )
            await check_outs.check_out(self.venue.db, OPERATOR, visit_id, wish)
        else:
            await visits.void_and_close_visit(self.venue.db, OPERATOR, visit_id, None, "x")

    async def lose(self, guest_id: UUID) -> None:
        """A card is lost, or retired."""
        card = await self.venue.db.pool.fetchval("SELECT card_uid FROM cards WHERE guest_id = $1", guest_id)
        if card is not None:
            await self.dice.choice([cards.report_card_lost, cards.retire_card])(self.venue.db, OPERATOR, card, "x")

    async def resolve(self, _: UUID) -> None:
        """An incident ends in one way or another."""
        found = await self.venue.db.pool.fetch("SELECT incident_id FROM incidents WHERE status <> 'resolved'")
        if found:
            incident_id = self.dice.choice(found)["incident_id"]
            resolution = self.dice.choice(list(Resolution))
            await incidents.resolve_incident(
                self.venue.db, OPERATOR, incident_id, resolution=resolution, comment="x", amount_minor=5
            )

    async def erase(self, guest_id: UUID) -> None:
        """Somebody asks to be forgotten."""
        await guest_erasures.erase_guest(self.venue.db, OPERATOR, guest_id, "x")
        self.erased.add(guest_id)

    async def settle(self, guest_id: UUID) -> None:
        """Everything of a guest is ended as people do: pour, visit, cards, money, incidents."""
        db = self.venue.db
        visit_id = await db.pool.fetchval("SELECT visit_id FROM visits WHERE guest_id = $1 AND status = 'active'", guest_id)
        if visit_id is not None:
            pending = await db.pool.fetchval(
                "SELECT pour_id FROM pours WHERE visit_id = $1 AND sync_status = 'pending_sync'", visit_id
            )
            if pending is not None:
                await pour_recovery.reconcile_pour(db, OPERATOR, visit_id, volume_ml=0, reason="x", pour_id=pending)
            await visits.close_visit(db, OPERATOR, visit_id)
        for row in await db.pool.fetch("SELECT card_uid FROM cards WHERE guest_id = $1", guest_id):
            await cards.retire_card(db, OPERATOR, row["card_uid"], "x")
        balance = await db.pool.fetchval("SELECT balance_minor FROM guests WHERE guest_id = $1", guest_id)
        if balance:
            await money.adjust(db, OPERATOR, guest_id, -balance, "x")
        open_ones = "SELECT incident_id FROM incidents JOIN pours USING (pour_id) WHERE guest_id = $1 AND status <> 'resolved'"
        for row in await db.pool.fetch(open_ones, guest_id):
            await incidents.resolve_incident(db, OPERATOR, row["incident_id"], resolution=Resolution.NO_ACTION, comment="x")

    async def nobody_is_named(self, guest_ids: set[UUID]) -> None:
        """Assert that nothing says who these guests were, and that nothing of theirs is open."""
        rows = await self.venue.db.pool.fetch(
            """SELECT first_name, last_name, phone, birth_date, balance_minor, held_minor,
                   unsettled_of_guest(guest_id) - 'incident_ids'
               FROM guests WHERE guest_id = ANY($1)""",
            list(guest_ids),
        )
        assert {tuple(row) for row in rows} <= {(None, None, None, None, 0, 0, None), (None, None, None, None, 0, 0, "{}")}
        shown = await self.venue.db.pool.fetch(
            """SELECT asked.payload FROM unnest($1::uuid[]) AS erased, questions_of_guest(erased) AS its
               JOIN authorization_answers AS asked USING (tap_path, event_id)""",
            list(guest_ids),
        )
        assert not [row["payload"] for row in shown if any(name in row["payload"] for name in NAMES)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.lasts
async def test_an_evening_by_chance_keeps_its_books_and_forgets_its_guests(venue: Venue, seed: int) -> None:
    chance = Chance(venue, random.Random(seed))
    await venues.change_venue(venue.db, OPERATOR, "bar", card_deposit_minor=2_00)
    for name in NAMES:
        chance.guests.append(await guests.create_guest(venue.db, OPERATOR, first_name=name, age_checked=True))

    for _ in range(STEPS):
        await chance.step()
        if len(set(chance.guests) - chance.erased) < len(NAMES):
            name = chance.dice.choice(NAMES)
            chance.guests.append(await guests.create_guest(venue.db, OPERATOR, first_name=name, age_checked=True))
    await venue.books_balance()
    await chance.nobody_is_named(chance.erased)
    for guest_id in set(chance.guests) - chance.erased:
        await chance.settle(guest_id)
        await guest_erasures.erase_guest(venue.db, OPERATOR, guest_id, "x")

    await venue.books_balance()
    await chance.nobody_is_named(set(chance.guests))
    assert {"guest_not_settled", "guest_erased"} & set(chance.refused), "erasures came at moments that matter"
