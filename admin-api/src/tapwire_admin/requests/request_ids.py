"""`X-Request-ID`: taken from the caller or generated, echoed, logged, and written to the audit log with the request's entries."""

import logging
import re
import time
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from litestar.datastructures import MutableScopeHeaders

from tapwire_admin.access.secret_addresses import loggable_path

HEADER: Final = "X-Request-ID"
_ACCEPTED: Final = re.compile(r"[\x21-\x7e]{1,128}")
_log: Final = logging.getLogger("tapwire.admin")


def request_id_of(scope: Any) -> str:
    """The id of a request: the caller's, where it is 1 to 128 visible ASCII characters, or a generated one."""
    state = scope["state"]
    if "request_id" not in state:
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        state["request_id"] = given if _ACCEPTED.fullmatch(given) else str(uuid4())
        state["began"] = time.monotonic()
    found: str = state["request_id"]
    return found


async def echo_request_id(message: Any, scope: Any) -> None:
    """Add the id to the answer, and log the request."""
    if message["type"] != "http.response.start":
        return
    MutableScopeHeaders.from_message(message)[HEADER] = request_id_of(scope)
    took_ms = round((time.monotonic() - scope["state"]["began"]) * 1000)
    facts = (message["status"], took_ms, scope["state"].get("username"), request_id_of(scope))
    _log.info("%s %s → %s in %s ms, user %s, request %s", scope["method"], quote(loggable_path(scope["path"])), *facts)
