"""What a report changes: its verdict, and all that follows from it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from tapwire_contracts.codec import encode
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.changes import Changes, StretchAccounted, VerdictRemembered
from tapwire_core.domain.house import House
from tapwire_core.domain.messages import settled_message
from tapwire_core.domain.odometer import StretchFacts, account_fact, account_unbelieved
from tapwire_core.domain.reports import Report, SettlementFacts
from tapwire_core.domain.settlement import raise_overdrawn, refuse, settle, why_not_believable


@dataclass(frozen=True, slots=True)
class Settled:
    """The verdict's payload, all that it changes, and why the report can't be believed if it can't."""

    payload: str
    changes: Changes
    why_not_believable: str | None


def settle_new_report(
    report: Report,
    journal_id: UUID | None,
    facts: SettlementFacts,
    overlapping: Sequence[StretchFacts],
    house: House,
    actor: Actor,
    content: object,
) -> Settled:
    """Settle a report that was not processed before.

    `overlapping` are the stretches of this journal's odometer that meet the report's; `content` is the report as JSON, to keep.
    """
    changes = Changes.by(actor, tap_path=report.tap_path, venue_id=facts.tap.venue_id, shift_id=facts.tap.shift_id)
    why_not = why_not_believable(report, house)
    verdict = refuse(report, facts.pour, why_not, changes) if why_not else settle(report, facts, house, changes)
    if report.stretch is not None and journal_id is not None:
        from_ml, to_ml = report.stretch
        stretch = StretchAccounted(journal_id=journal_id, from_ml=from_ml, to_ml=to_ml, fact_id=report.pour_id)
        if why_not:
            account_unbelieved(stretch, facts.pour, overlapping, changes)
        else:
            account_fact(stretch, report.volume_ml, overlapping, changes)
    raise_overdrawn(facts.kegs, changes)
    payload = encode(settled_message(report, verdict, house)).decode()
    changes.verdict = VerdictRemembered(
        pour_id=report.pour_id,
        volume_ml=report.volume_ml,
        odometer_from_ml=report.odometer_from_ml,
        odometer_to_ml=report.odometer_to_ml,
        report=content,
        verdict=payload,
    )
    return Settled(payload, changes, why_not)
