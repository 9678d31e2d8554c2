"""Venues, and the emergency stop, which closes all taps of one."""

from typing import Any, Final, TypedDict, Unpack

from tapwire_contracts.reasons import AuditAction
from tapwire_contracts.topics import SLUG_PATTERN, is_slug
from tapwire_core.db.engine import urgent_use_case, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.tables import Venue
from tapwire_core.db.writes import venues as writes
from tapwire_core.db.writes.rows import change_row
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.closed_sets import VolumeUnit
from tapwire_core.domain.serving_limits import ServingLimit
from tapwire_core.errors import Invalid, NotFound, Refused
from tapwire_core.services.shown import Shown, require_as_shown

DEFAULT_LEGAL_AGE: Final = 18
DEFAULT_GLASS_ML: Final = 500
DEFAULT_KEG_LOW_PERCENT: Final = 15
DEFAULT_KEG_LOW_MINUTES: Final = 60


class VenueRequired(Invalid):
    """The request names no venue, and there is not exactly one."""

    code = "venue_required"

    def __init__(self) -> None:
        text = "Set venue_id: there is not exactly one venue. GET /api/venues lists them."
        super().__init__(text, field="venue_id")


class VenueExists(Refused):
    """Another venue has this id."""

    code = "venue_exists"


class VenueChanges(TypedDict, total=False):
    """Changes of a venue."""

    name: str
    time_zone: str
    legal_age: int
    minors_allowed: bool
    count_cash: bool
    serving_limit: ServingLimit | None
    visit_hours: int | None
    card_deposit_minor: int
    glass_ml: int
    volume_unit: VolumeUnit
    operator_refund_limit_minor: int
    max_balance_minor: int | None
    keg_low_percent: int
    keg_low_minutes: int
    public_menu: bool


@use_case
async def create_venue(
    store: Store,
    actor: Actor,
    *,
    venue_id: str,
    name: str,
    time_zone: str,
    legal_age: int = DEFAULT_LEGAL_AGE,
    minors_allowed: bool = False,
    count_cash: bool = False,
    serving_limit: ServingLimit | None = None,
    visit_hours: int | None = None,
    card_deposit_minor: int = 0,
    glass_ml: int = DEFAULT_GLASS_ML,
    volume_unit: VolumeUnit = VolumeUnit.ML,
    operator_refund_limit_minor: int = 0,
    max_balance_minor: int | None = None,
    keg_low_percent: int = DEFAULT_KEG_LOW_PERCENT,
    keg_low_minutes: int = DEFAULT_KEG_LOW_MINUTES,
    public_menu: bool = False,
) -> str:
    """Add a venue; `time_zone` is an IANA name such as `Europe/Berlin`, `legal_age` in years.

    `minors_allowed`: a guest under age may get a visit without alcohol. `count_cash`: its shifts count their drawer.
    `operator_refund_limit_minor`: what an operator may pay out to one guest in one shift. `visit_hours`: how long a visit lasts;
    null: until it is closed. `card_deposit_minor`: taken when a card is bound. `keg_low_percent`: at so much of its volume a keg
    is low; `keg_low_minutes`: so long before it is empty at its pace, too. `public_menu`: everybody may read its tap list.
    `max_balance_minor`: the most that guests may top their balance up to by telephone.
    """
    require_slug("venue_id", venue_id)
    await _require_time_zone(store, time_zone)
    if await writes.venue_exists(store, venue_id):
        raise VenueExists(f"There is already a venue {venue_id!r}: use another id.", venue_id=venue_id)
    await store.insert(
        Venue,
        venue_id=venue_id,
        name=name,
        time_zone=time_zone,
        legal_age=legal_age,
        minors_allowed=minors_allowed,
        count_cash=count_cash,
        visit_hours=visit_hours,
        card_deposit_minor=card_deposit_minor,
        glass_ml=glass_ml,
        volume_unit=volume_unit,
        operator_refund_limit_minor=operator_refund_limit_minor,
        max_balance_minor=max_balance_minor,
        keg_low_percent=keg_low_percent,
        keg_low_minutes=keg_low_minutes,
        public_menu=public_menu,
        **_limit_columns(serving_limit),
    )
    details = {
        "name": name,
        "time_zone": time_zone,
        "minors_allowed": minors_allowed,
        "count_cash": count_cash,
        "public_menu": public_menu,
        "serving_limit": serving_limit,
    }
    await store.audit(AuditAction.VENUE_CREATED, actor, venue_id, details=details)
    return venue_id


@use_case
async def change_venue(store: Store, actor: Actor, venue_id: str, **changes: Unpack[VenueChanges]) -> None:
    """Change a venue.

    A serving limit counts what was poured before it too, within its window. Open visits and shifts keep what they were opened with.
    """
    if not await writes.lock_venue(store, venue_id):
        raise NotFound("venue", venue_id)
    if "time_zone" in changes:
        await _require_time_zone(store, changes["time_zone"])
    columns: dict[str, object] = {name: value for name, value in changes.items() if name != "serving_limit"}
    if "serving_limit" in changes:
        columns |= _limit_columns(changes["serving_limit"])
    await change_row(store, Venue, {"venue_id": venue_id}, columns)
    await store.audit(AuditAction.VENUE_CHANGED, actor, venue_id, details=changes)


@urgent_use_case
async def stop_venue(store: Store, actor: Actor, venue_id: str, reason: str) -> None:
    """Start the emergency stop: every tap of the venue closes its valve, and denies every card."""
    await _set_emergency_stop(store, venue_id, {"emergency_stop": True, "emergency_stop_reason": reason})
    await store.audit(AuditAction.EMERGENCY_STOP_ON, actor, venue_id, details={"reason": reason})


@use_case
async def release_venue(store: Store, actor: Actor, venue_id: str, reason: str, *, shown: Shown | None = None) -> None:
    """End the emergency stop; each tap returns to its own status."""
    await _set_emergency_stop(store, venue_id, {"emergency_stop": False, "emergency_stop_reason": None}, shown)
    await store.audit(AuditAction.EMERGENCY_STOP_OFF, actor, venue_id, details={"reason": reason})


async def resolve_venue(store: Store, venue_id: str | None) -> str:
    """Return the named venue, or the only one; raises `NotFound` or `VenueRequired`."""
    if venue_id is None:
        sole = await writes.sole_venue_id(store)
        if sole is None:
            raise VenueRequired
        return sole
    if not await writes.venue_exists(store, venue_id):
        raise NotFound("venue", venue_id)
    return venue_id


def require_slug(field: str, text: str) -> None:
    """Raise `Invalid` unless the text may be the id of a venue, tap or reader."""
    if not is_slug(text):
        raise Invalid(f"{field} must match {SLUG_PATTERN}: lower-case letters, digits and hyphens, at most 31.", field=field)


def _limit_columns(limit: ServingLimit | None) -> dict[str, Any]:
    return {
        "serving_limit_measure": limit.measure if limit else None,
        "serving_limit": limit.amount if limit else None,
        "serving_limit_window_minutes": limit.window_minutes if limit else None,
    }


async def _set_emergency_stop(store: Store, venue_id: str, columns: dict[str, object], shown: Shown | None = None) -> None:
    taps = await writes.lock_taps_of_venue(store, venue_id)
    if not await writes.lock_venue(store, venue_id):
        raise NotFound("venue", venue_id)
    await require_as_shown(store, shown)
    await change_row(store, Venue, {"venue_id": venue_id}, columns)
    for tap in taps:
        await store.send_config(tap)


async def _require_time_zone(store: Store, name: str) -> None:
    if not await writes.is_time_zone(store, name):
        raise Invalid(f"{name[:100]!r} is not a time zone: write an IANA name such as 'Europe/Berlin'.", field="time_zone")
