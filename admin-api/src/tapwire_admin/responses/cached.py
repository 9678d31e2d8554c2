"""Answers that everybody may keep: with an ETag, which answers a conditional request with 304."""

from typing import Any, Final

from litestar import Request, Response
from litestar.enums import MediaType

NOT_MODIFIED: Final = 304


def cached_answer(
    request: Request[Any, Any, Any],
    body: bytes,
    etag: str,
    *,
    media_type: MediaType | str,
    max_age_s: int,
    vary: str | None = None,
) -> Response[Any]:
    """The answer, or 304 without a body where the client has it already."""
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={max_age_s}"} | ({"Vary": vary} if vary else {})
    if _names(request.headers.get("If-None-Match", ""), etag):
        return Response(None, status_code=NOT_MODIFIED, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _names(if_none_match: str, etag: str) -> bool:
    """True if the header names this ETag, strong or weak, or any at all."""
    named = [one.strip() for one in if_none_match.split(",")]
    return named == ["*"] or any(one.removeprefix("W/") == etag for one in named)
