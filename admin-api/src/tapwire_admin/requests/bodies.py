"""Bodies are read strictly: a number is a number, and `"5"` is not one.

Litestar reads query and path, which are text, and bodies by one lenient rule; so a body is checked before, by the strict one. What
no type can say is done here too, for the API and the console's forms alike: names are normalized, and times are of this century.
"""

import functools
import re
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, get_args

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, SerializationException, ValidationException
from msgspec import Struct

from tapwire_admin.requests.field_types import NAMES
from tapwire_admin.requests.parameters import require_sane_year
from tapwire_core.domain.names import normalize_name

JSON_TYPES: Final = re.compile(r"application/([\w.+-]+\+)?json")
_PLACE: Final = re.compile(r"(?P<message>.*) - at `(key in )?\$\.?(?P<field>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>[^`]+)`")


class NotJson(ClientException):
    """The body is said to be something else than JSON."""

    status_code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value


async def require_strict_body(request: Request[Any, Any, Any]) -> None:
    """Raise 415 for a body that is said to be no JSON, 400 for one that is not what the route's documentation says.

    That a body is missing is found out later.
    """
    given, declared = request.route_handler.parsed_fn_signature.parameters.get("data"), request.route_handler.opt.get("body")
    if given is None and declared is None:
        return
    body = await request.body()
    if not body:
        return
    said = request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    if not JSON_TYPES.fullmatch(said):
        raise NotJson(f"Send the body as JSON, with Content-Type: application/json; {said[:100]!r} is none.")
    if given is not None:
        try:
            read_as(given.annotation, await request.json())  # the request keeps what it has parsed, and hands that on
        except (SerializationException, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable_body(error) from error


def read_as(kind: Any, content: Any, *, strict: bool = True) -> Any:
    """A body from its parsed content, whose names are normalized in place; raises `Invalid`, or what msgspec does."""
    if isinstance(content, dict):
        given = _names_in(kind).intersection(content)
        content |= {field: normalize_name(content[field]) for field in given if isinstance(content[field], str)}
    body = msgspec.convert(content, kind, strict=strict)
    for field in getattr(body, "__struct_fields__", ()):
        if isinstance(moment := getattr(body, field), datetime):
            require_sane_year(field, moment)
    return body


@functools.cache
def _names_in(kind: Any) -> frozenset[str]:
    """The fields of a body that are names."""
    structs = [part for part in (kind, *get_args(kind)) if isinstance(part, type) and issubclass(part, Struct)]
    fields = [field for struct in structs for field in msgspec.structs.fields(struct)]
    return frozenset(field.name for field in fields if any(part in NAMES for part in (field.type, *get_args(field.type))))


def unreadable_body(error: Exception) -> ValidationException:
    """What msgspec says of a body, with the field apart from the message."""
    text = str(error)
    placed, missing = _PLACE.fullmatch(text), _MISSING.search(text)
    inside = placed["field"] if placed else ""
    field = f"{inside}.{missing['field']}".lstrip(".") if missing else inside
    return ValidationException(text, extra=[{"key": field, "message": placed["message"] if placed else text, "source": "body"}])
