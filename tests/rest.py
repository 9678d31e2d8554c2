"""The vocabulary of our tests of the REST API: the application in this process, and one client for each role."""

import functools
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import httpx
from litestar import Litestar
from prometheus_client import generate_latest

from tapwire_admin.app import create_app
from tapwire_admin.guest_pages import GuestPages
from tapwire_admin.live import Live
from tapwire_admin.openapi.document import complete
from tapwire_admin.payments import Payments
from tapwire_admin.tap_lists import TapLists
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import User
from tapwire_core.db.writes.sessions import open_session
from tapwire_core.domain.closed_sets import Role
from tapwire_core.domain.shown import Noun
from tapwire_core.payment_providers.provider import PaymentProvider
from tapwire_core.services.decision_rates import DecisionRates
from tapwire_core.services.sessions import hash_token


@dataclass(frozen=True)
class Rest:
    """The API, as each role sees it."""

    operator: httpx.AsyncClient
    shift_lead: httpx.AsyncClient
    engineer: httpx.AsyncClient
    nobody: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def open(cls, db: Database, provider: PaymentProvider | None = None) -> AsyncIterator[Self]:
        """The application on a database, with a user of each role logged in; a user's name is the role's."""
        transport = httpx.ASGITransport(app=asgi(_app_on(db, provider)), raise_app_exceptions=False)
        async with AsyncExitStack() as stack:

            async def client(headers: Mapping[str, str]) -> httpx.AsyncClient:
                opened = httpx.AsyncClient(transport=transport, base_url="http://tapwire", headers=headers)
                return await stack.enter_async_context(opened)

            tokens = {role: await add_user(db, role) for role in Role}
            clients = {role: await client({"Authorization": f"Bearer {token}"}) for role, token in tokens.items()}
            yield cls(clients[Role.OPERATOR], clients[Role.SHIFT_LEAD], clients[Role.ENGINEER], await client({}))


def asgi(app: Litestar) -> Any:
    """The application for httpx, which types ASGI more loosely than Litestar does."""
    return app


def with_key(key: str | None = None) -> dict[str, str]:
    """The header that makes a request repeatable."""
    return {"Idempotency-Key": key or str(uuid4())}


def refusal(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that the answer is this problem, and that the operation's documentation names it, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    if (operation := documented(response.request.method, response.request.url.path)) is not None:
        assert code in documented_codes(operation, status), (
            f"{response.request.url.path} doesn't say that it answers {status} {code}"
        )
    return problem


def documented(method: str, path: str) -> dict[str, Any] | None:
    """The OpenAPI operation that a request reaches; None for none."""
    matching = [item for pattern, item in _documented_paths() if pattern.fullmatch(path)]
    found: dict[str, Any] | None = matching[0].get(method.lower()) if matching else None
    return found


def documented_codes(operation: dict[str, Any], status: int) -> list[str]:
    """The codes that an operation is said to answer with this status."""
    content = operation["responses"].get(str(status), {}).get("content", {})
    return list(content.get("application/problem+json", {}).get("examples", {}))


@functools.cache
def document() -> dict[str, Any]:
    """The API's OpenAPI document."""
    return complete(application().openapi_schema.to_schema(), application())


@functools.cache
def _documented_paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Each path as a pattern, those with fewer parameters first."""
    paths = sorted(document()["paths"].items(), key=lambda path: path[0].count("{"))
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path) + "/?"), item) for path, item in paths]


def done(response: httpx.Response, status: int = 200) -> Any:
    """Assert that the request was done, and return what it answered."""
    assert response.status_code == status, response.text
    return response.json() if response.content else None


@functools.cache
def live() -> Live:
    """The application's live values, as if the broker were connected."""
    values = Live()
    values._set_connected(connected=True)
    return values


@functools.cache
def application() -> Litestar:
    """The one application of this process; making it costs more than a test."""
    return create_app(Database.nowhere(), live=live())


def _app_on(db: Database, provider: PaymentProvider | None) -> Litestar:
    """The application, on a test's database, with a payment provider or without."""
    application().state.db = db
    application().state.tap_lists = TapLists(db)
    application().state.guest_pages = GuestPages(db, live(), takes_payments=provider is not None)
    application().state.payments = Payments(db, provider)
    set_decisions_per_hour(db.policy.device_decisions_per_hour)
    return application()


def form_about(noun: Noun, key: object) -> dict[str, str]:
    """The hidden field with which the console's forms name their thing, here without the values that its page showed."""
    return {"shown": json.dumps({"noun": noun, "key": str(key), "values": {}})}


def metrics_page() -> str:
    """The application's metrics, as its port for them has them."""
    return generate_latest(application().state.metrics).decode()


def set_decisions_per_hour(per_hour: int) -> None:
    """Give each device a new allowance of decisions at the application."""
    application().state.rates = DecisionRates(per_hour)


async def log_in(db: Database, role: Role) -> str:
    """One more session of a role's user, without its password's 60 ms; logging in has tests of its own."""
    token = secrets.token_urlsafe()
    async with db.transaction() as store:
        await open_session(store, role.value, hash_token(token), 1)
    return token


async def add_user(db: Database, role: Role) -> str:
    """A user of a role, named like it, and the token of a session."""
    async with db.transaction() as store:
        await store.insert(User, username=role.value, role=role.value, password_hash="none")
    return await log_in(db, role)
