"""The address at which people outside reach this server: `TAPWIRE_PUBLIC_URL`, else the one that the request came to."""

import re
from typing import Any, Final

from litestar import Request

from tapwire_core.errors import Invalid

_HOST: Final = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)


def public_url(request: Request[Any, Any, Any]) -> str:
    """Scheme, host and port, without a slash at the end. Raises `Invalid` for a request whose host is none."""
    configured: str | None = request.app.state.public_url
    if configured:
        return configured
    try:
        scheme, host = request.url.scheme, request.url.netloc
    except ValueError:  # a port beyond all ports
        host = ""
    if not _HOST.fullmatch(host):
        raise Invalid("The header Host is no address.", header="Host")
    return f"{scheme}://{host}"
