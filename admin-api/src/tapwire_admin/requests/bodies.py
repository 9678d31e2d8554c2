"""Strict reading of bodies: `"5"` is not a number.

Litestar reads query, path and body by one lenient rule, so bodies are checked strictly before. Rules that no type can express are
applied here too, for the API and the console's forms alike: texts are normalized, and times are of this century.
"""

import functools
import re
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, get_args

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, SerializationException, ValidationException
from msgspec import Struct

from tapwire_admin.requests.field_types import NORMALIZERS
from tapwire_admin.requests.parameters import require_sane_year

JSON_TYPES: Final = re.compile(r"application/([\w.+-]+\+)?json")
_PLACE: Final = re.compile(r"(?P<message>.*) - at `(key in )?\$\.?(?P<field>.*)`", re.DOTALL)
_AT_FAULT: Final = re.compile(r"Object (missing required|contains unknown) field `(?P<field>[^`]*)`")


class NotJson(ClientException):
    """The body's content type is not JSON."""

    status_code = HTTPStatus.UNSUPPORTED_MEDIA_TYPE.value


async def require_strict_body(request: Request[Any, Any, Any]) -> None:
    """Raise 415 for a content type that is not JSON, 400 for a body that does not fit the route's type.

    Litestar refuses a missing body later.
    """
    given, declared = request.route_handler.parsed_fn_signature.parameters.get("data"), request.route_handler.opt.get("body")
    if given is None and declared is None:
        return
    body = await request.body()
    if not body:
        return
    content_type = request.headers.get("Content-Type", "application/json").partition(";")[0].strip().lower()
    if not JSON_TYPES.fullmatch(content_type):
        raise NotJson(f"Send the body as JSON, with Content-Type: application/json, not {content_type[:100]!r}.")
    if given is not None:
        try:
            read_as(given.annotation, await request.json())  # the request caches its parsed body
        except (SerializationException, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
            raise unreadable_body(error) from error


def read_as(kind: Any, content: Any, *, strict: bool = True) -> Any:
    """Convert parsed content to a body; normalizes names in place. Raises `Invalid` or msgspec's errors."""
    if isinstance(content, dict):
        texts = {field: value for field, value in content.items() if isinstance(value, str)}
        content |= {field: normalize(texts[field]) for field, normalize in _normalizers_of(kind).items() if field in texts}
    body = msgspec.convert(content, kind, strict=strict)
    for field in getattr(body, "__struct_fields__", ()):
        if isinstance(moment := getattr(body, field), datetime):
            require_sane_year(field, moment)
    return body


@functools.cache
def _normalizers_of(kind: Any) -> Mapping[str, Callable[[str], str]]:
    """The fields of a body whose texts are normalized."""
    structs = [part for part in (kind, *get_args(kind)) if isinstance(part, type) and issubclass(part, Struct)]
    fields = [field for struct in structs for field in msgspec.structs.fields(struct)]
    return {
        field.name: NORMALIZERS[part]
        for field in fields
        for part in (field.type, *get_args(field.type))
        if isinstance(part, Hashable) and part in NORMALIZERS
    }


def unreadable_body(error: Exception) -> ValidationException:
    """A 400 from msgspec's error, with the field apart from the message."""
    text = str(error)
    placed, named = _PLACE.fullmatch(text), _AT_FAULT.search(text)
    inside = placed["field"] if placed else ""
    field = f"{inside}.{named['field']}".lstrip(".") if named else inside
    return ValidationException(text, extra=[{"key": field, "message": placed["message"] if placed else text, "source": "body"}])
