"""The mirror of the schema's functions `lock_together`, `lock_flow`, `lock_odometer` and `lock_pour`."""

from datetime import datetime, time
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from tapwire_contracts.reasons import IncidentKind
from tapwire_core.domain.authorization import Facts, GuestFacts, Question, TapFacts, VisitFacts
from tapwire_core.domain.flows import LeakFacts
from tapwire_core.domain.odometers import GapIncident, OdometerFacts, StretchFacts
from tapwire_core.domain.pour_reports import CurrentTap, PourFacts, Report, SettlementFacts
from tapwire_core.domain.pours import PendingPour
from tapwire_core.domain.price_rules import PriceRule, PriceRulesNow, price_now
from tapwire_core.domain.serving_limits import Served
from tests.simulation.books.rows import GuestRow, JournalRow, PourRow, StretchRow, Tables

SOME_TIME: Final = datetime(2026, 1, 1)  # noqa: DTZ001  a wall clock has no zone
"""The rules of the simulation are on at all times."""


RULE_ID: Final = UUID(int=0)
"""The id of a price rule is random, and left out."""


def always_off(percent_off: int) -> PriceRule:
    """A price rule that is on all the time."""
    return PriceRule(
        price_rule_id=RULE_ID,
        name="Happy hour",
        beverage_ids=None,
        weekdays=tuple(range(1, 8)),
        from_time=time(),
        to_time=time(),
        percent_off=percent_off,
    )


def price_rules_now(tables: Tables) -> PriceRulesNow | None:
    """The view `price_rules_now`."""
    return PriceRulesNow(wall_time=SOME_TIME, rules=(tables.price_rule,)) if tables.price_rule else None


def shown_price(tables: Tables) -> tuple[int, int] | None:
    """The price of the rule and the list price; None without a rule."""
    price = price_now(tables.price_minor, tables.beverage_id, price_rules_now(tables))
    return (price.minor, price.list_minor) if price.rule else None


def question_facts(tables: Tables, question: Question) -> Facts:
    """The facts of a question."""
    tap = tables.taps.get(question.tap_path)
    if tap is None:
        return Facts(tap=None, card_status=None, visit=None, guest=None)
    card, visit = tables.cards.get(question.card_uid), tables.visit_of_card(question.card_uid)
    leased = tables.lease_of_visit(visit.visit_id) if visit else None
    guest = tables.guests[visit.guest_id] if visit else None
    journal = tables.journals.get((question.tap_path, question.journal_id)) if question.journal_id else None
    pending = tables.lease_of_tap(question.tap_path)
    return Facts(
        tap=TapFacts(
            venue_id=tables.venue_id,
            status=tap.status,
            emergency_stop=tables.emergency_stop,
            max_pour_ml=tap.max_pour_ml,
            highest_seq=journal.highest_seq if journal else 0,
            keg_id=tap.keg_id,
            keg_ml=tables.kegs[tap.keg_id].book_ml,
            beverage_id=tables.beverage_id,
            beverage_name="Pils",
            beverage_style=None,
            abv_hundredths=tables.abv_hundredths,
            price_minor=tables.price_minor,
            shift_id=tables.shift_id,
            pending=_pending(tables, pending) if pending else None,
            highest_boot_id=journal.highest_boot_id if journal else None,
            seq_taken=_seq_taken(tables, question),
            set_back=journal is not None and question.boot_id in journal.set_back_boots,
            suspected=journal is not None and question.boot_id == journal.suspect_boot_id,
            odometer_seen_ml=_odometer_seen_ml(tables, question, journal),
            identity_conflict=tap.identity_conflict,
            serving_limit=tables.serving_limit,
            price_rules=price_rules_now(tables),
        ),
        card_status=card.status if card else None,
        visit=VisitFacts(
            visit_id=visit.visit_id,
            leased_tap=leased.tap_path if leased else None,
            leased_pour_id=leased.granted.pour_id if leased else None,
            patrons=visit.patrons,
            alcohol_allowed=visit.alcohol_allowed,
            expired=visit.expired,
        )
        if visit
        else None,
        guest=GuestFacts(
            guest_id=guest.guest_id,
            first_name=guest.first_name,
            blocked=guest.blocked,
            balance_minor=guest.balance_minor,
            held_minor=guest.held_minor,
            served=_served(tables, guest, pending),
        )
        if guest
        else None,
    )


def _served(tables: Tables, guest: GuestRow, pending: PourRow | None) -> Served | None:
    if tables.serving_limit is None:
        return None
    is_counted = pending is not None and (pending.granted.guest_id, pending.armed) == (guest.guest_id, guest.rearms)
    return Served(
        used=tables.served(guest.guest_id), of_pending=tables.counted(pending) if pending is not None and is_counted else 0
    )


def _seq_taken(tables: Tables, question: Question) -> bool:
    key = (question.tap_path, question.journal_id, question.seq)
    return any((path, row.journal_id, row.seq) == key for (path, _), row in tables.answers.items())


def _odometer_seen_ml(tables: Tables, question: Question, journal: JournalRow | None) -> int | None:
    key = (question.tap_path, question.journal_id)
    seen = [row.to_ml for row in tables.stretches if (row.tap_path, row.journal_id) == key]
    if journal is not None and journal.covered_ml is not None:
        seen.append(journal.covered_ml)
    return max(seen, default=None)


def _pending(tables: Tables, pour: PourRow) -> PendingPour:
    granted = pour.granted
    some_report = any(key[:2] == (pour.tap_path, granted.pour_id) for key in tables.verdicts)
    return PendingPour(
        pour_id=granted.pour_id,
        visit_id=granted.visit_id,
        guest_id=granted.guest_id,
        hold_minor=granted.hold_minor,
        journal_id=granted.journal_id,
        seq=granted.seq,
        reported=pour.reported or pour.report_refused or some_report,
        open_incidents=tables.open_incidents(granted.pour_id),
    )


def is_set_back(tables: Tables, path: str, journal_id: UUID | None, boot_id: UUID | None) -> bool:
    """Whether this boot is proved to have an older copy of the journal."""
    journal = tables.journals.get((path, journal_id)) if journal_id else None
    return journal is not None and boot_id in journal.set_back_boots


def report_facts(tables: Tables, report: Report, journal_id: UUID | None) -> SettlementFacts:
    """The facts of a report."""
    pour = tables.pours.get(report.pour_id)
    is_its = pour is not None and pour.tap_path == report.tap_path
    return SettlementFacts(
        tap=tap_now(tables, report.tap_path),
        pour=pour_facts(tables, report.pour_id) if is_its else None,
        set_back=is_set_back(tables, report.tap_path, journal_id, report.boot_id),
    )


def tap_now(tables: Tables, path: str) -> CurrentTap:
    """A tap as it is."""
    tap = tables.taps[path]
    return CurrentTap(
        venue_id=tables.venue_id,
        shift_id=tables.shift_id,
        keg_id=tap.keg_id,
        keg_ml=tables.kegs[tap.keg_id].book_ml,
        price_minor=tables.price_minor,
    )


LONG_AGO_MS: Final = 3_600_000
"""The time since each grant: no duration that a node of the simulation reports is longer."""


def pour_facts(tables: Tables, pour_id: UUID) -> PourFacts:
    """A pour with its guest's account and its keg."""
    pour = tables.pours[pour_id]
    granted, guest = pour.granted, tables.guests[pour.granted.guest_id]
    return PourFacts(
        pour_id=pour_id,
        visit_id=granted.visit_id,
        guest_id=granted.guest_id,
        card_uid=granted.card_uid,
        tap_path=pour.tap_path,
        venue_id=tables.venue_id,
        keg_id=granted.keg_id,
        sync_status=pour.sync_status,
        sell_price_per_liter_minor=granted.sell_price_per_liter_minor,
        max_volume_ml=granted.max_volume_ml,
        hold_minor=granted.hold_minor,
        volume_ml=pour.volume_ml,
        amount_minor=pour.amount_minor,
        stock_ml=pour.stock_ml,
        reported=pour.reported,
        refused=pour.report_refused,
        elapsed_ms=LONG_AGO_MS,
        journal_id=granted.journal_id,
        boot_id=granted.boot_id,
        odometer_seen_ml=granted.odometer_seen_ml,
        balance_minor=guest.balance_minor,
        held_minor=guest.held_minor,
        keg_ml=tables.kegs[granted.keg_id].book_ml,
        keg_finished=tables.kegs[granted.keg_id].finish is not None,
        open_incidents=tables.open_incidents(pour_id),
        house_credit_minor=guest.house_credit_minor,
    )


def leak_facts(tables: Tables, path: str) -> LeakFacts | None:
    """The tap's unresolved incident of leaks."""
    row = tables.incidents.get((IncidentKind.UNATTRIBUTED_FLOW, path))
    return LeakFacts(incident_id=row.incident_id, details=row.details) if row else None


def overlapping(tables: Tables, path: str, journal_id: UUID, from_ml: int, to_ml: int) -> tuple[StretchFacts, ...]:
    """The stretches of a journal's odometer that meet this one."""
    return tuple(
        replace(_stretch(row), gap=_gap(tables, row))
        for row in tables.stretches
        if (row.tap_path, row.journal_id) == (path, journal_id) and row.to_ml > from_ml and row.from_ml < to_ml
    )


def odometer_facts(tables: Tables, path: str, journal_id: UUID) -> OdometerFacts | None:
    """A journal's odometer; None while a pour of the tap is pending."""
    if tables.lease_of_tap(path) is not None:
        return None
    journal = tables.journals.get((path, journal_id), JournalRow())
    beyond_ml = -1 if journal.covered_ml is None else journal.covered_ml
    stretches = (row for row in tables.stretches if (row.tap_path, row.journal_id) == (path, journal_id) and row.to_ml > beyond_ml)
    return OdometerFacts(first_ml=journal.first_ml, covered_ml=journal.covered_ml, stretches=tuple(map(_stretch, stretches)))


def _gap(tables: Tables, row: StretchRow) -> GapIncident | None:
    gap = tables.gap(row.fact_id) if row.is_hole else None
    if gap is None:
        return None
    return GapIncident(
        incident_id=gap.incident_id, is_resolved=False, volume_ml=gap.volume_ml, value_minor=gap.value_minor, booked_minor=0
    )


def _stretch(row: StretchRow) -> StretchFacts:
    return StretchFacts(
        stretch_id=row.stretch_id,
        from_ml=row.from_ml,
        to_ml=row.to_ml,
        fact_id=row.fact_id,
        is_hole=row.is_hole,
        keg_id=row.keg_id,
        boot_id=row.boot_id,
    )
