"""Steps of a venue's set-up that are done."""

from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, select

from tapwire_contracts.topics import DeviceKind
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, Device, Keg, Tap
from tapwire_core.db.views.queries import read_all, table

taps: Final = table(Tap)
beverages: Final = table(Beverage)
kegs: Final = table(Keg)
devices: Final = table(Device)


class SetUp(Struct, frozen=True):
    """What is there: a tap, a beverage on sale, a keg, a keg on a tap, a tap's device with valid credentials."""

    tap: bool
    beverage: bool
    keg: bool
    keg_on: bool
    device: bool


async def read_set_up(db: Database, venue_id: str | None) -> SetUp:
    """What a venue has; without one, whether there is a beverage."""
    of_venue = taps.c.venue_id == venue_id
    path = devices.c.path.startswith(f"{venue_id}/{DeviceKind.TAP.value}/", autoescape=True)
    wanted: dict[str, Select[Any]] = {
        "tap": select(taps.c.tap_path).where(of_venue),
        "beverage": select(beverages.c.beverage_id).where(beverages.c.archived_at.is_(None)),
        "keg": select(kegs.c.keg_id).where(kegs.c.venue_id == venue_id),
        "keg_on": select(taps.c.tap_path).where(of_venue, taps.c.keg_id.is_not(None)),
        "device": select(devices.c.path).where(path, devices.c.revoked_at.is_(None)),
    }
    columns: list[ColumnElement[Any]] = [rows.exists().label(name) for name, rows in wanted.items()]
    (found,) = await read_all(db, select(*columns), SetUp)
    return found
