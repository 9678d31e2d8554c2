"""Queries of views: rows as frozen structs, and lists page by page.

Keyset pagination: a cursor has the ordering values of the row before its page. So pages neither skip nor repeat rows while others
are written, and the last page costs as much as the first one.
"""

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, ColumnElement, Select, Table, func, literal, select, tuple_
from sqlmodel import SQLModel

from tapwire_core.db.engine import Database
from tapwire_core.errors import Invalid

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
"""The most rows of one page."""
COUNTED_UP_TO: Final = 1_000
"""Rows after a page that are counted: a log of years is not."""

_KEYS: Final[Mapping[type, Any]] = {
    int: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)],
    UUID: UUID,
    datetime: Annotated[datetime, msgspec.Meta(tz=True)],
}
_TEXT: Final = Annotated[str, msgspec.Meta(pattern="^[^\0]*$")]
"""Types of a cursor's values, which the database can compare."""

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
U = TypeVar("U")
Completed = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes of a statement's row the fields of its struct, where some of them follow from a rule of the domain."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list; `next_cursor` requests the next page, and is null at the end."""

    items: tuple[T, ...]
    next_cursor: str | None


class CountedPage(Page[T], frozen=True):
    """A page that knows how many rows follow it: `more`, and at least that many where `uncounted`."""

    more: int
    uncounted: bool


def with_items(page: Page[T], items: Iterable[U]) -> Page[U]:
    """The same page, counted as it was, with other items in place of its own."""
    if isinstance(page, CountedPage):
        return CountedPage(tuple(items), page.next_cursor, page.more, page.uncounted)
    return Page(tuple(items), page.next_cursor)


class Sort(StrEnum):
    """The direction of a list."""

    ASC = "asc"
    DESC = "desc"


class PageRequest(msgspec.Struct, frozen=True):
    """The requested page of a list; without a `sort` the list has its default direction."""

    cursor: str | None = None
    limit: int = DEFAULT_LIMIT
    sort: Sort | None = None
    counted: bool = False
    """Ask for a `CountedPage`."""


FIRST_PAGE: Final = PageRequest()


def table(rows: type[SQLModel]) -> Table:
    """The table of a row class, to select from."""
    return SQLModel.metadata.tables[str(rows.__tablename__)]


def age_ms(moment: ColumnElement[Any]) -> ColumnElement[int]:
    """Age of a time in milliseconds, by the database's clock."""
    return func.floor(func.extract("epoch", func.now() - moment) * 1000).cast(BigInteger)


def number_in(document: ColumnElement[Any], field: str) -> ColumnElement[int]:
    """A 64-bit number in a JSON document."""
    number: ColumnElement[int] = document[field].as_string().cast(BigInteger)
    return number


async def read_all(db: Database, statement: Select[Any], struct: type[S], complete: Completed = dict) -> list[S]:
    """All rows of a statement; only for small results."""
    async with db.read() as connection:
        rows = await connection.execute(statement)
        return [msgspec.convert(complete(dict(row)), struct) for row in rows.mappings()]


async def read_one(db: Database, statement: Select[Any], struct: type[S], complete: Completed = dict) -> S | None:
    """The only row of a statement, if there is one."""
    found = await read_all(db, statement, struct, complete)
    return found[0] if found else None


async def every_item(read: Callable[[PageRequest], Awaitable[Page[T]]]) -> list[T]:
    """All items of a list that is short by its nature, read page by page."""
    page = await read(PageRequest(limit=MAX_LIMIT))
    items = list(page.items)
    while page.next_cursor:
        page = await read(PageRequest(cursor=page.next_cursor, limit=MAX_LIMIT))
        items += page.items
    return items


async def read_page(
    db: Database,
    statement: Select[Any],
    struct: type[S],
    order: Sequence[ColumnElement[Any]],
    page: PageRequest,
    *,
    newest_first: bool = False,
    complete: Completed = dict,
) -> Page[S]:
    """One page of a statement's rows in the order of some columns that together are unique; a `CountedPage` on request."""
    down = newest_first if page.sort is None else page.sort is Sort.DESC
    keys = [column.label(f"key_{position}") for position, column in enumerate(order)]
    statement = statement.add_columns(*keys)

    def following(rows: Select[Any], values: Sequence[object]) -> Select[Any]:
        after = tuple_(*(literal(value, column.type) for value, column in zip(values, order, strict=True)))
        return rows.where(tuple_(*order) < after if down else tuple_(*order) > after)

    every = statement
    if page.cursor is not None:
        statement = following(statement, _read_cursor(page.cursor, order))
    statement = statement.order_by(*((column.desc() if down else column.asc()) for column in order))
    limit = min(max(page.limit, 1), MAX_LIMIT)
    async with db.read() as connection:
        rows = [dict(row) for row in (await connection.execute(statement.limit(limit + 1))).mappings()]
        last = [rows[limit - 1][key.name] for key in keys] if len(rows) > limit else None
        more = 0
        if last is not None and page.counted:
            counted = following(every, last).limit(COUNTED_UP_TO + 1).subquery()
            more = int((await connection.execute(select(func.count()).select_from(counted))).scalar_one())
    items = tuple(msgspec.convert(complete(row), struct) for row in rows[:limit])
    cursor = _write_cursor(last) if last is not None else None
    if page.counted:
        return CountedPage(items, cursor, min(more, COUNTED_UP_TO), more > COUNTED_UP_TO)
    return Page(items, cursor)


def _write_cursor(values: list[object]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def _read_cursor(cursor: str, order: Sequence[ColumnElement[Any]]) -> tuple[Any, ...]:
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        kinds = [_KEYS.get(column.type.python_type, _TEXT) for column in order]
        return tuple(msgspec.convert(value, kind) for value, kind in zip(values, kinds, strict=True))
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise Invalid("This cursor comes from no list of this kind: request the first page again.", field="cursor") from error
