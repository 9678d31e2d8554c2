"""Taps: settings, keg, and stopping a pour."""

from typing import Any
from uuid import UUID

from litestar import Request, delete, get, patch, post, put
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER, OPERATOR, operator_of, require_role
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, OwnVenue, PageQuery, RunOnce, SlugInPath, VenueQuery
from tapwire_admin.requests.field_types import MaxPourMl, Name, PulsesPerLiter, Reason, Slug
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views import taps as views
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.taps import TapView
from tapwire_core.domain.closed_sets import TapStatus
from tapwire_core.errors import NotFound
from tapwire_core.services import taps
from tapwire_core.services.venues import VenueRequired


class NewTap(Struct, kw_only=True, forbid_unknown_fields=True):
    """A tap to be added. `room`: the part of the venue where it is."""

    tap_id: Slug
    name: Name
    room: Name | None = None
    venue_id: Slug | None = None
    pulses_per_liter: PulsesPerLiter = taps.DEFAULT_PULSES_PER_LITER
    max_pour_ml: MaxPourMl = taps.DEFAULT_MAX_POUR_ML


class TapChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a tap: any operator may set the status, with its `reason`; the rest needs an engineer."""

    status: TapStatus | UnsetType = UNSET
    reason: Reason | None = None
    name: Name | UnsetType = UNSET
    room: Name | UnsetType | None = UNSET
    pulses_per_liter: PulsesPerLiter | UnsetType = UNSET
    max_pour_ml: MaxPourMl | UnsetType = UNSET


class StopTap(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason for ending a running pour."""

    reason: Reason


class TapStopped(Struct, frozen=True, kw_only=True):
    """The stopped pour; null if none was pending."""

    pour_id: UUID | None


class KegOnTap(Struct, kw_only=True, forbid_unknown_fields=True):
    """The keg to connect."""

    keg_id: UUID


@get("/taps", access=OPERATOR)
async def list_taps(db: Db, page: PageQuery, venue_id: VenueQuery = None) -> Page[TapView]:
    """Taps by path, with their keg and the state of their node."""
    return await views.list_taps(db, venue_id, page)


@post("/taps", access=ENGINEER, refuses=(taps.TapExists, NotFound, VenueRequired))
async def create_tap(db: Db, actor: CurrentActor, once: RunOnce, own_venue: OwnVenue, data: JSONBody[NewTap]) -> TapView:
    """Add a tap."""
    tap = await once(
        taps.create_tap,
        actor,
        venue_id=data.venue_id or own_venue,
        tap_id=data.tap_id,
        name=data.name,
        room=data.room,
        pulses_per_liter=data.pulses_per_liter,
        max_pour_ml=data.max_pour_ml,
    )
    return require_found(await views.get_tap(db, tap), "tap", tap)


@get("/taps/{venue:str}/{tap:str}", access=OPERATOR)
async def read_tap(db: Db, venue: SlugInPath, tap: SlugInPath) -> TapView:
    """One tap."""
    return await _view(db, venue, tap)


@patch("/taps/{venue:str}/{tap:str}", access=OPERATOR)
async def change_tap(
    request: Request[Any, Any, Any], db: Db, actor: CurrentActor, venue: SlugInPath, tap: SlugInPath, data: JSONBody[TapChange]
) -> TapView:
    """Lock or unlock a tap, set it to cleaning, or change its settings. Any status but `active` ends a running pour."""
    changes = changes_of(data)
    reason = changes.pop("reason", None)
    if changes.keys() - {"status"}:
        require_role(operator_of(request), ENGINEER)
    if changes:
        await taps.change_tap(db, actor, _path(venue, tap), **changes, reason=reason)
    return await _view(db, venue, tap)


@post("/taps/{venue:str}/{tap:str}/stop", access=OPERATOR, status_code=200)
async def stop_tap(actor: CurrentActor, once: RunOnce, venue: SlugInPath, tap: SlugInPath, data: JSONBody[StopTap]) -> TapStopped:
    """End a tap's running pour; it is settled from its report."""
    return TapStopped(pour_id=await once(taps.stop_tap, actor, _path(venue, tap), data.reason))


@put("/taps/{venue:str}/{tap:str}/keg", access=OPERATOR, refuses=(taps.KegOnOtherTap, taps.KegNotUsable))
async def put_keg(db: Db, actor: CurrentActor, venue: SlugInPath, tap: SlugInPath, data: JSONBody[KegOnTap]) -> TapView:
    """Connect a keg to a tap; it replaces the connected one."""
    await taps.put_keg(db, actor, _path(venue, tap), data.keg_id)
    return await _view(db, venue, tap)


@delete("/taps/{venue:str}/{tap:str}/keg", access=OPERATOR, status_code=200)
async def take_keg_off(db: Db, actor: CurrentActor, venue: SlugInPath, tap: SlugInPath) -> TapView:
    """Disconnect a tap's keg; its book volume stays."""
    await taps.take_keg_off(db, actor, _path(venue, tap))
    return await _view(db, venue, tap)


async def _view(db: Database, venue: str, tap: str) -> TapView:
    path = _path(venue, tap)
    return require_found(await views.get_tap(db, path), "tap", path)


def _path(venue: str, tap: str) -> str:
    return str(tap_path(venue, tap))


HANDLERS = (list_taps, create_tap, read_tap, change_tap, stop_tap, put_keg, take_keg_off)
