"""Visits, for operators."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Integer, Select, Text, and_, case, cast, func, literal, null, or_, select
from sqlalchemy.dialects.postgresql import JSONB

from tapwire_contracts.reasons import Presence, StopReason
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Card, CheckOut, Guest, NodeStatus, Pour, Tap, Venue, Visit
from tapwire_core.db.views.guests import full_name
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, age_ms, number_in, read_all, read_one, read_page, table
from tapwire_core.db.views.search_ids import begins, guests_found, has_whole_words
from tapwire_core.domain.closed_sets import CardStatus, PaymentMethod, SearchNoun, VisitStatus
from tapwire_core.domain.search import query_of
from tapwire_core.domain.serving_limits import Allowance

visits: Final = table(Visit)
cards: Final = table(Card)
check_outs: Final = table(CheckOut)
guests: Final = table(Guest)
pours: Final = table(Pour)
taps: Final = table(Tap)
venues: Final = table(Venue)
nodes: Final = table(NodeStatus)


class PendingPour(Struct, frozen=True):
    """The pour that holds a visit's lease. `progress_ml`: the volume of its node's latest progress, for an estimate."""

    pour_id: UUID
    tap: str
    tap_id: str
    authorized_at: datetime
    age_ms: int
    max_volume_ml: int
    hold_minor: int
    sell_price_per_liter_minor: int
    report_refused: bool
    stop_reason: StopReason | None
    progress_ml: int | None


class VisitView(Struct, frozen=True):
    """A visit; `active_tap_id` and `lock_set_at` show its pending pour's lock. `spent_minor`: the sum of its pours' charges.

    `card_status`: `lost` for a card that no longer works. `stuck`: it waits for a person (see `_is_stuck`). `allowance`: what the
    venue's serving limit leaves its guest; null without a limit, and for a closed visit. `valid_until`: its card opens no tap after
    it, which `expired` says; null: until it is closed. `ended_with_shift`: closed with its shift, so that it can still be checked
    out. `deposit_minor`: the deposit on its card. `checked_out_at`: null if it was not checked out.
    """

    visit_id: UUID
    venue_id: str
    guest_id: UUID
    guest_name: str
    card_uid: str | None
    card_status: CardStatus | None
    status: VisitStatus
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None
    closed_by: str | None
    active_tap_id: str | None
    lock_set_at: datetime | None
    valid_until: datetime | None
    expired: bool
    ended_with_shift: bool
    checked_out_at: datetime | None
    patrons: int
    alcohol_allowed: bool
    allowance: Allowance | None
    balance_minor: int
    held_minor: int
    available_minor: int
    spent_minor: int
    deposit_minor: int
    currency: str
    stuck: bool
    pending_pour: PendingPour | None


class VisitInEvent(Struct, frozen=True):
    """A visit in an event of a webhook: without names. `card_returned` and `payout_method`: of its check-out, if there was one."""

    visit_id: UUID
    venue_id: str
    guest_id: UUID
    card_uid: str | None
    status: VisitStatus
    opened_at: datetime
    opened_by: str
    closed_at: datetime | None
    closed_by: str | None
    valid_until: datetime | None
    patrons: int
    alcohol_allowed: bool
    ended_with_shift: bool
    checked_out_at: datetime | None
    card_returned: bool | None
    payout_method: PaymentMethod | None
    paid_out_minor: int | None
    currency: str


async def list_visits(
    db: Database,
    *,
    venue_id: str | None = None,
    guest_id: UUID | None = None,
    status: VisitStatus | None = None,
    stuck: bool = False,
    stuck_first: bool = False,
    search: str | None = None,
    page: PageRequest = FIRST_PAGE,
) -> Page[VisitView]:
    """Visits, the latest first; `stuck`: those that wait for a person (see `_is_stuck`), `stuck_first`: those before the others.

    With `search` those that it finds, by their guest or their card, guests with the typed words whole first.
    """
    statement = _visits(db)
    order: list[ColumnElement[Any]] = [visits.c.opened_at, visits.c.visit_id]
    wanted = {"venue_id": venue_id, "guest_id": guest_id, "status": status.value if status else None}
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(visits.c[column] == value)
    if stuck:
        statement = statement.where(_is_stuck(db))
    if search is not None:
        query = query_of(search)
        statement = statement.where(or_(visits.c.guest_id.in_(guests_found(query)), begins(visits.c.card_uid, query)))
        order.insert(0, has_whole_words(SearchNoun.GUEST, visits.c.guest_id, query))
    if stuck_first:
        order.insert(0, cast(func.coalesce(_is_stuck(db), False), Integer))
    return await read_page(db, statement, VisitView, order, page, newest_first=True)


async def get_visit(db: Database, visit_id: UUID) -> VisitView | None:
    """One visit."""
    return await read_one(db, _visits(db).where(visits.c.visit_id == visit_id), VisitView)


async def visits_by_id(db: Database, visit_ids: Collection[UUID]) -> list[VisitInEvent]:
    """These visits for events, in any order."""
    if not visit_ids:
        return []
    of_check_out = [check_outs.c[name] for name in ("checked_out_at", "card_returned", "payout_method", "paid_out_minor")]
    ended, currency = _ended_with_shift().label("ended_with_shift"), literal(db.policy.currency).label("currency")
    statement = (
        select(*visits.c, *of_check_out, ended, currency)
        .outerjoin(check_outs, check_outs.c.visit_id == visits.c.visit_id)
        .where(visits.c.visit_id.in_(visit_ids))
    )
    return await read_all(db, statement, VisitInEvent)


async def get_active_visit_by_card(db: Database, card_uid: str) -> VisitView | None:
    """The active visit that holds a card."""
    of_card = and_(visits.c.card_uid == card_uid, visits.c.status == VisitStatus.ACTIVE.value)
    return await read_one(db, _visits(db).where(of_card), VisitView)


async def get_visit_to_check_out(db: Database, card_uid: str) -> VisitView | None:
    """The visit to check out of with a card: the active one, else one that ended with its shift and was not checked out."""
    is_active = visits.c.status == VisitStatus.ACTIVE.value
    of_guest = select(cards.c.card_uid).where(cards.c.card_uid == card_uid, cards.c.guest_id == visits.c.guest_id).exists()
    ended = and_(_ended_with_shift(), check_outs.c.visit_id.is_(None), of_guest)
    statement = (
        _visits(db)
        .where(visits.c.card_uid == card_uid, or_(is_active, ended))
        .order_by(is_active.desc(), visits.c.opened_at.desc())
        .limit(1)
    )
    return await read_one(db, statement, VisitView)


async def allowances_of_visits(db: Database, visit_ids: Collection[UUID]) -> dict[UUID, Allowance]:
    """What a serving limit leaves these active visits, by their ids; visits without a limit are left out."""
    if not visit_ids:
        return {}
    statement = _visits(db).where(visits.c.visit_id.in_(visit_ids))
    return {visit.visit_id: visit.allowance for visit in await read_all(db, statement, VisitView) if visit.allowance}


def _visits(db: Database) -> Select[Any]:
    pending = and_(pours.c.visit_id == visits.c.visit_id, pours.c.sync_status == "pending_sync")
    return (
        select(
            *visits.c,
            full_name().label("guest_name"),
            guests.c.balance_minor,
            guests.c.held_minor,
            (guests.c.balance_minor - guests.c.held_minor).label("available_minor"),
            _spent().label("spent_minor"),
            _card_status().label("card_status"),
            _deposit().label("deposit_minor"),
            func.coalesce(visits.c.valid_until <= func.now(), False).label("expired"),
            _ended_with_shift().label("ended_with_shift"),
            check_outs.c.checked_out_at,
            literal(db.policy.currency).label("currency"),
            func.coalesce(_is_stuck(db), False).label("stuck"),
            _pending_pour().label("pending_pour"),
            allowance_of_visit().label("allowance"),
        )
        .join(venues, venues.c.venue_id == visits.c.venue_id)
        .join(guests, guests.c.guest_id == visits.c.guest_id)
        .outerjoin(check_outs, check_outs.c.visit_id == visits.c.visit_id)
        .outerjoin(pours, pending)
        .outerjoin(taps, taps.c.tap_path == pours.c.tap_path)
        .outerjoin(nodes, nodes.c.path == pours.c.tap_path)
    )


def _ended_with_shift() -> ColumnElement[bool]:
    return visits.c.ended_by_shift_id.is_not(None)


def _spent() -> ColumnElement[int]:
    of_visit = pours.alias("of_visit")
    total = cast(func.coalesce(func.sum(of_visit.c.amount_minor), 0), BigInteger)
    return select(total).where(of_visit.c.visit_id == visits.c.visit_id).scalar_subquery()


def _card_status() -> ColumnElement[Any]:
    return select(cards.c.status).where(cards.c.card_uid == visits.c.card_uid).scalar_subquery()


def _deposit() -> ColumnElement[int]:
    """The deposit on the visit's card, while the card is its guest's."""
    of_card = and_(cards.c.card_uid == visits.c.card_uid, cards.c.guest_id == visits.c.guest_id)
    return func.coalesce(select(cards.c.deposit_minor).where(of_card).scalar_subquery(), 0)


def allowance_of_visit() -> ColumnElement[Any]:
    """The allowance of an active visit at a venue with a serving limit."""
    limit = venues.c.serving_limit * visits.c.patrons
    of_guest = (visits.c.guest_id, visits.c.venue_id, venues.c.serving_limit_measure, venues.c.serving_limit_window_minutes)
    served = func.served(*of_guest, null()).table_valued("used", "of_pour", "oldest_at")
    used, window = cast(served.c.used, BigInteger), cast(venues.c.serving_limit_window_minutes, Integer)
    found = func.jsonb_build_object(
        "measure",
        venues.c.serving_limit_measure,
        "limit",
        limit,
        "used",
        used,
        "left",
        func.greatest(limit - used, 0),
        "resets_at",
        served.c.oldest_at + func.make_interval(0, 0, 0, 0, 0, window),
    )
    is_limited = and_(venues.c.serving_limit_measure.is_not(None), visits.c.status == VisitStatus.ACTIVE.value)
    return case((is_limited, select(found).select_from(served).correlate(visits, venues).scalar_subquery()))


def _pending_pour() -> ColumnElement[Any]:
    columns = (
        "pour_id",
        "authorized_at",
        "max_volume_ml",
        "hold_minor",
        "sell_price_per_liter_minor",
        "report_refused",
        "stop_reason",
    )
    parts: list[Any] = [part for name in columns for part in (name, pours.c[name])]
    parts += ["tap", pours.c.tap_path, "tap_id", taps.c.tap_id, "age_ms", age_ms(pours.c.authorized_at)]
    parts += ["progress_ml", progress_of_pour()]
    return case((pours.c.pour_id.is_not(None), func.jsonb_build_object(*parts, type_=JSONB)))


def progress_of_pour() -> ColumnElement[Any]:
    """The volume of the node's latest progress of this pour."""
    of_this = nodes.c.progress["pour_id"].as_string() == cast(pours.c.pour_id, Text)
    return case((of_this, number_in(nodes.c.progress, "volume_ml")))


def _is_stuck(db: Database) -> ColumnElement[bool]:
    """True if a person must look at the visit: a lock without a pour, a refused report, or a pour that no node is pouring.

    A pour is running while its node is online and names it. Otherwise one that is pending longer than `start_window_ms` waits for
    an offline node; one pending longer than `sync_timeout_ms` is stuck in any case.
    """
    pending_ms = age_ms(pours.c.authorized_at)
    named = and_(nodes.c.status == Presence.ONLINE.value, nodes.c.state["pour_id"].as_string() == cast(pours.c.pour_id, Text))
    return or_(
        and_(visits.c.lock_set_at.is_not(None), pours.c.pour_id.is_(None)),
        func.coalesce(pours.c.report_refused, False),
        and_(pending_ms > db.policy.start_window_ms, ~func.coalesce(named, False)),
        pending_ms > db.policy.sync_timeout_ms,
    )
