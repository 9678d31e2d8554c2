"""The viewer of a page: operator, language, theme and venue; renders templates for them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from babel.core import negotiate_locale
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from tapwire_admin.access.auth import may
from tapwire_admin.access.cookies import csrf_token_of
from tapwire_admin.console.audit_summaries import audit_summary, icon_of, shown_action
from tapwire_admin.console.formats import Formats, zone_of
from tapwire_admin.console.render import html, render
from tapwire_admin.console.translations import translations
from tapwire_contracts.reasons import Locale
from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import PageRequest
from tapwire_core.db.views.users import Operator
from tapwire_core.db.views.venues import VenueView, get_venue, list_venues
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.shown import Noun
from tapwire_core.services.shown import Shown
from tapwire_core.services.venues import VenueRequired

LANGUAGE_COOKIE: Final = "tapwire_language"
THEME_COOKIE: Final = "tapwire_theme"
VENUE_COOKIE: Final = "tapwire_venue"
VENUE_HEADER: Final = "X-Tapwire-Venue"
"""The venue of the page that sends the request: a tab keeps its venue when another tab chooses one."""
MENU_VENUES: Final = 20
"""Venues of the menu; with more a search chooses among them."""
COOKIE_MAX_AGE_S: Final = 365 * 24 * 3600
THEMES: Final = ("auto", "dark", "light")
"""`auto`: the device's scheme by day, dark at night."""


def preference_cookie(name: str, value: str) -> Cookie:
    """Keep a choice of the viewer's, as their language or venue."""
    return Cookie(name, value=value, max_age=COOKIE_MAX_AGE_S, httponly=True, samesite="lax")


@dataclass(frozen=True, slots=True)
class Viewer:
    """The viewer of a page, and their choices."""

    locale: Locale
    theme: str
    operator: Operator | None
    csrf_token: str
    path: str
    currency: str
    is_part: bool
    venue: VenueView | None = None
    venues: tuple[VenueView, ...] = ()
    """The venues of the menu: the first ones, and the chosen one."""
    has_more_venues: bool = False
    takes_payments: bool = False
    """Guests may pay by telephone."""

    @property
    def formats(self) -> Formats:
        """Formats of numbers and times for the viewer."""
        if self.venue is None:
            return Formats(self.locale, self.currency)
        return Formats(self.locale, self.currency, zone_of(self.venue.time_zone), self.venue.volume_unit)

    def may(self, role: str) -> bool:
        """True if the operator has this role, or one that includes it."""
        return self.operator is not None and may(self.operator, Role(role))

    @property
    def has_all_venues(self) -> bool:
        """True if the operator changes what belongs to the whole installation, as far as the role allows."""
        return self.operator is not None and self.operator.scope.is_all

    @property
    def has_several_venues(self) -> bool:
        """True if the operator has more venues than one."""
        return len(self.venues) > 1

    @property
    def shown_venue(self) -> Shown:
        """The chosen venue, for forms that act on it."""
        return Shown(Noun.VENUE, self.required_venue.venue_id, {})

    @property
    def required_venue(self) -> VenueView:
        """The chosen venue, for pages that need one; raises `VenueRequired` while there is none."""
        if self.venue is None:
            raise VenueRequired
        return self.venue

    def translate(self, text: str) -> str:
        """One of the console's own texts, in the viewer's language."""
        return translations(self.locale).gettext(text)

    def translate_all(self, texts: Iterable[str]) -> list[str]:
        """Several of the console's own texts, in the viewer's language."""
        return [self.translate(text) for text in texts]

    def show(self, template: str, /, **context: Any) -> Response[str]:
        """A page, or a part of one."""
        return html(self.render(template, **context))

    def render(self, template: str, /, **context: Any) -> str:
        """A page, or a part of one, as text."""
        formats = self.formats
        formatters = {name: getattr(formats, name) for name in FORMATTERS}
        audit = {"icon_of": icon_of, "shown_action": shown_action, "audit_summary": partial(audit_summary, self.locale, formats)}
        return render(
            self.locale,
            template,
            {
                "viewer": self,
                "sign": formats.sign,
                "formats": formats,
                "shown_value": formats.shown_value,
                **formatters,
                **audit,
                **context,
            },
        )


FORMATTERS: Final = (
    "money",
    "plain_money",
    "typed_money",
    "volume",
    "serving",
    "plain_grams",
    "plain_percent",
    "percent",
    "measure",
    "unit_price",
    "price",
    "price_of_rule",
    "glass",
    "number",
    "moment",
    "long_moment",
    "until",
    "clock",
    "day",
    "short_day",
    "age",
)
"""Methods of `Formats` that templates use."""
CurrentViewer = NamedDependency[Viewer]


async def provide_viewer(request: Request[Any, Any, Any], db: NamedDependency[Database]) -> Viewer:
    """The request's viewer, at the chosen venue or the first."""
    operator: Operator | None = request.scope["state"].get("operator")
    viewer = plain_viewer(request, operator)
    if operator is None:
        return viewer
    first = await list_venues(db, PageRequest(limit=MENU_VENUES))
    venues = first.items
    chosen = request.headers.get(VENUE_HEADER) or request.cookies.get(VENUE_COOKIE)
    venue = next((venue for venue in venues if venue.venue_id == chosen), None)
    if venue is None and chosen and (beyond := await get_venue(db, chosen)) is not None:
        venue, venues = beyond, (*venues, beyond)
    return replace(
        viewer, venue=venue or (venues[0] if venues else None), venues=venues, has_more_venues=first.next_cursor is not None
    )


def plain_viewer(request: Request[Any, Any, Any], operator: Operator | None = None) -> Viewer:
    """The viewer without venues, from the request alone."""
    policy = request.app.state.db.policy
    theme = request.cookies.get(THEME_COOKIE, "auto")
    return Viewer(
        locale=_language(request, policy.locale),
        theme=theme if theme in THEMES else "auto",
        operator=operator,
        csrf_token=csrf_token_of(request),
        path=request.url.path,
        currency=policy.currency,
        is_part=request.headers.get("HX-Request") == "true",
        takes_payments=request.app.state.payments.is_on,
    )


def _language(request: Request[Any, Any, Any], policy: Locale) -> Locale:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in set(Locale):
        return Locale(chosen)
    return accepted_language(request) or policy


def accepted_language(request: Request[Any, Any, Any]) -> Locale | None:
    """The language that the browser asks for, if the console speaks it."""
    asked = [part.split(";")[0].strip().replace("-", "_") for part in request.headers.get("Accept-Language", "").split(",")]
    found = negotiate_locale([part for part in asked if part], [locale.value for locale in Locale])
    return Locale(found) if found else None
