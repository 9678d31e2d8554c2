"""One lookup for each kind of thing that belongs to a venue: whether a reader's scope has it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select

from tapwire_contracts.messages import MAX_INTEGER
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Incident, Keg, MoneyMovement, Pour, PriceRule, Shift, Visit
from tapwire_core.db.views.queries import table

movements: Final = table(MoneyMovement)


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
    MOVEMENT = "movement"
    """A movement of money, by its number."""


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
        case Thing.MOVEMENT:
            if not key.isdecimal() or int(key) > MAX_INTEGER:
                return True
            # a reader sees every movement, but the venue of none elsewhere
            found = select(movements.c.movement_id).where(movements.c.movement_id == int(key), movements.c.venue_id.is_not(None))
        case _:
            try:
                identifier = UUID(key)
            except ValueError:
                return True
            column = _KEYS[thing]
            found = select(column).where(column == identifier)
    async with db.read() as connection:
        return bool((await connection.execute(select(found.exists()))).scalar_one())
