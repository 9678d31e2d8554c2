"""The guest's own page: a telephone's view of one visit, without a login. It keeps itself up to date by asking again.

Staff show its address as a QR code, and give it a new one when somebody else has it.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from tapwire_admin.access.auth import EVERYBODY, OPERATOR
from tapwire_admin.console.assets import asset
from tapwire_admin.console.formats import Formats, zone_of
from tapwire_admin.console.forms import Form
from tapwire_admin.console.pages.menus import language_of
from tapwire_admin.console.pages.receipts import sums_of
from tapwire_admin.console.pages.sessions import LANGUAGES
from tapwire_admin.console.pages.visits import require_visit
from tapwire_admin.console.render import html, render
from tapwire_admin.console.translations import N_, translations
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.guest_pages import GuestPages, TooManyLooks
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.routes.guest_pages import url_of
from tapwire_contracts.reasons import Locale
from tapwire_core.domain.closed_sets import VisitStatus
from tapwire_core.domain.guest_pages import GuestPageView, Hindrance
from tapwire_core.domain.shown import Noun
from tapwire_core.errors import NotFound
from tapwire_core.services import guest_pages
from tapwire_core.services.shown import read_shown

POURING_MS: Final = 1_500
WAITING_MS: Final = 4_000
CLOSED_MS: Final = 60_000
"""Intervals at which the page asks again: while something flows, between pours, and after the visit."""
HINDRANCES: Final = {
    Hindrance.GUEST_BLOCKED: N_("No tap opens for you right now. Please ask at the counter."),
    Hindrance.NO_CARD: N_("You have no card right now. Please ask at the counter."),
    Hindrance.CARD_NOT_WORKING: N_("Your card no longer works. Please ask for another one at the counter."),
    Hindrance.VISIT_EXPIRED: N_("Your time here has run out. Please ask at the counter."),
}
ICONS: Final = ((192, "guest-192.png", "any"), (512, "guest-512.png", "any"), (512, "guest-maskable-512.png", "maskable"))


@get("/visits/{visit_id:uuid}/guest-page", access=OPERATOR)
async def show_address(request: Request[Any, Any, Any], db: Db, viewer: CurrentViewer, visit_id: FromPath[UUID]) -> Response[str]:
    """The QR code of a visit's page, for its guest to scan."""
    shown, visit = await read_shown(db, Noun.VISIT, visit_id), await require_visit(db, visit_id)
    page = url_of(request, await guest_pages.show_page(db, visit_id))
    return viewer.show("dialogs/guest_page.html", shown=shown, visit=visit, page=page, renewed=False)


@post("/visits/{visit_id:uuid}/guest-page", access=OPERATOR, returns_secret=True, shows=Noun.VISIT)
async def renew_address(
    request: Request[Any, Any, Any], viewer: CurrentViewer, actor: CurrentActor, form: Form, visit_id: FromPath[UUID]
) -> Response[str]:
    """Give a visit's page a new address; the old one ends at once."""
    page = url_of(request, await form.only([]).once(guest_pages.renew_page, actor, visit_id))
    shown, visit = await read_shown(form.db, Noun.VISIT, visit_id), await require_visit(form.db, visit_id)
    return viewer.show("dialogs/guest_page.html", shown=shown, visit=visit, page=page, renewed=True)


@get("/g/{token:str}", access=EVERYBODY)
async def show_guest_page(
    request: Request[Any, Any, Any], pages: NamedDependency[GuestPages], token: FromPath[str]
) -> Response[str]:
    """The page; `lang` in the query chooses another language than the telephone's."""
    return await _answer(request, pages, token, "guest_page.html")


@get("/g/{token:str}/now", access=EVERYBODY)
async def show_guest_page_now(
    request: Request[Any, Any, Any], pages: NamedDependency[GuestPages], token: FromPath[str]
) -> Response[str]:
    """The parts that change, which the page asks for again and again."""
    return await _answer(request, pages, token, "parts/guest_page.html")


@get("/g/{token:str}/app.webmanifest", access=EVERYBODY)
async def show_manifest(request: Request[Any, Any, Any], pages: NamedDependency[GuestPages], token: FromPath[str]) -> Response[Any]:
    """What a telephone needs to keep the page as an app. One app for all visits: its `id` is the same."""
    try:
        facts = await pages.find(request, token)
    except NotFound:
        return html("", HTTPStatus.NOT_FOUND)
    manifest = {
        "id": "/g/",
        "name": facts.venue,
        "short_name": facts.venue[:12],
        "start_url": f"/g/{token}",
        "scope": f"/g/{token}",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#ffffff",
        "icons": [
            {"src": asset(name), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
            for size, name, purpose in ICONS
        ],
    }
    return Response(manifest, media_type="application/manifest+json")


async def _answer(request: Request[Any, Any, Any], pages: GuestPages, token: str, template: str) -> Response[str]:
    locale = language_of(request)
    at = f"/g/{token}"
    common = {"locale": locale, "languages": LANGUAGES, "page": None, "at": at}
    try:
        page = await pages.get(request, token)
    except NotFound:
        return html(render(locale, template, {**common, "is_busy": False}), HTTPStatus.NOT_FOUND)
    except TooManyLooks as refusal:
        wait_s = -(-int(str(refusal.facts["retry_after_ms"])) // 1_000)
        answer = render(locale, template, {**common, "is_busy": True})
        return html(answer, HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": str(wait_s)})
    return html(render(locale, template, {**common, **_shown(locale, page)}))


def _shown(locale: Locale, page: GuestPageView) -> dict[str, Any]:
    texts = translations(locale)
    return {
        "page": page,
        "formats": Formats(locale, page.currency, zone_of(page.time_zone), page.volume_unit),
        "is_open": page.status is VisitStatus.ACTIVE,
        "hindrance": texts.gettext(HINDRANCES[page.hindrance]) if page.hindrance else "",
        "sums": list(_sums(locale, page)),
        "poll_ms": CLOSED_MS if page.closed_at else POURING_MS if page.pour and page.pour.flowing else WAITING_MS,
    }


def _sums(locale: Locale, page: GuestPageView) -> Iterator[tuple[str, int]]:
    texts = translations(locale)
    if page.receipt:
        yield from sums_of(texts.gettext, page.receipt)


HANDLERS = (show_address, renew_address, show_guest_page, show_guest_page_now, show_manifest)
