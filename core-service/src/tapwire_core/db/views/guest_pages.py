"""Guests' own pages: the facts of the visits that tokens show, by one query for all that are asked for at once."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, LargeBinary, Select, and_, any_, bindparam, case, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, Card, Guest, GuestPage, NodeStatus, Pour, Tap, Venue, Visit
from tapwire_core.db.views.queries import age_ms, table
from tapwire_core.db.views.visits import allowance_of_visit, progress_of_pour
from tapwire_core.db.writes.guest_pages import LIFETIME_AFTER_VISIT, LONGEST
from tapwire_core.domain.guest_pages import PageFacts

pages: Final = table(GuestPage)
visits: Final = table(Visit)
guests: Final = table(Guest)
venues: Final = table(Venue)
cards: Final = table(Card)
pours: Final = table(Pour)
taps: Final = table(Tap)
beverages: Final = table(Beverage)
nodes: Final = table(NodeStatus)


async def read_pages(db: Database, token_hashes: Sequence[bytes]) -> dict[bytes, PageFacts]:
    """The facts of these tokens' visits, by their hashes; without those of tokens that are unknown, renewed or ended."""
    async with db.read() as connection:
        rows = await connection.execute(_PAGES, {"token_hashes": token_hashes})
        return {row["token_hash"]: msgspec.convert(dict(row), PageFacts) for row in rows.mappings()}


def _pages() -> Select[Any]:
    ends_at = visits.c.closed_at + literal(LIFETIME_AFTER_VISIT)
    is_pending = and_(pours.c.visit_id == visits.c.visit_id, pours.c.sync_status == "pending_sync")
    return (
        select(
            pages.c.token_hash,
            *(visits.c[name] for name in ("visit_id", "guest_id", "venue_id", "status", "opened_at", "closed_at")),
            *(guests.c[name] for name in ("first_name", "blocked", "balance_minor")),
            venues.c.name.label("venue"),
            venues.c.time_zone,
            venues.c.volume_unit,
            venues.c.max_balance_minor,
            cards.c.status.label("card_status"),
            ends_at.label("expires_at"),
            func.coalesce(visits.c.valid_until <= func.now(), False).label("is_expired"),
            allowance_of_visit().label("allowance"),
            _pending().label("pending"),
            func.coalesce(_poured(), func.jsonb_build_array()).label("pours"),
        )
        .join(visits, visits.c.visit_id == pages.c.visit_id)
        .join(guests, guests.c.guest_id == visits.c.guest_id)
        .join(venues, venues.c.venue_id == visits.c.venue_id)
        .outerjoin(cards, and_(cards.c.card_uid == visits.c.card_uid, cards.c.guest_id == visits.c.guest_id))
        .outerjoin(pours, is_pending)
        .outerjoin(taps, taps.c.tap_path == pours.c.tap_path)
        .outerjoin(beverages, beverages.c.beverage_id == pours.c.beverage_id)
        .outerjoin(nodes, nodes.c.path == pours.c.tap_path)
        .where(
            pages.c.token_hash == any_(bindparam("token_hashes", type_=ARRAY(LargeBinary))),
            ~func.coalesce(func.is_over(ends_at, literal(LONGEST)), False),
        )
    )


def _pending() -> ColumnElement[Any]:
    columns = ("pour_id", "tap_path", "abv_hundredths", "max_volume_ml", "sell_price_per_liter_minor")
    parts: list[Any] = [part for name in columns for part in (name, pours.c[name])]
    parts += ["tap", taps.c.name, "beverage", beverages.c.name]
    parts += ["age_ms", age_ms(pours.c.authorized_at), "progress_ml", progress_of_pour()]
    return case((pours.c.pour_id.is_not(None), func.jsonb_build_object(*parts, type_=JSONB)))


def _poured() -> ColumnElement[Any]:
    """The visit's pours that were settled and gave or cost something, in the order in which they were granted."""
    done, its_beverage = pours.alias("done"), beverages.alias("its_beverage")
    columns = ("volume_ml", "sell_price_per_liter_minor", "amount_minor", "settled_at")
    parts: list[Any] = [part for name in columns for part in (name, done.c[name])]
    found = func.jsonb_build_object("beverage", its_beverage.c.name, *parts, type_=JSONB)
    return (
        select(func.jsonb_agg(aggregate_order_by(found, done.c.authorized_at, done.c.pour_id)))
        .select_from(done.join(its_beverage, its_beverage.c.beverage_id == done.c.beverage_id))
        .where(
            done.c.visit_id == visits.c.visit_id,
            done.c.sync_status != "pending_sync",
            or_(done.c.volume_ml > 0, done.c.amount_minor > 0),
        )
        .correlate(visits)
        .scalar_subquery()
    )


_PAGES: Final = _pages()
"""Made once: telephones ask often, and making a statement costs more than running it."""
