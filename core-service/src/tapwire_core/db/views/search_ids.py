"""Ids of what a search finds, by the words of `tapwire_core.domain.search`."""

from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, Uuid, cast, false, func, literal, select, union
from sqlalchemy.dialects.postgresql import TSQUERY

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Card, SearchEntry
from tapwire_core.db.views.queries import table
from tapwire_core.domain.closed_sets import SearchNoun
from tapwire_core.domain.search import SearchQuery, phone_query, query_of

entries: Final = table(SearchEntry)
cards: Final = table(Card)


async def count_guests(db: Database, text: str) -> int:
    """The number of guests that a search finds."""
    found = guests_found(query_of(text)).subquery()
    async with db.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(found))).scalar_one())


def guests_found(query: SearchQuery) -> Select[Any]:
    """The ids of the guests that a query finds, by their words or their cards."""
    by_card = select(cards.c.guest_id).where(cards.c.guest_id.is_not(None), begins(cards.c.card_uid, query))
    return select(union(ids_of(SearchNoun.GUEST, query.tsquery, Uuid()), by_card).subquery().c[0])


def guests_with_phone(phone: str) -> Select[Any]:
    """The ids of the guests with this telephone number."""
    return ids_of(SearchNoun.GUEST, phone_query(phone), Uuid())


def beverages_found(query: SearchQuery) -> Select[Any]:
    """The ids of the beverages that a query finds."""
    return ids_of(SearchNoun.BEVERAGE, query.tsquery, Uuid())


def ids_of(noun: SearchNoun, tsquery: str | None, kind: Any) -> Select[Any]:
    """The ids of one noun's things that a tsquery finds; none without one. `kind`: the type of the id."""
    found = entries.c.words.bool_op("@@")(cast(literal(tsquery), TSQUERY)) if tsquery is not None else false()
    return select(cast(entries.c.id, kind).label("id")).where(entries.c.noun == noun.value, found)


def has_whole_words(noun: SearchNoun, column: ColumnElement[Any], query: SearchQuery) -> ColumnElement[int]:
    """1 for a thing that has all of a query's words whole, 0 for the others, to order by; `column` has the thing's id.

    Without it nobody finds `Amber 8` among many that have a word beginning with 8: lists that show a few would end before it.
    """
    return cast(column.in_(ids_of(noun, query.exact, column.type)), Integer)


def begins(column: ColumnElement[str], query: SearchQuery) -> ColumnElement[bool]:
    """The condition that a text begins with a query's card number; false without one."""
    return column.startswith(query.card_prefix) if query.card_prefix is not None else false()
