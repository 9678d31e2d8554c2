"""What can be searched for, by the words of `tapwire_core.domain.search`."""

from typing import Any

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field, SQLModel

from tapwire_core.db.tables.columns import closed_set, key
from tapwire_core.domain.closed_sets import SearchNoun


class SearchEntry(SQLModel, table=True):
    """The words by which a thing is found; written in the transaction that names it. `id` is the thing's own, as text.

    A table of its own: rows of guests change with each pour, and long columns would be copied each time.
    """

    __tablename__ = "search_entries"
    __table_args__: Any = (
        closed_set("noun", SearchNoun),
        Index("ix_search_entries_words", "words", postgresql_using="gin"),
    )

    noun: str = key()
    id: str = key()
    words: str = Field(sa_type=TSVECTOR)
