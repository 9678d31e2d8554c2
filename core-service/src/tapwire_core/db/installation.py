"""The check that a program and the database agree: on the schema, and on the currency of all money.

The first program that opens a database writes its currency there. Amounts are stored in minor units, so in another currency, or
with other digits, each amount would mean another sum.
"""

import asyncpg

from tapwire_contracts.currencies import CURRENCY_DIGITS
from tapwire_core.db.connections import connect
from tapwire_core.db.schema import require_newest
from tapwire_core.errors import DomainError


class CurrencyDiffers(DomainError):
    """The database's money is in another currency than the program's."""

    code = "currency_differs"


async def require_installation(url: str, currency: str) -> None:
    """Raise `NotMigrated` for another schema, and `CurrencyDiffers` for another currency than this one."""
    await require_newest(url)
    connection = await connect(url)
    try:
        await _require_currency(connection, currency)
    finally:
        await connection.close()


async def _require_currency(connection: asyncpg.Connection, currency: str) -> None:
    digits = CURRENCY_DIGITS[currency]
    kept = await connection.fetchrow("SELECT currency, currency_digits FROM installation")
    if kept is None:
        await connection.execute(
            "INSERT INTO installation (currency, currency_digits) VALUES ($1, $2) ON CONFLICT DO NOTHING", currency, digits
        )
        kept = await connection.fetchrow("SELECT currency, currency_digits FROM installation")
    if tuple(kept) != (currency, digits):
        raise CurrencyDiffers(
            f"The books of this database are in {kept['currency']} with {kept['currency_digits']} decimals, and TAPWIRE_CURRENCY "
            f"is {currency} with {digits}: set TAPWIRE_CURRENCY={kept['currency']}, or use another database.",
            currency=kept["currency"],
        )
