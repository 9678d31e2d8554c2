"""The provider `test`: a page of ours that plays a provider. Nobody pays anything; for the demo and for trying out.

It keeps its pages in a table, as a company would keep them in its own, and signs its notifications like one.
"""

import hmac
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final
from urllib.parse import urljoin
from uuid import UUID, uuid5

import msgspec
from msgspec import Meta, Struct

from tapwire_core.db.engine import Database, use_case
from tapwire_core.db.store import Store
from tapwire_core.db.writes import payment_simulation as writes
from tapwire_core.db.writes.payment_simulation import KeptCheckout
from tapwire_core.domain.closed_sets import PaymentProviderName, PaymentStatus, ReturnCause
from tapwire_core.domain.payment_facts import ProviderPayment, ProviderReturn
from tapwire_core.errors import NotFound
from tapwire_core.payment_providers.provider import (
    BegunPayment,
    Notification,
    NotificationInvalid,
    RefundMade,
    WantedPayment,
)

SIGNATURE_HEADER: Final = "tapwire-test-signature"
PAGE_PATH: Final = "/test-payments/"
PAGE_ID: Final = "^test_[0-9a-f]{32}$"
TOLERANCE_S: Final = 300
SECRET_BYTES: Final = 24
OPEN: Final = "open"
_returns: Final = msgspec.json.Decoder(tuple[ProviderReturn, ...])


class Press(StrEnum):
    """The buttons of the page."""

    PAY = "pay"
    GIVE_UP = "give_up"
    DISPUTE = "dispute"
    LOSE_DISPUTE = "lose_dispute"
    """The guest loses the dispute, and the venue has its money back."""


class SignedNotification(Struct, frozen=True):
    """A notification as the provider would send it, and where its page leads afterwards."""

    headers: dict[str, str]
    body: bytes
    return_url: str


class _Ids(Struct):
    guest_id: UUID
    visit_id: UUID
    venue_id: str


class _Body(Struct):
    provider_id: Annotated[str, Meta(pattern=PAGE_ID)]
    sent_at: int


@use_case
async def _insert(store: Store, checkout: KeptCheckout) -> None:
    await writes.insert_checkout(store, checkout)


@use_case
async def _read(store: Store, provider_id: str) -> KeptCheckout | None:
    return await writes.read_checkout(store, provider_id)


@use_case
async def _list(store: Store, since: datetime, until: datetime | None) -> list[KeptCheckout]:
    return await writes.checkouts_since(store, since, until)


@use_case
async def _refund(store: Store, refund_id: UUID, provider_id: str, amount_minor: int) -> RefundMade | None:
    checkout = await writes.read_checkout(store, provider_id)
    if checkout is None:
        return None
    made = ProviderReturn(
        provider_id=f"test_refund_{refund_id}",
        cause=ReturnCause.REFUND,
        amount_minor=amount_minor,
        stands=True,
        return_id=refund_id,
    )
    returns = _returns.decode(checkout.returns)
    if made not in returns:
        await writes.change_checkout(store, provider_id, checkout.state, _written((*returns, made)))
    return RefundMade(made.provider_id, has_failed=False)


@use_case
async def _press(store: Store, provider_id: str, press: Press) -> KeptCheckout:
    checkout = await writes.read_checkout(store, provider_id)
    if checkout is None:
        raise NotFound("page to pay", provider_id)
    state, returns = checkout.state, _returns.decode(checkout.returns)
    dispute = ProviderReturn(
        provider_id=f"test_dispute_{checkout.payment_id}",
        cause=ReturnCause.DISPUTE,
        amount_minor=checkout.amount_minor,
        stands=press is Press.DISPUTE,
    )
    others = tuple(its for its in returns if its.provider_id != dispute.provider_id)
    is_disputed = others != returns
    if state == OPEN and press in (Press.PAY, Press.GIVE_UP):
        state = PaymentStatus.PAID if press is Press.PAY else PaymentStatus.EXPIRED
    elif state == PaymentStatus.PAID and press is (Press.LOSE_DISPUTE if is_disputed else Press.DISPUTE):
        returns = (*others, dispute)
    await writes.change_checkout(store, provider_id, state, _written(returns))
    return checkout


class SimulatedProvider:
    """A provider without a company; its page is at the address from which the guest came."""

    name: Final = PaymentProviderName.TEST

    def __init__(self, db: Database) -> None:
        self._db: Final = db

    async def begin(self, wanted: WantedPayment) -> BegunPayment:
        """Make a page to pay."""
        provider_id = f"test_{uuid5(wanted.payment_id, 'page').hex}"
        await _insert(
            self._db,
            KeptCheckout(
                provider_id=provider_id,
                payment_id=wanted.payment_id,
                amount_minor=wanted.amount_minor,
                state=OPEN,
                return_url=wanted.return_url,
                secret=secrets.token_urlsafe(SECRET_BYTES),
                ids=msgspec.json.encode(_Ids(wanted.guest_id, wanted.visit_id, wanted.venue_id)).decode(),
                returns="[]",
            ),
        )
        return BegunPayment(provider_id, urljoin(wanted.return_url, f"{PAGE_PATH}{provider_id}"))

    async def look_up(self, provider_id: str) -> ProviderPayment | None:
        """The state of a page."""
        checkout = await _read(self._db, provider_id)
        return self._say(checkout) if checkout is not None else None

    async def look_up_charge(self, charge_id: str) -> ProviderPayment | None:
        """The same: what was paid has the page's id."""
        return await self.look_up(charge_id)

    async def list_since(self, since: datetime, until: datetime | None = None) -> list[ProviderPayment]:
        """The pages of a period."""
        return [self._say(checkout) for checkout in await _list(self._db, since, until)]

    async def verify(self, headers: Mapping[str, str], body: bytes) -> Notification | None:
        """Check the signature by the page's own secret."""
        try:
            said = msgspec.json.decode(body, type=_Body)
        except (msgspec.MsgspecError, RecursionError):
            raise NotificationInvalid("The notification is not readable.") from None
        checkout = await _read(self._db, said.provider_id)
        signature = headers.get(SIGNATURE_HEADER, "")
        is_signed = checkout is not None and hmac.compare_digest(_sign(checkout.secret, body).encode(), signature.encode())
        if checkout is None or not is_signed or abs(time.time() - said.sent_at) > TOLERANCE_S:
            raise NotificationInvalid("The notification is not signed by the page to pay, or too old.")
        return Notification(said=self._say(checkout), is_whole=True)

    async def refund(self, refund_id: UUID, charge_id: str, amount_minor: int) -> RefundMade:
        """Note a refund with the page."""
        made = await _refund(self._db, refund_id, charge_id, amount_minor)
        assert made is not None, "a paid page is never deleted"
        return made

    async def close(self) -> None:
        """Nothing is open."""

    async def read_page(self, provider_id: str) -> ProviderPayment:
        """What the page shows; raises `NotFound`."""
        said = await self.look_up(provider_id)
        if said is None:
            raise NotFound("page to pay", provider_id)
        return said

    async def press(self, provider_id: str, press: Press) -> SignedNotification:
        """Do what a button of the page says, and sign the notification about it; raises `NotFound`."""
        checkout = await _press(self._db, provider_id, press)
        body = msgspec.json.encode(_Body(provider_id, round(time.time())))
        return SignedNotification({SIGNATURE_HEADER: _sign(checkout.secret, body)}, body, checkout.return_url)

    def _say(self, checkout: KeptCheckout) -> ProviderPayment:
        is_open, ids = checkout.state == OPEN, msgspec.json.decode(checkout.ids, type=_Ids)
        return ProviderPayment(
            provider_id=checkout.provider_id,
            charge_id=None if is_open else checkout.provider_id,
            payment_id=checkout.payment_id,
            status=PaymentStatus.PENDING if is_open else PaymentStatus(checkout.state),
            amount_minor=checkout.amount_minor,
            currency=self._db.policy.currency,
            returns=_returns.decode(checkout.returns),
            guest_id=ids.guest_id,
            visit_id=ids.visit_id,
            venue_id=ids.venue_id,
        )


def _sign(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, sha256).hexdigest()


def _written(returns: tuple[ProviderReturn, ...]) -> str:
    return msgspec.json.encode(returns).decode()
