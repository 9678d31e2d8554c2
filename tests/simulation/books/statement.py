"""All the books at one moment, from rows."""

from collections import Counter
from uuid import UUID

from tests.simulation.books.interface import (
    Account,
    GapLine,
    JournalLine,
    MoneyLine,
    PourLine,
    Statement,
    StockLine,
    StretchLine,
    TapLine,
    VisitLine,
)
from tests.simulation.books.rows import GuestRow, PourRow, Tables, VisitRow


def state_books(tables: Tables) -> Statement:
    """The statement of these rows."""
    facts = {*tables.pours, *(key[1] for key in tables.verdicts), *(event_id for _, event_id in tables.flows)}
    return Statement(
        guests={guest.guest_id: _account(guest) for guest in tables.guests.values()},
        kegs={keg_id: keg.book_ml for keg_id, keg in tables.kegs.items()},
        taps={tap.path: TapLine(tap.keg_id, tap.status.value, tap.revision) for tap in tables.taps.values()},
        visits={visit.visit_id: _visit_line(visit) for visit in tables.visits.values()},
        pours={pour_id: _pour_line(pour) for pour_id, pour in tables.pours.items()},
        journals={key: JournalLine(row.highest_seq, row.first_ml, row.covered_ml) for key, row in tables.journals.items()},
        stretches=Counter(
            StretchLine(row.tap_path, row.journal_id, row.from_ml, row.to_ml, None if row.is_hole else row.fact_id, row.keg_id)
            for row in tables.stretches
        ),
        stock=Counter(
            StockLine(row.keg_id, row.kind.value, row.volume_ml, row.cause_id if row.cause_id in facts else None)
            for row in tables.stock
        ),
        money=Counter(
            MoneyLine(row.debit_account.value, row.credit_account.value, row.amount_minor, row.guest_id, row.pour_id)
            for row in tables.money
        ),
        incidents={key: incident.occurrences for key, incident in tables.incidents.items()},
        gaps={cause: GapLine(row.gap.volume_ml, row.gap.value_minor) for (_, cause), row in tables.incidents.items() if row.gap},
        audited=dict(tables.audited),
        deposits=_deposits(tables),
        served={} if tables.serving_limit is None else {guest_id: tables.served(guest_id) for guest_id in tables.guests},
    )


def _deposits(tables: Tables) -> dict[UUID, int]:
    kept = Counter[UUID]()
    for card in tables.cards.values():
        if card.deposit_minor and card.guest_id is not None:
            kept[card.guest_id] += card.deposit_minor
    return dict(kept)


def _account(guest: GuestRow) -> Account:
    return Account(guest.balance_minor, guest.held_minor, guest.house_credit_minor)


def _visit_line(visit: VisitRow) -> VisitLine:
    return VisitLine(
        guest_id=visit.guest_id,
        card_uid=visit.card_uid,
        status=visit.status.value,
        active_tap_id=visit.active_tap_id,
        patrons=visit.patrons,
        alcohol_allowed=visit.alcohol_allowed,
    )


def _pour_line(pour: PourRow) -> PourLine:
    granted = pour.granted
    return PourLine(
        guest_id=granted.guest_id,
        tap_path=pour.tap_path,
        keg_id=granted.keg_id,
        sync_status=pour.sync_status.value,
        price_minor=granted.sell_price_per_liter_minor,
        max_volume_ml=granted.max_volume_ml,
        hold_minor=granted.hold_minor,
        volume_ml=pour.volume_ml,
        amount_minor=pour.amount_minor,
        loss_minor=pour.loss_minor,
        stock_ml=pour.stock_ml,
        reported=pour.reported,
        report_refused=pour.report_refused,
        end_reason=pour.end_reason.value if pour.end_reason else None,
        stop_reason=pour.stop_reason.value if pour.stop_reason else None,
        abv_hundredths=granted.abv_hundredths,
    )
