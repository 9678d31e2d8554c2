"""Static files, our own and third-party, under addresses that change with their content."""

import hashlib
from pathlib import Path
from typing import Any, Final

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from tapwire_admin.access.auth import EVERYBODY
from tapwire_admin.console.libraries import VENDOR

STATIC: Final = Path(__file__).parent / "static"
CACHE_S: Final = 365 * 24 * 3600
_DIGEST_LENGTH: Final = 12
_digests: dict[tuple[str, float], str] = {}


def asset(name: str) -> str:
    """The address of a file, with a digest of its content."""
    file = next(folder / name for folder in (STATIC, VENDOR) if (folder / name).exists())
    key = (name, file.stat().st_mtime)
    if key not in _digests:
        _digests[key] = hashlib.sha256(file.read_bytes()).hexdigest()[:_DIGEST_LENGTH]
    return f"/static/{name}?{_digests[key]}"


def static_files() -> Router:
    """The route of the files."""
    options: dict[str, Any] = {"access": EVERYBODY}
    return create_static_files_router(
        path="/static",
        directories=[STATIC, VENDOR],
        opt=options,
        include_in_schema=False,
        cache_control=CacheControlHeader(max_age=CACHE_S, public=True),
    )
