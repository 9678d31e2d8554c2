"""Each kind of error has one status, and a database that is gone is told from a fault of ours."""

from collections.abc import Iterator
from typing import Final

import pytest

from tapwire_admin.responses.errors import STATUS_OF
from tapwire_core.db.failures import is_database_unavailable
from tapwire_core.db.installation import CurrencyDiffers
from tapwire_core.errors import DomainError, NotMigrated

AT_START: Final = {NotMigrated, CurrencyDiffers}
"""Errors with which no program starts, so that no request meets them."""


def kinds(error: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """All domain errors that the application can meet."""
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind not in AT_START])
def test_every_domain_error_has_a_status_and_a_code_of_its_own(kind: type[DomainError]) -> None:
    assert any(parent in STATUS_OF for parent in kind.__mro__)
    assert kind.code == kind.code.lower()


def test_no_two_meanings_share_a_code() -> None:
    codes = [kind.code for kind in kinds() if "code" in vars(kind)]

    assert {code for code in codes if codes.count(code) > 1} == set()


def test_an_error_that_a_lost_connection_caused_says_that_the_database_is_gone() -> None:
    lost, wrapped = ConnectionRefusedError(), RuntimeError("could not read")
    wrapped.__cause__ = lost

    assert is_database_unavailable(lost)
    assert is_database_unavailable(wrapped)
    assert not is_database_unavailable(RuntimeError("a fault of ours"))
