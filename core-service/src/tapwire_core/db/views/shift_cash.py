"""The drawer of a shift, for operators: its sums, its movements, and what stays hidden until it is counted.

A drawer is counted blind: until then no sum, of the drawer or of payments, is shown to anybody. Single bookings stay visible, since
a guest's account must be explained at any time.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Card, Guest, MoneyMovement, Shift, ShiftCount
from tapwire_core.db.views.queries import FIRST_PAGE, Page, PageRequest, read_page, table
from tapwire_core.domain.closed_sets import Account

shifts: Final = table(Shift)
counts: Final = table(ShiftCount)
money: Final = table(MoneyMovement)
guests: Final = table(Guest)
cards: Final = table(Card)

OUTSIDE_TILL: Final = frozenset(
    {
        *(Account.SAFE, Account.PAY_IN, Account.PAY_OUT, Account.OVER_SHORT),
        *(Account.DEPOSIT, Account.DEPOSIT_FORFEITED),
    }
)
"""Accounts whose movements are no payments of guests: the other side of a drawer, and deposits, which guests pay out of theirs."""


class DrawerMove(StrEnum):
    """Kinds of movements of a drawer."""

    FLOAT = "float"
    TOP_UP = "top_up"
    REFUND = "refund"
    REVERSAL = "reversal"
    PAY_IN = "pay_in"
    PAY_OUT = "pay_out"
    DROP = "drop"
    OVER_SHORT = "over_short"
    DEPOSITED = "deposited"


SHOWN_BLIND: Final = (DrawerMove.FLOAT, DrawerMove.PAY_IN, DrawerMove.PAY_OUT, DrawerMove.DROP)
"""The movements of a drawer that is not counted yet that its list shows."""


class ShiftCash(Struct, frozen=True, kw_only=True):
    """The drawer of a shift, in minor units; what would give its sum away is null until it is counted.

    `expected_minor` = float + top-ups - refunds - reversals + paid in - paid out - drops. `over_short_minor` = counted less
    expected. `float_difference_minor`: the float less the last count of the venue's shift before.
    """

    float_minor: int
    top_ups_minor: int | None
    refunds_minor: int | None
    reversals_minor: int | None
    pay_in_minor: int
    pay_out_minor: int
    drop_minor: int
    expected_minor: int | None
    counted_minor: int | None
    over_short_minor: int | None
    float_difference_minor: int | None


class CashMovement(Struct, frozen=True, kw_only=True):
    """A movement of a shift's drawer; `amount_minor` is the change of what is in it."""

    movement_id: int
    kind: DrawerMove
    amount_minor: int
    currency: str
    guest_id: UUID | None
    reason: str | None
    actor: str | None
    created_at: datetime


async def sum_up_cash(connection: AsyncConnection, shift: Any) -> ShiftCash:
    """The drawer of a shift's row; sums stay hidden where the shift counts its cash and no count covers all that moved."""
    moved = {row.kind: int(row.amount_minor) for row in await connection.execute(_sums(shift.shift_id))}
    counted = (await connection.execute(_last_count(shift.shift_id))).first() if shift.count_cash else None
    before = (await connection.execute(_count_before(shift))).scalar_one_or_none() if shift.count_cash else None
    expected_minor = sum(amount for kind, amount in moved.items() if kind not in (DrawerMove.OVER_SHORT, DrawerMove.DEPOSITED))
    is_counted = counted is not None and counted.expected_minor == expected_minor
    is_blind = bool(shift.count_cash) and not is_counted
    float_minor = moved.get(DrawerMove.FLOAT, 0)
    return ShiftCash(
        float_minor=float_minor,
        top_ups_minor=None if is_blind else moved.get(DrawerMove.TOP_UP, 0),
        refunds_minor=None if is_blind else -moved.get(DrawerMove.REFUND, 0),
        reversals_minor=None if is_blind else -moved.get(DrawerMove.REVERSAL, 0),
        pay_in_minor=moved.get(DrawerMove.PAY_IN, 0),
        pay_out_minor=-moved.get(DrawerMove.PAY_OUT, 0),
        drop_minor=-moved.get(DrawerMove.DROP, 0),
        expected_minor=None if is_blind else expected_minor,
        counted_minor=counted.counted_minor if counted is not None and is_counted else None,
        over_short_minor=counted.over_short_minor if counted is not None and is_counted else None,
        float_difference_minor=None if before is None else float_minor - before,
    )


async def sum_up_liability(connection: AsyncConnection) -> int:
    """What all guests of the installation have."""
    return int((await connection.execute(select(func.coalesce(func.sum(guests.c.balance_minor), 0)))).scalar_one())


async def sum_up_deposits(connection: AsyncConnection, venue_id: str) -> int:
    """What a venue has of guests' deposits: those that cards keep for it."""
    kept = select(func.coalesce(func.sum(cards.c.deposit_minor), 0)).where(cards.c.deposit_venue_id == venue_id)
    return int((await connection.execute(kept)).scalar_one())


async def list_cash(db: Database, shift_id: UUID, page: PageRequest = FIRST_PAGE) -> Page[CashMovement] | None:
    """The movements of a shift's drawer, the oldest first; None without the shift. A blind one lists what shift leads know."""
    async with db.read() as connection:
        shift = (await connection.execute(select(*shifts.c).where(shifts.c.shift_id == shift_id))).first()
        if shift is None:
            return None
        is_blind = (await sum_up_cash(connection, shift)).expected_minor is None
    statement = _movements(shift_id)
    if is_blind:
        statement = statement.where(_kind().in_([kind.value for kind in SHOWN_BLIND]))
    listed = statement.add_columns(
        money.c.movement_id,
        money.c.guest_id,
        money.c.reason,
        money.c.actor,
        money.c.created_at,
        literal(db.policy.currency).label("currency"),
    )
    return await read_page(db, listed, CashMovement, [money.c.movement_id], page)


def _movements(shift_id: UUID) -> Select[Any]:
    is_cash = or_(money.c.debit_account == Account.CASH.value, money.c.credit_account == Account.CASH.value)
    columns: tuple[ColumnElement[Any], ...] = (_kind().label("kind"), _change().label("amount_minor"))
    return select(*columns).where(money.c.shift_id == shift_id, is_cash)


def _sums(shift_id: UUID) -> Select[Any]:
    moved = _movements(shift_id).subquery()
    return select(moved.c.kind, func.sum(moved.c.amount_minor).label("amount_minor")).group_by(moved.c.kind)


def _kind() -> ColumnElement[str]:
    """The kind of a movement of the drawer, by its accounts, and for the safe's by whether a count booked it."""
    into = money.c.debit_account == Account.CASH.value
    other = case((into, money.c.credit_account), else_=money.c.debit_account)
    return case(
        (and_(other == Account.SAFE.value, money.c.count_id.is_not(None)), DrawerMove.DEPOSITED.value),
        (and_(other == Account.SAFE.value, into), DrawerMove.FLOAT.value),
        (other == Account.SAFE.value, DrawerMove.DROP.value),
        (other == Account.OVER_SHORT.value, DrawerMove.OVER_SHORT.value),
        (other == Account.PAY_IN.value, DrawerMove.PAY_IN.value),
        (other == Account.PAY_OUT.value, DrawerMove.PAY_OUT.value),
        (money.c.reverses_movement_id.is_not(None), DrawerMove.REVERSAL.value),
        (into, DrawerMove.TOP_UP.value),
        else_=DrawerMove.REFUND.value,
    )


def _change() -> ColumnElement[int]:
    return case((money.c.debit_account == Account.CASH.value, money.c.amount_minor), else_=-money.c.amount_minor)


def _last_count(shift_id: UUID) -> Select[Any]:
    return (
        select(counts.c.counted_minor, counts.c.expected_minor, counts.c.over_short_minor)
        .where(counts.c.shift_id == shift_id)
        .order_by(counts.c.count_id.desc())
        .limit(1)
    )


def _count_before(shift: Any) -> Select[Any]:
    """The last count of the shift before this one at its venue; null if that was not counted."""
    before = (
        select(shifts.c.shift_id)
        .where(shifts.c.venue_id == shift.venue_id, shifts.c.opened_at < shift.opened_at)
        .order_by(shifts.c.opened_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(counts.c.counted_minor).where(counts.c.shift_id == before).order_by(counts.c.count_id.desc()).limit(1)
