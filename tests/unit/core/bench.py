"""A venue on a ledger, without time: the real rules, one call a use case."""

from dataclasses import dataclass, field
from random import Random
from typing import Self
from uuid import UUID, uuid4

import msgspec

from tapwire_contracts.messages import CardPresented, PourAuthorized, PourCompleted, PourDenied, PourSettled, UnattributedFlow
from tapwire_contracts.reasons import FlowCause
from tapwire_contracts.topics import DevicePath
from tests.simulation.books.ledger import Ledger
from tests.simulation.books.rows import Tables
from tests.simulation.site import Size, imagine, open_ledger
from tests.simulation.virtual import run_now
from tests.venue import SimulatedTap


@dataclass
class BenchGuest:
    """A guest with a visit and a card."""

    guest_id: UUID
    visit_id: UUID
    card_uid: str


@dataclass
class Bench:
    """Taps and guests around a ledger."""

    ledger: Ledger
    taps: list[SimulatedTap]
    guests: list[BenchGuest] = field(default_factory=list)
    now_ms: int = 0

    @classmethod
    def open(cls, taps: int = 1, guests: int = 0) -> Self:
        """A venue with an open shift, and guests with a visit each."""
        site = imagine(Size(taps, 0, guests), Random(7))
        bench = cls(open_ledger(site, Random(8)), [SimulatedTap(DevicePath.parse(tap.path)) for tap in site.taps])
        for number, (guest_id, _) in enumerate(site.guests):
            card_uid = f"04a1000{number}"
            visit_id = run_now(bench.ledger.open_visit(guest_id, card_uid, uuid4()))
            assert isinstance(visit_id, UUID)
            bench.guests.append(BenchGuest(guest_id, visit_id, card_uid))
        return bench

    @property
    def tables(self) -> Tables:
        """The rows of the ledger."""
        return self.ledger.tables

    def ask(self, tap: SimulatedTap, question: CardPresented) -> PourAuthorized | PourDenied:
        """Put a question, new or repeated."""
        self.now_ms += 1
        answer = run_now(self.ledger.answer(str(tap.path), question, uuid4(), self.now_ms))
        return msgspec.json.decode(answer, type=PourAuthorized | PourDenied)

    def settle(self, tap: SimulatedTap, report: PourCompleted) -> PourSettled:
        """Deliver a report, new or repeated."""
        return msgspec.json.decode(run_now(self.ledger.settle(str(tap.path), report)), type=PourSettled)

    def record(self, tap: SimulatedTap, flow: UnattributedFlow) -> None:
        """Deliver a flow without a grant, new or repeated."""
        run_now(self.ledger.record_flow(str(tap.path), flow))

    def idle(self, tap: SimulatedTap) -> None:
        """A tap says that it has no open fact."""
        run_now(self.ledger.note_state(str(tap.path), tap.state()))

    def booked_ml(self, tap: SimulatedTap) -> int:
        """The volume that has left the tap's keg, in the books."""
        keg = self.tables.kegs[self.tables.taps[str(tap.path)].keg_id]
        return keg.initial_ml - keg.book_ml


def flow_of(tap: SimulatedTap, from_ml: int, to_ml: int) -> UnattributedFlow:
    """The report of a leak over a stretch of the odometer."""
    return UnattributedFlow(
        event_id=uuid4(),
        cause=FlowCause.CLOSED_VALVE,
        volume_ml=to_ml - from_ml,
        duration_ms=20 * (to_ml - from_ml),
        card_uid=None,
        age_ms=0,
        odometer_from_ml=from_ml,
        odometer_to_ml=to_ml,
        journal_id=tap.journal_id,
        boot_id=tap.boot_id,
    )
