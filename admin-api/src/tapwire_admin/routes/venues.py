"""Venues and their emergency stop."""

import asyncio
from typing import Final

from litestar import get, patch, post
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER, OPERATOR
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce, SlugInPath
from tapwire_admin.requests.field_types import (
    DepositMinor,
    GlassMl,
    KegLowMinutes,
    LegalAge,
    LimitMinor,
    Name,
    Percent,
    Reason,
    Slug,
    Text,
    VisitHours,
)
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_core.db.engine import Database
from tapwire_core.db.views import taps as tap_views
from tapwire_core.db.views import venues as venue_views
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.taps import UnconfirmedTap
from tapwire_core.db.views.venues import VenueView
from tapwire_core.domain.closed_sets import VolumeUnit
from tapwire_core.domain.serving_limits import ServingLimit
from tapwire_core.services import venues

CONFIRMATION_WAIT_MS: Final = 1_000
"""Time that the answer to an emergency stop waits for the taps' confirmation."""
CONFIRMATION_POLL_MS: Final = 100


class NewVenue(Struct, kw_only=True, forbid_unknown_fields=True):
    """A venue to be added. `minors_allowed`: a guest under age may get a visit without alcohol.

    `count_cash`: its shifts count their drawer. `public_menu`: everybody may read its tap list.
    `visit_hours`: how long a visit lasts; null: until it is closed. `card_deposit_minor`: taken when a card is bound to a guest.
    """

    venue_id: Slug
    name: Name
    time_zone: Text
    legal_age: LegalAge = venues.DEFAULT_LEGAL_AGE
    minors_allowed: bool = False
    count_cash: bool = False
    serving_limit: ServingLimit | None = None
    visit_hours: VisitHours | None = None
    card_deposit_minor: DepositMinor = 0
    glass_ml: GlassMl = venues.DEFAULT_GLASS_ML
    volume_unit: VolumeUnit = VolumeUnit.ML
    operator_refund_limit_minor: LimitMinor = 0
    max_balance_minor: LimitMinor | None = None
    keg_low_percent: Percent = venues.DEFAULT_KEG_LOW_PERCENT
    keg_low_minutes: KegLowMinutes = venues.DEFAULT_KEG_LOW_MINUTES
    public_menu: bool = False


class VenueChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a venue; null removes `serving_limit` and `visit_hours`. Open visits and shifts keep what they opened with."""

    name: Name | UnsetType = UNSET
    time_zone: Text | UnsetType = UNSET
    legal_age: LegalAge | UnsetType = UNSET
    minors_allowed: bool | UnsetType = UNSET
    count_cash: bool | UnsetType = UNSET
    serving_limit: ServingLimit | UnsetType | None = UNSET
    visit_hours: VisitHours | UnsetType | None = UNSET
    card_deposit_minor: DepositMinor | UnsetType = UNSET
    glass_ml: GlassMl | UnsetType = UNSET
    volume_unit: VolumeUnit | UnsetType = UNSET
    operator_refund_limit_minor: LimitMinor | UnsetType = UNSET
    max_balance_minor: LimitMinor | UnsetType | None = UNSET
    keg_low_percent: Percent | UnsetType = UNSET
    keg_low_minutes: KegLowMinutes | UnsetType = UNSET
    public_menu: bool | UnsetType = UNSET


class EmergencyStop(Struct, kw_only=True, forbid_unknown_fields=True):
    """Emergency stop on or off, and why."""

    on: bool
    reason: Reason


class EmergencyStopSet(Struct, frozen=True, kw_only=True):
    """The venue's emergency stop, and the taps that have not confirmed it: check these in person."""

    venue_id: str
    emergency_stop: bool
    taps_not_confirmed: list[UnconfirmedTap]


@get("/venues", access=OPERATOR)
async def list_venues(db: Db, page: PageQuery) -> Page[VenueView]:
    """Venues by id."""
    return await venue_views.list_venues(db, page)


@post("/venues", access=ENGINEER, about=INSTALLATION, refuses=(venues.VenueExists,))
async def create_venue(db: Db, actor: CurrentActor, once: RunOnce, data: JSONBody[NewVenue]) -> VenueView:
    """Add a venue; its time zone is an IANA name."""
    venue_id = await once(
        venues.create_venue,
        actor,
        venue_id=data.venue_id,
        name=data.name,
        time_zone=data.time_zone,
        legal_age=data.legal_age,
        minors_allowed=data.minors_allowed,
        count_cash=data.count_cash,
        serving_limit=data.serving_limit,
        visit_hours=data.visit_hours,
        card_deposit_minor=data.card_deposit_minor,
        glass_ml=data.glass_ml,
        volume_unit=data.volume_unit,
        operator_refund_limit_minor=data.operator_refund_limit_minor,
        max_balance_minor=data.max_balance_minor,
        keg_low_percent=data.keg_low_percent,
        keg_low_minutes=data.keg_low_minutes,
        public_menu=data.public_menu,
    )
    return require_found(await venue_views.get_venue(db, venue_id), "venue", venue_id)


@patch("/venues/{venue:str}", access=ENGINEER, about=INSTALLATION)
async def change_venue(db: Db, actor: CurrentActor, venue: SlugInPath, data: JSONBody[VenueChange]) -> VenueView:
    """Change a venue."""
    await venues.change_venue(db, actor, venue, **changes_of(data))
    return require_found(await venue_views.get_venue(db, venue), "venue", venue)


@post("/venues/{venue:str}/emergency-stop", access=OPERATOR, status_code=200)
async def set_emergency_stop(
    db: Db, actor: CurrentActor, once: RunOnce, venue: SlugInPath, data: JSONBody[EmergencyStop]
) -> EmergencyStopSet:
    """Close all valves of a venue, or release them."""
    await once(venues.stop_venue if data.on else venues.release_venue, actor, venue, data.reason)
    unconfirmed = await wait_for_confirmation(db, venue)
    return EmergencyStopSet(venue_id=venue, emergency_stop=data.on, taps_not_confirmed=unconfirmed)


async def wait_for_confirmation(db: Database, venue_id: str) -> list[UnconfirmedTap]:
    """Taps without a confirmed emergency stop; waits for all online ones, at most `CONFIRMATION_WAIT_MS`."""
    for _ in range(CONFIRMATION_WAIT_MS // CONFIRMATION_POLL_MS):
        unconfirmed = await tap_views.list_unconfirmed_taps(db, venue_id)
        if not any(tap.node_status == "online" for tap in unconfirmed):
            return unconfirmed
        await asyncio.sleep(CONFIRMATION_POLL_MS / 1000)
    return await tap_views.list_unconfirmed_taps(db, venue_id)


HANDLERS = (list_venues, create_venue, change_venue, set_emergency_stop)
