"""Types of handlers' parameters: injected dependencies, and values of path and query."""

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter

from tapwire_admin.requests.field_types import MAX_CARD_UID_TEXT, NO_NUL
from tapwire_admin.requests.idempotency import Once
from tapwire_contracts.card_uid import CARD_UID_INPUT_PATTERN
from tapwire_contracts.messages import MAX_INTEGER
from tapwire_contracts.topics import SLUG_PATTERN
from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import PageRequest
from tapwire_core.domain.actor import Actor
from tapwire_core.services.request_limits import MAX_NAME_LENGTH
from tapwire_core.services.users import USERNAME_PATTERN

Db = NamedDependency[Database]
"""The database; reads are within the operator's scope."""
OwnVenue = NamedDependency[str | None]
"""The venue that a request means without naming one: the operator's only venue."""
CurrentActor = NamedDependency[Actor]
RunOnce = NamedDependency[Once]
PageQuery = NamedDependency[PageRequest]

SlugInPath = Annotated[str, PathParameter(pattern=SLUG_PATTERN)]
UsernameInPath = Annotated[str, PathParameter(pattern=USERNAME_PATTERN)]
CardInPath = Annotated[str, PathParameter(max_length=MAX_CARD_UID_TEXT, schema_extra={"pattern": CARD_UID_INPUT_PATTERN})]
MovementInPath = Annotated[int, PathParameter(ge=1, le=MAX_INTEGER)]
VenueQuery = Annotated[str | None, QueryParameter(pattern=SLUG_PATTERN)]
TextQuery = Annotated[str | None, QueryParameter(max_length=MAX_NAME_LENGTH, pattern=NO_NUL)]

__all__ = [
    "CardInPath",
    "CurrentActor",
    "Db",
    "FromPath",
    "FromQuery",
    "JSONBody",
    "MovementInPath",
    "OwnVenue",
    "PageQuery",
    "RunOnce",
    "SlugInPath",
    "TextQuery",
    "UsernameInPath",
    "VenueQuery",
]
