"""Logging in and out, and personal settings: language, theme, venue, password."""

from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from tapwire_admin.access.auth import EVERYBODY, OPERATOR, token_of
from tapwire_admin.access.cookies import forget_login, remember_login, require_same_site
from tapwire_admin.access.venue_guard import GUESTS
from tapwire_admin.console.error_answers import problem_text
from tapwire_admin.console.forms import Form
from tapwire_admin.console.render import done
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.translations import N_, translations
from tapwire_admin.console.viewer import (
    LANGUAGE_COOKIE,
    THEME_COOKIE,
    THEMES,
    VENUE_COOKIE,
    CurrentViewer,
    plain_viewer,
    preference_cookie,
)
from tapwire_admin.requests.dependencies import CurrentActor, Db
from tapwire_admin.requests.request_ids import request_id_of
from tapwire_admin.routes.sessions import Credentials, PasswordChange, SessionLength
from tapwire_contracts.reasons import Locale
from tapwire_core.services import sessions, users
from tapwire_core.services.passwords import PasswordsBusy
from tapwire_core.services.sessions import LoginRefused

LANGUAGES: Final = ((Locale.EN.value, "English"), (Locale.RU.value, "Русский"))
HOME: Final = "/"
MAX_PATH_LENGTH: Final = 300
THEME_TEXTS: Final = {"auto": N_("Auto: dark at night"), "dark": N_("Dark"), "light": N_("Light")}


@get("/login", access=EVERYBODY)
async def show_login(
    request: Request[Any, Any, Any], wanted: Annotated[str, QueryParameter(name="next", max_length=MAX_PATH_LENGTH)] = HOME
) -> Response[str]:
    """The login."""
    return plain_viewer(request).show("login.html", next=wanted, problem=None, username="", languages=LANGUAGES)


@post("/login", access=EVERYBODY)
async def log_in(
    request: Request[Any, Any, Any], db: Db, session_length: NamedDependency[SessionLength], form: Form
) -> Response[Any]:
    """Log in, and go to the requested page."""
    require_same_site(request)
    given, wanted = form.read(Credentials), form.values.get("next", HOME)
    try:
        login = await sessions.log_in(
            db, given.username, given.password, ttl_h=session_length.hours, request_id=request_id_of(request.scope)
        )
    except (LoginRefused, PasswordsBusy) as refusal:
        viewer = plain_viewer(request)
        problem = problem_text(viewer, refusal.code, str(refusal), refusal.facts)
        return viewer.show("login.html", next=wanted, problem=problem, username=given.username, languages=LANGUAGES)
    return Redirect(_own_path(wanted), status_code=303, cookies=[remember_login(request, login)])


@post("/logout", access=OPERATOR, about=GUESTS)
async def log_out(request: Request[Any, Any, Any], db: Db, actor: CurrentActor) -> Redirect:
    """Log out."""
    await sessions.log_out(db, actor, token_of(request))
    return Redirect("/login", status_code=303, cookies=[forget_login(request)])


@get("/me", access=OPERATOR)
async def show_me(viewer: CurrentViewer, shell: ShellContext) -> Response[str]:
    """Personal settings."""
    texts = translations(viewer.locale)
    themes = [(theme, texts.gettext(THEME_TEXTS[theme])) for theme in THEMES]
    return viewer.show("me.html", shell=shell, languages=LANGUAGES, themes=themes)


@get("/more", access=OPERATOR)
async def show_more(viewer: CurrentViewer, shell: ShellContext) -> Response[str]:
    """The rest of the menu, for narrow screens."""
    return viewer.show("more.html", shell=shell)


@post("/me/password", access=OPERATOR, about=GUESTS)
async def change_password(
    request: Request[Any, Any, Any], db: Db, actor: CurrentActor, viewer: CurrentViewer, form: Form
) -> Response[str]:
    """Change one's own password."""
    given = form.read(PasswordChange)
    await users.change_own_password(db, actor, token_of(request), given.old_password, given.new_password)
    return done(viewer.translate(N_("Your password is changed.")))


@get("/language/{language:str}", access=EVERYBODY)
async def choose_language(request: Request[Any, Any, Any], language: FromPath[str]) -> Redirect:
    """Choose the console's language."""
    chosen = Locale(language) if language in set(Locale) else Locale.EN
    return _back(request, LANGUAGE_COOKIE, chosen.value)


@get("/theme/{theme:str}", access=EVERYBODY)
async def choose_theme(request: Request[Any, Any, Any], theme: FromPath[str]) -> Redirect:
    """Choose the console's theme."""
    return _back(request, THEME_COOKIE, theme if theme in THEMES else THEMES[0])


@post("/venue", access=OPERATOR, about=GUESTS)
async def choose_venue(form: Form) -> Redirect:
    """Choose the venue, and open its taps, or the page `to`."""
    chosen = preference_cookie(VENUE_COOKIE, form.values.get("venue_id", ""))
    return Redirect(_own_path(form.values.get("to", HOME)), status_code=303, cookies=[chosen])


def _back(request: Request[Any, Any, Any], name: str, value: str) -> Redirect:
    """Store a choice in a cookie, and return to the page."""
    came_from = request.headers.get("Referer", HOME)
    own = f"{request.url.scheme}://{request.url.netloc}/"
    path = came_from.removeprefix(own[:-1]) if came_from.startswith(own) else HOME
    return Redirect(_own_path(path), status_code=303, cookies=[preference_cookie(name, value)])


def _own_path(wanted: str) -> str:
    """A path of this site; `HOME` for any other address."""
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if is_ours else HOME


HANDLERS = (
    show_login,
    log_in,
    log_out,
    show_me,
    show_more,
    change_password,
    choose_language,
    choose_theme,
    choose_venue,
)
