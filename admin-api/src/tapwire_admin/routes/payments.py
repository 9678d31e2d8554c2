"""Payments by guests: begun on their own page, told of by the provider, and listed for staff."""

from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from msgspec import Struct

from tapwire_admin.access.auth import EVERYBODY, OPERATOR
from tapwire_admin.console.viewer import accepted_language
from tapwire_admin.guest_pages import GuestPages, TooManyLooks
from tapwire_admin.payments import Payments
from tapwire_admin.requests.dependencies import Db, JSONBody, PageQuery
from tapwire_admin.requests.field_types import AmountMinor
from tapwire_admin.requests.idempotency import key_of
from tapwire_core.db.views import payments as views
from tapwire_core.db.views.payments import PaymentView
from tapwire_core.db.views.queries import Page
from tapwire_core.domain.closed_sets import PaymentStatus
from tapwire_core.errors import NotFound
from tapwire_core.payment_providers.provider import NotificationInvalid, ProviderUnavailable
from tapwire_core.services.idempotency import IdempotencyKeyReused
from tapwire_core.services.payment_requests import BegunTopUp, receive_notification
from tapwire_core.services.payments import BalanceLimit, PaymentsOff, TooManyPayments, TopUpLimit
from tapwire_core.services.visits import GuestBlocked, VisitNotActive


class GuestTopUp(Struct, kw_only=True, forbid_unknown_fields=True):
    """An amount that a guest wants to pay by telephone, in minor units."""

    amount_minor: AmountMinor


BEGIN_REFUSALS = (
    NotFound,
    PaymentsOff,
    TopUpLimit,
    BalanceLimit,
    GuestBlocked,
    VisitNotActive,
    TooManyPayments,
    TooManyLooks,
    IdempotencyKeyReused,
    ProviderUnavailable,
)


@post("/public/g/{token:str}/top-ups", access=EVERYBODY, keeps_keys_itself=True, refuses=BEGIN_REFUSALS)
async def begin_top_up(
    request: Request[Any, Any, Any],
    pages: NamedDependency[GuestPages],
    payments: NamedDependency[Payments],
    token: FromPath[str],
    data: JSONBody[GuestTopUp],
) -> BegunTopUp:
    """Begin a payment at the provider; the guest pays at `url`. The balance changes when the provider says that it was paid."""
    language = (accepted_language(request) or request.app.state.db.policy.locale).value
    return await payments.begin(request, pages, token, data.amount_minor, language=language, key=key_of(request))


@post(
    "/public/payments/{provider:str}/notifications",
    access=EVERYBODY,
    status_code=204,
    refuses=(NotFound, NotificationInvalid, ProviderUnavailable),
)
async def take_notification(
    request: Request[Any, Any, Any], db: Db, payments: NamedDependency[Payments], provider: FromPath[str]
) -> None:
    """Take a notification of the configured provider, signed by it; a repeated one changes nothing."""
    if not payments.is_on or payments.provider.name != provider:
        raise NotFound("payment provider", provider)
    headers = {name.lower(): value for name, value in request.headers.items()}
    await receive_notification(db, payments.provider, headers, await request.body())


@get("/payments", access=OPERATOR)
async def list_payments(
    db: Db, page: PageQuery, status: FromQuery[PaymentStatus | None] = None, guest_id: FromQuery[UUID | None] = None
) -> Page[PaymentView]:
    """Payments by guests at a provider, the latest first."""
    return await views.list_payments(db, status=status, guest_id=guest_id, page=page)


HANDLERS = (begin_top_up, take_notification, list_payments)
