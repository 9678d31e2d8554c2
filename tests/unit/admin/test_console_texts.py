"""The console's texts: complete in each language, for every member of the closed sets and every refusal."""

import re
from collections.abc import Iterator
from enum import StrEnum

import pytest

from tapwire_admin.app import create_app
from tapwire_admin.console import labels
from tapwire_admin.console.incident_labels import SEVERITIES
from tapwire_admin.console.problem_texts import PROBLEMS
from tapwire_admin.console.translations import TRANSLATED, collect_texts, read_catalog
from tapwire_contracts.reasons import Locale
from tapwire_core.db.backup import BackupRefused
from tapwire_core.db.installation import CurrencyDiffers
from tapwire_core.errors import DomainError, NotMigrated, Refused
from tapwire_core.services.decision_rates import RateLimited
from tapwire_core.services.pairings import PairingWaits, TooManyPairings
from tapwire_core.services.venues import VenueRequired

PLACEHOLDER = re.compile(r"%\(\w+\)s|%s")
SAID_BY_NO_PAGE = {
    NotMigrated.code,
    CurrencyDiffers.code,
    Refused.code,
    VenueRequired.code,
    BackupRefused.code,
    TooManyPairings.code,
    PairingWaits.code,
    RateLimited.code,
    "idempotency_key_required",
}
"""Codes that no page of the console can meet: it names the venue, its forms have keys, it isn't a device, and restores nothing."""


@pytest.mark.parametrize("locale", TRANSLATED, ids=str)
def test_every_text_of_the_console_is_translated_and_none_is_left_over(locale: Locale) -> None:
    said = {str(message.id) for message in collect_texts() if message.id}
    catalog = {str(message.id): str(message.string) for message in read_catalog(locale) if message.id}

    assert said - catalog.keys() == set(), "make texts, then translate"
    assert catalog.keys() - said == set(), "make texts takes away what nobody says any more"
    assert [text for text, translation in catalog.items() if not translation] == []


@pytest.mark.parametrize("locale", TRANSLATED, ids=str)
def test_a_translation_has_the_places_for_names_and_numbers_of_its_text(locale: Locale) -> None:
    for message in read_catalog(locale):
        assert sorted(PLACEHOLDER.findall(str(message.id))) == sorted(PLACEHOLDER.findall(str(message.string))), message.id


def test_every_member_of_a_closed_set_has_its_words() -> None:
    for texts in (*labels.ALL, SEVERITIES):
        members: type[StrEnum] = type(next(iter(texts)))
        assert set(texts) == set(members), members


def test_reasons_of_locks_by_the_core_read_the_same_in_english() -> None:
    assert all(reason == text for reason, text in labels.LOCK_REASONS.items())


def test_every_refusal_is_told_in_words() -> None:
    create_app  # noqa: B018  its import brings every use case, and so every refusal
    codes = {error.code for error in _errors(DomainError) if hasattr(error, "code")}
    assert codes - PROBLEMS.keys() - SAID_BY_NO_PAGE == set()


def _errors(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in error.__subclasses__():
        yield child
        yield from _errors(child)
