"""Volume is conserved, and checked (SYSTEM.md, "Volume is conserved, and checked"). Pure.

Each fact names its stretch of the flow meter's odometer, within its journal. Once a node says that it has no open fact, the
stretches that the core has must cover the odometer from the first value seen. A hole is volume that nobody accounted for: it is
booked out of the keg as `unattributed`, and kept as a stretch of its own kind, so that a fact that comes later can take exactly
that booking back.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tapwire_contracts.reasons import AuditAction, IncidentKind, SyncStatus
from tapwire_core.domain.changes import Audited, Changes, IncidentRaised, OdometerCovered, StockMoved, StretchAccounted
from tapwire_core.domain.reports import PourFacts, TapNow
from tapwire_core.domain.settlement import book_unattributed, raise_overdrawn
from tapwire_core.domain.words import StockKind

VOLUME_GAP_INCIDENT_ML: Final = 5
"""From here on a hole is not only booked but also an incident `volume_gap`."""


SAID_BY_A_PERSON: Final = (SyncStatus.PENDING_SYNC, SyncStatus.RECONCILED)
"""The states of a pour whose volume a person will say, or has said, when its report can't be believed."""


class StretchFacts(Struct, frozen=True, kw_only=True):
    """A stretch that is already accounted for."""

    stretch_id: int
    from_ml: int
    to_ml: int
    fact_id: UUID
    is_hole: bool
    keg_id: UUID | None


class OdometerFacts(Struct, frozen=True, kw_only=True):
    """Where a journal's odometer was first seen, how far it is proved to be covered, and the stretches beyond.

    `covered_ml` is null while nothing is proved: at first, and after a fact has come from before the first value seen.
    """

    first_ml: int | None
    covered_ml: int | None
    stretches: tuple[StretchFacts, ...]


def account_fact(fact: StretchAccounted, volume_ml: int, overlapping: Sequence[StretchFacts], changes: Changes) -> None:
    """Account for what a fact that is booked says of the odometer.

    A fact's volume is the length of its stretch. One that says otherwise raises an incident, and only as much of its stretch is
    accounted for as its volume, which is what was booked: the rest stays a hole, and is found.
    """
    if volume_ml != fact.to_ml - fact.from_ml:
        _raise_mismatch(fact, volume_ml, changes)
    account_stretch(replace(fact, to_ml=min(fact.to_ml, fact.from_ml + volume_ml)), overlapping, changes)


def account_stretch(stretch: StretchAccounted, overlapping: Sequence[StretchFacts], changes: Changes) -> None:
    """Account for a stretch: take back the holes that it fills, and raise an incident where another fact already was."""
    if stretch.to_ml <= stretch.from_ml or any(
        other.fact_id == stretch.fact_id and not other.is_hole and _span(other) == _span(stretch) for other in overlapping
    ):
        return
    changes.stretches.append(stretch)
    for other in overlapping:
        from_ml, to_ml = max(other.from_ml, stretch.from_ml), min(other.to_ml, stretch.to_ml)
        if from_ml >= to_ml:
            continue
        if other.is_hole:
            _take_back(other, stretch, from_ml, to_ml, changes)
        else:
            _raise_rewound(other, stretch, from_ml, to_ml, changes)


def account_unbelieved(
    stretch: StretchAccounted, pour: PourFacts | None, overlapping: Sequence[StretchFacts], changes: Changes
) -> None:
    """Account for the stretch of a report that can't be believed, when a person says the volume of the `pour` that it names.

    Otherwise nothing books that stretch: it is a hole, found later or booked already, whichever comes first.
    """
    if pour is not None and pour.sync_status in SAID_BY_A_PERSON:
        account_stretch(stretch, overlapping, changes)


def book_holes(
    journal_id: UUID,
    odometer_ml: int,
    facts: OdometerFacts,
    tap: TapNow,
    hole_ids: Iterable[UUID],
    max_hole_ml: int,
    changes: Changes,
) -> None:
    """Book every hole up to where the odometer stands, once the node says that it has no open fact.

    An odometer that would leave a hole of more than `max_hole_ml` is not believed: nothing is booked, and a person is told.
    """
    if facts.first_ml is None or odometer_ml < facts.first_ml:
        changes.covered = OdometerCovered(journal_id=journal_id, first_ml=odometer_ml, covered_ml=odometer_ml)
        return
    start_ml = facts.covered_ml if facts.covered_ml is not None else facts.first_ml
    holes = list(_holes(start_ml, odometer_ml, facts.stretches))
    if any(to_ml - from_ml > max_hole_ml for from_ml, to_ml in holes):
        _raise_not_believed(journal_id, odometer_ml, holes, changes)
        return
    for (from_ml, to_ml), hole_id in zip(holes, hole_ids, strict=False):
        _book_hole(journal_id, from_ml, to_ml, hole_id, tap, changes)
    raise_overdrawn(tap.kegs, changes)
    changes.covered = OdometerCovered(journal_id=journal_id, first_ml=facts.first_ml, covered_ml=max(start_ml, odometer_ml))


def _holes(start_ml: int, odometer_ml: int, stretches: Sequence[StretchFacts]) -> Iterator[tuple[int, int]]:
    position_ml = start_ml
    for from_ml, to_ml in [*sorted(_span(stretch) for stretch in stretches), (odometer_ml, odometer_ml)]:
        if position_ml < min(from_ml, odometer_ml):
            yield position_ml, min(from_ml, odometer_ml)
        position_ml = max(position_ml, to_ml)


def _raise_not_believed(journal_id: UUID, odometer_ml: int, holes: Sequence[tuple[int, int]], changes: Changes) -> None:
    details = {"odometer_ml": odometer_ml, "holes": holes, "hint": "the node's odometer can't be right; nothing was booked"}
    cause = f"{changes.tap_path} {journal_id} not believed"
    changes.raised.append(IncidentRaised(kind=IncidentKind.VOLUME_GAP, cause=cause, details=details))


def _book_hole(journal_id: UUID, from_ml: int, to_ml: int, hole_id: UUID, tap: TapNow, changes: Changes) -> None:
    volume_ml = to_ml - from_ml
    changes.stretches.append(
        StretchAccounted(journal_id=journal_id, from_ml=from_ml, to_ml=to_ml, fact_id=hole_id, is_hole=True, keg_id=tap.keg_id)
    )
    book_unattributed(tap, volume_ml, StockKind.UNATTRIBUTED, hole_id, changes)
    details = {
        "volume_ml": volume_ml,
        "value_minor": tap.value_of(volume_ml),
        "from_ml": from_ml,
        "to_ml": to_ml,
        "journal_id": str(journal_id),
    }
    changes.audited.append(
        Audited(action=AuditAction.VOLUME_GAP_BOOKED, subjects=(str(hole_id), changes.tap_path or ""), details=details)
    )
    if volume_ml >= VOLUME_GAP_INCIDENT_ML:
        changes.raised.append(
            IncidentRaised(
                kind=IncidentKind.VOLUME_GAP, cause=f"{changes.tap_path} {journal_id} {from_ml}-{to_ml}", details=details
            )
        )


def _take_back(hole: StretchFacts, stretch: StretchAccounted, from_ml: int, to_ml: int, changes: Changes) -> None:
    changes.holes_reopened.append(hole.stretch_id)
    for rest_from_ml, rest_to_ml in ((hole.from_ml, from_ml), (to_ml, hole.to_ml)):
        if rest_from_ml < rest_to_ml:
            changes.stretches.append(
                StretchAccounted(
                    journal_id=stretch.journal_id,
                    from_ml=rest_from_ml,
                    to_ml=rest_to_ml,
                    fact_id=hole.fact_id,
                    is_hole=True,
                    keg_id=hole.keg_id,
                )
            )
    if hole.keg_id is not None:
        changes.stock.append(
            StockMoved(keg_id=hole.keg_id, kind=StockKind.UNATTRIBUTED, volume_ml=from_ml - to_ml, cause_id=hole.fact_id)
        )
    changes.audited.append(
        Audited(
            action=AuditAction.VOLUME_GAP_TAKEN_BACK,
            subjects=(str(hole.fact_id), str(stretch.fact_id), changes.tap_path or ""),
            details={"volume_ml": to_ml - from_ml, "from_ml": from_ml, "to_ml": to_ml},
        )
    )


def _raise_mismatch(stretch: StretchAccounted, volume_ml: int, changes: Changes) -> None:
    details = {"volume_ml": volume_ml, "from_ml": stretch.from_ml, "to_ml": stretch.to_ml, "fact": str(stretch.fact_id)}
    cause = f"{changes.tap_path} {stretch.fact_id} {volume_ml} {stretch.from_ml}-{stretch.to_ml}"
    changes.raised.append(IncidentRaised(kind=IncidentKind.ODOMETER_MISMATCH, cause=cause, details=details))


def _raise_rewound(other: StretchFacts, stretch: StretchAccounted, from_ml: int, to_ml: int, changes: Changes) -> None:
    details = {"from_ml": from_ml, "to_ml": to_ml, "facts": sorted((str(other.fact_id), str(stretch.fact_id)))}
    changes.raise_once(
        IncidentRaised(
            kind=IncidentKind.ODOMETER_REWOUND, cause=f"{changes.tap_path} {stretch.journal_id} {from_ml}-{to_ml}", details=details
        )
    )


def _span(stretch: StretchFacts | StretchAccounted) -> tuple[int, int]:
    return stretch.from_ml, stretch.to_ml
