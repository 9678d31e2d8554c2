"""Bodies are read strictly: a number is a number, and `"5"` is not one.

Litestar reads query and path, which are text, and bodies by one lenient rule; so a body is checked before, by the strict one.
"""

import re
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.exceptions import ClientException, ValidationException

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
        check_body(body, given.annotation)


def check_body(body: bytes, kind: Any) -> None:
    """Raise 400, with the place in the body, unless it is JSON of this kind."""
    try:
        msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable_body(error) from error


def unreadable_body(error: Exception) -> ValidationException:
    """What msgspec says of a body, with the field apart from the message."""
    text = str(error)
    placed, missing = _PLACE.fullmatch(text), _MISSING.search(text)
    inside = placed["field"] if placed else ""
    field = f"{inside}.{missing['field']}".lstrip(".") if missing else inside
    return ValidationException(text, extra=[{"key": field, "message": placed["message"] if placed else text, "source": "body"}])
