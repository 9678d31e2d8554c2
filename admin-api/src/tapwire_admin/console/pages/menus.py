"""A venue's menu: its tap list as a page for a wall, a table and a telephone, without a login. It keeps itself up to date."""

from functools import partial
from typing import Any, Final

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from tapwire_admin.access.auth import EVERYBODY
from tapwire_admin.console.formats import Formats, zone_of
from tapwire_admin.console.pages.sessions import LANGUAGES
from tapwire_admin.console.render import render
from tapwire_admin.console.viewer import THEMES, accepted_language
from tapwire_admin.requests.dependencies import SlugInPath
from tapwire_admin.responses.cached import cached_answer
from tapwire_admin.tap_lists import TapLists
from tapwire_contracts.reasons import Locale
from tapwire_core.db.views.tap_lists import TapList
from tapwire_core.domain.money import charge

WALL_TAPS: Final = 24
"""Taps that a wall shows at once; `menu.js` turns the pages of longer lists."""
FITS: Final = ((5, "few"), (10, "some"), (16, "many"))
"""The size of the letters on a wall, by the most taps for which it is."""
MOST: Final = "most"


@get("/menu/{venue:str}", access=EVERYBODY, cacheable=True)
async def show_menu(request: Request[Any, Any, Any], tap_lists: NamedDependency[TapLists], venue: SlugInPath) -> Response[Any]:
    """The menu, for venues with `public_menu`; `lang` and `theme` in the query choose what the device does not."""
    return await _answer(request, tap_lists, venue, "menu.html")


@get("/menu/{venue:str}/list", access=EVERYBODY, cacheable=True)
async def show_menu_list(request: Request[Any, Any, Any], tap_lists: NamedDependency[TapLists], venue: SlugInPath) -> Response[Any]:
    """The list alone, which the page asks for again and again."""
    return await _answer(request, tap_lists, venue, "parts/menu.html")


async def _answer(request: Request[Any, Any, Any], tap_lists: TapLists, venue: str, template: str) -> Response[Any]:
    kept = await tap_lists.get(venue)
    locale, theme = language_of(request), _theme(request)
    answer = kept.render(f"{template} {locale} {theme}", partial(_render, template, locale, theme))
    return cached_answer(
        request,
        answer.body,
        answer.etag,
        media_type=MediaType.HTML,
        max_age_s=kept.max_age_s(),
        vary="Accept-Language",
    )


def _render(template: str, locale: Locale, theme: str, listed: TapList) -> bytes:
    formats = Formats(locale, listed.currency, zone_of(listed.time_zone), listed.volume_unit)
    fit = next((name for most, name in FITS if len(listed.items) <= most), MOST)
    context = {"list": listed, "formats": formats, "charge": charge, "fit": fit, "wall_taps": WALL_TAPS}
    return render(locale, template, {**context, "locale": locale, "theme": theme, "languages": LANGUAGES}).encode()


def language_of(request: Request[Any, Any, Any]) -> Locale:
    """The language that the query names, else that of the device, else the installation's."""
    wanted = request.query_params.get("lang")
    if wanted in set(Locale):
        return Locale(wanted)
    return accepted_language(request) or request.app.state.db.policy.locale


def _theme(request: Request[Any, Any, Any]) -> str:
    """The chosen theme; by default that of the device."""
    wanted = request.query_params.get("theme")
    return wanted if wanted in THEMES[1:] else ""


HANDLERS = (show_menu, show_menu_list)
