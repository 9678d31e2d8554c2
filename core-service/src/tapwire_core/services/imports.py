"""Import of guests and beverages from another system's CSV file.

Every line is read before the first is written; a known guest (by phone number) or beverage (by name) is left as it is. So a refused
file changes nothing, and an interrupted import is simply repeated.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from tapwire_core.db.engine import Database
from tapwire_core.db.views.beverages import list_beverages
from tapwire_core.db.views.guests import list_guests
from tapwire_core.db.views.queries import MAX_LIMIT, PageRequest
from tapwire_core.db.views.system import read_status
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.names import NAME_PATTERN, normalize_name
from tapwire_core.errors import Invalid
from tapwire_core.services.beverages import create_beverage
from tapwire_core.services.guests import create_guest
from tapwire_core.services.request_limits import MAX_NAME_LENGTH, MAX_PHONE_LENGTH, MAX_PRICE_MINOR

NO_NUL: Final = r"^[^\x00]*$"
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
Phone = Annotated[str, Meta(min_length=1, max_length=MAX_PHONE_LENGTH, pattern=NO_NUL)]
Line = TypeVar("Line", bound=Struct)


class GuestLine(Struct, frozen=True, forbid_unknown_fields=True):
    """One guest, identified by the phone number; `age_checked` is `yes` where somebody has seen that the guest is of age."""

    first_name: Name
    phone: Phone
    last_name: Name | None = None
    birth_date: date | None = None
    age_checked: bool = False


class BeverageLine(Struct, frozen=True, forbid_unknown_fields=True):
    """One beverage; its price is per litre, in minor units."""

    name: Name
    sell_price_per_liter_minor: Annotated[int, Meta(ge=1, le=MAX_PRICE_MINOR)]
    style: Name | None = None
    abv: Annotated[float, Meta(ge=0, le=100)] | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Counts of new and of known lines."""

    added: int
    known: int


async def import_guests(db: Database, actor: Actor, text: Iterable[str]) -> ImportResult:
    """Add the guests of a CSV file with new phone numbers; raises `Invalid` before anything is added."""
    lines, added = _read(text, GuestLine), 0
    today = (await read_status(db)).system.now.date()
    if any(line.birth_date is not None and line.birth_date > today for line in lines):
        raise Invalid("A birth date is in the future: correct the file.", field="birth_date")
    for line in lines:
        if not (await list_guests(db, phone=line.phone)).items:
            await create_guest(db, actor, **msgspec.structs.asdict(line))
            added += 1
    return ImportResult(added, len(lines) - added)


async def import_beverages(db: Database, actor: Actor, text: Iterable[str]) -> ImportResult:
    """Add the beverages of a CSV file with new names; raises `Invalid` before anything is added."""
    lines, known, added = _read(text, BeverageLine), await _beverage_names(db), 0
    for line in lines:
        if line.name not in known:
            abv = None if line.abv is None else Decimal(str(line.abv))
            price = line.sell_price_per_liter_minor
            await create_beverage(db, actor, name=line.name, style=line.style, abv=abv, sell_price_per_liter_minor=price)
            known.add(line.name)
            added += 1
    return ImportResult(added, len(lines) - added)


async def _beverage_names(db: Database) -> set[str]:
    names: set[str] = set()
    request = PageRequest(limit=MAX_LIMIT)
    while True:
        page = await list_beverages(db, page=request)
        names |= {beverage.name for beverage in page.items}
        if page.next_cursor is None:
            return names
        request = PageRequest(limit=MAX_LIMIT, cursor=page.next_cursor)


def _read(text: Iterable[str], kind: type[Line]) -> list[Line]:
    reader = csv.DictReader(text)
    expected = [field.name for field in msgspec.structs.fields(kind)]
    if not set(reader.fieldnames or ()) <= set(expected):
        raise Invalid(f"The first line must name the columns, some of: {', '.join(expected)}.", columns=expected)
    return [_line(number, row, kind) for number, row in enumerate(reader, start=2)]


def _line(number: int, row: dict[str, str], kind: type[Line]) -> Line:
    values = {name: normalize_name(value) for name, value in row.items() if isinstance(value, str) and value.strip()}
    if "age_checked" in values:
        values["age_checked"] = {"yes": "true", "no": "false"}.get(values["age_checked"].lower(), values["age_checked"])
    try:
        if None in row:
            raise msgspec.ValidationError("more values than columns")
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"Line {number}: {error}.", line=number) from error
