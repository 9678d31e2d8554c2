"""The changes of a decision, as plain data: rules fill a `Changes`, `db.decisions` writes it in one statement.

Nothing else grants or ends pours, or writes holds, leases, money or stock. The cached sums (`guests.balance_minor`,
`guests.held_minor`, `kegs.book_volume_ml`) are never set by a decision: they follow from the movements and holds written here, so
they can't drift from them.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tapwire_contracts.codec import encode
from tapwire_contracts.messages import RenewJournal, StopPour
from tapwire_contracts.reasons import AuditAction, IncidentKind, Resolution, StopReason
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.change_records import (
    AnswerRemembered,
    Audited,
    BootOfJournal,
    CommandSent,
    EarlierBooking,
    FlowRemembered,
    IncidentRaised,
    IncidentResolved,
    IncidentUpdated,
    LockCleared,
    MoneyMoved,
    OdometerCovered,
    PourEnded,
    PourGranted,
    PourReported,
    PourStopped,
    StockMoved,
    StretchAccounted,
    VerdictRemembered,
)
from tapwire_core.domain.closed_sets import Account, StockKind
from tapwire_core.domain.house_credit import MOVING, HouseCredit
from tapwire_core.domain.incidents import worth_minor


class Changes(Struct, kw_only=True, omit_defaults=True):
    """The changes of one transaction. A decision fills it through its methods; `complete` runs right before it is written.

    `incident_budget`: incidents that the device may raise in an hour; past it the database folds them into `device_misbehaving`.
    `kegs` (book volumes before the change, in ml, of kegs that are not finished) and `paid_before` are the input of `complete`,
    `house_credits` (of guests, before the next movement) that of `move_money`; they are not written.
    """

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
    keg_finished: UUID | None = None
    audited: list[Audited] = []
    raised: list[IncidentRaised] = []
    incident_budget: int = 0
    updated: list[IncidentUpdated] = []
    resolved: list[IncidentResolved] = []
    tap_locked: str | None = None
    commands: list[CommandSent] = []
    answer: AnswerRemembered | None = None
    verdict: VerdictRemembered | None = None
    flow: FlowRemembered | None = None
    holes_reopened: list[int] = []
    stretches: list[StretchAccounted] = []
    covered: OdometerCovered | None = None
    set_back: BootOfJournal | None = None
    suspected: BootOfJournal | None = None
    kegs: Mapping[UUID, int] = {}
    paid_before: list[EarlierBooking] = []
    house_credits: dict[UUID, HouseCredit] = {}

    @classmethod
    def by(
        cls,
        actor: Actor,
        *,
        tap_path: str | None = None,
        venue_id: str | None = None,
        shift_id: UUID | None = None,
        kegs: Mapping[UUID, int] | None = None,
    ) -> "Changes":
        """Empty changes for this actor's request, at this place; `kegs` as above."""
        return cls(
            tap_path=tap_path,
            venue_id=venue_id,
            shift_id=shift_id,
            actor=actor.name,
            request_id=actor.request_id,
            kegs=kegs or {},
        )

    def audit(self, action: AuditAction, *subjects: object, details: Mapping[str, Any]) -> None:
        """Write to the audit log; `subjects` are the ids to find the entry by, null ones are left out."""
        ids = tuple(str(subject) for subject in subjects if subject is not None)
        self.audited.append(Audited(action=action, subjects=ids, details=details))

    def move_money(
        self,
        debit: Account,
        credit: Account,
        amount_minor: int,
        *,
        guest_id: UUID | None,
        pour_id: UUID | None = None,
        incident_id: UUID | None = None,
        reason: str | None = None,
        reverses_movement_id: int | None = None,
        payment_id: UUID | None = None,
        payment_return_id: UUID | None = None,
    ) -> None:
        """Book an amount of 0 or more from one account to another; 0 books nothing.

        The guest's house credit moves with it (`domain.house_credit`); `note_house_credit` must have said it before.
        """
        if not amount_minor:
            return
        house_credit_minor = 0
        if guest_id is not None and (debit, credit) in MOVING:
            before = self.house_credits[guest_id]
            house_credit_minor = before.moved_by(debit, credit, amount_minor)
            self.house_credits[guest_id] = before.after(debit, credit, amount_minor)
        self.money.append(
            MoneyMoved(
                debit_account=debit,
                credit_account=credit,
                amount_minor=amount_minor,
                house_credit_minor=house_credit_minor,
                reverses_movement_id=reverses_movement_id,
                guest_id=guest_id,
                pour_id=pour_id,
                incident_id=incident_id,
                payment_id=payment_id,
                payment_return_id=payment_return_id,
                reason=reason,
            )
        )

    def note_house_credit(self, guest_id: UUID, house_credit: HouseCredit) -> None:
        """Say what house credit a guest has, before the first movement on the account."""
        self.house_credits.setdefault(guest_id, house_credit)

    def move_stock(
        self, keg_id: UUID | None, kind: StockKind, volume_ml: int, *, cause_id: UUID | None = None, reason: str | None = None
    ) -> None:
        """Book a volume out of a keg, a negative one back in. Without a keg there is no stock to move; 0 books nothing."""
        if volume_ml and keg_id is not None:
            self.stock.append(StockMoved(keg_id=keg_id, kind=kind, volume_ml=volume_ml, cause_id=cause_id, reason=reason))

    def book_rest(self, keg_id: UUID) -> None:
        """Book what a finished keg has left; while a pour of it is pending, that is done with the end of the last one."""
        self.keg_finished = keg_id

    def raise_incident(
        self,
        kind: IncidentKind,
        cause: str,
        details: Mapping[str, Any],
        *,
        pour_id: UUID | None = None,
        incident_id: UUID | None = None,
    ) -> None:
        """Raise an incident, once for each kind and cause: the one statement that writes them can insert each row only once."""
        if all((kind, cause) != (raised.kind, raised.cause) for raised in self.raised):
            self.raised.append(IncidentRaised(kind=kind, cause=cause, details=details, pour_id=pour_id, incident_id=incident_id))

    def update_incident(
        self, incident_id: UUID, kind: IncidentKind, details: Mapping[str, Any], *, seen_again: bool = False
    ) -> None:
        """Set these details of an unresolved incident; the others keep their values."""
        self.updated.append(IncidentUpdated(incident_id=incident_id, kind=kind, details=details, seen_again=seen_again))

    def resolve_incident(
        self,
        incident_id: UUID,
        kind: IncidentKind,
        resolution: Resolution,
        comment: str,
        *subjects: object,
        amount_minor: int = 0,
    ) -> None:
        """Resolve an incident, and write it to the audit log."""
        self.resolved.append(IncidentResolved(incident_id=incident_id, resolution=resolution, comment=comment))
        details = {"kind": kind, "resolution": resolution, "amount_minor": amount_minor, "comment": comment}
        self.audit(AuditAction.INCIDENT_RESOLVED, incident_id, *subjects, details=details)

    def stop_pour(self, pour_id: UUID, reason: StopReason) -> None:
        """Tell the tap's node to end a pour; the command is repeated while its state still names the pour."""
        self.stopped = PourStopped(pour_id=pour_id, reason=reason)
        self._send(encode(StopPour(pour_id=pour_id, reason=reason)).decode())

    def stop_ended_pour(self, pour_id: UUID) -> None:
        """Tell the tap's node to end a pour that the books have ended by themselves: no person's reason is kept with it."""
        self._send(encode(StopPour(pour_id=pour_id, reason=StopReason.FORCE_UNLOCKED)).decode())

    def note_set_back(self, journal_id: UUID, boot_id: UUID, *, known: bool, **proof: object) -> None:
        """Tell the node to begin a new journal, and raise the incident of the old one unless this boot's proof is `known`."""
        if self.set_back is not None:
            return
        self.set_back = BootOfJournal(journal_id=journal_id, boot_id=boot_id)
        self._send(encode(RenewJournal(journal_id=journal_id)).decode())
        if not known:
            details = {"journal_id": str(journal_id), "boot_id": str(boot_id), **proof}
            self.raise_incident(IncidentKind.JOURNAL_SET_BACK, f"{self.tap_path} {journal_id}", details)

    def suspect_set_back(self, journal_id: UUID, boot_id: UUID) -> None:
        """Publish the tap's config under a new revision: only a node that is alive now can name it."""
        self.suspected = BootOfJournal(journal_id=journal_id, boot_id=boot_id)
        self._send(None)

    def lock_tap(self, reason: str) -> None:
        """Take the tap out of service, by a new config revision."""
        self.tap_locked = reason
        self._send(None)

    def account(
        self,
        journal_id: UUID,
        from_ml: int,
        to_ml: int,
        fact_id: UUID,
        *,
        is_hole: bool = False,
        keg_id: UUID | None = None,
        boot_id: UUID | None = None,
    ) -> None:
        """Account for a stretch of a journal's odometer."""
        self.stretches.append(
            StretchAccounted(
                journal_id=journal_id,
                from_ml=from_ml,
                to_ml=to_ml,
                fact_id=fact_id,
                is_hole=is_hole,
                keg_id=keg_id,
                boot_id=boot_id,
            )
        )

    def complete(self) -> None:
        """Add what depends on all changes: overdrawn kegs, and earlier bookings of a fact. Idempotent."""
        for booking in self.paid_before:
            self._add_earlier_booking(booking)
        for keg_id, before_ml in self.kegs.items():
            self._raise_if_overdrawn(keg_id, before_ml)
        self.kegs, self.paid_before, self.house_credits = {}, [], {}

    def _send(self, payload: str | None) -> None:
        assert self.tap_path is not None
        self.commands.append(CommandSent(tap_path=self.tap_path, payload=payload))

    def _add_earlier_booking(self, booking: EarlierBooking) -> None:
        """Add the booking to the fact's own incident, which then proposes that much less.

        A fact without an incident, because it is paid already or never will be, raises one, so that a person corrects it.
        """
        for place, raised in enumerate(self.raised):
            if worth_minor(raised.kind, raised.details) is not None:
                self.raised[place] = replace(raised, details=booking.added_to(raised.details))
                return
        for place, updated in enumerate(self.updated):
            if worth_minor(updated.kind, updated.details) is not None:
                self.updated[place] = replace(updated, details=booking.added_to(updated.details))
                return
        details = booking.added_to({"fact": str(booking.fact_id), "volume_ml": booking.volume_ml})
        cause = f"{self.tap_path} {booking.fact_id} paid before"
        self.raise_incident(IncidentKind.VOLUME_GAP, cause, {**details, "hint": "give back what was booked twice"})

    def _raise_if_overdrawn(self, keg_id: UUID, before_ml: int) -> None:
        """Raise an incident for a keg below zero: a calibration fault, never a failing report (SYSTEM.md, "Settlement")."""
        moved_ml = sum(moved.volume_ml for moved in self.stock if moved.keg_id == keg_id)
        left_ml = before_ml - moved_ml
        if moved_ml > 0 and left_ml < 0:
            details = {
                "keg_id": str(keg_id),
                "book_volume_ml": left_ml,
                "hint": "check the flow meter's calibration and the keg's volume",
            }
            self.raise_incident(IncidentKind.KEG_OVERDRAWN, str(keg_id), details)
