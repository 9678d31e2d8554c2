"""Calls to a payment provider, each between two transactions and never inside one.

A process may die between any two lines here. What it had not written down, the job finds: it asks about every pending payment, and
asks again for every refund that the provider has not confirmed.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from tapwire_core.db.engine import Database
from tapwire_core.db.failures import is_database_unavailable
from tapwire_core.db.writes.payments import AskedPayment, DueRefund, OpenedPayment
from tapwire_core.domain.closed_sets import PaymentStatus, ReturnCause
from tapwire_core.domain.payment_facts import ProviderPayment, ProviderReturn
from tapwire_core.payment_providers.provider import PaymentProvider, ProviderUnavailable, WantedPayment
from tapwire_core.services import payments
from tapwire_core.services.payments import TakenIn

FIRST_WAIT: Final = timedelta(seconds=10)
"""Shortest wait between two questions, or two tries."""
BEGINS_WITHIN: Final = timedelta(minutes=10)
"""Time after a payment was written down in which its page was made, if it was: clocks may differ."""
UNBEGUN_AFTER_S: Final = 7_200.0
"""Age of a payment that the provider does not know at which nobody can pay it."""
NOT_BEGUN: Final = "The payment provider does not answer as it should: try again in a moment, or top up at the counter."

log: Final = logging.getLogger(__name__)


class BegunTopUp(Struct, frozen=True):
    """A payment that was begun; the guest pays at `url`."""

    payment_id: UUID
    url: str


class AskedSince(Struct, frozen=True):
    """The answer to a question about a period: payments that are in the books now, and those that can't be."""

    known: int
    unknown: tuple[ProviderPayment, ...]


async def begin_payment(
    db: Database, provider: PaymentProvider, opened: OpenedPayment, *, return_url: str, label: str, language: str
) -> BegunTopUp:
    """Have the provider make the page on which an opened payment is paid; a repeat gives the same page.

    What a provider says of a failure is for the operator's log: it may speak of the account, and guests read the refusal.
    """
    if opened.status is not PaymentStatus.PENDING:
        return BegunTopUp(opened.payment_id, return_url)
    if opened.checkout_url is not None:
        return BegunTopUp(opened.payment_id, opened.checkout_url)
    try:
        begun = await provider.begin(
            WantedPayment(
                payment_id=opened.payment_id,
                guest_id=opened.guest_id,
                visit_id=opened.visit_id,
                venue_id=opened.venue_id,
                amount_minor=opened.amount_minor,
                created_at=opened.created_at,
                return_url=return_url,
                label=label,
                language=language,
            )
        )
    except ProviderUnavailable as error:
        log.warning("payments: %s was not begun: %s", opened.payment_id, error)
        raise ProviderUnavailable(NOT_BEGUN) from None
    await payments.keep_checkout(db, opened.payment_id, begun.provider_id, begun.url)
    return BegunTopUp(opened.payment_id, begun.url)


async def receive_notification(db: Database, provider: PaymentProvider, headers: Mapping[str, str], body: bytes) -> None:
    """Take a provider's notification in. Raises `NotificationInvalid`, and `ProviderUnavailable` where it must be sent again."""
    notification = await provider.verify(headers, body)
    if notification is None:
        return
    said = notification.said
    if notification.is_whole:
        await _take_in(db, provider, said)
        return
    # written down first: if this process dies now, or the provider does not answer, the job asks
    question = await payments.ask_soon(db, provider.name, said)
    try:
        asked = await _look_up(provider, said)
    except ProviderUnavailable as error:
        if question is None:
            raise
        log.warning("payments: %s; asked again later", error)
        return
    if asked is not None:
        await _take_in(db, provider, asked)
    if question is not None:
        await payments.end_question(db, question)


async def ask_for_payments(db: Database, provider: PaymentProvider, first: timedelta = FIRST_WAIT) -> int:
    """Ask about payments that wait for an answer; returns how many."""
    asked = await payments.claim_questions(db, provider.name, first)
    for payment in asked:
        try:
            await _ask(db, provider, payment)
        except ProviderUnavailable as error:
            log.warning("payments: %s: %s; asked again later", payment.payment_id, error)
        except Exception as error:
            _go_on_after(error, "payments: %s failed; asked again later", payment.payment_id)
    return len(asked)


async def make_refunds(db: Database, provider: PaymentProvider, first: timedelta = FIRST_WAIT) -> int:
    """Ask the provider for refunds that are due; returns how many were tried."""
    due = await payments.claim_refunds(db, provider.name, first)
    for refund in due:
        try:
            await _refund(db, provider, refund)
        except ProviderUnavailable as error:
            log.warning("payments: refund %s: %s; tried again later", refund.return_id, error)
            await payments.note_failure(db, refund.return_id, str(error))
        except Exception as error:
            _go_on_after(error, "payments: refund %s failed; tried again later", refund.return_id)
    return len(due)


async def ask_since(db: Database, provider: PaymentProvider, since: datetime) -> AskedSince:
    """Ask for all payments since a backup, and book those that the restored database lacks."""
    known, unknown = 0, []
    for said in await provider.list_since(since):
        taken = TakenIn.OTHER
        try:
            taken = await _take_in_after_restore(db, provider, said)
        except Exception as error:
            _go_on_after(error, "payments: %s failed; it is not in the books", said.payment_id)
        if taken is TakenIn.KNOWN:
            known += 1
        elif said.payment_id is not None:
            unknown.append(said)
    return AskedSince(known, tuple(unknown))


async def _take_in_after_restore(db: Database, provider: PaymentProvider, said: ProviderPayment) -> TakenIn:
    taken = await payments.take_in(db, provider.name, said)
    if taken is TakenIn.UNKNOWN and await payments.restore_payment(db, provider.name, said):
        taken = await payments.take_in(db, provider.name, said)
    return taken


def _go_on_after(error: Exception, text: str, what: UUID | None) -> None:
    """Log a bug that one payment meets, so that it holds up no other one; without a database all of them wait."""
    if is_database_unavailable(error):
        raise error
    log.error(text, what, exc_info=error)


async def _take_in(db: Database, provider: PaymentProvider, said: ProviderPayment) -> None:
    taken = await payments.take_in(db, provider.name, said)
    if taken is TakenIn.OTHER:
        log.error("payments: %s says of %s something else than was begun", provider.name, said.payment_id or said.charge_id)


async def _look_up(provider: PaymentProvider, said: ProviderPayment) -> ProviderPayment | None:
    if said.provider_id is not None:
        return await provider.look_up(said.provider_id)
    return await provider.look_up_charge(said.charge_id) if said.charge_id is not None else None


async def _ask(db: Database, provider: PaymentProvider, payment: AskedPayment) -> None:
    if payment.provider_id is not None:
        said = await provider.look_up(payment.provider_id)
    else:
        period = payment.created_at - BEGINS_WITHIN, payment.created_at + BEGINS_WITHIN
        listed = await provider.list_since(*period)
        said = next((one for one in listed if one.payment_id == payment.payment_id), None)
    if said is not None:
        await _take_in(db, provider, said)
        await payments.end_question(db, payment)
    elif payment.age_s > UNBEGUN_AFTER_S:
        await payments.end_unbegun(db, payment.payment_id)


async def _refund(db: Database, provider: PaymentProvider, refund: DueRefund) -> None:
    assert refund.provider_id is not None
    if refund.charge_id is None:
        # the notification that it was paid did not name it
        said = await provider.look_up(refund.provider_id)
        if said is None or said.charge_id is None:
            raise ProviderUnavailable("the provider does not say what was paid")
        await _take_in(db, provider, said)
        refund = replace(refund, charge_id=said.charge_id)
    assert refund.charge_id is not None
    made = await provider.refund(refund.return_id, refund.charge_id, refund.amount_minor)
    said = ProviderPayment(
        provider_id=refund.provider_id,
        charge_id=refund.charge_id,
        payment_id=refund.payment_id,
        status=PaymentStatus.PAID,
        amount_minor=refund.paid_minor,
        currency=db.policy.currency,
    )
    returned = ProviderReturn(
        provider_id=made.provider_id,
        cause=ReturnCause.REFUND,
        amount_minor=refund.amount_minor,
        stands=not made.has_failed,
        return_id=refund.return_id,
    )
    await _take_in(db, provider, replace(said, returns=(returned,)))
