"""Payments at a provider: their rows, their locks, and what waits to be asked or refunded.

A guest is locked before the guest's payments, and the venue's open shift after them.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import PaymentStatus
from tapwire_core.domain.payment_facts import PaymentChanges, PaymentFacts, ProviderPayment, ReturnWritten

ASK_WITHIN: Final = timedelta(minutes=15)
"""Longest wait between two questions about a payment; one that lies further ahead was set before the clock was set back."""
RETRY_WITHIN: Final = timedelta(hours=1)
"""Longest wait between two tries of a refund, likewise."""

_facts: Final = msgspec.json.Decoder(PaymentFacts)


class FoundPayment(Struct, frozen=True):
    """What never changes of a payment."""

    payment_id: UUID
    guest_id: UUID
    venue_id: str


class PaymentQuestion(Struct, frozen=True):
    """A payment to ask the provider about. `ask_at`: when it is asked about again, unless the question ends."""

    payment_id: UUID
    ask_at: datetime


class AskedPayment(PaymentQuestion, frozen=True):
    """A payment that the job asks about. `age_s` and `created_at` find it there while its `provider_id` is unknown."""

    provider_id: str | None
    created_at: datetime
    age_s: float


class DueRefund(Struct, frozen=True):
    """A refund of ours that the provider has not confirmed, of a payment of `paid_minor`."""

    return_id: UUID
    payment_id: UUID
    provider_id: str | None
    charge_id: str | None
    amount_minor: int
    paid_minor: int


class OpenedPayment(Struct, frozen=True, kw_only=True):
    """A payment that was written down; `checkout_url`: where it is paid, once the provider has said so."""

    payment_id: UUID
    guest_id: UUID
    visit_id: UUID
    venue_id: str
    amount_minor: int
    created_at: datetime
    status: PaymentStatus
    checkout_url: str | None


_OPENED: Final = ", ".join(OpenedPayment.__struct_fields__)


async def find_payment(store: Store, provider: str, said: ProviderPayment) -> FoundPayment | None:
    """The payment that a provider speaks of, by its page, by our id, or by its charge."""
    row = await store.connection.fetchrow(
        """SELECT payment_id, guest_id, venue_id FROM payments
           WHERE provider = $1 AND (provider_id = $2 OR payment_id = $3 OR charge_id = $4)
           ORDER BY provider_id = $2 DESC NULLS LAST, payment_id = $3 DESC NULLS LAST LIMIT 1""",
        provider,
        said.provider_id,
        said.payment_id,
        said.charge_id,
    )
    return as_struct(row, FoundPayment)


async def lock_payment(store: Store, payment_id: UUID) -> PaymentFacts:
    """Lock a payment, whose guest is locked, and read what a provider's word is judged by."""
    await store.connection.execute("SELECT FROM payments WHERE payment_id = $1 FOR NO KEY UPDATE", payment_id)
    # a separate statement, to see what was booked during the wait for the lock
    found = await store.connection.fetchval(
        """SELECT jsonb_build_object(
               'payment_id', payment_id, 'guest_id', guest_id, 'status', status, 'amount_minor', amount_minor,
               'booked_minor', booked_minor, 'provider_id', provider_id, 'charge_id', charge_id,
               'balance_minor', balance_minor, 'available_minor', balance_minor - held_minor,
               'room_minor', max_balance_minor - balance_minor, 'is_blocked', blocked,
               'is_erased', erased_at IS NOT NULL,
               'is_paid_out',
                   EXISTS (SELECT FROM check_outs WHERE visit_id = payments.visit_id AND payout_method IS NOT NULL)
                   AND NOT EXISTS (SELECT FROM visits WHERE guest_id = payments.guest_id AND status = 'active'),
               'returns', (
                   SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'return_id', return_id, 'cause', cause, 'provider_id', provider_id, 'amount_minor', amount_minor,
                       'status', status,
                       'moved', (
                           SELECT coalesce(jsonb_agg(jsonb_build_object(
                               'debit_account', debit_account, 'credit_account', credit_account,
                               'amount_minor', moved.amount_minor) ORDER BY movement_id), '[]')
                           FROM money_movements AS moved WHERE payment_return_id = return_id),
                       'incident_id', (
                           SELECT incident_id FROM incidents
                           WHERE kind = 'payment_reversed' AND incidents.cause = return_id::text
                           AND incidents.status <> 'resolved'))
                       ORDER BY payment_returns.created_at, return_id), '[]')
                   FROM payment_returns WHERE payment_returns.payment_id = payments.payment_id))
           FROM payments JOIN guests USING (guest_id) JOIN venues USING (venue_id) WHERE payment_id = $1""",
        payment_id,
    )
    return _facts.decode(found)


async def write_payment(store: Store, payment_id: UUID, written: PaymentChanges) -> None:
    """Write what a provider's word changed. Questions about it stay: another word may have asked for one meanwhile."""
    await store.connection.execute(
        """UPDATE payments SET
               status = $2, booked_minor = $3, provider_id = $4, charge_id = $5,
               paid_at = CASE WHEN $2 NOT IN ('pending', 'expired') THEN coalesce(paid_at, now()) END,
               ended_at = CASE WHEN $2 <> 'pending' THEN CASE WHEN status = $2 THEN ended_at ELSE now() END END,
               checkout_url = CASE WHEN $2 = 'pending' THEN checkout_url END
           WHERE payment_id = $1""",
        payment_id,
        written.status.value,
        written.booked_minor,
        written.provider_id,
        written.charge_id,
    )


async def write_return(store: Store, payment_id: UUID, its: ReturnWritten) -> None:
    """Write a return, or the new state of one. It comes before the movements that name it."""
    await store.connection.execute(
        """INSERT INTO payment_returns (
               return_id, payment_id, venue_id, cause, provider_id, amount_minor, status, try_at, ended_at)
           SELECT $1, payment_id, venue_id, $3, $4, $5, $6,
               CASE WHEN $6 = 'due' THEN now() END, CASE WHEN $6 <> 'due' THEN now() END
           FROM payments WHERE payment_id = $2
           ON CONFLICT (return_id) DO UPDATE SET
               status = excluded.status, provider_id = coalesce(excluded.provider_id, payment_returns.provider_id),
               try_at = excluded.try_at, ended_at = excluded.ended_at,
               failure = CASE WHEN excluded.status = 'done' THEN NULL ELSE payment_returns.failure END""",
        its.return_id,
        payment_id,
        its.cause.value,
        its.provider_id,
        its.amount_minor,
        its.status.value,
    )


async def count_pending(store: Store, guest_id: UUID) -> int:
    """The guest's pending payments; read under the guest's lock."""
    found: int = await store.connection.fetchval(
        "SELECT count(*) FROM payments WHERE guest_id = $1 AND status = 'pending'", guest_id
    )
    return found


async def read_payment(store: Store, payment_id: UUID) -> OpenedPayment | None:
    """A payment by its id."""
    row = await store.connection.fetchrow(f"SELECT {_OPENED} FROM payments WHERE payment_id = $1", payment_id)  # noqa: S608 - ours
    return as_struct(row, OpenedPayment)


async def pending_payment(store: Store, provider: str, visit_id: UUID, amount_minor: int, fresh: timedelta) -> OpenedPayment | None:
    """The visit's latest pending payment of this amount that is not older than `fresh`; read under the guest's lock."""
    row = await store.connection.fetchrow(
        f"""SELECT {_OPENED} FROM payments
           WHERE provider = $1 AND visit_id = $2 AND amount_minor = $3 AND status = 'pending' AND guest_id = (
               SELECT guest_id FROM visits WHERE visit_id = $2)
           AND is_recent(created_at, $4) ORDER BY created_at DESC LIMIT 1""",  # noqa: S608 - ours
        provider,
        visit_id,
        amount_minor,
        fresh,
    )
    return as_struct(row, OpenedPayment)


async def max_balance(store: Store, venue_id: str) -> int | None:
    """The most that a guest's balance may be topped up to at a venue."""
    found: int | None = await store.connection.fetchval("SELECT max_balance_minor FROM venues WHERE venue_id = $1", venue_id)
    return found


async def restore_payment(store: Store, provider: str, said: ProviderPayment) -> bool:
    """Add a pending payment of which only the provider knows; False where its guest, visit or venue is unknown here."""
    added = await store.connection.fetchval(
        """INSERT INTO payments (payment_id, provider, provider_id, guest_id, visit_id, venue_id, amount_minor, ask_at)
           SELECT $1, $2, $3, guest_id, visit_id, venue_id, $6, now() FROM visits
           WHERE visit_id = $4 AND guest_id = $5 AND venue_id = $7
           ON CONFLICT DO NOTHING RETURNING true""",
        said.payment_id,
        provider,
        said.provider_id,
        said.visit_id,
        said.guest_id,
        said.amount_minor,
        said.venue_id,
    )
    return bool(added)


async def insert_payment(
    store: Store, *, payment_id: UUID, provider: str, guest_id: UUID, visit_id: UUID, venue_id: str, amount_minor: int
) -> OpenedPayment:
    """Add a pending payment. The job asks about it in case nobody hears of it again."""
    row = await store.connection.fetchrow(
        f"""INSERT INTO payments (payment_id, provider, guest_id, visit_id, venue_id, amount_minor, ask_at)
           VALUES ($1, $2, $3, $4, $5, $6, now() + interval '10 seconds') RETURNING {_OPENED}""",  # noqa: S608 - ours
        payment_id,
        provider,
        guest_id,
        visit_id,
        venue_id,
        amount_minor,
    )
    opened = as_struct(row, OpenedPayment)
    assert opened is not None, "what is inserted is returned"
    return opened


async def keep_checkout(store: Store, payment_id: UUID, provider_id: str, checkout_url: str) -> None:
    """Keep where a payment is paid; what a notification said meanwhile stays."""
    await store.connection.execute(
        """UPDATE payments SET
               provider_id = coalesce(provider_id, $2), checkout_url = CASE WHEN status = 'pending' THEN $3 END
           WHERE payment_id = $1""",
        payment_id,
        provider_id,
        checkout_url,
    )


async def ask_soon(store: Store, payment_id: UUID) -> datetime:
    """Have the job ask about a payment in any state; returns when."""
    found: datetime = await store.connection.fetchval(
        "UPDATE payments SET ask_at = now() WHERE payment_id = $1 RETURNING ask_at", payment_id
    )
    return found


async def claim_questions(store: Store, provider: str, limit: int, first: timedelta) -> list[AskedPayment]:
    """Take payments to ask about; each is not taken again before a third of its age, at least `first`, has passed."""
    rows = await store.connection.fetch(
        """WITH due AS (
               SELECT payment_id FROM payments WHERE provider = $1 AND (ask_at <= now() OR ask_at > now() + $4::interval)
               ORDER BY ask_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
           UPDATE payments SET ask_at = now() + least(greatest((now() - created_at) / 3, $3::interval), $4::interval)
           FROM due WHERE payments.payment_id = due.payment_id
           RETURNING payments.payment_id, provider_id, created_at, ask_at,
               extract(epoch FROM now() - created_at)::float AS age_s""",
        provider,
        limit,
        first,
        ASK_WITHIN,
    )
    return [AskedPayment(**row) for row in rows]


async def end_question(store: Store, question: PaymentQuestion) -> None:
    """Stop asking about a payment that has ended, unless somebody has asked for it meanwhile."""
    await store.connection.execute(
        "UPDATE payments SET ask_at = NULL WHERE payment_id = $1 AND ask_at = $2 AND status <> 'pending'",
        question.payment_id,
        question.ask_at,
    )


async def expire_unbegun(store: Store, payment_id: UUID) -> None:
    """End a pending payment that the provider does not know: nobody can pay it."""
    await store.connection.execute(
        """UPDATE payments SET status = 'expired', ended_at = now(), ask_at = NULL, checkout_url = NULL
           WHERE payment_id = $1 AND status = 'pending'""",
        payment_id,
    )


async def claim_refunds(store: Store, provider: str, limit: int, first: timedelta) -> list[DueRefund]:
    """Take refunds to ask the provider for; each is not taken again before a wait that doubles with its tries."""
    rows = await store.connection.fetch(
        """WITH due AS (
               SELECT return_id FROM payment_returns JOIN payments USING (payment_id)
               WHERE provider = $1 AND (try_at <= now() OR try_at > now() + $4::interval)
               ORDER BY try_at LIMIT $2 FOR NO KEY UPDATE OF payment_returns SKIP LOCKED)
           UPDATE payment_returns SET
               attempts = attempts + 1, try_at = now() + least($3::interval * power(2, least(attempts, 20)), $4::interval)
           FROM due, payments
           WHERE payment_returns.return_id = due.return_id AND payments.payment_id = payment_returns.payment_id
           RETURNING payment_returns.return_id, payments.payment_id, payments.provider_id, payments.charge_id,
               payment_returns.amount_minor, payments.amount_minor AS paid_minor""",
        provider,
        limit,
        first,
        RETRY_WITHIN,
    )
    return [DueRefund(**row) for row in rows]


async def note_failure(store: Store, return_id: UUID, failure: str) -> None:
    """Keep what the provider said to a refund that it did not make."""
    await store.connection.execute("UPDATE payment_returns SET failure = $2 WHERE return_id = $1", return_id, failure)


async def left_of_payments(store: Store, guest_id: UUID) -> list[tuple[UUID, int]]:
    """What has not gone back of each of a guest's payments; the latest first, under the guest's lock.

    Of the provider that is configured: through another one nothing would ever go back.
    """
    rows = await store.connection.fetch(
        """SELECT payment_id, (booked_minor - coalesce((
                   SELECT sum(amount_minor) FROM payment_returns
                   WHERE payment_returns.payment_id = payments.payment_id
                   AND cause IN ('dispute', 'refund', 'check_out') AND status IN ('due', 'done')), 0))::bigint AS left_minor
           FROM payments WHERE guest_id = $1 AND provider = $2 AND booked_minor > 0 ORDER BY paid_at DESC, payment_id""",
        guest_id,
        store.policy.payment_provider,
    )
    return [(row["payment_id"], row["left_minor"]) for row in rows if row["left_minor"] > 0]
