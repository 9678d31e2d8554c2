"""Conservation of volume (SYSTEM.md, "Volume is conserved, and checked"). Pure.

Each fact names its stretch of the flow meter's odometer, within its journal. Once a node says that it has no open fact, the core's
stretches must cover the odometer from the first value seen. A hole is volume that no fact accounts for: it is booked out of the keg
as `unattributed`, and kept as a stretch of its own kind, so that a later fact can reverse exactly that booking.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tapwire_contracts.reasons import AuditAction, IncidentKind, Resolution, SyncStatus
from tapwire_core.domain.change_records import EarlierBooking, OdometerCovered, StretchAccounted
from tapwire_core.domain.changes import Changes
from tapwire_core.domain.closed_sets import StockKind
from tapwire_core.domain.pour_reports import CurrentTap, PourFacts

VOLUME_GAP_INCIDENT_ML: Final = 5
"""A hole of at least this also raises the incident `volume_gap`."""


VOLUME_BY_OPERATOR: Final = (SyncStatus.PENDING_SYNC, SyncStatus.RECONCILED)
"""States of a pour in which a person enters, or has entered, its volume when its report can't be believed."""


class GapIncident(Struct, frozen=True, kw_only=True):
    """The incident of a hole. `volume_ml`, `value_minor`: what is missing; `booked_minor`: booked by its resolution."""

    incident_id: UUID
    is_resolved: bool
    volume_ml: int
    value_minor: int | None
    booked_minor: int

    def share_of(self, amount_minor: int, volume_ml: int) -> int:
        """The share of the whole gap's amount for a part of its volume, rounded half up."""
        return (2 * amount_minor * volume_ml + self.volume_ml) // (2 * self.volume_ml)


class StretchFacts(Struct, frozen=True, kw_only=True):
    """A stretch that is already accounted for. `gap`: a hole's incident, if it has one; read when a fact may fill the hole."""

    stretch_id: int
    from_ml: int
    to_ml: int
    fact_id: UUID
    is_hole: bool
    keg_id: UUID | None
    boot_id: UUID | None = None
    gap: GapIncident | None = None


class OdometerFacts(Struct, frozen=True, kw_only=True):
    """A journal's odometer: its first known value, how far it is proved to be covered, and the stretches beyond.

    `covered_ml` is null while nothing is proved: at first, and after a fact from before the first value seen.
    """

    first_ml: int | None
    covered_ml: int | None
    stretches: tuple[StretchFacts, ...]


class IncidentHole(Struct, frozen=True, kw_only=True):
    """The hole of an incident, at most up to the odometer's current value, and the stretches accounted for in it since."""

    journal_id: UUID
    from_ml: int
    to_ml: int
    stretches: tuple[StretchFacts, ...]


def account_fact(fact: StretchAccounted, volume_ml: int, overlapping: Sequence[StretchFacts], changes: Changes) -> None:
    """Account for the stretch of a booked fact.

    A fact's volume must be the length of its stretch. Any other raises an incident, and only as much of the stretch is accounted
    for as was booked, its volume: the rest stays a hole, and is booked later.
    """
    if volume_ml != fact.to_ml - fact.from_ml:
        _raise_mismatch(fact, volume_ml, changes)
    account_stretch(replace(fact, to_ml=min(fact.to_ml, fact.from_ml + volume_ml)), overlapping, changes)


def account_stretch(stretch: StretchAccounted, overlapping: Sequence[StretchFacts], changes: Changes) -> None:
    """Account for a stretch: reverse the holes that it fills, and raise an incident where it overlaps another fact.

    An overlap with a fact of another boot proves that the journal was set back: one journal's odometer never goes back. What such a
    boot reports flowed anew, so it fills no hole of another boot.
    """
    if stretch.to_ml <= stretch.from_ml or any(
        other.fact_id == stretch.fact_id and not other.is_hole and _span(other) == _span(stretch) for other in overlapping
    ):
        return
    changes.stretches.append(stretch)
    set_back = _note_set_back(stretch, overlapping, changes)
    filled_ml = Counter[GapIncident]()
    for other in overlapping:
        from_ml, to_ml = max(other.from_ml, stretch.from_ml), min(other.to_ml, stretch.to_ml)
        if from_ml >= to_ml:
            continue
        if set_back and (not other.is_hole or other.boot_id != stretch.boot_id):
            continue
        if other.is_hole:
            _reverse_hole(other, stretch, from_ml, to_ml, changes)
            if other.gap is not None:
                filled_ml[other.gap] += to_ml - from_ml
        else:
            _raise_rewound(other, stretch, from_ml, to_ml, changes)
    _reduce_gaps(filled_ml, changes)
    _note_earlier_bookings(stretch.fact_id, filled_ml, changes)


def _note_set_back(stretch: StretchAccounted, overlapping: Sequence[StretchFacts], changes: Changes) -> bool:
    """Whether the stretch is of a journal that was set back; its proof is noted."""
    if stretch.boot_id is None:
        return False
    known = (stretch.boot_id, None)
    doubled = next((other for other in overlapping if not other.is_hole and other.boot_id not in known), None)
    if doubled is None and not stretch.set_back:
        return False
    proof = {"from_ml": stretch.from_ml, "to_ml": stretch.to_ml, "fact": str(stretch.fact_id)}
    if doubled is not None:
        proof["overlaps"] = str(doubled.fact_id)
    changes.note_set_back(stretch.journal_id, stretch.boot_id, known=stretch.set_back, **proof)
    return True


def account_implausible(
    stretch: StretchAccounted, pour: PourFacts | None, overlapping: Sequence[StretchFacts], changes: Changes
) -> None:
    """Account for the stretch of an implausible report if a person enters the volume of its `pour`.

    Otherwise the stretch is a hole: booked already, or by a later check.
    """
    if pour is not None and pour.sync_status in VOLUME_BY_OPERATOR:
        account_stretch(stretch, overlapping, changes)


def book_holes(
    journal_id: UUID,
    odometer_ml: int,
    facts: OdometerFacts,
    tap: CurrentTap,
    hole_ids: Iterable[UUID],
    max_hole_ml: int,
    changes: Changes,
    boot_id: UUID | None = None,
) -> None:
    """Book every hole up to the odometer's value, once the node says in `boot_id` that it has no open fact.

    A hole of more than `max_hole_ml` is implausible: it raises an incident, and nothing is proved beyond it until a person has
    resolved that (`account_on_resolution`).
    """
    if facts.first_ml is None or odometer_ml < facts.first_ml:
        changes.covered = OdometerCovered(journal_id=journal_id, first_ml=odometer_ml, covered_ml=odometer_ml)
        return
    start_ml = facts.covered_ml if facts.covered_ml is not None else facts.first_ml
    covered_ml = max(start_ml, odometer_ml)
    for (from_ml, to_ml), hole_id in zip(_holes(start_ml, odometer_ml, facts.stretches), hole_ids, strict=False):
        if to_ml - from_ml > max_hole_ml:
            _raise_implausible_hole(journal_id, from_ml, to_ml, hole_id, changes)
            covered_ml = min(covered_ml, from_ml)
        else:
            _book_hole(journal_id, from_ml, to_ml, hole_id, tap, boot_id, changes)
    changes.covered = OdometerCovered(journal_id=journal_id, first_ml=facts.first_ml, covered_ml=covered_ml)


def account_on_resolution(gap: IncidentHole, incident_id: UUID, changes: Changes) -> None:
    """Account for a hole because a person resolved its incident; its remaining parts move no stock."""
    for from_ml, to_ml in _holes(gap.from_ml, gap.to_ml, gap.stretches):
        changes.account(gap.journal_id, from_ml, to_ml, incident_id, is_hole=True)


def _holes(start_ml: int, odometer_ml: int, stretches: Sequence[StretchFacts]) -> Iterator[tuple[int, int]]:
    position_ml = start_ml
    for from_ml, to_ml in [*sorted(_span(stretch) for stretch in stretches), (odometer_ml, odometer_ml)]:
        if position_ml < min(from_ml, odometer_ml):
            yield position_ml, min(from_ml, odometer_ml)
        position_ml = max(position_ml, to_ml)


def _raise_implausible_hole(journal_id: UUID, from_ml: int, to_ml: int, hole_id: UUID, changes: Changes) -> None:
    details = {
        "volume_ml": to_ml - from_ml,
        "from_ml": from_ml,
        "to_ml": to_ml,
        "journal_id": str(journal_id),
        "hint": "the node's odometer is implausible; nothing was booked, and resolving this books nothing either",
    }
    _raise_gap(hole_id, details, changes)


def _raise_gap(hole_id: UUID, details: Mapping[str, object], changes: Changes) -> None:
    """Raise a hole's incident under the hole's id, so that a fact that fills the hole finds it."""
    cause = f"{changes.tap_path} {details['journal_id']} {details['from_ml']}-{details['to_ml']}"
    changes.raise_incident(IncidentKind.VOLUME_GAP, cause, details, incident_id=hole_id)


def _book_hole(
    journal_id: UUID, from_ml: int, to_ml: int, hole_id: UUID, tap: CurrentTap, boot_id: UUID | None, changes: Changes
) -> None:
    volume_ml = to_ml - from_ml
    changes.account(journal_id, from_ml, to_ml, hole_id, is_hole=True, keg_id=tap.keg_id, boot_id=boot_id)
    changes.move_stock(tap.keg_id, StockKind.UNATTRIBUTED, volume_ml, cause_id=hole_id)
    details = {
        "volume_ml": volume_ml,
        "value_minor": tap.value_of(volume_ml),
        "from_ml": from_ml,
        "to_ml": to_ml,
        "journal_id": str(journal_id),
    }
    changes.audit(AuditAction.VOLUME_GAP_BOOKED, hole_id, changes.tap_path, details=details)
    if volume_ml >= VOLUME_GAP_INCIDENT_ML:
        _raise_gap(hole_id, details, changes)


def _reverse_hole(hole: StretchFacts, stretch: StretchAccounted, from_ml: int, to_ml: int, changes: Changes) -> None:
    changes.holes_reopened.append(hole.stretch_id)
    for rest_from_ml, rest_to_ml in ((hole.from_ml, from_ml), (to_ml, hole.to_ml)):
        if rest_from_ml < rest_to_ml:
            changes.account(
                stretch.journal_id,
                rest_from_ml,
                rest_to_ml,
                hole.fact_id,
                is_hole=True,
                keg_id=hole.keg_id,
                boot_id=hole.boot_id,
            )
    changes.move_stock(hole.keg_id, StockKind.UNATTRIBUTED, from_ml - to_ml, cause_id=hole.fact_id)
    details = {"volume_ml": to_ml - from_ml, "from_ml": from_ml, "to_ml": to_ml}
    changes.audit(AuditAction.VOLUME_GAP_TAKEN_BACK, hole.fact_id, stretch.fact_id, changes.tap_path, details=details)


def _reduce_gaps(filled_ml: Mapping[GapIncident, int], changes: Changes) -> None:
    for gap, volume_ml in filled_ml.items():
        if gap.is_resolved:
            continue
        left_ml = gap.volume_ml - volume_ml
        left_minor = None if gap.value_minor is None else gap.share_of(gap.value_minor, left_ml)
        left = {"volume_ml": left_ml, "value_minor": left_minor}
        changes.update_incident(gap.incident_id, IncidentKind.VOLUME_GAP, left)
        if left_ml == 0:
            changes.resolve_incident(
                gap.incident_id, IncidentKind.VOLUME_GAP, Resolution.NO_ACTION, "the fact came", changes.tap_path
            )


def _note_earlier_bookings(fact_id: UUID, filled_ml: Mapping[GapIncident, int], changes: Changes) -> None:
    """Note the amounts booked by a hole's incident, so that the fact that fills the hole does not book them again."""
    paid = {gap: gap.share_of(gap.booked_minor, volume_ml) for gap, volume_ml in filled_ml.items() if gap.booked_minor}
    if paid:
        changes.paid_before.append(
            EarlierBooking(
                fact_id=fact_id,
                volume_ml=sum(filled_ml[gap] for gap in paid),
                paid_minor=sum(paid.values()),
                incident_ids=tuple(gap.incident_id for gap in paid),
            )
        )


def _raise_mismatch(stretch: StretchAccounted, volume_ml: int, changes: Changes) -> None:
    details = {"volume_ml": volume_ml, "from_ml": stretch.from_ml, "to_ml": stretch.to_ml, "fact": str(stretch.fact_id)}
    cause = f"{changes.tap_path} {stretch.fact_id} {volume_ml} {stretch.from_ml}-{stretch.to_ml}"
    changes.raise_incident(IncidentKind.ODOMETER_MISMATCH, cause, details)


def _raise_rewound(other: StretchFacts, stretch: StretchAccounted, from_ml: int, to_ml: int, changes: Changes) -> None:
    details = {"from_ml": from_ml, "to_ml": to_ml, "facts": sorted((str(other.fact_id), str(stretch.fact_id)))}
    cause = f"{changes.tap_path} {stretch.journal_id} {from_ml}-{to_ml}"
    changes.raise_incident(IncidentKind.ODOMETER_REWOUND, cause, details)


def _span(stretch: StretchFacts | StretchAccounted) -> tuple[int, int]:
    return stretch.from_ml, stretch.to_ml
