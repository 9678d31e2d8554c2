"""The vocabulary of our tests: a venue with taps, guests and cards, on a real database, through the real use cases.

A `SimulatedTap` says what a tap node would say: it counts its questions and its odometer, and repeats itself when told to.
"""

import itertools
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID, uuid4

import msgspec

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import (
    MAX_INTEGER,
    CardPresented,
    NodeState,
    PourAuthorized,
    PourCompleted,
    PourDenied,
    PourSettled,
    UnattributedFlow,
)
from tapwire_contracts.reasons import DenyReason, EndReason, FlowCause, Phase, Presence, ValveState
from tapwire_contracts.topics import DevicePath
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.authorization import Question
from tapwire_core.domain.closed_sets import PaymentMethod
from tapwire_core.services import beverages, guests, kegs, money, shifts, taps, venues, visits
from tapwire_core.services.books import check_books
from tapwire_core.services.nodes import note_state
from tapwire_core.services.pours import (
    Answered,
    AuthorizationRequest,
    RawMessage,
    SettlementRequest,
    authorize_pour,
    new_pour_id,
    report_of_node,
    settle_report,
)

OPERATOR = Actor("test-operator")
PRICE_MINOR = 500_00
"""500.00 a litre."""
KEG_ML = 50_000
RAW = RawMessage("tapwire/v1/bar/taps/left/pour/completed", b"{}")
"""A message as it came, for what would keep it as a dead letter."""


def payload_of(message: CardPresented | PourCompleted) -> bytes:
    """A message's bytes."""
    return encode(message)


@dataclass
class SimulatedTap:
    """A tap node's memory: its journal's id and question count, its boot, and its odometer."""

    path: DevicePath
    journal_id: UUID = field(default_factory=uuid4)
    boot_id: UUID = field(default_factory=uuid4)
    seq: int = 0
    odometer_ml: int = 0

    def question(self, card_uid: str, *, unsettled: tuple[UUID, ...] = (), seq: int | None = None) -> CardPresented:
        """A new question; a card is laid on the reader."""
        if seq is None:
            self.seq += 1
        return CardPresented(
            event_id=uuid4(),
            card_uid=card_uid,
            reader_id="reader",
            read_at="2026-05-01T20:00:00Z",
            boot_id=self.boot_id,
            journal_id=self.journal_id,
            seq=self.seq if seq is None else seq,
            unsettled=unsettled,
        )

    def report(self, pour_id: UUID, card_uid: str, volume_ml: int, duration_ms: int | None = None) -> PourCompleted:
        """The report of a pour in which the odometer went on by its volume."""
        from_ml = self.odometer_ml
        self.odometer_ml += volume_ml
        return PourCompleted(
            pour_id=pour_id,
            card_uid=card_uid,
            volume_ml=volume_ml,
            duration_ms=volume_ml * 20 if duration_ms is None else duration_ms,
            end_reason=EndReason.CARD_REMOVED,
            interrupted=False,
            started_at="2026-05-01T20:00:01Z",
            age_ms=0,
            odometer_from_ml=from_ml,
            odometer_to_ml=self.odometer_ml,
            journal_id=self.journal_id,
            boot_id=self.boot_id,
        )

    def flow(self, volume_ml: int) -> UnattributedFlow:
        """The report of a leak in which the odometer went on by its volume."""
        from_ml = self.odometer_ml
        self.odometer_ml += volume_ml
        return UnattributedFlow(
            event_id=uuid4(),
            cause=FlowCause.CLOSED_VALVE,
            volume_ml=volume_ml,
            duration_ms=volume_ml * 20,
            card_uid=None,
            age_ms=0,
            odometer_from_ml=from_ml,
            odometer_to_ml=self.odometer_ml,
            journal_id=self.journal_id,
            boot_id=self.boot_id,
        )

    def state(self, *, facts_open: int = 0, pour_id: UUID | None = None, connection: int = 1) -> NodeState:
        """The tap node's state."""
        return NodeState(
            status=Presence.ONLINE,
            phase=Phase.IDLE,
            valve=ValveState.CLOSED,
            card=None,
            pour_id=pour_id,
            facts_open=facts_open,
            odometer_ml=self.odometer_ml,
            journal_id=self.journal_id,
            boot_id=self.boot_id,
            connection=connection,
            config_revision=0,
            software="test",
            contract_version="1.0",
            uptime_ms=1_000,
        )


@dataclass(frozen=True)
class Guest:
    """A guest with an open visit and a card."""

    guest_id: UUID
    visit_id: UUID
    card_uid: str


@dataclass
class Venue:
    """A venue with an open shift, and one tap with a keg unless a test wants more."""

    db: Database
    venue_id: str
    tap: SimulatedTap
    beverage_id: UUID
    keg_id: UUID
    _cards: "itertools.count[int]" = field(default_factory=lambda: itertools.count(0x04A1_0001))

    @classmethod
    async def open(cls, db: Database, venue_id: str = "bar", price_minor: int = PRICE_MINOR, keg_ml: int = KEG_ML) -> "Venue":
        """Set a venue up and open its shift."""
        await venues.create_venue(db, OPERATOR, venue_id=venue_id, name="The Bar", time_zone="Europe/Berlin")
        beverage_id = await beverages.create_beverage(db, OPERATOR, name="Pils", sell_price_per_liter_minor=price_minor)
        keg_id = await kegs.create_keg(db, OPERATOR, venue_id=venue_id, beverage_id=beverage_id, initial_volume_ml=keg_ml)
        await taps.create_tap(db, OPERATOR, venue_id=venue_id, tap_id="left", name="Left")
        path = DevicePath.parse(f"{venue_id}/taps/left")
        await taps.put_keg(db, OPERATOR, path, keg_id)
        await shifts.open_shift(db, OPERATOR, venue_id)
        return cls(db, venue_id, SimulatedTap(path), beverage_id, keg_id)

    def on(self, db: Database) -> "Venue":
        """The same venue in a copy of its database, with a tap node of its own."""
        return Venue(db, self.venue_id, SimulatedTap(self.tap.path), self.beverage_id, self.keg_id)

    async def today(self) -> date:
        """The day that it is there now; a test may run over its midnight."""
        day: date = await self.db.pool.fetchval("SELECT (now() AT TIME ZONE 'Europe/Berlin')::date")
        return day

    async def another_tap(self, tap_id: str, keg_ml: int = KEG_ML) -> SimulatedTap:
        """One more tap, with a keg of its own."""
        keg_id = await kegs.create_keg(
            self.db, OPERATOR, venue_id=self.venue_id, beverage_id=self.beverage_id, initial_volume_ml=keg_ml
        )
        await taps.create_tap(self.db, OPERATOR, venue_id=self.venue_id, tap_id=tap_id, name=tap_id.title())
        path = DevicePath.parse(f"{self.venue_id}/taps/{tap_id}")
        await taps.put_keg(self.db, OPERATOR, path, keg_id)
        return SimulatedTap(path)

    async def guest(self, balance_minor: int = 0, card_uid: str | None = None) -> Guest:
        """A guest with a balance, an open visit and a card."""
        guest_id = await guests.create_guest(self.db, OPERATOR, first_name="Ann", age_checked=True)
        if balance_minor:
            await money.top_up(self.db, OPERATOR, guest_id, balance_minor, PaymentMethod.CASH, self.venue_id)
        uid = card_uid or f"{next(self._cards):08x}"
        visit = await visits.open_and_assign_card(self.db, OPERATOR, self.venue_id, guest_id, uid)
        return Guest(guest_id, visit.visit_id, uid)

    async def ask(self, question: CardPresented, tap: SimulatedTap | None = None) -> PourAuthorized | PourDenied:
        """Put a question to the core and read its answer."""
        answer = await self.ask_raw(question, tap)
        return msgspec.json.decode(answer, type=PourAuthorized | PourDenied)

    async def ask_raw(self, question: CardPresented, tap: SimulatedTap | None = None) -> str:
        """Put a question to the core; the answer's payload."""
        asks = self.asks(question, tap)
        answer = await authorize_pour(self.db, asks.question, asks.fingerprint, asks.actor, asks.new_pour_id)
        assert isinstance(answer, Answered), answer
        return answer.payload

    def asks(self, question: CardPresented, tap: SimulatedTap | None = None) -> AuthorizationRequest:
        """A question, to decide."""
        path = str((tap or self.tap).path)
        return AuthorizationRequest(Question.of_node(path, question), payload_of(question).hex()[:64], Actor(path), new_pour_id())

    def reports(self, report: PourCompleted, tap: SimulatedTap | None = None) -> SettlementRequest:
        """A report, to decide."""
        path = (tap or self.tap).path
        raw = RawMessage(path.topic("pour/completed"), payload_of(report))
        content = msgspec.to_builtins(report)
        return SettlementRequest(report_of_node(str(path), report), report.journal_id, Actor(str(path)), content, raw)

    async def grant(self, guest: Guest, tap: SimulatedTap | None = None) -> PourAuthorized:
        """A guest lays the card on a tap and gets a grant."""
        used = tap or self.tap
        answer = await self.ask(used.question(guest.card_uid), used)
        assert isinstance(answer, PourAuthorized), answer
        return answer

    async def denial(self, guest: Guest, tap: SimulatedTap | None = None) -> DenyReason:
        """A guest lays the card on a tap and is refused; why."""
        used = tap or self.tap
        answer = await self.ask(used.question(guest.card_uid), used)
        assert isinstance(answer, PourDenied), answer
        return DenyReason(answer.reason)

    async def report(
        self, pour: PourAuthorized, volume_ml: int, tap: SimulatedTap | None = None, duration_ms: int | None = None
    ) -> PourSettled:
        """A tap reports a pour; the verdict."""
        used = tap or self.tap
        return await self.deliver(used.report(pour.pour_id, pour.card_uid, volume_ml, duration_ms), used)

    async def deliver(self, report: PourCompleted, tap: SimulatedTap | None = None) -> PourSettled:
        """A report arrives; the verdict."""
        return msgspec.json.decode(await self.deliver_raw(report, tap), type=PourSettled)

    async def deliver_raw(self, report: PourCompleted, tap: SimulatedTap | None = None) -> str:
        """A report arrives; the verdict's payload."""
        said = self.reports(report, tap)
        verdict = await settle_report(self.db, said.report, said.journal_id, said.actor, said.content, said.raw)
        assert isinstance(verdict, str), verdict
        return verdict

    async def idle(self, tap: SimulatedTap | None = None) -> None:
        """A tap says that it is idle and has no open fact."""
        used = tap or self.tap
        assert await note_state(self.db, used.path, used.state())

    async def balance(self, guest: Guest) -> tuple[int, int]:
        """A guest's balance and what of it is held."""
        row = await self.db.pool.fetchrow("SELECT balance_minor, held_minor FROM guests WHERE guest_id = $1", guest.guest_id)
        return row["balance_minor"], row["held_minor"]

    async def pour(self, pour_id: UUID) -> dict[str, object]:
        """A pour's row."""
        return dict(await self.db.pool.fetchrow("SELECT * FROM pours WHERE pour_id = $1", pour_id))

    async def keg_ml(self) -> int:
        """The book volume of the first tap's first keg."""
        return int(await self.db.pool.fetchval("SELECT book_volume_ml FROM kegs WHERE keg_id = $1", self.keg_id))

    async def sales_minor(self) -> int:
        """All sales."""
        statement = "SELECT coalesce(sum(amount_minor), 0) FROM money_movements WHERE credit_account = 'sales'"
        return int(await self.db.pool.fetchval(statement))

    async def misread_meter(self, then_ml: int) -> None:
        """The tap's odometer goes up to where none can be, and down to `then_ml`."""
        for odometer_ml in (self.tap.odometer_ml, MAX_INTEGER, then_ml):
            self.tap.odometer_ml = odometer_ml
            await self.idle()

    async def audited(self, action: str) -> int:
        """Number of the audit log's entries of an action."""
        return int(await self.db.pool.fetchval("SELECT count(*) FROM audit WHERE action = $1", action))

    async def incidents(self, kind: str) -> list[dict[str, object]]:
        """The unresolved incidents of a kind."""
        rows = await self.db.pool.fetch("SELECT * FROM incidents WHERE kind = $1 AND status <> 'resolved'", kind)
        return [dict(row) for row in rows]

    async def books_balance(self) -> None:
        """Assert that the books balance."""
        assert await check_books(self.db) == []
