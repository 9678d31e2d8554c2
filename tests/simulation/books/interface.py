"""The interface of the core to a simulated venue: the use cases, and the books that they leave behind.

`Ledger` answers with the real rules on plain Python values, `PostgresBooks` with the real services on a real database.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

from tapwire_contracts.messages import CardPresented, NodeState, PourCompleted, PourUnknown, TapConfig, UnattributedFlow
from tapwire_core.domain.closed_sets import CashKind, KegFinish, TapStatus
from tapwire_core.domain.serving_limits import ServingLimit

Command = tuple[str, str | TapConfig]
"""For which tap, and what: a payload, or the tap's config."""
Refusal = str | None
"""The code that an operator gets to see; None when it was done."""


class AskedReport(NamedTuple):
    """A pour whose report is asked for."""

    tap_path: str
    pour_id: UUID
    journal_id: UUID


class Account(NamedTuple):
    """A guest's money, in minor units."""

    balance_minor: int
    held_minor: int
    house_credit_minor: int


class PourLine(NamedTuple):
    """A pour in the books."""

    guest_id: UUID
    tap_path: str
    keg_id: UUID
    sync_status: str
    price_minor: int
    max_volume_ml: int
    hold_minor: int
    volume_ml: int
    amount_minor: int
    loss_minor: int
    stock_ml: int
    reported: bool
    report_refused: bool
    end_reason: str | None
    stop_reason: str | None
    abv_hundredths: int | None


class VisitLine(NamedTuple):
    """A visit in the books."""

    guest_id: UUID
    card_uid: str | None
    status: str
    active_tap_id: str | None
    patrons: int
    alcohol_allowed: bool


class TapLine(NamedTuple):
    """A tap in the books."""

    keg_id: UUID | None
    status: str
    revision: int


class JournalLine(NamedTuple):
    """A journal in the books."""

    highest_seq: int
    first_ml: int | None
    covered_ml: int | None


class StretchLine(NamedTuple):
    """A stretch of an odometer; the id of a hole is random, and left out."""

    tap_path: str
    journal_id: UUID
    from_ml: int
    to_ml: int
    fact_id: UUID | None
    keg_id: UUID | None


class StockLine(NamedTuple):
    """A volume that left a keg; `cause_id` is the pour or flow, None for a hole."""

    keg_id: UUID
    kind: str
    volume_ml: int
    cause_id: UUID | None


class MoneyLine(NamedTuple):
    """A movement of money."""

    debit_account: str
    credit_account: str
    amount_minor: int
    guest_id: UUID | None
    pour_id: UUID | None


class GapLine(NamedTuple):
    """Missing volume of a hole's incident."""

    volume_ml: int
    value_minor: int | None


@dataclass(frozen=True, slots=True)
class Statement:
    """All the books at one moment. `incidents`: how often each unresolved one's (kind, cause) was seen; `gaps`: those of holes.

    `served`: what counts against each guest's serving limit; empty without one. `deposits`: what each guest's cards keep.
    """

    guests: Mapping[UUID, Account]
    kegs: Mapping[UUID, int]
    taps: Mapping[str, TapLine]
    visits: Mapping[UUID, VisitLine]
    pours: Mapping[UUID, PourLine]
    journals: Mapping[tuple[str, UUID], JournalLine]
    stretches: Counter[StretchLine]
    stock: Counter[StockLine]
    money: Counter[MoneyLine]
    incidents: Mapping[tuple[str, str], int]
    gaps: Mapping[str, GapLine]
    audited: Mapping[str, int]
    served: Mapping[UUID, int]
    deposits: Mapping[UUID, int]


class Books(Protocol):
    """The core's use cases. With `dies` the worker dies before it commits; what it would have answered is returned all the same."""

    async def answer(self, tap: str, asked: CardPresented, new_pour_id: UUID, now_ms: int, *, dies: bool = False) -> str:
        """A question's answer."""

    async def settle(self, tap: str, report: PourCompleted, *, dies: bool = False) -> str:
        """A report's verdict."""

    async def record_flow(self, tap: str, flow: UnattributedFlow, *, dies: bool = False) -> str:
        """The answer to a flow without a grant."""

    async def note_state(self, tap: str, state: NodeState, *, dies: bool = False) -> None:
        """A node's state."""

    async def note_unknown(self, tap: str, unknown: PourUnknown) -> None:
        """A node has lost the journal of a pour."""

    async def ask_for_reports(self, now_ms: int) -> list[AskedReport]:
        """Pours whose report is asked for now."""

    async def take_commands(self) -> list[Command]:
        """Take the outbox's contents, in order."""

    async def configs(self) -> list[Command]:
        """The config of every tap."""

    async def open_visit(self, guest_id: UUID, card_uid: str, visit_id: UUID, patrons: int = 1) -> UUID | str:
        """Open a visit and issue its card: the visit's id, or why not. `visit_id` is for books that make no ids of their own."""

    async def set_serving_limit(self, limit: ServingLimit | None) -> Refusal:
        """Set the venue's serving limit, or remove it."""

    async def set_strength(self, abv_hundredths: int | None) -> Refusal:
        """Set the beverage's strength."""

    async def rearm(self, visit_id: UUID) -> Refusal:
        """Let a guest go on after the serving limit."""

    async def set_alcohol(self, visit_id: UUID, allowed: bool) -> Refusal:
        """Allow a visit alcohol, or refuse it."""

    async def assign_card(self, visit_id: UUID, card_uid: str) -> Refusal:
        """Give a visit another card."""

    async def close_visit(self, visit_id: UUID, *, void_pending: bool) -> Refusal:
        """Close a visit."""

    async def set_deposit(self, deposit_minor: int) -> Refusal:
        """Another deposit for cards that are bound from now on."""

    async def check_out(self, visit_id: UUID, *, pays_out: bool, card_returned: bool) -> int | str:
        """Check a guest out, whatever is unpaid: what was paid out, or why not."""

    async def expire(self, visit_id: UUID) -> Refusal:
        """A visit's end passes."""

    async def extend(self, visit_id: UUID) -> Refusal:
        """Let a visit last longer."""

    async def reconcile(self, visit_id: UUID, volume_ml: int, pour_id: UUID | None) -> Refusal:
        """Settle a pour by hand."""

    async def unlock(self, visit_id: UUID, pour_id: UUID | None) -> Refusal:
        """Void a pour by force."""

    async def top_up(self, guest_id: UUID, amount_minor: int) -> Refusal:
        """Take a guest's money."""

    async def refund(self, guest_id: UUID, amount_minor: int) -> Refusal:
        """Give a guest money back."""

    async def comp(self, guest_id: UUID, amount_minor: int, pour_id: UUID | None = None) -> Refusal:
        """Give a guest money of the house, perhaps for a pour."""

    async def adjust(self, guest_id: UUID, amount_minor: int, pour_id: UUID | None = None) -> Refusal:
        """Correct a balance, perhaps for a pour."""

    async def lose_card(self, card_uid: str) -> Refusal:
        """A card is reported lost."""

    async def restore_card(self, card_uid: str) -> Refusal:
        """A lost card is found."""

    async def set_tap_status(self, tap: str, status: TapStatus) -> Refusal:
        """Take a tap out of service, or put it back."""

    async def stop_tap(self, tap: str) -> Refusal:
        """End what pours at a tap."""

    async def put_keg(self, tap: str, keg_id: UUID, finish: KegFinish = KegFinish.SWAPPED) -> Refusal:
        """Put another keg on a tap, and say what became of the old one."""

    async def set_price(self, price_minor: int) -> Refusal:
        """Another price a litre, for new pours."""

    async def set_happy_hour(self, percent_off: int | None) -> Refusal:
        """A price rule that is on all the time; None: no rule."""

    async def set_emergency_stop(self, *, on: bool) -> Refusal:
        """Stop every tap, or let them go on."""

    async def count_cash_from_next_shift(self) -> Refusal:
        """From its next shift on the venue counts its cash."""

    async def count_drawer(self, counted_minor: int) -> Refusal:
        """Count the open shift's drawer."""

    async def move_cash(self, kind: CashKind, amount_minor: int) -> Refusal:
        """Pay cash into the open shift's drawer, or out of it."""

    async def close_shift(self, counted_minor: int | None = None) -> Refusal:
        """Close the shift, with a count of its drawer."""

    async def open_shift(self, float_minor: int = 0) -> Refusal:
        """Open a shift, with so much in its drawer."""

    async def statement(self) -> Statement:
        """All the books as they are now."""
