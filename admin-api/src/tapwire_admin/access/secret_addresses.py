"""Addresses that hold a secret: the guest's page. Who has it has the page, so it is in no log and goes to no other site."""

import re
from typing import Any, Final

from litestar.datastructures import MutableScopeHeaders

_SECRET: Final = re.compile(r"(/g/+)[^/]+", re.IGNORECASE)
"""The token after `/g/`, also in a path that no route has: a mistyped address still holds it. Doubled slashes are one slash."""
_OF_GUEST: Final = re.compile(r"/+(api/+public/+)?g/+(?!tap-list/*$)", re.IGNORECASE)
"""The pages and their data, likewise; a venue may be called `g`, and show its tap list."""
HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


def loggable_path(path: str) -> str:
    """The path without the secrets in it."""
    return _SECRET.sub(r"\1-", path)


async def keep_address_secret(message: Any, scope: Any) -> None:
    """Keep caches, other sites and search engines from an address with a secret, for any answer."""
    if message["type"] == "http.response.start" and _OF_GUEST.match(scope["path"]):
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers[name] = value
