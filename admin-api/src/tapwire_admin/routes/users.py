"""Operators' logins."""

from typing import Annotated, Final

from litestar import get, patch, post
from msgspec import UNSET, Meta, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.access.venue_guard import INSTALLATION
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce, UsernameInPath
from tapwire_admin.requests.field_types import Password, Slugs, Username
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_core.db.views import users as views
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.users import UserView
from tapwire_core.domain.closed_sets import Role
from tapwire_core.errors import NotFound
from tapwire_core.services import users
from tapwire_core.services.passwords import PasswordsBusy

MAX_VENUES: Final = 1_000
"""The most venues of one user who does not have all."""

Venues = Annotated[
    Slugs, Meta(min_length=1, max_length=MAX_VENUES, description="ids of the user's venues; null: all", examples=[["bar"]])
]


class NewUser(Struct, kw_only=True, forbid_unknown_fields=True):
    """An operator to be added; without `venues` of all venues."""

    username: Username
    role: Role
    password: Password
    venues: Venues | None = None


class UserChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of an operator."""

    role: Role | UnsetType = UNSET
    venues: Venues | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET
    password: Password | UnsetType = UNSET


@get("/users", access=ENGINEER, about=INSTALLATION)
async def list_users(db: Db, page: PageQuery) -> Page[UserView]:
    """Operators by name."""
    return await views.list_users(db, page)


@post("/users", access=ENGINEER, about=INSTALLATION, accepts_secret=True, refuses=(users.UserExists, NotFound))
async def create_user(db: Db, actor: CurrentActor, once: RunOnce, data: JSONBody[NewUser]) -> UserView:
    """Add an operator."""
    await once.prepared(users.create_user, actor, data.username, data.role, data.password, data.venues)
    return require_found(await views.get_user(db, data.username), "user", data.username)


@patch("/users/{username:str}", access=ENGINEER, refuses=(users.LastEngineer, PasswordsBusy))
async def change_user(db: Db, actor: CurrentActor, username: UsernameInPath, data: JSONBody[UserChange]) -> UserView:
    """Change an operator's role, venues or password, or disable the operator; sessions end with the old password."""
    await users.change_user(db, actor, username, **changes_of(data))
    return require_found(await views.get_user(db, username), "user", username)


HANDLERS = (list_users, create_user, change_user)
