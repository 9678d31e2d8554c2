"""The currency of the books: written by the first program, and the same for all that follow."""

import asyncio

import pytest

from tapwire_core.db.engine import Database
from tapwire_core.db.installation import CurrencyDiffers, require_installation
from tapwire_core.domain.policy import Policy
from tests.command_line import command


async def test_a_program_of_another_currency_is_refused_with_a_sentence(db: Database, database_url: str) -> None:
    await asyncio.gather(*(require_installation(database_url, "EUR") for _ in range(3)))

    refused = await command("tapwire_core", "check", TAPWIRE_DATABASE_URL=database_url, TAPWIRE_CURRENCY="JPY")

    assert refused.code == 1
    assert refused.errors.strip() == (
        "tapwire-core: The books of this database are in EUR with 2 decimals, and TAPWIRE_CURRENCY is JPY with 0: "
        "set TAPWIRE_CURRENCY=EUR, or use another database."
    )
    await require_installation(database_url, "EUR")
    assert await db.pool.fetchval("SELECT currency || currency_digits FROM installation") == "EUR2"


async def test_of_two_first_programs_one_currency_stays(database_url: str) -> None:
    results = await asyncio.gather(
        *(require_installation(database_url, currency) for currency in ("EUR", "JPY", "EUR", "JPY")), return_exceptions=True
    )

    assert [type(result) for result in results].count(CurrencyDiffers) == 2


async def test_the_programs_role_opens_the_database_too(database_url: str) -> None:
    await require_installation(database_url, "RSD")
    await require_installation(database_url, "RSD")


def test_a_currency_that_iso_4217_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'XYZ' is no currency of ISO 4217"):
        Policy(currency="XYZ")
