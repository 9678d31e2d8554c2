"""The address at which people outside reach this server: `TAPWIRE_PUBLIC_URL`, else the one that the request came to."""

from typing import Any

from litestar import Request


def public_url(request: Request[Any, Any, Any]) -> str:
    """Scheme, host and port, without a slash at the end."""
    configured: str | None = request.app.state.public_url
    return configured or f"{request.url.scheme}://{request.url.netloc}"
