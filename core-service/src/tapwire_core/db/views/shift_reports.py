"""A shift's totals: the X report at any time, the Z report once it is closed (SYSTEM.md, "Operators").

Money comes from the money movements and volume from the stock movements, so a report always agrees with the books. A row booked
while no shift is open counts for the next shift opened at its venue.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, Subquery, and_, false, func, not_, or_, select

from tapwire_contracts.reasons import SyncStatus
from tapwire_core.db.engine import Database
from tapwire_core.db.tables import Beverage, Keg, MoneyMovement, PaymentReturn, Pour, Shift, StockMovement
from tapwire_core.db.views.beverages import is_name_at, names_over_time
from tapwire_core.db.views.queries import table
from tapwire_core.db.views.shift_cash import OUTSIDE_TILL, ShiftCash, sum_up_cash, sum_up_deposits, sum_up_liability
from tapwire_core.db.views.tax import tax_of_sales
from tapwire_core.db.views.volumes import LostVolumes, volume_field
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.payment_facts import REVERSALS
from tapwire_core.domain.tax import TaxRow

shifts: Final = table(Shift)
money: Final = table(MoneyMovement)
returns: Final = table(PaymentReturn)
stock: Final = table(StockMovement)
pours: Final = table(Pour)
kegs: Final = table(Keg)
beverages: Final = table(Beverage)


class Totals(Struct, LostVolumes):
    """Sales and losses by kind; money in minor units, volume in millilitres.

    `flowed_ml` is the book volume that left the kegs: the sum of the volumes below it. The volume of pending pours is unknown;
    `pending_max_ml` is its upper bound.
    """

    flowed_ml: int = 0
    pours: int = 0
    sold_ml: int = 0
    sold_minor: int = 0
    written_off_ml: int = 0
    written_off_minor: int = 0
    rejected_pours: int = 0
    rejected_ml: int = 0
    unattributed_ml: int = 0
    corrected_ml: int = 0
    line_cleaning_ml: int = 0
    yield_loss_ml: int = 0
    spoiled_ml: int = 0
    returned_ml: int = 0
    pending_pours: int = 0
    pending_max_ml: int = 0
    pending_hold_minor: int = 0


class Till(Struct):
    """Top-ups, refunds, reversals, comps and adjustments, in minor units; of all payment methods unless in `by_method`.

    `reversals_minor`: top-ups that were reversed, at the till of who booked them; `top_ups_minor` has them too.
    """

    top_ups_minor: int = 0
    refunds_minor: int = 0
    adjustments_minor: int = 0
    reversals_minor: int = 0
    comps_minor: int = 0


class OnlinePayments(Struct):
    """Money that came by a payment provider, and went back through it, in minor units; never in the drawer.

    `refunds_minor`: given back at check-outs. `reversals_minor`: taken back by the provider, less what was won back; of that
    `losses_minor` could not be taken from guests.
    """

    top_ups_minor: int = 0
    refunds_minor: int = 0
    reversals_minor: int = 0
    losses_minor: int = 0


class ShiftReport(Struct, frozen=True, kw_only=True):
    """A shift's totals, overall and by group; the key `-` of `by_tap` and `by_beverage` is for rows without a tap or keg.

    Until its drawer is counted, where the shift counts it, all that would give its sum away is null. `liability_minor`: what all
    guests of the installation had when the report was made; `deposits_minor`: what the venue had of their deposits.
    """

    shift_id: UUID
    venue_id: str
    opened_at: datetime
    closed_at: datetime | None
    made_at: datetime
    currency: str
    totals: Totals
    till: Till | None
    by_tap: dict[str, Totals]
    by_beverage: dict[str, Totals]
    by_method: dict[str, Till] | None
    by_operator: dict[str, Till] | None
    beverage_ids: dict[str, UUID] = {}
    tax: list[TaxRow] = []
    comps_minor: int = 0
    cash: ShiftCash | None = None
    liability_minor: int | None = None
    deposits_minor: int | None = None
    online_payments: OnlinePayments | None = None


ONLINE: Final = frozenset({Account.ONLINE_PAYMENT, Account.PAYMENT_LOSS})
"""Accounts of payments at a provider."""
UNKNOWN_KEY: Final = "-"
SHOWN_ID_DIGITS: Final = 8
NamedBeverage = tuple[str, UUID | None]
"""A beverage's name of the day, and its id."""


async def sum_up_shift(db: Database, shift_id: UUID) -> ShiftReport | None:
    """A shift's current report, from one snapshot; None when there is no such shift."""
    async with db.read(in_one_snapshot=True) as connection:
        shift = (await connection.execute(select(*shifts.c, func.now().label("now")).where(shifts.c.shift_id == shift_id))).first()
        if shift is None:
            return None
        moved = (await connection.execute(_money(shift))).all()
        flowed = (await connection.execute(_stock(shift))).all()
        ended = (await connection.execute(_pours(shift))).all()
        tax = await tax_of_sales(connection, _of_shift(shift, money.c.shift_id, money.c.venue_id, money.c.created_at))
        cash = await sum_up_cash(connection, shift)
        liability_minor = await sum_up_liability(connection)
        deposits_minor = await sum_up_deposits(connection, shift.venue_id)
    sold = _Accumulator()
    for row in moved:
        sold.add_money(row)
    for row in flowed:
        sold.add_stock(row)
    for row in ended:
        sold.add_pours(row)
    keys = _keys(sold.by_beverage)
    report = ShiftReport(
        shift_id=shift.shift_id,
        venue_id=shift.venue_id,
        opened_at=shift.opened_at,
        closed_at=shift.closed_at,
        made_at=shift.now,
        currency=db.policy.currency,
        totals=sold.totals,
        till=sold.till,
        by_tap=dict(sorted(sold.by_tap.items())),
        by_beverage={key: sold.by_beverage[named] for key, named in keys.items()},
        beverage_ids={key: beverage_id for key, (_, beverage_id) in keys.items() if beverage_id is not None},
        by_method=dict(sorted(sold.by_method.items())),
        by_operator=dict(sorted(sold.by_operator.items())),
        tax=tax,
        comps_minor=sold.till.comps_minor,
        cash=cash,
        liability_minor=liability_minor,
        deposits_minor=deposits_minor,
        online_payments=sold.online,
    )
    return _without_till(report) if cash.expected_minor is None else report


def _without_till(report: ShiftReport) -> ShiftReport:
    """The report of a shift whose drawer is not counted: without what would give its sum away."""
    return replace(report, till=None, by_method=None, by_operator=None)


class _Accumulator:
    """Accumulates the sums, row by row."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.till = Till()
        self.online = OnlinePayments()
        self.by_tap: defaultdict[str, Totals] = defaultdict(Totals)
        self.by_beverage: defaultdict[NamedBeverage, Totals] = defaultdict(Totals)
        self.by_method: defaultdict[str, Till] = defaultdict(Till)
        self.by_operator: defaultdict[str, Till] = defaultdict(Till)

    def add_money(self, row: Any) -> None:
        """Add a sum of movements between two accounts."""
        debit, credit, amount = Account(row.debit_account), Account(row.credit_account), int(row.amount_minor)
        if credit is Account.SALES:
            field = "sold_minor" if debit is Account.GUEST else "written_off_minor"
            self._add_sold(row, **{field: amount})
            return
        if {debit, credit} & ONLINE:
            self._add_online(row, debit, credit, amount)
            return
        if {debit, credit} & OUTSIDE_TILL:
            return
        tills = [self.till, self.by_operator[row.actor]]
        if debit in (Account.CASH, Account.CARD):
            _add([*tills, self.by_method[debit]], top_ups_minor=amount)
        elif row.is_reversal:
            _add([*tills, self.by_method[credit]], reversals_minor=amount)
        elif credit in (Account.CASH, Account.CARD):
            _add([*tills, self.by_method[credit]], refunds_minor=amount)
        elif debit is Account.COMP:
            _add(tills, comps_minor=amount)
        else:
            _add(tills, adjustments_minor=amount if debit is Account.ADJUSTMENT else -amount)

    def _add_online(self, row: Any, debit: Account, credit: Account, amount: int) -> None:
        """Add a movement of a payment at a provider."""
        if Account.ONLINE_PAYMENT not in (debit, credit):
            _add([self.online], losses_minor=-amount if credit is Account.PAYMENT_LOSS else amount)
        elif row.is_provider_reversal:
            sign = 1 if credit is Account.ONLINE_PAYMENT else -1
            loss = amount if Account.PAYMENT_LOSS in (debit, credit) else 0
            _add([self.online], reversals_minor=sign * amount, losses_minor=sign * loss)
        elif debit is Account.ONLINE_PAYMENT:
            _add([self.online], **({"refunds_minor": -amount} if row.is_payment_return else {"top_ups_minor": amount}))
        else:
            _add([self.online], refunds_minor=amount)

    def add_stock(self, row: Any) -> None:
        """Add a sum of volumes of one kind."""
        self._add_sold(row, **{row.field: int(row.volume_ml)}, flowed_ml=int(row.volume_ml))

    def add_pours(self, row: Any) -> None:
        """Add a count of pours of one status."""
        match SyncStatus(row.sync_status):
            case SyncStatus.SYNCED | SyncStatus.RECONCILED:
                self._add_sold(row, pours=row.pours)
            case SyncStatus.REJECTED:
                self._add_sold(row, rejected_pours=row.pours)
            case SyncStatus.PENDING_SYNC:
                most = {"pending_max_ml": int(row.max_volume_ml), "pending_hold_minor": int(row.hold_minor)}
                self._add_sold(row, pending_pours=row.pours, **most)
            case SyncStatus.VOIDED:
                pass

    def _add_sold(self, row: Any, **amounts: int) -> None:
        beverage = self.by_beverage[row.beverage or UNKNOWN_KEY, row.beverage_id]
        _add([self.totals, self.by_tap[row.tap_path or UNKNOWN_KEY], beverage], **amounts)


def _keys(beverages_sold: Iterable[NamedBeverage]) -> dict[str, NamedBeverage]:
    """One key for each beverage and name, sorted."""
    keys: dict[str, NamedBeverage] = {}
    for named in sorted(beverages_sold, key=str):
        name, beverage_id = named
        keys[f"{name} ({str(beverage_id)[:SHOWN_ID_DIGITS]})" if name in keys else name] = named
    return keys


def _add(sums: Sequence[Struct], **amounts: int) -> None:
    for into in sums:
        for field, amount in amounts.items():
            setattr(into, field, getattr(into, field) + amount)


def _of_shift(
    shift: Any, shift_id: ColumnElement[Any], venue_id: ColumnElement[Any], at: ColumnElement[Any]
) -> ColumnElement[bool]:
    """The condition that a row belongs to the shift: booked in it, or without a shift since the previous one opened."""
    between = select(shifts.c.shift_id).where(
        shifts.c.venue_id == shift.venue_id, shifts.c.opened_at > at, shifts.c.opened_at < shift.opened_at
    )
    earlier = and_(shift_id.is_(None), venue_id == shift.venue_id, at < shift.opened_at, not_(between.exists()))
    return or_(shift_id == shift.shift_id, earlier)


def _beverage(then: Subquery) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """A beverage's name of the time, and its id."""
    return func.coalesce(then.c.name, beverages.c.name).label("beverage"), beverages.c.beverage_id


def _money(shift: Any) -> Select[Any]:
    then, first = names_over_time(), money.alias("reversed")
    by = (
        money.c.debit_account,
        money.c.credit_account,
        func.coalesce(first.c.actor, money.c.actor).label("actor"),
        money.c.reverses_movement_id.is_not(None).label("is_reversal"),
        money.c.payment_return_id.is_not(None).label("is_payment_return"),
        func.coalesce(returns.c.cause.in_([cause.value for cause in REVERSALS]), false()).label("is_provider_reversal"),
        pours.c.tap_path,
        *_beverage(then),
    )
    return (
        select(*by, func.sum(money.c.amount_minor).label("amount_minor"))
        .outerjoin(first, first.c.movement_id == money.c.reverses_movement_id)
        .outerjoin(returns, returns.c.return_id == money.c.payment_return_id)
        .outerjoin(pours, pours.c.pour_id == money.c.pour_id)
        .outerjoin(beverages, beverages.c.beverage_id == pours.c.beverage_id)
        .outerjoin(then, is_name_at(then, pours.c.beverage_id, pours.c.authorized_at))
        .where(_of_shift(shift, money.c.shift_id, money.c.venue_id, money.c.created_at))
        .group_by(*by)
    )


def _stock(shift: Any) -> Select[Any]:
    then = names_over_time()
    by = (volume_field().label("field"), stock.c.tap_path, *_beverage(then))
    poured_at = func.coalesce(pours.c.authorized_at, stock.c.created_at)
    return (
        select(*by, func.sum(stock.c.volume_ml).label("volume_ml"))
        .outerjoin(pours, pours.c.pour_id == stock.c.cause_id)
        .join(kegs, kegs.c.keg_id == stock.c.keg_id)
        .join(beverages, beverages.c.beverage_id == kegs.c.beverage_id)
        .outerjoin(then, is_name_at(then, kegs.c.beverage_id, poured_at))
        .where(_of_shift(shift, stock.c.shift_id, stock.c.venue_id, stock.c.created_at))
        .group_by(*by)
    )


def _pours(shift: Any) -> Select[Any]:
    then = names_over_time()
    by = (pours.c.sync_status, pours.c.tap_path, *_beverage(then))
    pending = and_(pours.c.sync_status == SyncStatus.PENDING_SYNC.value, pours.c.shift_id == shift.shift_id)
    ended = and_(
        pours.c.sync_status != SyncStatus.PENDING_SYNC.value,
        _of_shift(shift, pours.c.settled_shift_id, pours.c.venue_id, pours.c.settled_at),
    )
    return (
        select(
            *by,
            func.count().label("pours"),
            func.sum(pours.c.hold_minor).label("hold_minor"),
            func.sum(pours.c.max_volume_ml).label("max_volume_ml"),
        )
        .join(beverages, beverages.c.beverage_id == pours.c.beverage_id)
        .outerjoin(then, is_name_at(then, pours.c.beverage_id, pours.c.authorized_at))
        .where(or_(pending, ended))
        .group_by(*by)
    )
