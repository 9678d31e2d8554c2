"""The application: the API under `/api`, the console under `/`, with one guard, one map of errors and request ids."""

from typing import Any, Final

from litestar import Litestar, Request, Response, Router
from litestar.di import Provide
from litestar.enums import MediaType
from litestar.exceptions import HTTPException

from tapwire_admin.access.auth import actor_of, enforce_access
from tapwire_admin.access.cookies import PRIVATE_PATHS, forbid_caching
from tapwire_admin.access.secret_addresses import keep_address_secret
from tapwire_admin.access.venue_guard import require_subjects, scope_of_operator
from tapwire_admin.console.error_answers import show_http_error
from tapwire_admin.console.routes import console, protect_pages
from tapwire_admin.guest_pages import GuestPages
from tapwire_admin.live import Live
from tapwire_admin.metrics import RequestMetrics
from tapwire_admin.openapi.document import openapi_config
from tapwire_admin.payments import Payments
from tapwire_admin.requests.bodies import require_strict_body
from tapwire_admin.requests.idempotency import provide_once, repeat_answer
from tapwire_admin.requests.implied_methods import AnswerOptions, with_head
from tapwire_admin.requests.parameters import provide_page
from tapwire_admin.requests.request_ids import echo_request_id
from tapwire_admin.responses.errors import answer_domain_error, answer_fault, answer_http_error
from tapwire_admin.responses.event_streams import OpenStreams
from tapwire_admin.routes import (
    audit,
    beverages,
    calibrations,
    cards,
    check_outs,
    cleanings,
    controllers,
    devices,
    event_stream,
    guest_pages,
    guests,
    health,
    incidents,
    kegs,
    money,
    payments,
    pours,
    price_rules,
    receipts,
    reports,
    search,
    sessions,
    shifts,
    system,
    tap_lists,
    tap_walls,
    taps,
    users,
    venues,
    visits,
    webhooks,
)
from tapwire_admin.routes.sessions import SessionLength
from tapwire_admin.tap_lists import TapLists
from tapwire_core.broker.tap_toml import DevicesBroker
from tapwire_core.db.engine import Database
from tapwire_core.domain.actor import Actor
from tapwire_core.errors import DomainError
from tapwire_core.monitoring.metrics import DecisionMetrics
from tapwire_core.payment_providers.provider import PaymentProvider
from tapwire_core.services.decision_rates import DecisionRates
from tapwire_core.services.idempotency import AnsweredBefore

MAX_BODY_BYTES: Final = 256 * 1024
DEFAULT_SESSION_HOURS: Final = 12
WRONG_CODES_PER_HOUR: Final = 60
"""Wrong codes from one address at the doors without a login, for each process."""
UNKNOWN_BROKER: Final = DevicesBroker()
NOUNS: Final = (
    sessions,
    users,
    venues,
    taps,
    cleanings,
    calibrations,
    tap_walls,
    tap_lists,
    beverages,
    kegs,
    guests,
    money,
    cards,
    visits,
    guest_pages,
    payments,
    check_outs,
    receipts,
    pours,
    price_rules,
    incidents,
    shifts,
    audit,
    devices,
    webhooks,
    reports,
    search,
    system,
    event_stream,
    controllers,
)


def create_app(
    db: Database,
    *,
    session_ttl_h: int = DEFAULT_SESSION_HOURS,
    cookie_secure: bool = False,
    live: Live | None = None,
    devices_broker: DevicesBroker = UNKNOWN_BROKER,
    public_url: str | None = None,
    provider: PaymentProvider | None = None,
) -> Litestar:
    """The application on an open database; a session lasts `session_ttl_h` hours. Without `live`, streams carry no live values.

    `cookie_secure` marks the login's cookie for TLS only, also behind a proxy that ends TLS. `devices_broker` goes to devices
    that pair. `public_url`: where guests reach this server; without it, where the request did. `provider`: by which guests pay.
    """
    live_values = live or Live()
    metrics, streams = RequestMetrics(), OpenStreams()
    app = Litestar(
        [
            Router(
                "/api",
                route_handlers=[*with_head(handler for noun in NOUNS for handler in noun.HANDLERS)],
                before_request=require_strict_body,
            ),
            *with_head(health.HANDLERS),
            *console(),
        ],
        guards=[enforce_access],
        middleware=[AnswerOptions()],
        before_send=[echo_request_id, forbid_caching, protect_pages, keep_address_secret, metrics.observe],
        dependencies={
            "db": Provide(_provide_db, sync_to_thread=False),
            "own_venue": Provide(_provide_own_venue, sync_to_thread=False),
            "session_length": Provide(lambda: SessionLength(session_ttl_h), sync_to_thread=False),
            "live": Provide(lambda: live_values, sync_to_thread=False),
            "streams": Provide(lambda: streams, sync_to_thread=False),
            "pages": Provide(_provide_pages, sync_to_thread=False),
            "payments": Provide(_provide_payments, sync_to_thread=False),
            "tap_lists": Provide(_provide_tap_lists, sync_to_thread=False),
            "broker": Provide(lambda: devices_broker, sync_to_thread=False),
            "actor": Provide(_provide_actor, sync_to_thread=False),
            "page": Provide(provide_page, sync_to_thread=False),
            "once": Provide(provide_once),
        },
        exception_handlers={
            DomainError: answer_domain_error,
            HTTPException: _answer_http_error,
            AnsweredBefore: repeat_answer,
            Exception: answer_fault,
        },
        openapi_config=openapi_config(),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )
    require_subjects(app)
    app.state.db = db
    app.state.tap_lists = TapLists(db)
    app.state.payments = Payments(db, provider)
    app.state.guest_pages = GuestPages(db, live_values, takes_payments=provider is not None)
    app.state.public_url = public_url.rstrip("/") if public_url else None
    app.state.cookie_secure = cookie_secure
    app.state.rates = DecisionRates(db.policy.device_decisions_per_hour)
    app.state.wrong_codes = DecisionRates(WRONG_CODES_PER_HOUR)
    app.state.metrics = metrics.registry
    app.state.decisions = DecisionMetrics(metrics.registry)
    return app


def _answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Answer a refusal of HTTP itself. A browser on a path without a route gets a page, except under `/api`."""
    has_no_route = "route_handler" not in request.scope and not f"{request.scope['path']}/".startswith(PRIVATE_PATHS)
    wants_page = has_no_route and MediaType.HTML in request.headers.get("Accept", "")
    return (show_http_error if wants_page else answer_http_error)(request, error)


def _provide_db(request: Request[Any, Any, Any]) -> Database:
    """The database, of which reads are within the operator's scope."""
    db: Database = request.app.state.db
    return db.within(scope_of_operator(request))


def _provide_own_venue(request: Request[Any, Any, Any]) -> str | None:
    """The venue that a request means without naming one: the only venue of its operator."""
    return scope_of_operator(request).only_venue_id


def _provide_pages(request: Request[Any, Any, Any]) -> GuestPages:
    pages: GuestPages = request.app.state.guest_pages
    return pages


def _provide_payments(request: Request[Any, Any, Any]) -> Payments:
    taken: Payments = request.app.state.payments
    return taken


def _provide_tap_lists(request: Request[Any, Any, Any]) -> TapLists:
    lists: TapLists = request.app.state.tap_lists
    return lists


def _provide_actor(request: Request[Any, Any, Any]) -> Actor:
    return actor_of(request)
