"""Pours, their reports and verdicts."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Select, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from tapwire_contracts.reasons import EndReason, StopReason, SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, NodeStatus, Pour, PourReport, Tap
from tapwire_core.db.tables.pours import LIST_COLLATION
from tapwire_core.db.views.beverages import is_name_at, names_over_time
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, age_ms, read_all, read_one, read_page, table
from tapwire_core.db.views.visits import progress_of_pour

pours: Final = table(Pour)
taps: Final = table(Tap)
beverages: Final = table(Beverage)
nodes: Final = table(NodeStatus)
reports: Final = table(PourReport)
MAX_REPORTS_SHOWN: Final = 20
"""A node writes one report per pour; more are a fault of the node, and the first ones are enough."""


class PourView(Struct, frozen=True):
    """A pour, its grant and its outcome; volumes in millilitres, money in minor units. `beverage_name` is that of its time."""

    pour_id: UUID
    visit_id: UUID
    guest_id: UUID
    card_uid: str
    venue_id: str
    tap: str
    tap_id: str
    keg_id: UUID
    beverage_id: UUID
    beverage_name: str
    sync_status: SyncStatus
    volume_ml: int
    amount_minor: int
    loss_minor: int
    currency: str
    max_volume_ml: int
    hold_minor: int
    sell_price_per_liter_minor: int
    price_rule_id: UUID | None
    tax_rate_bp: int | None
    end_reason: EndReason | None
    stop_reason: StopReason | None
    report_refused: bool
    duration_ms: int | None
    progress_ml: int | None
    request_id: UUID
    authorized_at: datetime
    age_ms: int
    settled_at: datetime | None
    settled_by: str | None


class ReportView(Struct, frozen=True):
    """A report of a pour, as received, and its verdict."""

    received_at: datetime
    tap: str
    report: dict[str, Any]
    verdict: dict[str, Any]


class PourDetail(PourView, frozen=True):
    """A pour with its reports and their verdicts."""

    reports: tuple[ReportView, ...]


class PourFilter(Struct, frozen=True):
    """A filter of pours; null: any. `tap`: its path, or its id at any venue."""

    visit_id: UUID | None = None
    guest_id: UUID | None = None
    venue_id: str | None = None
    tap: str | None = None
    sync_status: SyncStatus | None = None


async def list_pours(db: Database, wanted: PourFilter, page: PageRequest = FIRST_PAGE) -> Page[PourView]:
    """Pours, the latest first."""
    statement = _pours(db)
    for name, value in msgspec.structs.asdict(wanted).items():
        if value is not None:
            statement = statement.where(_is_of_tap(value) if name == "tap" else pours.c[name] == value)
    return await read_page(db, statement, PourView, [pours.c.authorized_at, pours.c.pour_id], page, newest_first=True)


async def get_pour(db: Database, pour_id: UUID) -> PourDetail | None:
    """One pour, with its reports."""
    pour = await read_one(db, _pours(db).where(pours.c.pour_id == pour_id), PourView)
    if pour is None:
        return None
    came = (
        select(
            reports.c.received_at,
            reports.c.tap_path.label("tap"),
            reports.c.report,
            cast(reports.c.verdict, JSONB).label("verdict"),
        )
        .where(reports.c.pour_id == pour_id)
        .order_by(reports.c.report_id)
        .limit(MAX_REPORTS_SHOWN)
    )
    return PourDetail(**msgspec.structs.asdict(pour), reports=tuple(await read_all(db, came, ReportView)))


async def pours_by_id(db: Database, pour_ids: Collection[UUID]) -> list[PourView]:
    """These pours, in any order."""
    return await read_all(db, _pours(db).where(pours.c.pour_id.in_(pour_ids)), PourView) if pour_ids else []


def _is_of_tap(tap: str) -> ColumnElement[bool]:
    path = pours.c.tap_path.collate(LIST_COLLATION)
    return path == tap if "/" in tap else path.in_(select(taps.c.tap_path).where(taps.c.tap_id == tap))


def _pours(db: Database) -> Select[Any]:
    then = names_over_time()
    return (
        select(
            *pours.c,
            pours.c.tap_path.label("tap"),
            taps.c.tap_id,
            func.coalesce(then.c.name, beverages.c.name).label("beverage_name"),
            literal(db.policy.currency).label("currency"),
            age_ms(pours.c.authorized_at).label("age_ms"),
            progress_of_pour().label("progress_ml"),
        )
        .join(taps, taps.c.tap_path == pours.c.tap_path)
        .join(beverages, beverages.c.beverage_id == pours.c.beverage_id)
        .outerjoin(then, is_name_at(then, pours.c.beverage_id, pours.c.authorized_at))
        .outerjoin(nodes, nodes.c.path == pours.c.tap_path)
    )
