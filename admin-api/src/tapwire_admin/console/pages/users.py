"""Operators' logins."""

from collections.abc import Iterable
from typing import Any

from litestar import Response, get, post

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.console.forms import Form, SubmittedForm
from tapwire_admin.console.render import go_to
from tapwire_admin.console.shell import ShellContext
from tapwire_admin.console.viewer import CurrentViewer
from tapwire_admin.requests.dependencies import CurrentActor, Db, PageQuery, UsernameInPath
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_admin.routes.users import NewUser, UserChange
from tapwire_core.db.engine import Database
from tapwire_core.db.views.queries import MAX_LIMIT, PageRequest
from tapwire_core.db.views.users import get_user, list_users
from tapwire_core.db.views.venues import VenueView, get_venue, list_venues
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.shown import Noun
from tapwire_core.services import users
from tapwire_core.services.shown import read_shown
from tapwire_core.services.users import UserChanges


@get("/users", access=ENGINEER, about=INSTALLATION)
async def show_users(db: Db, viewer: CurrentViewer, shell: ShellContext, page: PageQuery) -> Response[str]:
    """Operators by name."""
    users_of_page = await list_users(db, page)
    chosen = {venue_id for user in users_of_page.items for venue_id in user.venues or ()}
    names = {venue.venue_id: venue.name for venue in await _venues(db, chosen)} if chosen else {}
    return viewer.show("users.html", shell=shell, page=users_of_page, names=names)


@get("/users/new", access=ENGINEER, about=INSTALLATION)
async def ask_for_user(db: Db, viewer: CurrentViewer) -> Response[str]:
    """The form of a new operator."""
    return viewer.show("dialogs/user.html", user=None, roles=list(Role), venues=await _venues(db))


@post("/users/new", access=ENGINEER, about=INSTALLATION)
async def add_user(actor: CurrentActor, form: Form) -> Response[str]:
    """Add an operator."""
    given = form.read(NewUser, **_chosen_venues(form))
    await users.create_user(form.db, actor, given.username, given.role, given.password, given.venues)
    return go_to("/users")


@get("/users/{username:str}", access=ENGINEER)
async def ask_for_change(db: Db, viewer: CurrentViewer, username: UsernameInPath) -> Response[str]:
    """The form of an operator."""
    shown = await read_shown(db, Noun.USER, username)
    user = require_found(await get_user(db, username), "user", username)
    return viewer.show("dialogs/user.html", shown=shown, user=user, roles=list(Role), venues=await _venues(db, user.venues))


@post("/users/{username:str}", access=ENGINEER, shows=Noun.USER)
async def change_user(actor: CurrentActor, form: Form, username: UsernameInPath) -> Response[str]:
    """Change an operator's role, venues or password, or disable the operator."""
    given = form.read(UserChange, disabled=form.flag("disabled"), **_chosen_venues(form))
    typed = changes_of(given)
    changes: UserChanges = form.changed(**{name: typed[name] for name in ("role", "venues", "disabled") if name in typed})  # type: ignore[assignment]
    wanted = form.only(changes)
    if "password" in typed:
        changes["password"] = typed["password"]
    if changes:
        await users.change_user(form.db, actor, username, shown=wanted.shown, **changes)
    return go_to("/users")


def _chosen_venues(form: SubmittedForm) -> dict[str, Any]:
    """The choice of venues: null for all, or the ticked ones; nothing where the form has no choice, as with one venue."""
    match form.values.get("reach"):
        case None:
            return {}
        case "all":
            return {"venues": None}
        case _:
            return {"venues": sorted(name.partition(" ")[2] for name in form.values if name.startswith("at ") and form.flag(name))}


async def _venues(db: Database, chosen: Iterable[str] | None = None) -> list[VenueView]:
    """The venues to choose from, with those that are chosen."""
    first = (await list_venues(db, PageRequest(limit=MAX_LIMIT))).items
    beyond = [await get_venue(db, venue_id) for venue_id in chosen or () if venue_id not in {venue.venue_id for venue in first}]
    return [*first, *(venue for venue in beyond if venue is not None)]


HANDLERS = (show_users, ask_for_user, add_user, ask_for_change, change_user)
