"""Money movements, for use cases that name one, and for what was paid out to a guest."""

from uuid import UUID

from msgspec import Struct

from tapwire_core.db.store import Store
from tapwire_core.db.writes.rows import as_struct
from tapwire_core.domain.closed_sets import Account, PaidBy, PaymentMethod


class BookedMovement(Struct, frozen=True, kw_only=True):
    """A movement in the books. `is_fresh`: booked within the asked time."""

    debit_account: Account
    credit_account: Account
    amount_minor: int
    venue_id: str | None
    shift_id: UUID | None
    actor: str
    is_fresh: bool

    @property
    def is_top_up(self) -> bool:
        """True if it is money that a guest paid in at the counter."""
        return self.credit_account is Account.GUEST and self.debit_account.value in set(PaymentMethod)


class PayoutBounds(Struct, frozen=True, kw_only=True):
    """What bounds an operator's payout to a guest, in minor units.

    `limit_minor`: the venue's, for one guest and shift, of which `paid_out_minor` is used. `cash_minor`: paid in as cash, less what
    went back.
    """

    limit_minor: int
    paid_out_minor: int
    cash_minor: int


async def newest_movement(store: Store, guest_id: UUID) -> int:
    """The newest movement of a guest's account; under the guest's lock, that of this transaction."""
    found: int = await store.connection.fetchval("SELECT max(movement_id) FROM money_movements WHERE guest_id = $1", guest_id)
    return found


async def find_movement(store: Store, guest_id: UUID, movement_id: int, fresh_minutes: int) -> BookedMovement | None:
    """A movement of this guest's account, which never changes; fresh for so many minutes."""
    row = await store.connection.fetchrow(
        """SELECT debit_account, credit_account, amount_minor, venue_id, shift_id, actor,
               is_recent(created_at, make_interval(mins => $3)) AS is_fresh
           FROM money_movements WHERE movement_id = $2 AND guest_id = $1""",
        guest_id,
        movement_id,
        fresh_minutes,
    )
    return as_struct(row, BookedMovement)


async def reversal_of(store: Store, movement_id: int) -> int | None:
    """The movement that reverses a top-up; read under the guest's lock."""
    found: int | None = await store.connection.fetchval(
        "SELECT movement_id FROM money_movements WHERE reverses_movement_id = $1", movement_id
    )
    return found


async def payout_bounds(store: Store, venue_id: str | None, shift_id: UUID | None, guest_id: UUID) -> PayoutBounds:
    """Read what bounds a payout, under the guest's lock. A reversed top-up is no payout."""
    row = await store.connection.fetchrow(
        """SELECT (SELECT operator_refund_limit_minor FROM venues WHERE venue_id = $1) AS limit_minor,
               coalesce(sum(amount_minor) FILTER (
                   WHERE debit_account = 'guest' AND credit_account = ANY($4::text[]) AND reverses_movement_id IS NULL
                   AND shift_id = $2 AND NOT EXISTS (
                       SELECT FROM payment_returns
                       WHERE return_id = payment_return_id AND cause IN ('dispute', 'refund'))), 0)::bigint AS paid_out_minor,
               coalesce(sum(CASE WHEN debit_account = 'cash' THEN amount_minor ELSE -amount_minor END) FILTER (
                   WHERE 'cash' IN (debit_account, credit_account)), 0)::bigint AS cash_minor
           FROM money_movements WHERE guest_id = $3""",
        venue_id,
        shift_id,
        guest_id,
        [method.value for method in PaidBy],
    )
    bounds = as_struct(row, PayoutBounds)
    assert bounds is not None
    return bounds
