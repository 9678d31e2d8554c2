"""The tax of what was sold, for shifts' reports, sales reports and receipts."""

from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tapwire_core.db.tables import MoneyMovement, Pour
from tapwire_core.db.views.queries import table
from tapwire_core.domain.closed_sets import Account
from tapwire_core.domain.tax import TaxRow, tax_rows

money: Final = table(MoneyMovement)
pours: Final = table(Pour)


async def tax_of_sales(connection: AsyncConnection, where: ColumnElement[bool]) -> list[TaxRow]:
    """The tax rows of the sales among the money movements that meet a condition; a write-off is no sale."""
    sales = (
        select(pours.c.tax_rate_bp, func.sum(money.c.amount_minor).label("gross_minor"))
        .select_from(money.outerjoin(pours, pours.c.pour_id == money.c.pour_id))
        .where(where, money.c.debit_account == Account.GUEST.value, money.c.credit_account == Account.SALES.value)
        .group_by(pours.c.tax_rate_bp)
    )
    return tax_rows((row.tax_rate_bp, int(row.gross_minor)) for row in await connection.execute(sales))
