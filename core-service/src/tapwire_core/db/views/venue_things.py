"""One lookup for each kind of thing that belongs to a venue: whether a reader's scope has it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Incident, Keg, Pour, PriceRule, Shift, Visit
from tapwire_core.db.views.queries import table


class Thing(StrEnum):
    """Kinds of things that belong to a venue."""

    VENUE = "venue"
    DEVICE = "device"
    """A tap or a reader, by its path."""
    VISIT = "visit"
    POUR = "pour"
    KEG = "keg"
    SHIFT = "shift"
    INCIDENT = "incident"
    PRICE_RULE = "price_rule"


_KEYS: Final[Mapping[Thing, ColumnElement[Any]]] = {
    Thing.VISIT: table(Visit).c.visit_id,
    Thing.POUR: table(Pour).c.pour_id,
    Thing.KEG: table(Keg).c.keg_id,
    Thing.SHIFT: table(Shift).c.shift_id,
    Thing.INCIDENT: table(Incident).c.incident_id,
    Thing.PRICE_RULE: table(PriceRule).c.price_rule_id,
}


async def is_seen(db: Database, thing: Thing, key: str) -> bool:
    """Return whether the database's scope has the thing with this key; a key that can't be one is left to its reader."""
    match thing:
        case Thing.VENUE:
            return db.scope.sees(key)
        case Thing.DEVICE:
            return db.scope.sees_device(key)
        case _:
            try:
                identifier = UUID(key)
            except ValueError:
                return True
    column = _KEYS[thing]
    async with db.read() as connection:
        return bool((await connection.execute(select(select(column).where(column == identifier).exists()))).scalar_one())
