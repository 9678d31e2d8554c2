"""The rows that the books consist of: one class for each table of the schema that a rule reads or writes."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tapwire_contracts.reasons import EndReason, IncidentKind, StopReason, SyncStatus
from tapwire_core.domain.change_records import MoneyMoved, PourGranted
from tapwire_core.domain.closed_sets import Account, CardStatus, KegFinish, StockKind, TapStatus, VisitStatus
from tapwire_core.domain.drawer import Drawer
from tapwire_core.domain.identities import Claims
from tapwire_core.domain.incidents import OpenIncident
from tapwire_core.domain.price_rules import PriceRule
from tapwire_core.domain.serving_limits import ServingLimit, VolumeLimit, ethanol_mg


@dataclass(slots=True)
class TapRow:
    """A tap. `revision` counts its configs. `price_shown`: the happy hour's price and the list price that it was last told."""

    path: str
    keg_id: UUID
    max_pour_ml: int
    pulses_per_liter: int
    status: TapStatus = TapStatus.ACTIVE
    revision: int = 1
    identity_conflict: bool = False
    price_shown: tuple[int, int] | None = None


@dataclass(slots=True)
class KegRow:
    """A keg, and what the books say is left in it. `finish`: what became of one that never comes back."""

    initial_ml: int
    book_ml: int
    finish: KegFinish | None = None


@dataclass(slots=True)
class CardRow:
    """A card, and whose it is, with the deposit that it keeps."""

    status: CardStatus = CardStatus.AVAILABLE
    guest_id: UUID | None = None
    deposit_minor: int = 0


@dataclass(slots=True)
class GuestRow:
    """A guest's account, in minor units. `rearms`: how often they were re-armed."""

    guest_id: UUID
    first_name: str
    blocked: bool = False
    balance_minor: int = 0
    held_minor: int = 0
    house_credit_minor: int = 0
    rearms: int = 0


@dataclass(slots=True)
class VisitRow:
    """A guest's stay. `expired`: its end has passed. `left`: what its check-out was asked for, and what it paid."""

    visit_id: UUID
    guest_id: UUID
    card_uid: str | None
    status: VisitStatus = VisitStatus.ACTIVE
    active_tap_id: str | None = None
    patrons: int = 1
    alcohol_allowed: bool = True
    expired: bool = False
    left: tuple[bool, bool, int] | None = None


@dataclass(slots=True)
class PourRow:
    """A pour, from its grant on. `armed`: the guest's re-arms when it began to count."""

    granted: PourGranted
    tap_path: str
    authorized_ms: int
    sync_status: SyncStatus = SyncStatus.PENDING_SYNC
    volume_ml: int = 0
    amount_minor: int = 0
    loss_minor: int = 0
    stock_ml: int = 0
    reported: bool = False
    report_refused: bool = False
    end_reason: EndReason | None = None
    stop_reason: StopReason | None = None
    armed: int = 0

    @property
    def pending(self) -> bool:
        """True while it holds money, tap and visit."""
        return self.sync_status is SyncStatus.PENDING_SYNC


@dataclass(slots=True)
class JournalRow:
    """A tap node's journal."""

    highest_seq: int = 0
    highest_boot_id: UUID | None = None
    set_back_boots: list[UUID] = field(default_factory=list)
    suspect_boot_id: UUID | None = None
    suspect_revision: int = 0
    first_ml: int | None = None
    covered_ml: int | None = None


@dataclass(slots=True)
class StretchRow:
    """A stretch of a journal's odometer that is accounted for."""

    stretch_id: int
    tap_path: str
    journal_id: UUID
    from_ml: int
    to_ml: int
    fact_id: UUID
    is_hole: bool
    keg_id: UUID | None
    boot_id: UUID | None = None


@dataclass(slots=True)
class StockRow:
    """A volume that left a keg."""

    keg_id: UUID
    kind: StockKind
    volume_ml: int
    cause_id: UUID | None


@dataclass(slots=True)
class AnswerRow:
    """The answer to a question."""

    payload: str
    pour_id: UUID | None
    journal_id: UUID | None = None
    seq: int | None = None


@dataclass(slots=True)
class GapRow:
    """Missing volume of a hole's incident."""

    incident_id: UUID
    volume_ml: int
    value_minor: int | None


@dataclass(slots=True)
class IncidentRow:
    """An unresolved incident, and how often its cause was seen."""

    incident_id: UUID
    pour_id: UUID | None
    gap: GapRow | None = None
    details: dict[str, Any] = field(default_factory=dict)
    occurrences: int = 1


@dataclass(slots=True)
class NodeRow:
    """The latest state of a node, and the last connection of each earlier boot."""

    boot_id: UUID
    connection: int
    is_online: bool
    uptime_ms: int
    earlier: dict[UUID, int] = field(default_factory=dict)
    claims: Claims | None = None
    config_revision: int = 0


@dataclass(slots=True)
class DrawerRow:
    """The drawer of the open shift, where it counts its cash. `counted`: its last count, and what was expected then."""

    by_the_books: Drawer = field(default_factory=Drawer)
    counted: tuple[int, int] | None = None


@dataclass(slots=True)
class Tables:
    """All rows, by their keys. One venue, one beverage; `shift_id` is the open shift, if there is one."""

    venue_id: str
    beverage_id: UUID
    price_minor: int
    shift_id: UUID | None
    emergency_stop: bool = False
    serving_limit: ServingLimit | None = None
    abv_hundredths: int | None = None
    price_rule: PriceRule | None = None
    card_deposit_minor: int = 0
    count_cash: bool = False
    drawer: DrawerRow | None = None
    taps: dict[str, TapRow] = field(default_factory=dict)
    kegs: dict[UUID, KegRow] = field(default_factory=dict)
    cards: dict[str, CardRow] = field(default_factory=dict)
    guests: dict[UUID, GuestRow] = field(default_factory=dict)
    visits: dict[UUID, VisitRow] = field(default_factory=dict)
    pours: dict[UUID, PourRow] = field(default_factory=dict)
    nodes: dict[str, NodeRow] = field(default_factory=dict)
    journals: dict[tuple[str, UUID], JournalRow] = field(default_factory=dict)
    answers: dict[tuple[str, UUID], AnswerRow] = field(default_factory=dict)
    verdicts: dict[tuple[str, UUID, int, int | None, int | None], str] = field(default_factory=dict)
    flows: set[tuple[str, UUID]] = field(default_factory=set)
    stretches: list[StretchRow] = field(default_factory=list)
    last_stretch_id: int = 0
    stock: list[StockRow] = field(default_factory=list)
    money: list[MoneyMoved] = field(default_factory=list)
    incidents: dict[tuple[str, str], IncidentRow] = field(default_factory=dict)
    last_incident: int = 0
    audited: dict[str, int] = field(default_factory=dict)
    outbox: list[tuple[str, str | None]] = field(default_factory=list)

    def gap(self, incident_id: UUID) -> GapRow | None:
        """The unresolved incident of a hole."""
        return next((row.gap for row in self.incidents.values() if row.gap and row.gap.incident_id == incident_id), None)

    def house_credit_taken(self, guest_id: UUID, pour_id: UUID) -> int:
        """What a pour took of a guest's house credit, less what was given back."""
        of_pour = (moved for moved in self.money if (moved.guest_id, moved.pour_id) == (guest_id, pour_id))
        return -sum(moved.house_credit_minor for moved in of_pour if moved.debit_account is not Account.COMP)

    def open_incidents(self, pour_id: UUID) -> tuple[OpenIncident, ...]:
        """The unresolved incidents that name a pour."""
        return tuple(
            OpenIncident(incident_id=row.incident_id, kind=IncidentKind(kind))
            for (kind, _), row in self.incidents.items()
            if row.pour_id == pour_id
        )

    def lease_of_tap(self, path: str) -> PourRow | None:
        """The pour that leases a tap."""
        return next((pour for pour in self.pours.values() if pour.pending and pour.tap_path == path), None)

    def lease_of_visit(self, visit_id: UUID) -> PourRow | None:
        """The pour that leases a visit."""
        return next((pour for pour in self.pours.values() if pour.pending and pour.granted.visit_id == visit_id), None)

    def visit_of_card(self, card_uid: str) -> VisitRow | None:
        """The active visit that holds a card."""
        found = (visit for visit in self.visits.values() if visit.card_uid == card_uid and visit.status is VisitStatus.ACTIVE)
        return next(found, None)

    def visit_of_guest(self, guest_id: UUID) -> VisitRow | None:
        """A guest's active visit."""
        found = (visit for visit in self.visits.values() if visit.guest_id == guest_id and visit.status is VisitStatus.ACTIVE)
        return next(found, None)

    def counted(self, pour: PourRow) -> int:
        """What a pour counts against the serving limit, in its unit."""
        ml, abv_hundredths = pour.stock_ml, pour.granted.abv_hundredths
        if pour.pending:
            ml = max(ml, pour.granted.max_volume_ml)
        if abv_hundredths == 0:
            return 0
        return (
            ml
            if isinstance(self.serving_limit, VolumeLimit)
            else ethanol_mg(ml, 10_000 if abv_hundredths is None else abv_hundredths)
        )

    def served(self, guest_id: UUID) -> int:
        """What counts against a guest's serving limit. The window is longer than any simulation."""
        rearms = self.guests[guest_id].rearms
        its = [pour for pour in self.pours.values() if pour.granted.guest_id == guest_id and pour.armed == rearms]
        return sum(map(self.counted, its))

    def held_minor(self, guest_id: UUID) -> int:
        """The holds of a guest's pending pours."""
        return sum(pour.granted.hold_minor for pour in self.pours.values() if pour.pending and pour.granted.guest_id == guest_id)
