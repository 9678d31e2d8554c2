"""Stripe Checkout, by Stripe's own library: a page of Stripe's on which the guest pays. No card data comes to us.

The library is imported when Stripe is configured: it takes 0.3 s and 30 MB. It is an extra of the package (`tapwire-core[stripe]`).
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tapwire_contracts.currencies import CURRENCY_DIGITS
from tapwire_core.domain.closed_sets import PaymentProviderName, PaymentStatus, ReturnCause
from tapwire_core.domain.payment_facts import ProviderPayment, ProviderReturn
from tapwire_core.payment_providers.provider import (
    BegunPayment,
    Notification,
    NotificationInvalid,
    ProviderUnavailable,
    RefundMade,
    WantedPayment,
)
from tapwire_core.settings import InvalidSettings

SIGNATURE_HEADER: Final = "stripe-signature"
API_URL: Final = "https://api.stripe.com"
TIMEOUT_S: Final = 20.0
RETRIES: Final = 2
PAGE: Final = 100
PAYABLE_FOR: Final = timedelta(hours=1)
"""Time in which a guest can pay on Stripe's page."""
TOLERANCE_S: Final = 300
"""Greatest age of a notification's signature."""
IN_HUNDREDTHS: Final = frozenset({"ISK", "UGX"})
"""Currencies without minor units of which Stripe counts hundredths."""
MINOR_DIGITS: Final = 2
UNSUPPORTED: Final = frozenset({"MGA", *(code for code, digits in CURRENCY_DIGITS.items() if digits > MINOR_DIGITS)})
"""Currencies whose minor units Stripe counts in another way; no test account was there to try them with."""

SESSION_EVENTS: Final = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
    }
)
CHARGE_EVENTS: Final = frozenset({"charge.refunded", "refund.created", "refund.updated", "refund.failed"})
"""Events about what went back; they need not carry each refund with its id, so Stripe is asked."""
DISPUTE_EVENTS: Final = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
WITHOUT_MONEY: Final = frozenset({"warning_needs_response", "warning_under_review", "warning_closed", "prevented"})
"""States of disputes that took no money."""
FAILED: Final = frozenset({"failed", "canceled"})
"""States of refunds that could not be made."""
UNPAYABLE: Final = frozenset({"requires_payment_method", "canceled"})
"""States of the payment of a completed session that came to nothing: a bank said no after days."""
NOT_FOUND: Final = 404

P = ParamSpec("P")
R = TypeVar("R")


def open_stripe(secret_key: str, webhook_secret: str, api_url: str, currency: str) -> "StripeCheckout":
    """Stripe, by its library; raises `InvalidSettings` without the library, or for a currency that is not supported."""
    if currency in UNSUPPORTED:
        raise InvalidSettings(f"TAPWIRE_PAYMENTS: payments in {currency} by Stripe are not supported")
    try:
        import stripe
    except ImportError as error:
        raise InvalidSettings("TAPWIRE_PAYMENTS: install Stripe's library: pip install 'tapwire-core[stripe]'") from error
    return StripeCheckout(stripe, secret_key, webhook_secret, api_url, currency)


def _asks(call: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Turn what the library raises into `ProviderUnavailable`, without the request, which has the secret key."""

    @functools.wraps(call)
    async def asked(*args: P.args, **kwargs: P.kwargs) -> R:
        import stripe

        try:
            return await call(*args, **kwargs)
        except stripe.StripeError as error:
            said = error.user_message or type(error).__name__
            raise ProviderUnavailable(f"Stripe: {said} ({error.code or error.http_status or 'no answer'})") from None

    return asked


class StripeCheckout:
    """A Stripe account."""

    name: Final = PaymentProviderName.STRIPE

    def __init__(self, library: Any, secret_key: str, webhook_secret: str, api_url: str, currency: str) -> None:
        self._stripe: Final = library
        self._webhook_secret: Final = webhook_secret
        self._currency: Final = currency
        self._http: Final = library.HTTPXClient(timeout=TIMEOUT_S)
        self._client: Final = library.StripeClient(
            secret_key,
            base_addresses={"api": api_url},
            http_client=self._http,
            max_network_retries=RETRIES,
        ).v1

    @_asks
    async def begin(self, wanted: WantedPayment) -> BegunPayment:
        """Make a Checkout Session."""
        ids = {name: str(getattr(wanted, name)) for name in ("payment_id", "guest_id", "visit_id", "venue_id")}
        session = await self._client.checkout.sessions.create_async(
            {
                "mode": "payment",
                "client_reference_id": str(wanted.payment_id),
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": self._currency.lower(),
                            "unit_amount": self._to_stripe(wanted.amount_minor),
                            "product_data": {"name": wanted.label},
                        },
                    }
                ],
                "metadata": ids,
                "payment_intent_data": {"metadata": ids},
                "adaptive_pricing": {"enabled": False},
                "success_url": wanted.return_url,
                "cancel_url": wanted.return_url,
                "locale": wanted.language,
                "expires_at": int((wanted.created_at + PAYABLE_FOR).timestamp()),
            },
            {"idempotency_key": str(wanted.payment_id)},
        )
        return BegunPayment(session.id, session.url)

    @_asks
    async def look_up(self, provider_id: str) -> ProviderPayment | None:
        """A Checkout Session with its refunds and disputes."""
        try:
            session = await self._client.checkout.sessions.retrieve_async(provider_id, {"expand": ["payment_intent"]})
        except self._stripe.InvalidRequestError as error:
            if error.http_status == NOT_FOUND:
                return None
            raise
        return await self._complete(_as(session, _Session))

    @_asks
    async def look_up_charge(self, charge_id: str) -> ProviderPayment | None:
        """The Checkout Session of a payment intent."""
        found = await self._client.checkout.sessions.list_async({"payment_intent": charge_id, "limit": 1})
        return await self._complete(_as(found.data[0], _Session)) if found.data else None

    @_asks
    async def list_since(self, since: datetime, until: datetime | None = None) -> list[ProviderPayment]:
        """The Checkout Sessions of a period, and without its end also those with refunds or disputes since."""
        period = {"gte": int(since.timestamp())} | ({} if until is None else {"lte": int(until.timestamp())})
        listed = self._client.checkout.sessions.list_async({"created": period, "limit": PAGE})
        found = [await self._complete(session) async for session in _every(await listed, _Session)]
        if until is None:
            known = {payment.charge_id for payment in found}
            charges = [
                _id_of(its.payment_intent)
                for returns in (self._client.refunds, self._client.disputes)
                async for its in _every(await returns.list_async({"created": period, "limit": PAGE}), _OfIntent)
            ]
            for charge_id in dict.fromkeys(charges):
                if charge_id is not None and charge_id not in known:
                    payment = await self.look_up_charge(charge_id)
                    found += [payment] if payment is not None else []
        return found

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Notification | None:
        """Check an event's signature, by the library, and read it."""
        # the library compares texts, which fails for a signature with other letters than ASCII
        header = headers.get(SIGNATURE_HEADER, "").encode("ascii", "replace").decode()
        try:
            self._stripe.WebhookSignature.verify_header(body, header, self._webhook_secret, TOLERANCE_S)
            event = msgspec.json.decode(body, type=_Event)
            if event.type in SESSION_EVENTS:
                session = msgspec.convert(event.data.object, _Session)
                said = self._read(session, has_failed=event.type.endswith("_failed"))
                return Notification(said=said, is_whole=said.status is not PaymentStatus.PENDING)
            if event.type in CHARGE_EVENTS | DISPUTE_EVENTS:
                charge_id = _id_of(msgspec.convert(event.data.object, _OfIntent).payment_intent)
                return Notification(said=self._about(charge_id), is_whole=False) if charge_id else None
        except (self._stripe.SignatureVerificationError, ValueError):
            text = "The notification is not signed with this endpoint's secret, too old, or not readable."
            raise NotificationInvalid(text) from None
        return None

    @_asks
    async def refund(self, refund_id: UUID, charge_id: str, amount_minor: int) -> RefundMade:
        """Refund a part of a payment intent. Stripe forgets keys after a day, so that its list of refunds is looked at first."""
        amount = self._to_stripe(amount_minor)
        listed = await self._client.refunds.list_async({"payment_intent": charge_id, "limit": PAGE})
        async for before in _every(listed, _Refund):
            if (before.metadata or {}).get("refund_id") == str(refund_id):
                return RefundMade(before.id, before.status in FAILED)
        made = await self._client.refunds.create_async(
            {"payment_intent": charge_id, "amount": amount, "metadata": {"refund_id": str(refund_id)}},
            {"idempotency_key": str(refund_id)},
        )
        return RefundMade(made.id, made.status in FAILED)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()

    async def _complete(self, session: "_Session") -> ProviderPayment:
        """A session with its refunds and disputes."""
        intent = session.payment_intent
        has_failed = isinstance(intent, _Intent) and intent.status in UNPAYABLE and session.status == "complete"
        said = self._read(session, has_failed=has_failed)
        if said.charge_id is None or said.status is not PaymentStatus.PAID:
            return said
        of = {"payment_intent": said.charge_id, "limit": PAGE}
        returns = [self._refunded(its) async for its in _every(await self._client.refunds.list_async(of), _Refund)]
        disputes = [its async for its in _every(await self._client.disputes.list_async(of), _Dispute)]
        returns += [self._disputed(its) for its in disputes if its.status not in WITHOUT_MONEY]
        return replace(said, returns=tuple(returns))

    def _read(self, session: "_Session", *, has_failed: bool) -> ProviderPayment:
        """What a session says by itself."""
        status = PaymentStatus.PENDING
        if session.payment_status == "paid":
            status = PaymentStatus.PAID
        elif session.status == "expired" or has_failed:
            status = PaymentStatus.EXPIRED
        ids = session.metadata or {}
        return ProviderPayment(
            provider_id=session.id,
            charge_id=_id_of(session.payment_intent),
            payment_id=_uuid(session.client_reference_id),
            status=status,
            amount_minor=self._from_stripe(session.amount_total or 0),
            currency=(session.currency or "").upper(),
            guest_id=_uuid(ids.get("guest_id")),
            visit_id=_uuid(ids.get("visit_id")),
            venue_id=ids.get("venue_id"),
        )

    def _about(self, charge_id: str) -> ProviderPayment:
        """A payment of which only the charge is known."""
        return ProviderPayment(
            provider_id=None,
            charge_id=charge_id,
            payment_id=None,
            status=PaymentStatus.PENDING,
            amount_minor=0,
            currency=self._currency,
        )

    def _refunded(self, refund: "_Refund") -> ProviderReturn:
        return ProviderReturn(
            provider_id=refund.id,
            cause=ReturnCause.REFUND,
            amount_minor=self._from_stripe(refund.amount),
            stands=refund.status not in FAILED,
            return_id=_uuid((refund.metadata or {}).get("refund_id")),
        )

    def _disputed(self, dispute: "_Dispute") -> ProviderReturn:
        return ProviderReturn(
            provider_id=dispute.id,
            cause=ReturnCause.DISPUTE,
            amount_minor=self._from_stripe(dispute.amount),
            stands=dispute.status != "won",
        )

    def _to_stripe(self, amount_minor: int) -> int:
        return amount_minor * 100 if self._currency in IN_HUNDREDTHS else amount_minor

    def _from_stripe(self, amount: int) -> int:
        return amount // 100 if self._currency in IN_HUNDREDTHS else amount


class _Intent(Struct, frozen=True):
    """A payment intent, as far as it is read."""

    id: str
    status: str | None = None


class _Session(Struct, frozen=True):
    """A Checkout Session, as far as it is read."""

    id: str
    payment_status: str
    status: str | None = None
    client_reference_id: str | None = None
    amount_total: int | None = None
    currency: str | None = None
    metadata: dict[str, str] | None = None
    payment_intent: str | _Intent | None = None


class _OfIntent(Struct, frozen=True):
    """A charge, refund or dispute, as far as it says of which payment it is."""

    payment_intent: str | _Intent | None = None


class _Refund(Struct, frozen=True):
    """A refund, as far as it is read."""

    id: str
    amount: int
    status: str | None = None
    metadata: dict[str, str] | None = None


class _Dispute(Struct, frozen=True):
    """A dispute, as far as it is read."""

    id: str
    amount: int
    status: str


class _EventData(Struct, frozen=True):
    object: dict[str, Any]


class _Event(Struct, frozen=True):
    """An event, as far as it is read."""

    type: str
    data: _EventData


S = TypeVar("S", bound=Struct)


def _as(it: Any, kind: type[S]) -> S:
    """An object of the library as far as it is read; raises `ProviderUnavailable` for one that can't be."""
    try:
        return msgspec.convert(it.to_dict(), kind)
    except msgspec.ValidationError as error:
        raise ProviderUnavailable(f"Stripe: an answer that can't be read: {error}") from None


async def _every(page: Any, kind: type[S]) -> AsyncIterator[S]:
    """Every object of a list, page by page."""
    async for one in page.auto_paging_iter():
        yield _as(one, kind)


def _id_of(reference: str | _Intent | None) -> str | None:
    """The id of a payment intent, which may be expanded."""
    return reference.id if isinstance(reference, _Intent) else reference


def _uuid(text: str | None) -> UUID | None:
    """An id of ours; None for what is none, such as another program's."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
