"""Kegs: stock, and bookings of volume outside pours."""

from datetime import date
from typing import Annotated, Any, Final, Literal, TypedDict
from uuid import UUID

from litestar import Request, Response, get, patch, post
from msgspec import UNSET, Meta, Struct, UnsetType

from tapwire_admin.access.auth import OPERATOR, SHIFT_LEAD, operator_of, require_role
from tapwire_admin.requests.dependencies import (
    CurrentActor,
    Db,
    FromPath,
    FromQuery,
    JSONBody,
    OwnVenue,
    PageQuery,
    RunOnce,
    VenueQuery,
)
from tapwire_admin.requests.field_types import KegCount, Name, PaidMinor, Reason, SignedVolumeMl, Slug, VolumeMl
from tapwire_admin.requests.parameters import changes_of, require_found, require_sane_year
from tapwire_admin.responses.csv_tables import CSV, answer_csv, wants_csv
from tapwire_core.db.engine import Database
from tapwire_core.db.views import kegs as views
from tapwire_core.db.views.keg_reports import KegVolumes, keg_volumes
from tapwire_core.db.views.kegs import KegView
from tapwire_core.db.views.queries import Page
from tapwire_core.domain.closed_sets import KegStatus
from tapwire_core.errors import NotFound
from tapwire_core.services import kegs
from tapwire_core.services.venues import VenueRequired

BestBefore = Annotated[date, Meta(description="the last good day, by the venue's calendar")]
VOLUMES_EXAMPLE: Final = "at,book_volume_ml\r\n2026-05-01T20:15:00+00:00,49600\r\n"


class NewKeg(Struct, kw_only=True, forbid_unknown_fields=True):
    """A full keg to be taken into stock, or with `count` a delivery of kegs that are all alike.

    `cost_minor`: what was paid for each. `keg_deposit_minor`: what the supplier gives back for each empty keg.
    """

    beverage_id: UUID
    initial_volume_ml: VolumeMl
    venue_id: Slug | None = None
    supplier: Name | None = None
    batch: Name | None = None
    best_before: BestBefore | None = None
    cost_minor: PaidMinor | None = None
    keg_deposit_minor: PaidMinor | None = None
    count: KegCount | None = None

    @property
    def delivery(self) -> kegs.Delivery:
        """What the supplier's papers say."""
        return kegs.Delivery(
            supplier=self.supplier,
            batch=self.batch,
            best_before=self.best_before,
            cost_minor=self.cost_minor,
            keg_deposit_minor=self.keg_deposit_minor,
        )


class KegsAdded(Struct, frozen=True, kw_only=True):
    """The kegs of a delivery."""

    items: list[KegView]


class _Stated(TypedDict):
    venue_id: str | None
    beverage_id: UUID
    initial_volume_ml: int
    delivery: kegs.Delivery


class KegChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a keg. `status`: in stock, or retired; null removes what the supplier's papers say."""

    status: KegStatus | UnsetType = UNSET
    supplier: Name | UnsetType | None = UNSET
    batch: Name | UnsetType | None = UNSET
    best_before: BestBefore | UnsetType | None = UNSET
    cost_minor: PaidMinor | UnsetType | None = UNSET
    keg_deposit_minor: PaidMinor | UnsetType | None = UNSET


class StockBooking(Struct, kw_only=True, forbid_unknown_fields=True):
    """A volume that left a keg outside a pour."""

    kind: Literal["correction", "line_cleaning"]
    volume_ml: SignedVolumeMl
    reason: Reason


@get("/kegs", access=OPERATOR)
async def list_kegs(
    db: Db, page: PageQuery, venue_id: VenueQuery = None, status: FromQuery[KegStatus | None] = None
) -> Page[KegView]:
    """Kegs, the oldest first."""
    return await views.list_kegs(db, venue_id, status, page)


@get("/kegs/suggest", access=OPERATOR, refuses=(NotFound,))
async def suggest_keg(db: Db, beverage_id: FromQuery[UUID], venue_id: VenueQuery = None) -> KegView:
    """The keg to connect next, first in, first out; 404 when none is in stock."""
    return require_found(await views.suggest_keg(db, beverage_id, venue_id), "keg in stock of beverage", beverage_id)


@post(
    "/kegs",
    access=OPERATOR,
    refuses=(kegs.BeverageArchived, NotFound, VenueRequired),
    answers={201: (KegView | KegsAdded, "the keg, or with `count` the kegs")},
)
async def create_keg(db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[NewKeg]) -> Response[Any]:
    """Take a full keg into stock, or with `count` a delivery of kegs that are all alike."""
    require_sane_best_before(data.best_before)
    stated: _Stated = {
        "venue_id": data.venue_id or own_venue,
        "beverage_id": data.beverage_id,
        "initial_volume_ml": data.initial_volume_ml,
        "delivery": data.delivery,
    }
    if data.count is None:
        return Response(await _view(db, await once(kegs.create_keg, actor, **stated)))
    keg_ids = await once(kegs.create_kegs, actor, **stated, count=data.count)
    return Response(KegsAdded(items=await views.kegs_by_id(db, keg_ids)))


@get("/kegs/{keg_id:uuid}", access=OPERATOR)
async def read_keg(db: Db, keg_id: FromPath[UUID]) -> KegView:
    """One keg."""
    return await _view(db, keg_id)


@get(
    "/kegs/{keg_id:uuid}/volumes",
    access=OPERATOR,
    answers={200: (KegVolumes, "the book volume over time")},
    as_text={CSV: VOLUMES_EXAMPLE},
)
async def read_volumes(request: Request[Any, Any, Any], db: Db, keg_id: FromPath[UUID]) -> Response[Any]:
    """A keg's book volume over time, at most 200 points."""
    volumes = require_found(await keg_volumes(db, keg_id), "keg", keg_id)
    if not wants_csv(request):
        return Response(volumes)
    return answer_csv(["at", "book_volume_ml"], ([point.at.isoformat(), point.book_volume_ml] for point in volumes.items))


@patch("/kegs/{keg_id:uuid}", access=OPERATOR, refuses=(kegs.KegOnTap, kegs.KegIsFinished))
async def change_keg(db: Db, actor: CurrentActor, keg_id: FromPath[UUID], data: JSONBody[KegChange]) -> KegView:
    """Retire a keg or take it back into stock, or state its supplier, batch, best-before date, cost or deposit."""
    changes = changes_of(data)
    require_sane_best_before(changes.get("best_before"))
    await kegs.change_keg(db, actor, keg_id, **changes)
    return await _view(db, keg_id)


@post("/kegs/{keg_id:uuid}/stock", access=OPERATOR)
async def book_stock(
    request: Request[Any, Any, Any],
    db: Db,
    actor: CurrentActor,
    once: RunOnce,
    keg_id: FromPath[UUID],
    data: JSONBody[StockBooking],
) -> KegView:
    """Book a line cleaning, or as a shift lead a correction, or a line cleaning of more than two litres a day."""
    operator = operator_of(request)
    if data.kind == "correction":
        require_role(operator, SHIFT_LEAD)
        await once(kegs.correct_stock, actor, keg_id, data.volume_ml, data.reason)
    else:
        await once(kegs.book_line_cleaning, actor, operator.role, keg_id, data.volume_ml, data.reason)
    return await _view(db, keg_id)


def require_sane_best_before(best_before: date | UnsetType | None) -> None:
    """Raise `Invalid` for a day of another century."""
    if isinstance(best_before, date):
        require_sane_year("best_before", best_before)


async def _view(db: Database, keg_id: UUID) -> KegView:
    return require_found(await views.get_keg(db, keg_id), "keg", keg_id)


HANDLERS = (list_kegs, suggest_keg, create_keg, read_keg, read_volumes, change_keg, book_stock)
