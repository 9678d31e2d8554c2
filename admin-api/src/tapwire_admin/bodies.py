"""Bodies are read strictly: a number is a number, and `"5"` is not one.

Litestar reads query and path, which are text, and bodies by one lenient rule; so a body is checked before, by the strict one.
"""

from typing import Any

import msgspec
from litestar import Request
from litestar.exceptions import ValidationException


async def require_strict_body(request: Request[Any, Any, Any]) -> None:
    """Raise 400 for a body that is not what the route's documentation says; that it is missing is found out later."""
    declared = request.route_handler.parsed_fn_signature.parameters.get("data")
    if declared is None:
        return
    body = await request.body()
    if not body:
        return
    try:
        msgspec.json.decode(body, type=declared.annotation)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValidationException(str(error)) from error
