"""Import of guests and beverages from another system's CSV file.

All or nothing: every line is read before the first is written, and all are written in one transaction. A known guest (same
telephone number and name) or beverage (same name) is left as it is, so a file can be imported again.

Nothing is guessed. The first line names the columns, and its separator is the file's: comma or semicolon. A price is in minor
units, as its column's name says, and is digits alone.
"""

import codecs
import csv
import functools
import io
import re
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from tapwire_core.db.engine import use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import imports as writes
from tapwire_core.domain.actor import Actor
from tapwire_core.domain.names import NAME_PATTERN, is_phone, normalize_name, normalize_phone
from tapwire_core.errors import Invalid
from tapwire_core.progress import Advance, untold
from tapwire_core.services.beverages import add_beverage
from tapwire_core.services.guests import add_guest
from tapwire_core.services.request_limits import MAX_NAME_LENGTH, MAX_PHONE_LENGTH, MAX_PRICE_MINOR

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
Phone = Annotated[str, Meta(min_length=1, max_length=MAX_PHONE_LENGTH)]
SAVE_AS: Final = "save it as “CSV UTF-8”"
_SEPARATORS: Final = (",", ";")
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
Line = TypeVar("Line", bound=Struct)
Key = TypeVar("Key", bound=Hashable)


class GuestLine(Struct, frozen=True):
    """One guest, identified by telephone number and name; `age_checked` is `yes` for a guest who was seen to be of age."""

    first_name: Name
    phone: Phone
    last_name: Name | None = None
    birth_date: date | None = None
    age_checked: bool = False


class BeverageLine(Struct, frozen=True):
    """One beverage; its price is per litre, in minor units."""

    name: Name
    sell_price_per_liter_minor: Annotated[int, Meta(ge=1, le=MAX_PRICE_MINOR)]
    style: Name | None = None
    abv: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Counts of new and of known lines."""

    added: int
    known: int


def text_of(content: bytes) -> str:
    """The text of a CSV file, without a byte order mark; raises `Invalid` for another encoding than UTF-8."""
    if content.startswith(_UTF_16) or b"\0" in content:
        raise Invalid(f"The file is not UTF-8, probably UTF-16: {SAVE_AS}.", encoding="utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise Invalid(f"Line {number}: the file is not UTF-8: {SAVE_AS}.", line=number) from error


@use_case
async def import_guests(store: Store, actor: Actor, text: str | Iterable[str], advance: Advance = untold) -> ImportResult:
    """Add the guests of a CSV file who are not known yet; raises `Invalid` and adds nothing when a line can't be used."""
    await store.may_pause()
    lines = list(_read(text, GuestLine))
    await writes.lock_imports(store)
    return await _add_new(
        lines,
        await writes.known_guests(store),
        lambda line: writes.guest_key(line.phone, line.first_name, line.last_name),
        lambda line: add_guest(store, actor, **msgspec.structs.asdict(line)),
        functools.partial(advance, "guests"),
    )


@use_case
async def import_beverages(store: Store, actor: Actor, text: str | Iterable[str], advance: Advance = untold) -> ImportResult:
    """Add the beverages of a CSV file with new names; raises `Invalid` and adds nothing when a line can't be used."""
    await store.may_pause()
    lines = list(_read(text, BeverageLine))
    await writes.lock_imports(store)
    return await _add_new(
        lines,
        await writes.known_beverages(store),
        lambda line: line.name,
        lambda line: add_beverage(store, actor, **msgspec.structs.asdict(line)),
        functools.partial(advance, "beverages"),
    )


async def _add_new(
    lines: Sequence[tuple[int, Line]],
    known: set[Key],
    key_of: Callable[[Line], Key],
    add: Callable[[Line], Awaitable[object]],
    advance: Callable[[int, int], None],
) -> ImportResult:
    """Add each line whose key is not known; an `Invalid` names its line."""
    added = 0
    for done, (number, line) in enumerate(lines):
        advance(done, len(lines))
        if (key := key_of(line)) in known:
            continue
        try:
            await add(line)
        except Invalid as error:
            raise Invalid(f"Line {number}: {error}", **error.facts, line=number) from error
        known.add(key)
        added += 1
    return ImportResult(added, len(lines) - added)


def _read(text: str | Iterable[str], kind: type[Line]) -> Iterator[tuple[int, Line]]:
    """The lines that are not empty, with their numbers; raises `Invalid`."""
    content = text if isinstance(text, str) else "".join(text)
    separator = _separator_of(content)
    rows = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    columns: Sequence[str] | None = None
    try:
        for row in rows:
            values = [normalize_name(value) for value in row]
            if not any(values):
                continue
            if columns is None:
                columns = _columns_of(values, kind)
            else:
                yield rows.line_num, _line(rows.line_num, columns, values, kind)
    except csv.Error as error:
        raise Invalid(f"Line {rows.line_num}: {error}.", line=rows.line_num) from error
    if columns is None:
        raise _unknown_columns(kind)


def _separator_of(content: str) -> str:
    header = content.lstrip().partition("\n")[0]
    return next((separator for separator in _SEPARATORS if separator in header), _SEPARATORS[0])


def _columns_of(header: Sequence[str], kind: type[Line]) -> Sequence[str]:
    """The columns that the first line names; those after the last name must stay empty."""
    fields = msgspec.structs.fields(kind)
    named = [name for name in header if name]
    required = {field.name for field in fields if field.required}
    if len(set(named)) < len(named) or not required <= set(named) <= {field.name for field in fields}:
        raise _unknown_columns(kind)
    return header


def _unknown_columns(kind: type[Line]) -> Invalid:
    fields = msgspec.structs.fields(kind)
    required = ", ".join(field.name for field in fields if field.required)
    optional = ", ".join(field.name for field in fields if not field.required)
    return Invalid(
        f"Line 1 must name the columns, each once: {required}; and if wanted {optional}. Separate them by commas or semicolons.",
        columns=[field.name for field in fields],
        line=1,
    )


def _line(number: int, columns: Sequence[str], values: Sequence[str], kind: type[Line]) -> Line:
    """One line as a struct; raises `Invalid`, which names the line and the column."""
    if any(values[len(columns) :]) or any(value for name, value in zip(columns, values, strict=False) if not name):
        raise Invalid(f"Line {number}: more values than columns.", line=number)
    given = {name: value for name, value in zip(columns, values, strict=False) if value}
    try:
        return msgspec.convert({name: _read_value(name, value) for name, value in given.items()}, kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"Line {number}: {error}.", line=number) from error


def _read_value(column: str, value: str) -> Any:
    reader = READERS.get(column)
    if reader is None:
        return value
    read = reader.read(value)
    if read is None:
        raise msgspec.ValidationError(f"{column} is {value[:40]!r}: {reader.expected}")
    return read


@dataclass(frozen=True, slots=True)
class _Reader:
    """The one form in which a column's values are taken."""

    read: Callable[[str], Any]
    expected: str


def _phone(value: str) -> str | None:
    return normalize_phone(value) if is_phone(normalize_phone(value)) else None


def _matching(pattern: str, kind: Callable[[str], Any]) -> Callable[[str], Any]:
    form = re.compile(pattern)
    return lambda value: kind(value) if form.fullmatch(value) else None


READERS: Final[Mapping[str, _Reader]] = {
    "phone": _Reader(_phone, "this is no telephone number; format the column as text before saving"),
    "birth_date": _Reader(_matching("[0-9]{4}-[0-9]{2}-[0-9]{2}", str), "write the day as 1990-05-31"),
    "age_checked": _Reader(lambda value: {"yes": True, "no": False}.get(value.lower()), "write yes or no"),
    "sell_price_per_liter_minor": _Reader(
        _matching("[0-9]{1,18}", int), "write minor units in digits alone, a price of 4.99 as 499"
    ),
    "abv": _Reader(_matching(r"100(\.00?)?|[0-9]{1,2}(\.[0-9]{1,2})?", Decimal), "write a percentage such as 4.9"),
}
