"""Taps, with their kegs and their nodes' latest states."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Float,
    Select,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy import table as sql_table

from tapwire_contracts.messages import PriceRuleShown
from tapwire_contracts.reasons import IncidentStatus, Phase, Presence
from tapwire_core.db.engine import Database
from tapwire_core.db.shown_prices import with_price
from tapwire_core.db.tables import Beverage, Incident, Keg, NodeStatus, Pour, Tap, Venue
from tapwire_core.db.views.cards import guests
from tapwire_core.db.views.guests import full_name
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, age_ms, number_in, read_all, read_one, read_page, table

venues: Final = table(Venue)
taps: Final = table(Tap)
beverages: Final = table(Beverage)
kegs: Final = table(Keg)
nodes: Final = table(NodeStatus)
pours: Final = table(Pour)
incidents: Final = table(Incident)
_now: Final = sql_table("price_rules_now", column("venue_id"), column("facts"))
# once for all taps of a venue, and for no other venue
_prices: Final = select(_now.c.facts).where(_now.c.venue_id == taps.c.venue_id).lateral("prices")
keg_outlook: Final = sql_table(
    "keg_outlook",
    column("keg_id"),
    column("ml_per_hour", BigInteger),
    column("empties_at", DateTime),
    column("is_low", Boolean),
)


class UnconfirmedTap(Struct, frozen=True):
    """A tap whose node has not confirmed the newest config."""

    tap: str
    node_status: Presence | None


class TapView(Struct, frozen=True):
    """A tap, its keg and beverage, and its node's latest state. `status`: the tap's status for guests now.

    `pending_*`: the pour that holds it; `pending_price_minor` is that pour's frozen price per litre, `pending_progress_ml` the
    volume of its node's latest progress. `sell_price_per_liter_minor`: the price now; `price_rule`: the rule that makes it, null
    for the list price. `empties_at`: when the keg is empty at its pace, `pace_ml_per_hour`; null while it has none.
    `almost_gone`: little is left in the keg. `cleaning_due_at`: the interval after the last cleaning, else after it was set.
    """

    tap: str
    venue_id: str
    tap_id: str
    name: str
    room: str | None
    status: str
    status_reason: str | None
    pulses_per_liter: int
    max_pour_ml: int
    cleaning_interval_days: int | None
    last_cleaned_at: datetime | None
    cleaning_due_at: datetime | None
    keg_id: UUID | None
    keg_book_volume_ml: int | None
    keg_initial_volume_ml: int | None
    empties_at: datetime | None
    pace_ml_per_hour: int | None
    almost_gone: bool
    beverage_id: UUID | None
    beverage_name: str | None
    beverage_style: str | None
    beverage_abv: float | None
    sell_price_per_liter_minor: int | None
    list_price_per_liter_minor: int | None
    price_rule: PriceRuleShown | None
    currency: str
    pending_pour_id: UUID | None
    pending_age_ms: int | None
    pending_visit_id: UUID | None
    pending_guest_name: str | None
    pending_max_volume_ml: int | None
    pending_price_minor: int | None
    pending_progress_ml: int | None
    open_incidents: int
    identity_conflict: bool
    node_status: Presence | None
    node_phase: str | None
    node_valve: str | None
    node_software: str | None
    node_facts_open: int | None
    node_seen_ms: int | None
    config_revision: int
    config_confirmed: bool


async def list_unconfirmed_taps(db: Database, venue_id: str) -> list[UnconfirmedTap]:
    """The taps of a venue whose node is offline, or has not confirmed the newest config."""
    statement = (
        select(taps.c.tap_path.label("tap"), nodes.c.status.label("node_status"))
        .outerjoin(nodes, nodes.c.path == taps.c.tap_path)
        .where(taps.c.venue_id == venue_id, ~is_confirmed())
        .order_by(taps.c.tap_path)
    )
    return await read_all(db, statement, UnconfirmedTap)


async def list_taps(db: Database, venue_id: str | None = None, page: PageRequest = FIRST_PAGE) -> Page[TapView]:
    """Taps by path, of one venue or of all."""
    statement = _taps(db)
    if venue_id is not None:
        statement = statement.where(taps.c.venue_id == venue_id)
    return await read_page(db, statement, TapView, [taps.c.tap_path], page, complete=with_price)


async def list_pouring(db: Database, venue_ids: Collection[str]) -> list[TapView]:
    """The taps of these venues that have a pending pour, by path."""
    statement = _taps(db).where(pours.c.pour_id.is_not(None), taps.c.venue_id.in_(venue_ids)).order_by(taps.c.tap_path)
    return await read_all(db, statement, TapView, with_price)


async def find_taps(db: Database, paths: Collection[str]) -> list[TapView]:
    """The existing taps of these paths."""
    return await read_all(db, _taps(db).where(taps.c.tap_path.in_(paths)), TapView, with_price)


async def get_tap(db: Database, tap: str) -> TapView | None:
    """One tap."""
    return await read_one(db, _taps(db).where(taps.c.tap_path == tap), TapView, with_price)


async def config_revisions(db: Database) -> dict[str, int]:
    """The newest config's revision of each tap: it grows with each change, also with a price by time that begins or ends."""
    async with db.read() as connection:
        found = await connection.execute(select(taps.c.tap_path, taps.c.config_revision))
        return {row.tap_path: row.config_revision for row in found}


async def list_rooms(db: Database, venue_id: str) -> list[str]:
    """The rooms that taps of the venue are in, by name."""
    async with db.read() as connection:
        named = select(taps.c.room).where(taps.c.venue_id == venue_id, taps.c.room.is_not(None)).distinct().order_by(taps.c.room)
        return list((await connection.execute(named)).scalars())


def is_confirmed() -> ColumnElement[bool]:
    """The condition that the tap's node is online and has the newest config."""
    applied = number_in(nodes.c.state, "config_revision")
    return func.coalesce(and_(nodes.c.status == Presence.ONLINE.value, applied >= taps.c.config_revision), False)


def _phase() -> ColumnElement[str]:
    """A node's phase by its own word; that of a will also for a node that is offline without one."""
    is_gone = nodes.c.status == Presence.OFFLINE.value
    return case((is_gone, literal(Phase.OUT_OF_SERVICE.value)), else_=nodes.c.state["phase"].as_string())


def _taps(db: Database) -> Select[Any]:
    pending = and_(pours.c.tap_path == taps.c.tap_path, pours.c.sync_status == "pending_sync")
    return (
        select(
            taps.c.tap_path.label("tap"),
            *(taps.c[name] for name in ("venue_id", "tap_id", "name", "room", "pulses_per_liter", "max_pour_ml")),
            *(taps.c[name] for name in ("cleaning_interval_days", "last_cleaned_at", "config_revision")),
            func.cleaning_due_at(taps.c.last_cleaned_at, taps.c.cleaning_interval_set_at, taps.c.cleaning_interval_days).label(
                "cleaning_due_at"
            ),
            _shown_status().label("status"),
            func.coalesce(taps.c.status_reason, venues.c.emergency_stop_reason).label("status_reason"),
            taps.c.keg_id,
            kegs.c.book_volume_ml.label("keg_book_volume_ml"),
            kegs.c.initial_volume_ml.label("keg_initial_volume_ml"),
            keg_outlook.c.empties_at,
            keg_outlook.c.ml_per_hour.label("pace_ml_per_hour"),
            func.coalesce(keg_outlook.c.is_low, False).label("almost_gone"),
            kegs.c.beverage_id,
            beverages.c.name.label("beverage_name"),
            beverages.c.style.label("beverage_style"),
            cast(beverages.c.abv, Float).label("beverage_abv"),
            beverages.c.sell_price_per_liter_minor.label("list_price_per_liter_minor"),
            case((beverages.c.beverage_id.is_not(None), cast(_prices.c.facts, Text))).label("price_facts"),
            literal(db.policy.currency).label("currency"),
            pours.c.pour_id.label("pending_pour_id"),
            age_ms(pours.c.authorized_at).label("pending_age_ms"),
            pours.c.visit_id.label("pending_visit_id"),
            full_name().label("pending_guest_name"),
            pours.c.max_volume_ml.label("pending_max_volume_ml"),
            pours.c.sell_price_per_liter_minor.label("pending_price_minor"),
            case((_names_pour(), number_in(nodes.c.progress, "volume_ml"))).label("pending_progress_ml"),
            _open_incidents().label("open_incidents"),
            taps.c.identity_conflict_at.is_not(None).label("identity_conflict"),
            nodes.c.status.label("node_status"),
            _phase().label("node_phase"),
            nodes.c.state["valve"].as_string().label("node_valve"),
            nodes.c.state["software"].as_string().label("node_software"),
            number_in(nodes.c.state, "facts_open").label("node_facts_open"),
            age_ms(nodes.c.seen_at).label("node_seen_ms"),
            is_confirmed().label("config_confirmed"),
        )
        .join(venues, venues.c.venue_id == taps.c.venue_id)
        .outerjoin(_prices, true())
        .outerjoin(kegs, kegs.c.keg_id == taps.c.keg_id)
        .outerjoin(keg_outlook, keg_outlook.c.keg_id == taps.c.keg_id)
        .outerjoin(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .outerjoin(pours, pending)
        .outerjoin(guests, guests.c.guest_id == pours.c.guest_id)
        .outerjoin(nodes, nodes.c.path == taps.c.tap_path)
    )


def _names_pour() -> ColumnElement[bool]:
    """The condition that the node's latest progress is of the tap's pending pour."""
    named: ColumnElement[bool] = nodes.c.progress["pour_id"].as_string() == cast(pours.c.pour_id, Text)
    return named


def _open_incidents() -> ColumnElement[int]:
    unresolved = incidents.c.status != IncidentStatus.RESOLVED.value
    of_tap = and_(incidents.c.tap_path == taps.c.tap_path, unresolved)
    return select(func.count()).select_from(incidents).where(of_tap).scalar_subquery()


def _shown_status() -> ColumnElement[str]:
    """The tap's status, by the order of the authorisation rules; a running pour comes before an empty keg."""
    return case(
        (venues.c.emergency_stop, "emergency_stop"),
        (taps.c.status != "active", taps.c.status),
        (taps.c.identity_conflict_at.is_not(None), "locked"),
        (pours.c.pour_id.is_not(None), "processing_sync"),
        (or_(kegs.c.keg_id.is_(None), kegs.c.book_volume_ml <= 0), "empty"),
        else_="active",
    )
