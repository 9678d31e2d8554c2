"""Operators' logins."""

from litestar import get, patch, post
from msgspec import UNSET, Struct, UnsetType

from tapwire_admin.access.auth import ENGINEER
from tapwire_admin.requests.dependencies import CurrentActor, Db, JSONBody, PageQuery, RunOnce, UsernameInPath
from tapwire_admin.requests.field_types import Password, Username
from tapwire_admin.requests.parameters import changes_of, require_found
from tapwire_core.db.views import users as views
from tapwire_core.db.views.queries import Page
from tapwire_core.db.views.users import UserView
from tapwire_core.domain.closed_sets import Role
from tapwire_core.services import users
from tapwire_core.services.passwords import PasswordsBusy


class NewUser(Struct, kw_only=True, forbid_unknown_fields=True):
    """An operator to be added."""

    username: Username
    role: Role
    password: Password


class UserChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of an operator."""

    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    password: Password | UnsetType = UNSET


@get("/users", access=ENGINEER)
async def list_users(db: Db, page: PageQuery) -> Page[UserView]:
    """Operators by name."""
    return await views.list_users(db, page)


@post("/users", access=ENGINEER, accepts_secret=True, refuses=(users.UserExists,))
async def create_user(db: Db, actor: CurrentActor, once: RunOnce, data: JSONBody[NewUser]) -> UserView:
    """Add an operator."""
    await once.prepared(users.create_user, actor, data.username, data.role, data.password)
    return require_found(await views.get_user(db, data.username), "user", data.username)


@patch("/users/{username:str}", access=ENGINEER, refuses=(users.LastEngineer, PasswordsBusy))
async def change_user(db: Db, actor: CurrentActor, username: UsernameInPath, data: JSONBody[UserChange]) -> UserView:
    """Change an operator's role or password, or disable the operator; sessions end with the old password."""
    await users.change_user(db, actor, username, **changes_of(data))
    return require_found(await views.get_user(db, username), "user", username)


HANDLERS = (list_users, create_user, change_user)
