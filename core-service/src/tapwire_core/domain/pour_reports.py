"""A pour in the books, a tap's report of it, and the verdict. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tapwire_contracts.reasons import (
    EndReason,
    Outcome,
    SyncStatus,
    VerdictReason,
    VerdictStatus,
)
from tapwire_core.domain.incidents import OpenIncident
from tapwire_core.domain.money import charge, payable_minor
from tapwire_core.domain.policy import Policy

FLOW_GRACE_MS: Final = 5_000
"""Time that a meter may count beyond the pour's duration."""
CLOCK_GRACE_MS: Final = 5_000
"""Time that a pour may have lasted beyond the database's time since its grant."""


class PourFacts(Struct, frozen=True, kw_only=True):
    """A pour in the books. `reported`: it has a plausible report; `refused`: it has an implausible one.

    `house_credit_minor`: its guest's. `journal_id`, `boot_id`: of the question that it was granted to. `odometer_seen_ml`: the
    highest value of that journal's odometer known then. `elapsed_ms` is the database's time since its grant, negative after the
    database's clock was set back. `keg_finished`: its keg was kicked, spoiled or returned since.
    """

    pour_id: UUID
    visit_id: UUID
    guest_id: UUID
    card_uid: str
    tap_path: str
    venue_id: str
    keg_id: UUID
    sync_status: SyncStatus
    sell_price_per_liter_minor: int
    max_volume_ml: int
    hold_minor: int
    volume_ml: int
    amount_minor: int
    stock_ml: int
    reported: bool
    refused: bool
    elapsed_ms: int
    balance_minor: int
    held_minor: int
    keg_ml: int
    journal_id: UUID | None = None
    boot_id: UUID | None = None
    odometer_seen_ml: int | None = None
    open_incidents: tuple[OpenIncident, ...] = ()
    house_credit_minor: int = 0
    keg_finished: bool = False

    @property
    def kegs(self) -> Mapping[UUID, int]:
        """The book volume of its keg, in ml; nothing for a finished one."""
        return {} if self.keg_finished else {self.keg_id: self.keg_ml}

    @property
    def payable_minor(self) -> int:
        """The most that the guest can pay for this pour."""
        return payable_minor(self.balance_minor, self.held_minor, self.hold_minor)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids to find an audit entry about this pour by."""
        return (str(self.pour_id), str(self.visit_id), str(self.guest_id), self.tap_path, self.card_uid)


class CurrentTap(Struct, frozen=True, kw_only=True):
    """The reporting tap's current state."""

    venue_id: str
    shift_id: UUID | None
    keg_id: UUID | None
    keg_ml: int | None
    price_minor: int | None

    @property
    def kegs(self) -> Mapping[UUID, int]:
        """The book volume of its current keg, in ml."""
        return {self.keg_id: self.keg_ml} if self.keg_id is not None and self.keg_ml is not None else {}

    def value_of(self, volume_ml: int) -> int | None:
        """A volume's value at the tap's price; None without a price."""
        return charge(volume_ml, self.price_minor) if self.price_minor else None


class SettlementFacts(Struct, frozen=True, kw_only=True):
    """The facts for a report, read under row locks. `pour` is null when it isn't this tap's.

    `set_back`: the report's boot is proved to have an older copy of its journal.
    """

    tap: CurrentTap
    pour: PourFacts | None
    set_back: bool = False

    @property
    def kegs(self) -> Mapping[UUID, int]:
        """The book volumes of the tap's keg and of the pour's, in ml."""
        return {**self.tap.kegs, **(self.pour.kegs if self.pour else {})}

    def for_card(self, card_uid: str | None) -> "SettlementFacts":
        """The facts without the pour, if it was granted to another card; None matches any card."""
        matches = self.pour is None or card_uid in (None, self.pour.card_uid)
        return self if matches else replace(self, pour=None)

    @property
    def rows(self) -> frozenset[UUID]:
        """Ids of the visits, guests and kegs in these facts: another decision on one of them may change the verdict."""
        of_pour = [self.pour.visit_id, self.pour.guest_id, self.pour.keg_id] if self.pour else []
        return frozenset([*of_pour, *([self.tap.keg_id] if self.tap.keg_id else [])])


@dataclass(frozen=True, slots=True)
class Report:
    """A tap's report of a pour. The HTTP door's reports have no odometer."""

    tap_path: str
    pour_id: UUID
    card_uid: str
    volume_ml: int
    duration_ms: int
    end_reason: EndReason | None
    odometer_from_ml: int | None
    odometer_to_ml: int | None
    boot_id: UUID | None = None

    @property
    def binding_card(self) -> str | None:
        """The card that the pour must have been granted to; None for a pour that never started.

        A node that never had the pour may not know its card, and no volume could be booked on the wrong guest.
        """
        never_started = self.volume_ml == 0 and self.end_reason is EndReason.NEVER_STARTED
        return None if never_started else self.card_uid

    @property
    def stretch(self) -> tuple[int, int] | None:
        """The odometer before and after the pour, in ml; None where the report lacks one."""
        if self.odometer_from_ml is None or self.odometer_to_ml is None:
            return None
        return self.odometer_from_ml, self.odometer_to_ml


@dataclass(frozen=True, slots=True)
class Verdict:
    """The core's answer to a report."""

    status: VerdictStatus
    outcome: Outcome
    reason: VerdictReason | None
    volume_ml: int
    amount_minor: int
    balance_minor: int | None


def implausibility(report: Report, policy: Policy, pour: PourFacts | None = None) -> str | None:
    """Explain why a report is implausible; None for a plausible one. The pour's grant bounds the report's duration."""
    if report.volume_ml > policy.max_report_ml:
        return f"{report.volume_ml} ml is more than max_report_ml, {policy.max_report_ml}"
    duration_ms = report.duration_ms if pour is None else min(report.duration_ms, _longest_ms(pour, policy))
    most_ml = policy.max_flow_ml_per_s * (duration_ms + FLOW_GRACE_MS) // 1000
    if report.volume_ml > most_ml:
        return f"{report.volume_ml} ml in {duration_ms} ms is more than max_flow_ml_per_s allows, {most_ml} ml"
    return None


def _longest_ms(pour: PourFacts, policy: Policy) -> int:
    """The longest that a pour can have lasted by the database's clock, whatever its node says."""
    return pour.elapsed_ms + CLOCK_GRACE_MS if pour.elapsed_ms >= 0 else policy.max_duration_ms
