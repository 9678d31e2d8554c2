"""The guest's own page: its address for staff, and its data for anyone with the address."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from tapwire_admin.access.auth import EVERYBODY, OPERATOR
from tapwire_admin.guest_pages import GuestPages, TooManyLooks
from tapwire_admin.requests.dependencies import CurrentActor, Db, RunOnce
from tapwire_admin.requests.public_urls import public_url
from tapwire_core.db.engine import Database
from tapwire_core.domain.guest_pages import GuestPageView
from tapwire_core.errors import NotFound
from tapwire_core.services import guest_pages
from tapwire_core.services.guest_pages import GuestPageAddress, GuestPageEnded
from tapwire_core.services.guests import GuestErased


class GuestPageUrl(Struct, frozen=True):
    """The address of a guest's page, a secret, and when it ends: 24 hours after the visit; null while that is active."""

    url: str
    expires_at: datetime | None


@get("/visits/{visit_id:uuid}/guest-page", access=OPERATOR, refuses=(GuestPageEnded,))
async def read_guest_page_url(request: Request[Any, Any, Any], db: Db, visit_id: FromPath[UUID]) -> GuestPageUrl:
    """The address of the page of a visit's guest, for a QR code; a visit without one gets it now."""
    return url_of(request, await guest_pages.show_page(db, visit_id))


@post(
    "/visits/{visit_id:uuid}/guest-page",
    access=OPERATOR,
    status_code=200,
    refuses=(GuestErased, GuestPageEnded),
    returns_secret=True,
)
async def renew_guest_page(
    request: Request[Any, Any, Any], actor: CurrentActor, once: RunOnce, visit_id: FromPath[UUID]
) -> GuestPageUrl:
    """Give the page a new address; the old one ends at once."""
    return url_of(request, await once(guest_pages.renew_page, actor, visit_id))


@get("/public/g/{token:str}", access=EVERYBODY, refuses=(NotFound, TooManyLooks))
async def read_guest_page(
    request: Request[Any, Any, Any], pages: NamedDependency[GuestPages], token: FromPath[str]
) -> GuestPageView:
    """A guest's balance, allowance, pours as they flow, and the receipt at the end. 404 for an address that is unknown or ended."""
    return await pages.get(request, token)


def url_of(request: Request[Any, Any, Any], page: GuestPageAddress) -> GuestPageUrl:
    """The whole address of a page."""
    return GuestPageUrl(f"{public_url(request)}/g/{page.token}", page.expires_at)


async def url_while_it_lasts(request: Request[Any, Any, Any], db: Database, visit_id: UUID) -> GuestPageUrl | None:
    """The whole address of a visit's page; None once it has ended."""
    try:
        return url_of(request, await guest_pages.show_page(db, visit_id))
    except GuestPageEnded:
        return None


HANDLERS = (read_guest_page_url, renew_guest_page, read_guest_page)
