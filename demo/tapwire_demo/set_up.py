"""Making the demo's bar through the use cases, as operators would; what is there already stays as it is.

Whatever somebody did to the bar since must not keep the demo from starting: a guest whose card is no good gets another one, and who
may not come stays away.
"""

import secrets
from pathlib import Path
from typing import Final
from uuid import UUID

from msgspec import Struct

from tapwire_contracts.topics import DevicePath
from tapwire_core.broker.private_file import write_private
from tapwire_core.db.engine import Database
from tapwire_core.db.views.guests import GuestView, get_guest
from tapwire_core.db.views.taps import get_tap
from tapwire_core.db.views.venues import get_venue
from tapwire_core.db.views.visits import get_visit
from tapwire_core.domain.closed_sets import Role
from tapwire_core.errors import Refused
from tapwire_core.services import devices, guest_pages, guests, shifts, taps, users, venues, visits
from tapwire_core.services.cards import BindConflict, CardBusy, LostCard
from tapwire_demo.bar import AT_THE_TAPS, GUESTS, SERVING_LIMIT, TAPS, TIME_ZONE, VENUE_ID, VENUE_NAME, Person
from tapwire_demo.demo_file import Login
from tapwire_demo.staff import STAFF, fill_purses, find_guest, plan_happy_hour, put_full_keg

OPERATOR: Final = "operator"
CARD_UID_BYTES: Final = 4
CLEANED_EVERY_DAYS: Final = 7
"""Interval of the taps' cleanings."""
_PASSWORD_FILE: Final = "operator-password"  # noqa: S105 - a file's name
_PASSWORD_BYTES: Final = 12


class Present(Struct, frozen=True):
    """A guest with an open visit, the card in it, and the balance."""

    person: Person
    guest_id: UUID
    card_uid: str
    balance_minor: int


class SetUp(Struct, frozen=True):
    """The demo's bar; the devices' secrets are new at each start."""

    operator: Login
    secrets: dict[DevicePath, str]
    present: list[Present]
    away: list[str]
    """The guests who could not check in, and the reason."""
    page_guest: Present | None
    """A guest whose page shows something: the first with money at a tap; null where none came."""
    guest_page: str
    """The path of that guest's own page."""


async def set_up(db: Database, folder: Path) -> SetUp:
    """Make what is missing."""
    operator = await _operator(db, folder)
    if await get_venue(db, VENUE_ID) is None:
        await venues.create_venue(
            db, STAFF, venue_id=VENUE_ID, name=VENUE_NAME, time_zone=TIME_ZONE, serving_limit=SERVING_LIMIT, public_menu=True
        )
    for tap in TAPS:
        now = await get_tap(db, str(tap.path))
        if now is None:
            await taps.create_tap(
                db,
                STAFF,
                venue_id=VENUE_ID,
                tap_id=tap.tap_id,
                name=tap.name,
                max_pour_ml=tap.max_pour_ml,
                cleaning_interval_days=CLEANED_EVERY_DAYS,
            )
        if now is None or now.keg_id is None:
            await put_full_keg(db, tap, None)
    await plan_happy_hour(db)
    await _open_shift(db)
    present, away = await _invite(db)
    at_taps = (guest for guest in present if guest.person in AT_THE_TAPS and guest.person.purse_minor)
    device_secrets, page_guest = {tap.path: await _secret(db, tap.path) for tap in TAPS}, next(at_taps, None)
    return SetUp(operator, device_secrets, present, away, page_guest, await _guest_page(db, page_guest) if page_guest else "")


async def _operator(db: Database, folder: Path) -> Login:
    """The operator may do everything; the password stays the same from start to start."""
    file = folder / _PASSWORD_FILE
    if not file.exists():
        write_private(file, secrets.token_urlsafe(_PASSWORD_BYTES))
    password = file.read_text(encoding="utf-8")
    try:
        await users.create_user(db, STAFF, OPERATOR, Role.ENGINEER, password)
    except users.UserExists:
        await users.change_user(db, STAFF, OPERATOR, password=password)
    return Login(OPERATOR, password)


async def _open_shift(db: Database) -> None:
    try:
        await shifts.open_shift(db, STAFF, VENUE_ID)
    except shifts.ShiftAlreadyOpen:
        return


async def _secret(db: Database, path: DevicePath) -> str:
    """A device's new secret: the old one is known to nobody."""
    try:
        return (await devices.add_device(db, STAFF, path)).secret
    except devices.DeviceExists:
        return (await devices.rotate_device(db, STAFF, path)).secret


async def _guest_page(db: Database, present: Present) -> str:
    guest = await get_guest(db, present.guest_id)
    assert guest is not None
    assert guest.active_visit_id is not None
    return f"/g/{(await guest_pages.show_page(db, guest.active_visit_id)).token}"


async def _invite(db: Database) -> tuple[list[Present], list[str]]:
    present, away = [], []
    for person in GUESTS:
        if await find_guest(db, person) is None:
            await guests.create_guest(db, STAFF, first_name=person.first_name, phone=person.phone, age_checked=True)
    await fill_purses(db, GUESTS)
    for person in GUESTS:
        guest = await find_guest(db, person)
        assert guest is not None
        try:
            card_uid = await _card_in_visit(db, guest, person.card_uid)
        except Refused as refusal:
            away.append(f"{person.first_name} stays away: {refusal}")
        else:
            present.append(Present(person, guest.guest_id, card_uid, guest.balance_minor))
    return present, away


async def _card_in_visit(db: Database, guest: GuestView, card_uid: str) -> str:
    """The card of the guest's active visit, which is opened when there is none; raises `Refused`."""
    if guest.active_visit_id is not None:
        visit = await get_visit(db, guest.active_visit_id)
        assert visit is not None
        if visit.card_uid is not None:
            return visit.card_uid
    try:
        await _give_card(db, guest, card_uid)
    except (LostCard, BindConflict, CardBusy):
        card_uid = secrets.token_hex(CARD_UID_BYTES)
        await _give_card(db, guest, card_uid)
    return card_uid


async def _give_card(db: Database, guest: GuestView, card_uid: str) -> None:
    if guest.active_visit_id is None:
        await visits.open_and_assign_card(db, STAFF, VENUE_ID, guest.guest_id, card_uid)
    else:
        await visits.assign_card(db, STAFF, guest.active_visit_id, card_uid)
