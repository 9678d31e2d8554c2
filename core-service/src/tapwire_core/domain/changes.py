"""What a decision changes, as plain data: the domain says it, `db.decisions` writes it in one statement.

Nothing else writes pours, holds, leases, money or stock. The cached sums (`guests.balance_minor`, `guests.held_minor`,
`kegs.book_volume_ml`) are never set by a decision: they follow from the movements and holds written here, so they can't drift from
them.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction, EndReason, FlowCause, IncidentKind, StopReason, SyncStatus
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import Account, StockKind


class PourGranted(Struct, frozen=True, kw_only=True):
    """A new `pending_sync` pour with its hold, its leases, and what is frozen into it."""

    pour_id: UUID
    visit_id: UUID
    guest_id: UUID
    card_uid: str
    keg_id: UUID
    beverage_id: UUID
    request_id: UUID
    journal_id: UUID | None
    seq: int | None
    sell_price_per_liter_minor: int
    max_volume_ml: int
    hold_minor: int


class PourEnded(Struct, frozen=True, kw_only=True):
    """A pending pour's way out: its hold and both leases end with it."""

    pour_id: UUID
    visit_id: UUID
    guest_id: UUID
    sync_status: SyncStatus
    volume_ml: int = 0
    amount_minor: int = 0
    loss_minor: int = 0
    end_reason: EndReason | None = None
    duration_ms: int | None = None


class PourReported(Struct, frozen=True, kw_only=True):
    """A report of a pour came. `stock_ml` is what its keg has given for it in all; null: the report can't be believed."""

    pour_id: UUID
    stock_ml: int | None


class PourStopped(Struct, frozen=True, kw_only=True):
    """The node must end this pour; `stop_pour` is repeated while its state still names it."""

    pour_id: UUID
    reason: StopReason


class LockCleared(Struct, frozen=True, kw_only=True):
    """A visit's lock that no pending pour explains is taken off."""

    visit_id: UUID


class MoneyMoved(Struct, frozen=True, kw_only=True):
    """An amount from one account to another; `guest_id` says whose account `guest` is."""

    debit_account: Account
    credit_account: Account
    amount_minor: int
    guest_id: UUID | None = None
    pour_id: UUID | None = None
    incident_id: UUID | None = None
    reason: str | None = None


class StockMoved(Struct, frozen=True, kw_only=True):
    """A volume that left a keg; negative when a booking is taken back. `cause_id`: the pour, flow or incident."""

    keg_id: UUID
    kind: StockKind
    volume_ml: int
    cause_id: UUID | None = None
    reason: str | None = None


class Audited(Struct, frozen=True, kw_only=True):
    """An entry of the audit log; `subjects` are the ids it can be found by."""

    action: AuditAction
    subjects: tuple[str, ...]
    details: Mapping[str, Any]


class IncidentRaised(Struct, frozen=True, kw_only=True):
    """Something a person must look at, once per `kind` and `cause` while unresolved; `incident_id`: null for any."""

    kind: IncidentKind
    cause: str
    details: Mapping[str, Any]
    pour_id: UUID | None = None
    incident_id: UUID | None = None


class GapFilled(Struct, frozen=True, kw_only=True):
    """What is left of a hole's incident after a fact has filled the hole, or a part of it; with 0 ml left it is resolved."""

    incident_id: UUID
    volume_ml: int
    value_minor: int | None


class AnswerRemembered(Struct, frozen=True, kw_only=True):
    """The answer to a question, to be repeated to the letter."""

    event_id: UUID
    fingerprint: str
    payload: str
    pour_id: UUID | None
    journal_id: UUID | None
    seq: int | None


class VerdictRemembered(Struct, frozen=True, kw_only=True):
    """The verdict on a report, to be repeated to the letter."""

    pour_id: UUID
    volume_ml: int
    odometer_from_ml: int | None
    odometer_to_ml: int | None
    report: Any
    verdict: str


class FlowRemembered(Struct, frozen=True, kw_only=True):
    """Beer that flowed without a grant, recorded once."""

    event_id: UUID
    cause: FlowCause
    volume_ml: int
    duration_ms: int
    card_uid: str | None
    keg_id: UUID | None
    stock_kind: StockKind


class StretchAccounted(Struct, frozen=True, kw_only=True):
    """A stretch of a journal's odometer that is accounted for: by a fact, or as a hole booked on `keg_id`."""

    journal_id: UUID
    from_ml: int
    to_ml: int
    fact_id: UUID
    is_hole: bool = False
    keg_id: UUID | None = None


class OdometerCovered(Struct, frozen=True, kw_only=True):
    """From where a journal's odometer is known, and up to where it has been proved to be accounted for."""

    journal_id: UUID
    first_ml: int
    covered_ml: int


class CommandSent(Struct, frozen=True, kw_only=True):
    """A command for a tap, published once the change is committed. Without a payload: the tap's config, counted up."""

    tap_path: str
    payload: str | None


class Changes(Struct, kw_only=True, omit_defaults=True):
    """All that one transaction changes. Filled by the decision that owns it, then written once."""

    tap_path: str | None
    venue_id: str | None
    shift_id: UUID | None
    actor: str
    request_id: str | None = None
    ended: list[PourEnded] = []
    granted: PourGranted | None = None
    reported: PourReported | None = None
    stopped: PourStopped | None = None
    lock_cleared: LockCleared | None = None
    money: list[MoneyMoved] = []
    stock: list[StockMoved] = []
    audited: list[Audited] = []
    raised: list[IncidentRaised] = []
    tap_locked: str | None = None
    commands: list[CommandSent] = []
    answer: AnswerRemembered | None = None
    verdict: VerdictRemembered | None = None
    flow: FlowRemembered | None = None
    holes_reopened: list[int] = []
    gaps_filled: list[GapFilled] = []
    stretches: list[StretchAccounted] = []
    covered: OdometerCovered | None = None

    @classmethod
    def by(
        cls, actor: Actor, *, tap_path: str | None = None, venue_id: str | None = None, shift_id: UUID | None = None
    ) -> "Changes":
        """Nothing yet, by this actor's request, at this place."""
        return cls(tap_path=tap_path, venue_id=venue_id, shift_id=shift_id, actor=actor.name, request_id=actor.request_id)

    def raise_once(self, incident: IncidentRaised) -> None:
        """Raise an incident, unless this transaction has raised its cause already: one statement writes them all, each row once."""
        if all((incident.kind, incident.cause) != (raised.kind, raised.cause) for raised in self.raised):
            self.raised.append(incident)
