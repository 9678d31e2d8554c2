"""The records of which a decision's changes are made, as `apply_together` writes them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.reasons import AuditAction, EndReason, FlowCause, IncidentKind, Resolution, StopReason, SyncStatus
from tapwire_core.domain.closed_sets import Account, StockKind
from tapwire_core.domain.incidents import PAID


class PourGranted(Struct, frozen=True, kw_only=True):
    """A new `pending_sync` pour with its hold, its leases, and its frozen keg, price, tax, strength and limits."""

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
    price_rule_id: UUID | None = None
    max_volume_ml: int
    hold_minor: int
    boot_id: UUID | None = None
    odometer_seen_ml: int | None = None
    abv_hundredths: int | None = None
    tax_rate_bp: int | None = None


class PourEnded(Struct, frozen=True, kw_only=True):
    """The end of a pending pour, and of its hold and both leases."""

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
    """A report of a pour. `stock_ml`: the total taken from the keg for this pour; null: the report is implausible."""

    pour_id: UUID
    stock_ml: int | None


class PourStopped(Struct, frozen=True, kw_only=True):
    """An order to the node to end this pour; `stop_pour` is repeated while its state still names it."""

    pour_id: UUID
    reason: StopReason


class LockCleared(Struct, frozen=True, kw_only=True):
    """Removal of a visit's lock that no pending pour explains."""

    visit_id: UUID


class MoneyMoved(Struct, frozen=True, kw_only=True):
    """An amount from one account to another; `guest_id` is the guest of account `guest`.

    `house_credit_minor`: the change of the guest's house credit. `reverses_movement_id`: the top-up that it reverses.
    `payment_id`: the payment at a provider that it is of, `payment_return_id` that by which money of it went back.
    """

    debit_account: Account
    credit_account: Account
    amount_minor: int
    house_credit_minor: int = 0
    reverses_movement_id: int | None = None
    guest_id: UUID | None = None
    pour_id: UUID | None = None
    incident_id: UUID | None = None
    payment_id: UUID | None = None
    payment_return_id: UUID | None = None
    reason: str | None = None


class StockMoved(Struct, frozen=True, kw_only=True):
    """A volume that left a keg; negative for a reversal. `cause_id`: the pour, flow or incident."""

    keg_id: UUID
    kind: StockKind
    volume_ml: int
    cause_id: UUID | None = None
    reason: str | None = None


class Audited(Struct, frozen=True, kw_only=True):
    """An entry of the audit log; `subjects` are the ids to find it by."""

    action: AuditAction
    subjects: tuple[str, ...]
    details: Mapping[str, Any]


class IncidentRaised(Struct, frozen=True, kw_only=True):
    """A new incident, once per `kind` and `cause` while unresolved; `incident_id`: null for a new id."""

    kind: IncidentKind
    cause: str
    details: Mapping[str, Any]
    pour_id: UUID | None = None
    incident_id: UUID | None = None


class IncidentUpdated(Struct, frozen=True, kw_only=True):
    """New details of an unresolved incident; `seen_again`: its cause occurred once more."""

    incident_id: UUID
    kind: IncidentKind
    details: Mapping[str, Any]
    seen_again: bool = False


class IncidentResolved(Struct, frozen=True, kw_only=True):
    """The end of an incident."""

    incident_id: UUID
    resolution: Resolution
    comment: str


class AnswerRemembered(Struct, frozen=True, kw_only=True):
    """The answer to a question; a repeated question gets the identical answer."""

    event_id: UUID
    fingerprint: str
    payload: str
    pour_id: UUID | None
    journal_id: UUID | None
    seq: int | None
    boot_id: UUID | None = None


class VerdictRemembered(Struct, frozen=True, kw_only=True):
    """The verdict on a report; a repeated report gets the identical verdict."""

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
    """A stretch of a journal's odometer, accounted for by a fact, or as a hole booked on `keg_id`.

    `boot_id`: the boot in which the fact flowed, or whose state showed the hole. `set_back`: that boot is proved to have an older
    copy of the journal.
    """

    journal_id: UUID
    from_ml: int
    to_ml: int
    fact_id: UUID
    is_hole: bool = False
    keg_id: UUID | None = None
    boot_id: UUID | None = None
    set_back: bool = False


class OdometerCovered(Struct, frozen=True, kw_only=True):
    """The range of a journal's odometer that is proved to be accounted for, from its first known value."""

    journal_id: UUID
    first_ml: int
    covered_ml: int


class BootOfJournal(Struct, frozen=True, kw_only=True):
    """A boot that is proved, or suspected, to have an older copy of this journal."""

    journal_id: UUID
    boot_id: UUID


class CommandSent(Struct, frozen=True, kw_only=True):
    """A command for a tap, published after the commit. Without a payload: the tap's next config revision."""

    tap_path: str
    payload: str | None


class EarlierBooking(Struct, frozen=True, kw_only=True):
    """Money booked by incidents of holes, for a volume that turned out to be this fact's."""

    fact_id: UUID
    volume_ml: int
    paid_minor: int
    incident_ids: tuple[UUID, ...]

    def added_to(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """The incident's details with this booking added to the earlier ones."""
        paid_by = {*details.get("paid_by", ()), *map(str, self.incident_ids)}
        return {**details, PAID: details.get(PAID, 0) + self.paid_minor, "paid_by": sorted(paid_by)}
