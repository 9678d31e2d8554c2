"""The venue guard: an operator with `venues` sees and changes things of these venues alone.

Reads are within the operator's scope by themselves: handlers get the database that way (`app`), and its views hide the rest. The
guard looks at what a request names, before its handler: each id in path, query, body and form by the name of its parameter. What
the scope does not have is not found, as if it did not exist. A route's subject is declared as `about`, or follows from what its
address and form name; `require_subjects` refuses to make an application in which neither is so.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, get_args
from uuid import UUID

import msgspec
from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.datastructures import FormMultiDict
from litestar.enums import RequestEncodingType
from litestar.exceptions import SerializationException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute
from msgspec import Struct

from tapwire_admin.access.cookies import SAFE_METHODS
from tapwire_core.db.engine import Database
from tapwire_core.db.views.users import Operator
from tapwire_core.db.views.venue_things import Thing, is_seen
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.shown import Noun
from tapwire_core.domain.venue_scope import ALL_VENUES, VenueScope
from tapwire_core.errors import AllVenuesRequired, Invalid, NotFound


class About(StrEnum):
    """What a route is about, and so which operators may call it."""

    VENUES = "venues"
    """Things of venues, which the guard looks up."""
    GUESTS = "guests"
    """Guests, cards, or the operator's own account: for operators of any venue."""
    INSTALLATION = "installation"
    """Things of the whole installation: for operators of all venues."""


VENUES: Final = About.VENUES
GUESTS: Final = About.GUESTS
INSTALLATION: Final = About.INSTALLATION

THING_OF: Final[Mapping[str, Thing]] = {
    "venue": Thing.VENUE,
    "venue_id": Thing.VENUE,
    "path": Thing.DEVICE,
    "reader": Thing.DEVICE,
    "tap": Thing.DEVICE,
    "visit_id": Thing.VISIT,
    "pour_id": Thing.POUR,
    "keg_id": Thing.KEG,
    "keg": Thing.KEG,
    "expected_keg_id": Thing.KEG,
    "shift_id": Thing.SHIFT,
    "incident_id": Thing.INCIDENT,
    "price_rule_id": Thing.PRICE_RULE,
    "rule": Thing.PRICE_RULE,
    "movement_id": Thing.MOVEMENT,
}
"""The things that parameters, fields of bodies and fields of forms name."""
ABOUT_OF: Final[Mapping[str, About]] = {
    "guest_id": GUESTS,
    "card_uid": GUESTS,
    "beverage_id": INSTALLATION,
    "username": INSTALLATION,
    "webhook_id": INSTALLATION,
    "delivery_id": INSTALLATION,
}
"""Names of things that belong to no venue; a route whose address has one is about that."""
PLAIN: Final = frozenset(
    {
        "tap_id",
        "device_id",
        "beverage_ids",
        "card_uids",
        "tap_ids",
        "after_event",
        "last_event_id",
        "language",
        "theme",
        "action",
        "file_path",
    }
)
"""Names that look like ids, and name nothing that exists, or what every operator may read."""
THING_OF_NOUN: Final[Mapping[Noun, Thing | About]] = {
    Noun.VENUE: Thing.VENUE,
    Noun.VENUE_SETTINGS: INSTALLATION,
    Noun.VOLUMES: INSTALLATION,
    Noun.EMERGENCY_STOP: Thing.VENUE,
    Noun.SHIFT: Thing.SHIFT,
    Noun.BEVERAGE: INSTALLATION,
    Noun.PRICE_RULE: Thing.PRICE_RULE,
    Noun.TAP: Thing.DEVICE,
    Noun.CARD: GUESTS,
    Noun.VISIT: Thing.VISIT,
    Noun.GUEST: GUESTS,
    Noun.BALANCE: GUESTS,
    Noun.KEG: Thing.KEG,
    Noun.KEG_DELIVERY: Thing.KEG,
    Noun.INCIDENT: Thing.INCIDENT,
    Noun.USER: INSTALLATION,
    Noun.DEVICE: Thing.DEVICE,
    Noun.WEBHOOK: INSTALLATION,
}
"""What a form's `shown` names."""
SHOWN_FIELD: Final = "shown"
SECRETS_OF_INSTALLATION: Final = frozenset({"username", "webhook_id", "delivery_id"})
"""Names of things that an operator of some venues does not even read."""
_LOOKS_LIKE_ID: Final = re.compile(r".*_u?ids?")
_FORMS: Final = frozenset({RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART})
_UNREADABLE: Final = (SerializationException, msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Shown(Struct):
    """The part of a form's `shown` that names its thing."""

    noun: Noun
    key: str


async def require_in_scope(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler, operator: Operator, db: Database
) -> None:
    """Raise `AllVenuesRequired`, or `NotFound` for a thing that the operator's scope does not have."""
    if operator.scope.is_all:
        return
    if about_of(handler, str(connection.scope.get("method", "GET"))) is INSTALLATION:
        raise AllVenuesRequired("This needs an operator of all venues.", venues=operator.venues)
    seen = db.within(operator.scope)
    for thing, key in {named async for named in _named_by(connection)}:
        if not await is_seen(seen, thing, key):
            raise NotFound(thing.value, key)


def scope_of_operator(connection: ASGIConnection[Any, Any, Any, Any]) -> VenueScope:
    """The scope of the logged-in operator; all venues on routes without a login, which name their own tap."""
    operator: Operator | None = connection.scope["state"].get("operator")
    return operator.scope if operator else ALL_VENUES


def without_hidden(connection: ASGIConnection[Any, Any, Any, Any], facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """A refusal's facts without the ids of another venue's things, to which a guest, a card or a code led."""
    scope = scope_of_operator(connection)
    if scope.is_all:
        return facts
    venue_id = facts.get("venue_id")
    is_elsewhere = venue_id is not None and not scope.sees(venue_id)

    def is_hidden(name: str, fact: object) -> bool:
        thing = THING_OF.get(name)
        is_foreign_device = thing is Thing.DEVICE and isinstance(fact, str) and "/" in fact and not scope.sees_device(fact)
        return is_foreign_device or (is_elsewhere and thing is not None)

    return MappingProxyType({name: fact for name, fact in facts.items() if not is_hidden(name, fact)})


def about_of(handler: BaseRouteHandler, method: str) -> About | None:
    """What a route is about: as declared, else by what its address, its form or its body names; None if nothing says so."""
    declared: About | None = handler.opt.get("about")
    if declared is not None:
        return declared
    in_path = _path_names(handler)
    if in_path & SECRETS_OF_INSTALLATION:
        return INSTALLATION
    if method in SAFE_METHODS:
        return VENUES
    shows: Noun | None = handler.opt.get("shows")
    subjects: set[Thing | About] = {THING_OF_NOUN[shows]} if shows else set()
    subjects |= {ABOUT_OF.get(name) or THING_OF[name] for name in in_path if name in ABOUT_OF or name in THING_OF}
    if INSTALLATION in subjects:
        return INSTALLATION
    if subjects & set(Thing):
        return VENUES
    if subjects:
        return GUESTS
    return VENUES if set(_body_names(handler)) & THING_OF.keys() else None


def require_subjects(app: Litestar) -> None:
    """Raise `RuntimeError` for a route of operators that names an unknown id, or changes something without saying what."""
    unknown = {
        f"{method} {route.path} {problem}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items()
        if isinstance(handler.opt.get("access"), Role)
        for problem in _problems(handler, method)
    }
    if unknown:
        raise RuntimeError(f"The venue guard does not know: {', '.join(sorted(unknown))}.")


def _problems(handler: HTTPRouteHandler, method: str) -> Iterator[str]:
    known = THING_OF.keys() | ABOUT_OF.keys() | PLAIN
    in_path = _path_names(handler)
    named = {name for name, kind in handler.parsed_fn_signature.parameters.items() if _is_id(name, kind.annotation)}
    yield from ({*in_path, *named, *_body_names(handler)} - known)
    if about_of(handler, method) is None:
        yield "declares no `about`"


def _path_names(handler: BaseRouteHandler) -> set[str]:
    return {found for path in handler.paths for found in re.findall(r"{(\w+)", path)}


def _body_names(handler: BaseRouteHandler) -> list[str]:
    """The fields of a route's body that are ids."""
    given = handler.parsed_fn_signature.parameters.get("data")
    fields = _fields_of(given.annotation if given is not None else handler.opt.get("body"))
    return [name for name, kind in fields if _is_id(name, kind)]


def _fields_of(kind: Any) -> Iterator[tuple[str, Any]]:
    """The fields of a body by name and type, also those of its parts."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        for field in msgspec.structs.fields(kind):
            yield field.encode_name, field.type
            yield from _fields_of(field.type)
    for part in get_args(kind):
        yield from _fields_of(part)


def _is_id(name: str, kind: Any) -> bool:
    return name in THING_OF or bool(_LOOKS_LIKE_ID.fullmatch(name)) or UUID in (kind, *get_args(kind))


async def _named_by(connection: ASGIConnection[Any, Any, Any, Any]) -> AsyncIterator[tuple[Thing, str]]:
    """The things that a request names in its path, query, body or form, with their keys."""
    for name, value in connection.path_params.items():
        if name in THING_OF and name != "tap":  # its venue stands before it
            yield THING_OF[name], str(value)
    for thing, key in _things(connection.query_params.multi_items()):
        yield thing, key
    if not isinstance(connection, Request) or connection.method in SAFE_METHODS:
        return
    if connection.content_type[0] in _FORMS:
        for thing, key in _things_of_form(await connection.form()):
            yield thing, key
        return
    with suppress(*_UNREADABLE):  # the handler refuses it
        for thing, key in _things_of_body(await connection.json()):
            yield thing, key


def _things_of_body(body: Any) -> Iterator[tuple[Thing, str]]:
    """The things that a body, its parts and its lists name."""
    for part in body if isinstance(body, list) else [body]:
        if isinstance(part, dict):
            for name, value in part.items():
                yield from _things((name, one) for one in (value if isinstance(value, list) else [value]))
                yield from _things_of_body(value)


def _things_of_form(form: FormMultiDict) -> Iterator[tuple[Thing, str]]:
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str) and value]
    yield from _things((name, value.strip()) for name, value in fields)
    for name, value in fields:
        if _LOOKS_LIKE_ID.fullmatch(name) and name not in THING_OF.keys() | ABOUT_OF.keys() | PLAIN:
            raise Invalid(f"{name[:60]}: the venue guard does not know what this names.", field=name[:60])
        if name == SHOWN_FIELD:
            with suppress(msgspec.DecodeError):
                shown = msgspec.json.decode(value, type=_Shown)
                if isinstance(thing := THING_OF_NOUN[shown.noun], Thing):
                    yield thing, shown.key


def _things(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[Thing, str]]:
    for name, value in named:
        thing = THING_OF.get(name)
        if thing is None or not isinstance(value, str) or not value:
            continue
        if thing is not Thing.DEVICE or "/" in value:  # a tap's id alone filters a list, which is within the scope
            yield thing, value
