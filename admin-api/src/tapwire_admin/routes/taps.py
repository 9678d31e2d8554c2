"""Taps: settings, keg, and stopping a pour."""

from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, delete, get, patch, post, put
from litestar.params import QueryParameter
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER, OPERATOR, operator_of, require_role
from tapwire_admin.requests.dependencies import (
    CurrentActor,
    Db,
    FromQuery,
    JSONBody,
    OwnVenue,
    PageQuery,
    RunOnce,
    SlugInPath,
    VenueQuery,
)
from tapwire_admin.requests.field_types import CleaningIntervalDays, MaxPourMl, Name, PulsesPerLiter, Reason, Slug
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_contracts.topics import tap_path
from tapwire_core.db.engine import Database
from tapwire_core.db.views import taps as views
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.taps import TapView
from tapwire_core.domain.closed_sets import KegFinish, TapStatus
from tapwire_core.domain.names import LINE_PATTERN
from tapwire_core.errors import NotFound, ReasonRequired
from tapwire_core.services import taps
from tapwire_core.services.request_limits import MAX_REASON_LENGTH
from tapwire_core.services.shown import ChangedMeanwhile
from tapwire_core.services.venues import VenueRequired

ReasonQuery = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=MAX_REASON_LENGTH, pattern=LINE_PATTERN, description="why, for the audit log"),
]


class NewTap(Struct, kw_only=True, forbid_unknown_fields=True):
    """A tap to be added. `room`: the part of the venue where it is."""

    tap_id: Slug
    name: Name
    room: Name | None = None
    venue_id: Slug | None = None
    pulses_per_liter: PulsesPerLiter = taps.DEFAULT_PULSES_PER_LITER
    max_pour_ml: MaxPourMl = taps.DEFAULT_MAX_POUR_ML
    cleaning_interval_days: CleaningIntervalDays | None = None


class TapChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a tap: any operator may set the status, with its `reason`; the rest needs an engineer.

    `pulses_per_liter` needs a `reason`.
    """

    status: TapStatus | UnsetType = UNSET
    reason: Reason | None = None
    name: Name | UnsetType = UNSET
    room: Name | UnsetType | None = UNSET
    pulses_per_liter: PulsesPerLiter | UnsetType = UNSET
    max_pour_ml: MaxPourMl | UnsetType = UNSET
    cleaning_interval_days: CleaningIntervalDays | UnsetType | None = UNSET


class StopTap(Struct, kw_only=True, forbid_unknown_fields=True):
    """The reason for ending a running pour."""

    reason: Reason


class TapStopped(Struct, frozen=True, kw_only=True):
    """The stopped pour; null if none was pending."""

    pour_id: UUID | None


class KegOffTap(Struct, kw_only=True, forbid_unknown_fields=True):
    """What became of a keg that comes off its tap, `swapped` if left out, and why."""

    finish: KegFinish | None = None
    reason: Reason | None = None


class KegOnTap(KegOffTap, kw_only=True, forbid_unknown_fields=True):
    """The keg to connect, and what became of the one that comes off.

    `expected_keg_id`: the keg that must come off, else nothing is done.
    """

    keg_id: UUID
    expected_keg_id: UUID | None = None


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
        cleaning_interval_days=data.cleaning_interval_days,
    )
    return require_found(await views.get_tap(db, tap), "tap", tap)


@get("/taps/{venue:str}/{tap:str}", access=OPERATOR)
async def read_tap(db: Db, venue: SlugInPath, tap: SlugInPath) -> TapView:
    """One tap."""
    return await _view(db, venue, tap)


@patch("/taps/{venue:str}/{tap:str}", access=OPERATOR, refuses=(ReasonRequired,))
async def change_tap(
    request: Request[Any, Any, Any], db: Db, actor: CurrentActor, venue: SlugInPath, tap: SlugInPath, data: JSONBody[TapChange]
) -> TapView:
    """Lock or unlock a tap, set it to cleaning, or change its settings. Any status but `active` ends a running pour.

    Another `pulses_per_liter` is kept as a calibration, with its reason.
    """
    changes = changes_of(data)
    if changes.keys() - {"status"}:
        require_role(operator_of(request), ENGINEER)
    await taps.change_tap(db, actor, _path(venue, tap), **changes, reason=data.reason)
    return await _view(db, venue, tap)


@post("/taps/{venue:str}/{tap:str}/stop", access=OPERATOR, status_code=200)
async def stop_tap(actor: CurrentActor, once: RunOnce, venue: SlugInPath, tap: SlugInPath, data: JSONBody[StopTap]) -> TapStopped:
    """End a tap's running pour; it is settled from its report."""
    return TapStopped(pour_id=await once(taps.stop_tap, actor, _path(venue, tap), data.reason))


COMES_OFF: Final = (taps.NoKeg, ChangedMeanwhile, taps.KegNotLow)


@put("/taps/{venue:str}/{tap:str}/keg", access=OPERATOR, refuses=(taps.KegOnOtherTap, taps.KegNotUsable, *COMES_OFF))
async def put_keg(
    request: Request[Any, Any, Any], db: Db, actor: CurrentActor, venue: SlugInPath, tap: SlugInPath, data: JSONBody[KegOnTap]
) -> TapView:
    """Connect a keg to a tap; it replaces the connected one, and says what became of that."""
    await taps.put_keg(
        db,
        actor,
        _path(venue, tap),
        data.keg_id,
        finish=data.finish,
        reason=data.reason,
        expected_keg_id=data.expected_keg_id,
        role=operator_of(request).role,
    )
    return await _view(db, venue, tap)


@delete("/taps/{venue:str}/{tap:str}/keg", access=OPERATOR, status_code=200, refuses=COMES_OFF)
async def take_keg_off(
    request: Request[Any, Any, Any],
    db: Db,
    actor: CurrentActor,
    venue: SlugInPath,
    tap: SlugInPath,
    finish: FromQuery[KegFinish | None] = None,
    reason: ReasonQuery = None,
    expected_keg_id: FromQuery[UUID | None] = None,
) -> TapView:
    """Disconnect a tap's keg, and say what became of it; `swapped`, the default, keeps it with its book volume."""
    await taps.take_keg_off(
        db,
        actor,
        _path(venue, tap),
        finish=finish,
        reason=reason,
        expected_keg_id=expected_keg_id,
        role=operator_of(request).role,
    )
    return await _view(db, venue, tap)


async def _view(db: Database, venue: str, tap: str) -> TapView:
    path = _path(venue, tap)
    return require_found(await views.get_tap(db, path), "tap", path)


def _path(venue: str, tap: str) -> str:
    return str(tap_path(venue, tap))


HANDLERS = (list_taps, create_tap, read_tap, change_tap, stop_tap, put_keg, take_keg_off)
